//! A file's lines nested by their indentation.

use super::grammar::{self, Item, Line};
use std::path::Path;

/// A line, what comes below it, and the comments that belong to it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) item: Item,
    /// Comment lines right above it, and the comment behind it.
    pub(crate) comments: Vec<String>,
    pub(crate) children: Vec<Node>,
}

/// Parses a file; an error names file, line and what was expected there.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<Node>, String> {
    let mut lines = Vec::new();
    for (i, text) in text.lines().enumerate() {
        let number = i + 1;
        let line = grammar::line(text).map_err(|e| {
            let at = text.len() - e.at.len() + 1;
            format!("{}:{number}:{at}: {} is expected at `{}`", path.display(), e.what, e.at)
        })?;
        lines.push((number, line));
    }
    let mut lines = with_comments(lines).into_iter().peekable();
    let mut nodes = Vec::new();
    while lines.peek().is_some() {
        nodes.extend(nest(&mut lines, 0).map_err(|(n, what)| format!("{}:{n}: {what}", path.display()))?);
    }
    Ok(nodes)
}

/// Gives comment lines to the line below them; an empty line between ends that.
fn with_comments(lines: Vec<(usize, Line)>) -> Vec<(usize, Node)> {
    let mut above = Vec::new();
    let mut nodes = Vec::new();
    for (number, Line { depth, item, comment }) in lines {
        if item == Item::Blank {
            match comment {
                Some(comment) => above.push(comment),
                None => above.clear(),
            }
            continue;
        }
        let mut comments = std::mem::take(&mut above);
        comments.extend(comment);
        nodes.push((depth, Node { number, item, comments, children: Vec::new() }));
    }
    nodes
}

type Lines = std::iter::Peekable<std::vec::IntoIter<(usize, Node)>>;

fn nest(lines: &mut Lines, depth: usize) -> Result<Vec<Node>, (usize, &'static str)> {
    let mut nodes = Vec::new();
    while let Some((at, mut node)) = lines.next_if(|(d, _)| *d >= depth) {
        if at > depth {
            return Err((node.number, "indented too far"));
        }
        node.children = nest(lines, depth + 1)?;
        nodes.push(node);
    }
    Ok(nodes)
}
