#![no_main]

kafka_fuzz::measured!("recording");
