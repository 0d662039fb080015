use super::*;

fn schema() -> PathBuf {
    root().join("kafka-proto/schema")
}

/// Resolves and checks a text; all errors in one.
fn load_text(text: &str) -> std::result::Result<File, String> {
    let file = model::resolve("x", tree::parse(Path::new("x.kp"), text)?)?;
    let wrong = check::check(&file);
    if wrong.is_empty() { Ok(file) } else { Err(wrong.join("\n")) }
}

const HEAD: &str = "api 1 Thing\n\nversion 0  2.0\nversion 1  2.1  flexible\n\nresponse\n\nrequest\n";

fn error_of(fields: &str) -> String {
    load_text(&format!("{HEAD}{fields}")).unwrap_err()
}

#[test]
fn the_layouts_of_all_versions_are_kafkas() {
    let files = load(&schema()).unwrap();
    let expected = fs::read_to_string(schema().join("shapes.txt")).unwrap();
    let shapes = shapes::shapes(&files);
    assert_eq!(shapes.len(), 728);
    for (is, expected) in shapes.iter().zip(expected.lines()) {
        assert_eq!(is, expected);
    }
    assert_eq!(expected.lines().count(), 728);
}

#[test]
fn generated_files_and_layout_are_up_to_date() {
    let sources = generate(&load(&schema()).unwrap()).unwrap();
    check(&root().join("kafka-proto"), &sources, "codegen").unwrap();
    check(&schema(), &layout(&schema()).unwrap(), "codegen --fmt").unwrap();
}

#[test]
fn the_layout_of_the_layout_is_the_same() {
    for (path, text) in layout(&schema()).unwrap() {
        assert_eq!(layout::canonical(&text), text, "{}", path.display());
        let rough: String = text.lines().map(|line| stretched(line) + "  \n").collect();
        assert_eq!(layout::canonical(&rough), text, "{}", path.display());
    }
}

/// A line with more blanks between its words.
fn stretched(line: &str) -> String {
    let words = line.trim_start_matches(' ');
    let (words, comment) =
        words.split_once('#').map_or((words, String::new()), |(w, c)| (w, format!("#{c}")));
    format!("{}{}{comment}", &line[..line.len() - words.len() - comment.len()], words.replace("  ", "     "))
}

#[test]
fn a_parse_error_names_file_line_and_what_was_expected() {
    let error = error_of("  name: string  tag x\n");
    assert_eq!(error, "x.kp:9:21: a tag's number is expected at `x`");
    let error = error_of("   name: string\n");
    assert_eq!(error, "x.kp:9:4: an indentation by twos is expected at `name: string`");
    let error = error_of("  name: string  3+  what\n");
    assert_eq!(error, "x.kp:9:21: a comment or the end of the line is expected at `what`");
    assert!(error_of("      name: string\n").contains("x.kp:9: indented too far"));
    assert!(error_of("  name: strin\n").contains("strin is no type"));
    assert!(error_of("  name: Missing\n").contains("structure Missing is not there"));
}

#[test]
fn what_a_schema_must_not_say() {
    for (fields, what) in [
        ("  a: int8\n  a: int8\n", "the name is there already"),
        ("  a: int8  2+\n", "its versions are not inside those of the structure"),
        ("  a: []S  1+\n    b: int8  0\n", "its versions are not inside those of the structure"),
        ("  a: string  lenient\n", "only bytes that cannot be null can be lenient"),
        ("  a: bytes?  lenient\n", "only bytes that cannot be null can be lenient"),
        ("  a: int8  = 200\n", "the default does not fit the type"),
        (
            "  a: string?1+  = null\n",
            "the default does not fit the type, or is null where not all versions may be",
        ),
        ("  a: string  = true\n", "the default does not fit the type"),
        ("  a: int8  tag 0\n", "only flexible versions have tagged fields"),
        ("  a: int8  1+  tag 1\n", "tags count from 0 without a gap"),
        ("  a: int8  1+  tag 0\n  b: int8\n", "it stands behind a tagged field"),
        ("  a: S?1+\n    b: int8\n", "a structure may be null in all its versions or in none"),
        ("  a: int8\n\nstruct Unused\n  b: int8\n", "structure Unused is not used"),
        ("  a: []S\n    b: []S\n", "structure S contains itself"),
    ] {
        let error = error_of(fields);
        assert!(error.contains(what), "{fields}: {error}");
    }
    let gap = "api 1 Thing\n\nversion 0  2.0\nversion 2  2.1\n\nrequest\n\nresponse\n";
    assert_eq!(load_text(gap).unwrap_err(), "Thing's versions have a gap");
}
