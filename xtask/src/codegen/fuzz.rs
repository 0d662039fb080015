//! What the fuzz target `schema` does with its input.

use super::{check, layout, model, rust, shapes, tree};
use std::path::Path;

/// Takes any bytes as a schema file, and panics where an invariant is broken: a file with errors is told so, its layout
/// is stable and changes nothing that is read, and what passes the checks can be printed.
pub fn fuzz(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let laid_out = layout::canonical(text);
    assert_eq!(layout::canonical(&laid_out), laid_out, "of {text:?}");
    let Ok(nodes) = tree::parse(Path::new("x.kp"), text) else { return };
    let again = tree::parse(Path::new("x.kp"), &laid_out);
    assert!(again.is_ok(), "{text:?} was laid out as {laid_out:?}");
    let Ok(file) = model::resolve("x", nodes) else { return };
    if check::check(&file).is_empty() {
        let files = [file];
        shapes::shapes(&files);
        rust::module(&files[0]);
        rust::api_keys(&files);
    }
}

#[cfg(all(test, feature = "tools"))]
mod tests {
    use super::*;

    #[test]
    fn saved_inputs() {
        let saved = crate::codegen::root().join("fuzz/saved/schema.gz");
        let inputs = kafka_testkit::fuzz::corpus::read(&saved).unwrap();
        assert!(inputs.len() > 10);
        inputs.iter().for_each(|input| fuzz(input));
    }
}
