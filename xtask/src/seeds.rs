//! `cargo xtask fuzz-seeds`: inputs for the fuzz targets, from the test vectors and the packs that are saved.

use kafka_proto::ApiKey;
use kafka_proto::records::{Compression, batches};
use kafka_testkit::fuzz::{self, corpus};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Write inputs for the fuzz targets to fuzz/corpus, or pack what is there
#[derive(Debug, clap::Args)]
pub(crate) struct FuzzSeeds {
    /// Pack fuzz/corpus/TARGET into fuzz/saved/TARGET.gz instead, inputs up to 4 KiB
    #[arg(long)]
    pack: bool,
}

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;
type Seeds = BTreeMap<&'static str, Vec<Vec<u8>>>;

const MAX_SAVED: usize = 4 << 10;

impl FuzzSeeds {
    /// Unpacks or packs.
    pub(crate) fn run(&self) -> Result {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        if self.pack { pack(&fuzz) } else { unpack(&fuzz) }
    }
}

fn targets() -> impl Iterator<Item = &'static str> {
    fuzz::TARGETS.iter().map(|(name, _)| *name).chain(["schema"])
}

fn pack(fuzz: &Path) -> Result {
    fs::create_dir_all(fuzz.join("saved"))?;
    for target in targets() {
        let mut inputs = Vec::new();
        for path in files(&fuzz.join("corpus").join(target))? {
            inputs.extend(Some(fs::read(path)?).filter(|input| input.len() <= MAX_SAVED));
        }
        println!("{target}: {} inputs", inputs.len());
        corpus::write(&fuzz.join("saved").join(target).with_extension("gz"), inputs)?;
    }
    Ok(())
}

fn unpack(fuzz: &Path) -> Result {
    let mut seeds = from_vectors()?;
    for target in targets() {
        let saved = fuzz.join("saved").join(target).with_extension("gz");
        let mut inputs = seeds.remove(target).unwrap_or_default();
        if saved.exists() {
            inputs.extend(corpus::read(&saved)?);
        }
        let dir = fuzz.join("corpus").join(target);
        fs::create_dir_all(&dir)?;
        for input in &inputs {
            let name = kafka_proto::records::crc32c(input);
            fs::write(dir.join(format!("{name:08x}-{}", input.len())), input)?;
        }
        println!("{target}: {} inputs", inputs.len());
    }
    Ok(())
}

fn from_vectors() -> Result<Seeds> {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kafka-proto");
    let vectors = proto.join("tests/vectors");
    let mut seeds = Seeds::new();
    for path in files(&vectors.join("rpc"))? {
        lines(&path)?.iter().try_for_each(|line| rpc(line, &mut seeds))?;
    }
    for path in files(&vectors.join("data"))?.into_iter().chain(files(&vectors.join("stored"))?) {
        let stem = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().replace(".jsonl.gz", "");
        lines(&path)?.iter().try_for_each(|line| other(&stem, line, &mut seeds))?;
    }
    for magic in ["magic0", "magic1", "magic2"] {
        let path = vectors.join("records").join(magic).with_extension("jsonl.gz");
        lines(&path)?.iter().try_for_each(|line| records(line, &mut seeds))?;
    }
    for path in files(&proto.join("schema"))?.into_iter().filter(|p| p.extension().is_some_and(|e| e == "kp"))
    {
        seeds.entry("schema").or_default().push(fs::read(path)?);
    }
    Ok(seeds)
}

fn rpc(line: &Value, seeds: &mut Seeds) -> Result {
    let body = unhex(&line["hex"])?;
    let name = line["name"].as_str().ok_or("no name")?;
    let version = i16::try_from(line["version"].as_i64().ok_or("no version")?)?;
    let (target, api) = match (name.strip_suffix("Request"), name.strip_suffix("Response")) {
        (Some(api), _) => ("request", api),
        (_, Some(api)) => ("response", api),
        _ => return Err(format!("{name} is neither request nor response").into()),
    };
    let key = ApiKey::ALL.into_iter().find(|key| key.name() == api).ok_or("no such API")?;
    seeds.entry(target).or_default().push(fuzz::message_seed(key, version, &body));
    if target == "response" && line["case"] == "filled" {
        seeds.entry("link").or_default().push(fuzz::link_seed(&[(key, version, &body)]));
        let tags: &[u8] = if key.response_header_version(version) > 0 { &[0] } else { &[] };
        let frame = [&[0, 0, 0, 7], tags, &body].concat();
        seeds.entry("frames").or_default().push(fuzz::message_seed(key, version, &frame));
    } else if target == "request" && line["case"] == "filled" {
        let mut frame = [key.code().to_be_bytes(), version.to_be_bytes()].concat();
        frame.extend([0, 0, 0, 7, 0, 1, b'c']);
        frame.extend((key.request_header_version(version) > 1).then_some(0));
        frame.extend(body);
        seeds.entry("frames").or_default().push(frame);
    }
    Ok(())
}

fn other(file: &str, line: &Value, seeds: &mut Seeds) -> Result {
    let Ok(framed) = unhex(&line["framedHex"]) else { return Ok(()) };
    let name = line["name"].as_str().unwrap_or_default();
    if name.starts_with("ConsumerProtocol") {
        seeds.entry("consumer_protocol").or_default().push(framed.clone());
    }
    let kind = match line["kind"].as_str() {
        Some("coordinator-key") => format!("{file} key"),
        Some("coordinator-value") => format!("{file} value"),
        Some("metadata") => file.to_owned(),
        _ => name.to_owned(),
    };
    let last = fuzz::STORED_KINDS.len() - 1;
    let selected = fuzz::STORED_KINDS.iter().position(|k| *k == kind).unwrap_or(last) as u8;
    let kind = line["type"].as_u64().unwrap_or_default() as u8;
    seeds.entry("stored").or_default().push([&[selected, kind], &framed[..]].concat());
    Ok(())
}

fn records(line: &Value, seeds: &mut Seeds) -> Result {
    let bytes = unhex(&line["hex"])?;
    if bytes.len() > MAX_SAVED {
        return Ok(());
    }
    for batch in batches(bytes.clone().into()).filter_map(std::result::Result::ok) {
        let codec = batch.compression();
        if codec != Compression::None && batch.magic() == 2 {
            let packed = batch.as_bytes().get(61..).unwrap_or_default();
            seeds.entry("decompress").or_default().push(fuzz::decompress_seed(codec, 2, packed));
        }
    }
    seeds.entry("rebuild").or_default().push([&[0], &bytes[..]].concat());
    seeds.entry("records").or_default().push(bytes);
    Ok(())
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

fn lines(path: &Path) -> Result<Vec<Value>> {
    let lines = BufReader::new(flate2::read::GzDecoder::new(fs::File::open(path)?)).lines();
    lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

fn unhex(value: &Value) -> Result<Vec<u8>> {
    let text = value.as_str().ok_or("no bytes")?;
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}
