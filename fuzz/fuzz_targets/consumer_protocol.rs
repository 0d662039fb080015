#![no_main]

kafka_fuzz::measured!("consumer_protocol");
