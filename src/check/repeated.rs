//! Keys that are written twice in one map, of which kubectl takes the last one.

use crate::rules::catalogue::FIELD_REPEATED;
use crate::rules::finding::{Cause, Finding, Findings, field};

use super::field_path::FieldPath;
use super::yaml::{Entry, Node, SpannedNode};

/// The maximum number of keys that are reported of one object.
const MAX_REPORTED: usize = 20;

/// The fields that contain other objects, or all values of an object, with what is lost if such a field is written twice.
const CONTAINERS: [(&str, &str); 5] = [
    ("items", "the objects of the first one"),
    ("data", "the keys of the first one"),
    ("stringData", "the keys of the first one"),
    ("spec", "all fields of the first one"),
    ("metadata", "all fields of the first one"),
];

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
    collect(node, FieldPath::Root(""), &mut found);
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

/// Returns a line and a message if a document contains a second object, or a key of it twice. `judged` are the objects in it that
/// have findings of their own about their keys.
///
/// A key may be a misplaced value of a Secret, so only the names of known fields are repeated.
pub(super) fn note(document: &SpannedNode, judged: &[&Node], text: &str) -> Option<(u32, String)> {
    if judged
        .iter()
        .any(|own| std::ptr::eq(*own, &raw const *document.node))
    {
        return None;
    }
    if let Some(entry) = lost_object(&document.node) {
        return Some((entry.key_span.line, lost(entry, glued(document, text))));
    }
    let entry = first_repeated(&document.node, judged)?;
    let line = entry.earlier_line;
    let container = CONTAINERS.iter().find(|(name, _)| *name == &*entry.key);
    let message = match container {
        Some((name, loss)) => format!(
            "{name} is written twice in this document, first in line {line}: kubectl drops {loss}, and kustomize and Flux reject \
             the file; write it once"
        ),
        None => format!(
            "a key in this document is written twice, first in line {line}: kubectl drops the first value, and kustomize and Flux \
             reject the file; write it once"
        ),
    };
    Some((line, message))
}

/// Returns the first entry below a node that is written twice, outside of the judged objects.
fn first_repeated<'n>(node: &'n Node, judged: &[&Node]) -> Option<&'n Entry> {
    if judged.iter().any(|own| std::ptr::eq(*own, node)) {
        return None;
    }
    let repeated = node.entries().iter().find(|entry| entry.earlier_line > 0);
    repeated
        .or_else(|| {
            let mut entries = node.entries().iter();
            entries.find_map(|entry| first_repeated(&entry.value.node, judged))
        })
        .or_else(|| {
            let mut items = node.items().iter();
            items.find_map(|item| first_repeated(&item.node, judged))
        })
}

/// Returns the line of a document that ends with the separator `---`, which separates nothing there.
pub(super) fn glued(document: &SpannedNode, text: &str) -> Option<u32> {
    let entry = lost_object(&document.node)?;
    let begin = usize::try_from(document.span.begin).ok()?;
    let numbered = (document.span.line..).zip(text.get(begin..)?.lines());
    numbered
        .skip_while(|(number, _)| *number < entry.earlier_line)
        .take_while(|(number, _)| *number < entry.key_span.line)
        .find(|(_, line)| line.trim_end().ends_with("---"))
        .map(|(number, _)| number)
}

/// Returns the entry at which a second object begins: both fields of its type are written twice.
fn lost_object(node: &Node) -> Option<&Entry> {
    let repeated = |key: &str| node.entry(key).filter(|entry| entry.earlier_line > 0);
    let (version, kind) = (repeated("apiVersion")?, repeated("kind")?);
    Some(if version.key_span.begin < kind.key_span.begin {
        version
    } else {
        kind
    })
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
fn collect(node: &Node, path: FieldPath<'_>, found: &mut Vec<(String, u32)>) {
    for entry in node.entries() {
        let inner = FieldPath::Field(&path, &entry.key);
        if entry.earlier_line > 0 {
            found.push((inner.to_string(), entry.earlier_line));
        }
        collect(&entry.value.node, inner, found);
    }
    for (index, item) in node.items().iter().enumerate() {
        collect(&item.node, FieldPath::Item(&path, index), found);
    }
}
