//! Keys that are written twice in one map, of which kubectl takes the last one.

use crate::rules::catalogue::FIELD_REPEATED;
use crate::rules::finding::{Cause, Finding, Findings, field};

use super::yaml::{Entry, Node, SpannedNode};

/// The maximum number of keys that are reported of one object.
const MAX_REPORTED: usize = 20;

/// Returns a warning for each key of an object that is written twice.
///
/// If two objects are in one document, because the separator between them is not at the beginning of its line, every key of the
/// first one is written twice, and only the first key is reported. `glued` is the line that ends with the separator.
pub(super) fn findings(node: &Node, glued: Option<u32>) -> Findings {
    if let Some(entry) = lost_object(node) {
        let message = lost(entry, glued);
        let path = field("", &entry.key).trim_start_matches('.').to_owned();
        return [Finding::warn(&FIELD_REPEATED, path, Cause::Duplicate, message)]
            .into_iter()
            .collect();
    }
    let mut found = Vec::new();
    collect(node, "", &mut found);
    found
        .into_iter()
        .take(MAX_REPORTED)
        .map(|(path, line)| {
            let message = format!(
                "this key is also in line {line}, whose value kubectl drops, and kustomize and Flux reject the file; write it once"
            );
            Finding::warn(&FIELD_REPEATED, path, Cause::Duplicate, message)
        })
        .collect()
}

/// Returns a line and a message if a document that is no backup or restore contains a second object, or a key of it twice.
pub(super) fn note(document: &SpannedNode, text: &str) -> Option<(u32, String)> {
    if let Some(entry) = lost_object(&document.node) {
        return Some((entry.key_span.line, lost(entry, glued(document, text))));
    }
    let mut found = Vec::new();
    collect(&document.node, "", &mut found);
    let (_, line) = found.first()?;
    let message = format!(
        "a key in this document is written twice, first in line {line}: kubectl drops the first value, and kustomize and Flux reject the \
         file; write it once"
    );
    Some((*line, message))
}

/// Returns the line of a document that ends with the separator `---`, which separates nothing there.
pub(super) fn glued(document: &SpannedNode, text: &str) -> Option<u32> {
    let entry = lost_object(&document.node)?;
    let numbered = (1_u32..).zip(text.lines());
    numbered
        .skip_while(|(number, _)| *number < entry.earlier_line)
        .take_while(|(number, _)| *number < entry.key_span.line)
        .find(|(_, line)| line.trim_end().ends_with("---"))
        .map(|(number, _)| number)
}

/// Returns the entry at which a second object begins.
fn lost_object(node: &Node) -> Option<&Entry> {
    ["apiVersion", "kind"]
        .into_iter()
        .filter_map(|key| node.entry(key))
        .find(|entry| entry.earlier_line > 0)
}

fn lost(entry: &Entry, glued: Option<u32>) -> String {
    let separator = match glued {
        Some(line) => {
            format!(" (line {line} ends with ---, which separates objects only at the beginning of a line)")
        }
        None => String::new(),
    };
    format!(
        "a second object begins here, in the document of the object in line {}{separator}: kubectl drops the first one, and kustomize and \
         Flux reject the file; write --- on a line of its own between them",
        entry.earlier_line
    )
}

/// Collects the path and the earlier line of each key that is written twice.
fn collect(node: &Node, path: &str, found: &mut Vec<(String, u32)>) {
    for entry in node.entries() {
        let inner = if path.is_empty() {
            entry.key.to_string()
        } else {
            field(path, &entry.key)
        };
        if entry.earlier_line > 0 {
            found.push((inner.clone(), entry.earlier_line));
        }
        collect(&entry.value.node, &inner, found);
    }
    for (index, item) in node.items().iter().enumerate() {
        collect(&item.node, &format!("{path}[{index}]"), found);
    }
}
