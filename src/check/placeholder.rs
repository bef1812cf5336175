//! Values that somebody fills in later: Flux' `${VAR}`, Helm's `{{ … }}`.

use crate::rules::finding::entry;

use super::yaml::{Node, NodeKind};

/// Whether a text holds a placeholder. `$${VAR}` is how Flux is told that it is none.
pub(super) fn is_in(text: &str) -> bool {
    let flux = text.match_indices("${").any(|(at, _)| {
        let escaped = text.get(..at).is_some_and(|before| before.ends_with('$'));
        !escaped && text.get(at..).is_some_and(|rest| rest.contains('}'))
    });
    flux || is_template(text)
}

/// Whether a text holds a template of Helm and its like.
pub(super) fn is_template(text: &str) -> bool {
    text.split_once("{{").is_some_and(|(_, rest)| rest.contains("}}"))
}

/// The paths of all values below `node` that hold a placeholder, or whose key does.
pub(super) fn paths(node: &Node, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(node, path, &mut found);
    found
}

/// Whether any value below `node` is a placeholder.
pub(super) fn is_below(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Text(text) => is_in(text),
        NodeKind::List(items) => items.iter().any(|item| is_below(&item.node)),
        NodeKind::Map(entries) => entries
            .iter()
            .any(|entry| is_in(&entry.key) || is_below(&entry.value.node)),
        NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) => false,
    }
}

fn collect(node: &Node, path: &str, found: &mut Vec<String>) {
    match &node.kind {
        NodeKind::Text(text) if is_in(text) => found.push(path.to_owned()),
        NodeKind::List(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(&item.node, &format!("{path}[{index}]"), found);
            }
        }
        NodeKind::Map(entries) => {
            for field in entries {
                if is_in(&field.key) {
                    found.push(path.to_owned());
                }
                let inner = if field.key.contains(['.', '/', ' ']) {
                    entry(path, &field.key)
                } else {
                    format!("{path}.{}", field.key)
                };
                collect(&field.value.node, &inner, found);
            }
        }
        _ => {}
    }
}

/// Whether what is said of `path` may rest on what stands at `unknown`: one holds the other.
pub(super) fn touches(path: &str, unknown: &str) -> bool {
    let begins = |long: &str, short: &str| {
        long.strip_prefix(short)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    begins(path, unknown) || begins(unknown, path)
}

#[cfg(test)]
mod tests {
    use super::{is_in, touches};

    #[test]
    fn placeholders_of_flux_and_helm_are_seen() {
        for text in ["${BUCKET}", "s3://${bucket:=b}/x", "{{ .Values.x }}", "a-{{x}}"] {
            assert!(is_in(text), "{text}");
        }
        for text in ["$${BUCKET}", "${", "$BUCKET", "{{", "}} {{", "{a}", "$(VAR)"] {
            assert!(!is_in(text), "{text}");
        }
    }

    #[test]
    fn a_path_is_touched_by_what_it_holds_and_by_what_holds_it() {
        assert!(touches("spec.rename[k1.t1]", "spec.rename"));
        assert!(touches("spec.rename", "spec.rename[k1.t1]"));
        assert!(touches("spec.secret", "spec.secret"));
        assert!(!touches("spec.secretName", "spec.secret"));
    }
}
