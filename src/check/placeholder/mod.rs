//! Placeholders, whose values another tool fills in later.

mod tools;

use regex::Regex;

use super::field_path::FieldPath;
use super::yaml::{Node, NodeKind, Reader, SpannedNode};

pub(super) use tools::Tool;

/// The texts that count as placeholders: those of the known tools, and the user's own.
#[derive(Debug, Clone, Default)]
pub struct Placeholders {
    own: Vec<Regex>,
    /// True if `<key>` is a placeholder too.
    in_angles: bool,
}

/// The prefix of the annotations of argocd-vault-plugin. In an object with one of them, `<key>` is a placeholder.
const VAULT_PLUGIN: &str = "avp.kubernetes.io/";

/// A value with a placeholder.
#[derive(Debug, Clone)]
pub(super) struct Placeholder {
    /// The path of the value.
    pub(super) path: String,
    /// The tool that fills it in.
    pub(super) tool: &'static Tool,
}

impl Placeholders {
    /// Creates the placeholders of all known tools, and those that match one of `own`.
    #[must_use]
    pub fn new(own: Vec<Regex>) -> Self {
        Self {
            own,
            in_angles: false,
        }
    }

    /// Returns the placeholders in an object, whose annotations may add some.
    pub(super) fn of(&self, object: &Node) -> Self {
        let annotations = object.at(&["metadata", "annotations"]);
        let in_angles = annotations.is_some_and(|all| all.keys().any(|key| key.starts_with(VAULT_PLUGIN)));
        Self {
            in_angles,
            ..self.clone()
        }
    }

    /// Returns the tool that fills in a placeholder in a text.
    fn tool(&self, text: &str) -> Option<&'static Tool> {
        let known = tools::may_contain_any(text)
            .then(|| tools::TOOLS.iter().find(|tool| tool.is_in(text)))
            .flatten();
        let annotated = || Some(&tools::ANNOTATED).filter(|tool| self.in_angles && tool.is_in(text));
        known.or_else(annotated).or_else(|| {
            self.own
                .iter()
                .any(|own| own.is_match(text))
                .then_some(&tools::OWN)
        })
    }

    /// Returns true if a text contains a placeholder.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.tool(text).is_some()
    }

    /// Returns true if any key or value below `node` contains a placeholder.
    pub(super) fn is_in_node(&self, node: &Node) -> bool {
        match &node.kind {
            NodeKind::Text(text) => self.is_in(text),
            NodeKind::List(items) => items.iter().any(|item| self.is_in_node(&item.node)),
            NodeKind::Map(entries) => entries
                .iter()
                .any(|entry| self.is_in(&entry.key) || self.is_in_node(&entry.value.node)),
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) => false,
        }
    }

    /// Returns all values below `node` that contain a placeholder, also in their key. `path` is the path of `node`.
    pub(super) fn below(&self, node: &Node, path: &str) -> Vec<Placeholder> {
        let mut found = Vec::new();
        self.collect(node, FieldPath::Root(path), &mut found);
        found
    }

    fn collect(&self, node: &Node, path: FieldPath<'_>, found: &mut Vec<Placeholder>) {
        let at = |tool| Placeholder {
            path: path.to_string(),
            tool,
        };
        match &node.kind {
            NodeKind::Text(text) => found.extend(self.tool(text).map(at)),
            NodeKind::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.collect(&item.node, FieldPath::Item(&path, index), found);
                }
            }
            NodeKind::Map(entries) => {
                for field in entries {
                    found.extend(self.tool(&field.key).map(at));
                    self.collect(&field.value.node, FieldPath::Field(&path, &field.key), found);
                }
            }
            _ => {}
        }
    }
}

/// Returns true if the template expressions in a document may be the reason that it cannot be read.
///
/// A line that begins with an expression can become any number of lines. Other expressions become a part of a value, so
/// without them the document must be readable.
pub(super) fn explains_error(document: &str) -> bool {
    tools::without_expressions(document).is_some_and(|rendered| {
        tools::has_block(document) || Reader::new(&rendered).all(|document| document.is_ok())
    })
}

/// Returns the reason that a file is not judged if its comments are the placeholders of a tool.
///
/// The values of such a file seem to be empty. `documents` are the documents of the file; a text inside a value is no
/// comment.
pub(super) fn in_comments(text: &str, documents: &[SpannedNode]) -> Option<&'static str> {
    let comments: Vec<(u32, &'static str)> = tools::comments(text)
        .filter_map(|(at, reason)| Some((u32::try_from(at).ok()?, reason)))
        .collect();
    if comments.is_empty() {
        return None;
    }
    let mut in_value = vec![false; comments.len()];
    for document in documents {
        document.walk(&mut |node| {
            if !matches!(node.node.kind, NodeKind::Text(_)) {
                return;
            }
            let first = comments.partition_point(|(at, _)| *at < node.span.begin);
            let inside = comments.iter().zip(&mut in_value).skip(first);
            // A value may be reached several times, by aliases.
            for ((at, _), in_value) in inside {
                if *at >= node.span.end || *in_value {
                    break;
                }
                *in_value = true;
            }
        });
    }
    let mut all = comments.iter().zip(in_value);
    all.find_map(|((_, reason), in_value)| (!in_value).then_some(*reason))
}

