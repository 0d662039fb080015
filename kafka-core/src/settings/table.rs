//! All settings as Markdown.

use super::{Part, Setting, all};
use std::fmt::{self, Write};

/// All settings as Markdown.
pub fn table() -> String {
    let mut out = String::from("# Settings\n\n");
    out += "Every setting with its builder's method, default, range and Java's name. Sizes are in bytes, times are `Duration`s.\n";
    out += "`build()` checks them all, and its error names the one at fault. A dash under *method* means that the setting\n";
    out += "is reached through its configuration structure only; a dash under *Java* that Java's client has none like it.\n\n";
    out += "Three settings are arguments of the function under *method*: `bootstrap` of `builder` (and of `connect`), `topic` of\n";
    out += "`Client::writer`, `group_id` of `ReaderBuilder::group`. What a reader reads, and where it starts, has no row here:\n";
    out += "`Client::reader` takes the topics, `ReaderBuilder::partition` the partitions, `ReaderBuilder::start` the start.\n";
    out += "Java's `auto.offset.reset` sets both that start and `reset`.\n\n";
    out += "Two settings that contradict each other are an error only if both were chosen: a default gives way to what was\n";
    out += "chosen. So a `session_timeout` of 3 s makes the heartbeat interval 1 s, if that was not chosen as well.\n";
    for (part, title) in [
        (Part::Client, "Client: `ClientBuilder`, `ClientConfig`"),
        (Part::Writer, "Writer: `WriterBuilder`, `WriterConfig`"),
        (Part::Reader, "Reader: `ReaderBuilder`, `ReaderConfig`"),
        (Part::Group, "Group: `ReaderBuilder`, `GroupConfig`"),
    ] {
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "\n## {title}\n\n| setting | method | unit | default | range | Java | meaning |\n|---|---|---|---|---|---|---|\n"
        );
        all().iter().filter(|s| s.part == part).for_each(|setting| {
            let _ = writeln!(out, "{setting}");
        });
    }
    out
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = |name: &str| format!("`{name}`");
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let Self { name, unit, default, range, .. } = self;
        let method = or_dash(self.builder.map(code).unwrap_or_default());
        let java = or_dash(self.java.iter().map(|name| code(name)).collect::<Vec<_>>().join(", "));
        let meaning = first_sentence(self.meaning);
        write!(f, "| `{name}` | {method} | {unit} | {default} | {range} | {java} | {meaning} |")
    }
}

fn first_sentence(text: &str) -> String {
    match text.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => text.to_owned(),
    }
}
