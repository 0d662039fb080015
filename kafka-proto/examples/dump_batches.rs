//! Lists the record batches of a segment file of a broker: `dump_batches 00000000000000000000.log`.

use kafka_proto::Bytes;
use kafka_proto::records::{Batch, batches};
use std::error::Error;

/// No batch may unpack to more.
const CAP: usize = 256 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: dump_batches FILE")?;
    let mut file = batches(Bytes::from(std::fs::read(path)?));
    for batch in &mut file {
        show(&batch?)?;
    }
    if file.trailing_bytes() > 0 {
        println!("{} bytes are left over", file.trailing_bytes());
    }
    Ok(())
}

fn show(batch: &Batch) -> Result<(), Box<dyn Error>> {
    println!(
        "offsets {}-{} magic {} {} bytes {} producer {}:{} sequence {}{}{}",
        batch.base_offset(),
        batch.last_offset(),
        batch.magic(),
        batch.size_in_bytes(),
        batch.compression().name(),
        batch.producer_id(),
        batch.producer_epoch(),
        batch.base_sequence(),
        if batch.is_transactional() { " transactional" } else { "" },
        if batch.is_control() { " control" } else { "" },
    );
    if let Err(error) = batch.verify_crc() {
        println!("  {error}");
        return Ok(());
    }
    let mut records = batch.records(CAP)?;
    while let Some(record) = records.next_record() {
        let record = record?;
        println!(
            "  {} at {}: {} = {}",
            record.offset,
            record.timestamp,
            text(record.key),
            text(record.value)
        );
    }
    Ok(())
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or("null".to_owned(), |bytes| bytes.escape_ascii().to_string())
}
