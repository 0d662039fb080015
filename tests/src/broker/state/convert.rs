//! From one record format to another: up when an old producer meets a newer log, down when an old consumer does.

use kafka_proto::Bytes;
use kafka_proto::error_code::ErrorCode;
use kafka_proto::records::{
    Batch, BatchBuilder, Compression, ProducerStamp, RecordSet, RecordsError, batches,
};

use super::batch::{Entry, MAX_DECOMPRESSED};
use super::inspect::Refusal;

/// The messages a producer sent in another format, all in one batch or wrapper.
pub(crate) fn to_format(sent: &[Batch], magic: u8) -> Result<Vec<Batch>, Refusal> {
    let mut builder = BatchBuilder::new();
    for batch in sent {
        fill(&mut builder, &mut batch.records(MAX_DECOMPRESSED)?)?;
    }
    let codec = sent.iter().map(Batch::compression).find(|codec| *codec != Compression::None);
    let body = builder.finish().compress(codec.unwrap_or_default(), None)?;
    let records = match magic {
        2 => body.seal(ProducerStamp::NONE),
        magic => body.to_message_set(magic)?,
    };
    batches(records.into_bytes()).map(|batch| batch.map_err(Refusal::from)).collect()
}

fn fill(builder: &mut BatchBuilder, records: &mut RecordSet) -> Result<(), Refusal> {
    while let Some(record) = records.next_record() {
        let record = record?;
        builder.append(record.timestamp, record.key, record.value, &[])?;
    }
    Ok(())
}

/// A stored batch, from an offset on, as messages of an older format, for a consumer that knows no newer one.
///
/// Headers, producer ids and leader epochs are lost on the way. Written without compression: then every
/// message carries its own offset, which those of a compacted batch need.
pub(crate) fn down(entry: &Entry, from: i64, magic: u8) -> Result<Vec<Bytes>, ErrorCode> {
    if entry.compression() == Compression::Zstd {
        return Err(ErrorCode::UnsupportedCompressionType);
    }
    if entry.header.is_control {
        return Ok(Vec::new());
    }
    down_plain(entry, from, magic).map_err(|_| ErrorCode::UnknownServerError)
}

fn down_plain(entry: &Entry, from: i64, magic: u8) -> Result<Vec<Bytes>, RecordsError> {
    let mut builder = BatchBuilder::new();
    let mut offsets = Vec::new();
    let Some(mut records) = entry.record_set() else { return Ok(Vec::new()) };
    while let Some(record) = records.next_record() {
        let record = record?;
        if record.offset < from {
            continue;
        }
        offsets.push(record.offset);
        builder.append(record.timestamp, record.key, record.value, &[])?;
    }
    let messages = builder.finish().to_message_set(magic)?.into_bytes();
    let mut out = Vec::new();
    for (message, offset) in batches(messages).zip(offsets) {
        out.extend_from_slice(message?.with_offset(offset, -1).segments());
    }
    Ok(out)
}