#[cfg(test)]
mod tests {
    use super::{Placeholders, explains_error, in_comments};
    use crate::check::yaml::{Reader, VISITS};
    use regex::Regex;

    #[test]
    fn an_own_expression_is_a_placeholder() {
        let own = Placeholders::new(vec![Regex::new("^__[A-Z]+__$").unwrap()]);
        assert!(own.is_in("__BUCKET__") && own.is_in("${BUCKET}"));
        assert!(!own.is_in("x__BUCKET__") && !Placeholders::default().is_in("__BUCKET__"));
    }

    #[test]
    fn an_annotation_of_the_vault_plugin_makes_a_name_in_angles_a_placeholder() {
        let object = |annotation: &str| {
            let text = format!("metadata: {{annotations: {{{annotation}: x}}}}\n");
            Reader::new(&text).next().unwrap().unwrap()
        };
        let with = Placeholders::default().of(&object("avp.kubernetes.io/path").node);
        let without = Placeholders::default().of(&object("other/path").node);
        for text in ["<key>", "s3://<bucket>/x", "<key | base64encode>", "<a-b.c>"] {
            assert!(with.is_in(text) && !without.is_in(text), "{text}");
        }
        for text in ["<>", "< >", "a < b", "a > b", "<a", "b>"] {
            assert!(!with.is_in(text), "{text}");
        }
    }

    #[test]
    fn an_expression_explains_only_an_error_that_it_causes() {
        for text in [
            "name: {{ .Values.name }}\n",
            "{\"a\": {{ .a }}}",
            "spec:\n  {{- include \"x\" . | nindent 2 }}\n  a: [\n",
            "{{- if .a }}\na: 1\n{{- end }}\n",
            "{% if a %}\na: 1\n{% endif %}\n",
            "<% if a %>\na: 1\n<% end %>\n",
            "secret: %%SECRET%%\n",
            "secret: @secret@\n",
        ] {
            assert!(explains_error(text), "{text}");
        }
        for text in [
            "a: [\n",
            "note: \"{{ team }}\"\nentities: \"k1\n",
            "note: \"{{ team\"\na: [\n",
            "schedule: @daily\n",
        ] {
            assert!(!explains_error(text), "{text}");
        }
    }

    #[test]
    fn a_comment_of_a_tool_makes_its_file_a_template_and_a_value_does_not() {
        let reason = |text: &str| {
            let documents: Vec<_> = Reader::new(text).map(Result::unwrap).collect();
            in_comments(text, &documents)
        };
        for text in [
            "#@ load(\"@ytt:data\", \"data\")\na: 1\n",
            "a: #@ data.values.a\n",
            "a: 1\n#@ if x:\n---\nb: 2\n#@ end\n",
            "#@data/values\n---\na: 1\n",
            "#@overlay/match by=\"name\"\na: 1\n",
            "#@\na: 1\n",
        ] {
            assert!(
                reason(text).is_some_and(|reason| reason.contains("ytt")),
                "{text}"
            );
        }
        assert!(reason("secret: #{Secret}\n").is_some_and(|reason| reason.contains("Octopus")));
        for text in [
            "a: \"x #@ y\"\n",
            "a: |\n  #@ y\n  x\n",
            "a: x#@y\n",
            "a: 1 # {b}\n",
            "# the form #{Name} of a tool\na: 1\n",
            "a: 1 # see #@ of ytt\n",
            "a: 1 #{b}\n",
            "a: 1 #{ open\n",
            "#@formatter:off\na: 1\n",
            "a: 1\n#@formatter:on\n",
            "#@param x\na: 1\n",
            "#@checkov:skip=CKV\na: 1\n",
        ] {
            assert_eq!(reason(text), None, "{text}");
        }
    }

    /// Every comment was once looked up in every value.
    #[test]
    fn the_values_are_visited_once_whatever_the_number_of_comments() {
        let visits = |count: usize| {
            let lines: Vec<String> = (0..count)
                .map(|number| format!("k{number}: \"a #@ b\"\n"))
                .collect();
            let text = lines.concat();
            let documents: Vec<_> = Reader::new(&text).map(Result::unwrap).collect();
            VISITS.set(0);
            assert_eq!(in_comments(&text, &documents), None);
            VISITS.get()
        };
        assert_eq!(visits(100), 101);
        assert_eq!(visits(200), 201);
    }
}
