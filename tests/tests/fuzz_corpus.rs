//! Every input that fuzzing has saved, in every target: what was found once stays fixed.

use kafka_testkit::fuzz::{TARGETS, corpus};
use std::path::Path;

#[test]
fn saved_inputs() {
    let saved = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/saved");
    for (target, body) in TARGETS.iter().copied() {
        let inputs = corpus::read(&saved.join(target).with_extension("gz")).unwrap();
        assert!(inputs.len() > 10, "{target}");
        for (at, input) in inputs.iter().enumerate() {
            let run = std::panic::AssertUnwindSafe(|| body(input));
            assert!(std::panic::catch_unwind(run).is_ok(), "{target}, input {at}: {input:02x?}");
        }
    }
}

#[test]
fn inputs_survive_being_packed() {
    let path = std::env::temp_dir().join(format!("kafka-corpus-{}.gz", std::process::id()));
    corpus::write(&path, vec![vec![2; 300], vec![], vec![1], vec![1], vec![0]]).unwrap();
    let inputs = corpus::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(inputs, [vec![], vec![0], vec![1], vec![2; 300]]);
}
