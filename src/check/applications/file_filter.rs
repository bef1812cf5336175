//! The files of a folder that an Argo CD Application applies: `source.directory`.

use regex::Regex;

use crate::check::yaml::{Node, NodeKind};

/// The patterns `include` and `exclude`.
#[derive(Debug, Clone, Default)]
pub(super) struct FileFilter {
    include: Option<Regex>,
    exclude: Option<Regex>,
}

impl FileFilter {
    /// Reads the patterns in the field `directory` of a source.
    pub(super) fn read(directory: &Node) -> Self {
        let pattern = |field: &str| directory.text_at(&[field]).and_then(expression);
        Self {
            include: pattern("include"),
            exclude: pattern("exclude"),
        }
    }

    /// Returns true if it matches every file.
    pub(super) fn is_empty(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }

    /// Returns true if a file is applied. `path` is relative to the folder of the source.
    pub(super) fn applies(&self, path: &str) -> bool {
        let is_in = |pattern: &Regex| pattern.is_match(path);
        !self.exclude.as_ref().is_some_and(is_in) && self.include.as_ref().is_none_or(is_in)
    }
}

/// Returns true if a source applies the folders below its own. Without `directory.recurse`, Argo CD reads only the files in the folder
/// itself.
pub(super) fn recurses(directory: &Node) -> bool {
    let recurse = directory.get("recurse").map(|recurse| &recurse.kind);
    matches!(recurse, Some(NodeKind::Bool(true)))
}

/// Returns the expression of a pattern, in which `*` also matches `/`. A malformed pattern matches nothing, as in Argo CD.
fn expression(pattern: &str) -> Option<Regex> {
    let mut text = String::from("(?s)^(?:");
    let mut depth = 0;
    let mut in_class = false;
    let mut characters = pattern.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' => text.push_str(&regex::escape(&characters.next()?.to_string())),
            ']' if in_class => {
                in_class = false;
                text.push(c);
            }
            '-' if in_class => text.push(c),
            _ if in_class => text.push_str(&regex::escape(&c.to_string())),
            '[' => {
                in_class = true;
                text.push(c);
                if characters.next_if_eq(&'!').is_some() {
                    text.push('^');
                }
            }
            '*' => text.push_str(".*"),
            '?' => text.push('.'),
            '{' => {
                depth += 1;
                text.push_str("(?:");
            }
            ',' if depth > 0 => text.push('|'),
            '}' if depth > 0 => {
                depth -= 1;
                text.push(')');
            }
            _ => text.push_str(&regex::escape(&c.to_string())),
        }
    }
    text.push_str(")$");
    Regex::new(&text).or_else(|_| Regex::new(r"[^\s\S]")).ok()
}

#[cfg(test)]
mod tests {
    use super::{FileFilter, recurses};
    use crate::check::yaml::{NodeRef, Reader};

    fn directory(text: &str) -> NodeRef {
        Reader::new(text).next().unwrap().unwrap().node
    }

    #[test]
    fn patterns_match_as_in_argo_cd() {
        for (patterns, path, applies) in [
            ("{}", "a/b.yaml", true),
            ("{include: '*.yaml'}", "a/b.yaml", true),
            ("{include: '*.yaml'}", "b.yml", false),
            ("{include: 'prod-*'}", "prod-b.yaml", true),
            ("{include: 'prod-*'}", "a/prod-b.yaml", false),
            ("{include: '{prod,test}/?.yaml'}", "test/b.yaml", true),
            ("{include: '{prod,test}/?.yaml'}", "test/bc.yaml", false),
            ("{include: '[!a-c].yaml'}", "d.yaml", true),
            ("{include: '[!a-c].yaml'}", "b.yaml", false),
            ("{include: 'a.b'}", "axb", false),
            ("{exclude: 'test/**'}", "test/b.yaml", false),
            ("{exclude: 'test/**'}", "b.yaml", true),
            ("{include: '*.yaml', exclude: 'b*'}", "b.yaml", false),
            ("{include: '{a'}", "a", false),
            ("{exclude: '[a'}", "a", true),
        ] {
            let filter = FileFilter::read(&directory(patterns));
            assert_eq!(filter.applies(path), applies, "{patterns} {path}");
        }
        assert!(FileFilter::read(&directory("{recurse: true}")).is_empty());
    }

    #[test]
    fn a_source_recurses_only_if_it_says_so() {
        assert!(recurses(&directory("{recurse: true}")));
        for text in ["{}", "{recurse: false}", "{recurse: 'true'}", "{include: '*'}"] {
            assert!(!recurses(&directory(text)), "{text}");
        }
    }
}
