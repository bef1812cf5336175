//! Placeholders, whose values are filled in later: Flux' `${VAR}`, Helm's `{{ … }}`.

use crate::rules::finding::entry;

use super::yaml::{Node, NodeKind, Reader};

/// Returns true if a text contains a placeholder. Flux reads `$${VAR}` as the text `${VAR}`.
pub(super) fn is_in(text: &str) -> bool {
    let flux = text.match_indices("${").any(|(at, _)| {
        let escaped = text.get(..at).is_some_and(|before| before.ends_with('$'));
        !escaped && text.get(at..).is_some_and(|rest| rest.contains('}'))
    });
    flux || is_template(text)
}

/// Returns true if a text contains a template expression, as in Helm.
pub(super) fn is_template(text: &str) -> bool {
    text.split_once("{{").is_some_and(|(_, rest)| rest.contains("}}"))
}

/// Returns true if the template expressions in a document may be the reason that it cannot be read.
///
/// A line that begins with an expression can become any number of lines. Other expressions become a part of a value, so
/// without them the document must be readable.
pub(super) fn explains_error(document: &str) -> bool {
    let is_block = |line: &str| line.trim_start().starts_with("{{");
    is_template(document)
        && (document.lines().any(is_block)
            || Reader::new(&without_expressions(document)).all(|document| document.is_ok()))
}

/// Replaces each template expression by a word.
fn without_expressions(document: &str) -> String {
    let mut text = String::with_capacity(document.len());
    let mut rest = document;
    while let Some((before, (_, behind))) = rest
        .split_once("{{")
        .and_then(|(before, inside)| Some((before, inside.split_once("}}")?)))
    {
        text.extend([before, "x"]);
        rest = behind;
    }
    text + rest
}

/// Returns the paths of all values below `node` that contain a placeholder, also in their key.
pub(super) fn paths(node: &Node, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(node, path, &mut found);
    found
}

/// Returns true if any key or value below `node` contains a placeholder.
pub(super) fn is_in_node(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Text(text) => is_in(text),
        NodeKind::List(items) => items.iter().any(|item| is_in_node(&item.node)),
        NodeKind::Map(entries) => entries
            .iter()
            .any(|entry| is_in(&entry.key) || is_in_node(&entry.value.node)),
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

/// Returns true if a finding at `path` may depend on the value at `unknown`, because one contains the other.
pub(super) fn touches(path: &str, unknown: &str) -> bool {
    let begins = |long: &str, short: &str| {
        long.strip_prefix(short)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    begins(path, unknown) || begins(unknown, path)
}

#[cfg(test)]
mod tests {
    use super::{explains_error, is_in, touches};

    #[test]
    fn placeholders_of_flux_and_helm_are_recognized() {
        for text in ["${BUCKET}", "s3://${bucket:=b}/x", "{{ .Values.x }}", "a-{{x}}"] {
            assert!(is_in(text), "{text}");
        }
        for text in ["$${BUCKET}", "${", "$BUCKET", "{{", "}} {{", "{a}", "$(VAR)"] {
            assert!(!is_in(text), "{text}");
        }
    }

    #[test]
    fn an_expression_explains_only_an_error_that_it_causes() {
        for text in [
            "name: {{ .Values.name }}\n",
            "{\"a\": {{ .a }}}",
            "spec:\n  {{- include \"x\" . | nindent 2 }}\n  a: [\n",
            "{{- if .a }}\na: 1\n{{- end }}\n",
        ] {
            assert!(explains_error(text), "{text}");
        }
        for text in [
            "a: [\n",
            "note: \"{{ team }}\"\nentities: \"k1\n",
            "note: \"{{ team\"\na: [\n",
        ] {
            assert!(!explains_error(text), "{text}");
        }
    }

    #[test]
    fn a_path_touches_its_parents_and_its_children() {
        assert!(touches("spec.rename[k1.t1]", "spec.rename"));
        assert!(touches("spec.rename", "spec.rename[k1.t1]"));
        assert!(touches("spec.secret", "spec.secret"));
        assert!(!touches("spec.secretName", "spec.secret"));
    }
}
