//! The files of a folder that an Argo CD Application applies: `source.directory`.

use std::sync::OnceLock;

use regex::Regex;

use crate::check::yaml::{Node, NodeKind};

use super::pattern;

/// The patterns `include` and `exclude`.
#[derive(Debug, Clone, Default)]
pub(super) struct FileFilter {
    include: Option<Pattern>,
    exclude: Option<Pattern>,
}

/// A pattern of paths.
#[derive(Debug, Clone)]
struct Pattern {
    text: String,
    /// The expression when it is first used; `None` for a malformed pattern, which matches nothing, as in Argo CD.
    expression: OnceLock<Option<Regex>>,
}

impl FileFilter {
    /// Reads the patterns in the field `directory` of a source.
    pub(super) fn read(directory: &Node) -> Self {
        let pattern = |field: &str| directory.text_at(&[field]).map(Pattern::new);
        Self {
            include: pattern("include"),
            exclude: pattern("exclude"),
        }
    }

    /// Returns true if it matches every file.
    pub(super) fn is_empty(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }

    /// Returns true if a file is applied, or may be applied. `path` is relative to the folder of the source.
    pub(super) fn applies(&self, path: &str) -> bool {
        let matches = |pattern: &Option<Pattern>| pattern.as_ref().and_then(|own| own.matches(path));
        matches(&self.include) != Some(false) && matches(&self.exclude) != Some(true)
    }

    /// Replaces the texts of the patterns.
    pub(super) fn fill(&mut self, fill: impl Fn(&str) -> String) {
        for pattern in [&mut self.include, &mut self.exclude].into_iter().flatten() {
            *pattern = Pattern::new(&fill(&pattern.text));
        }
    }

    /// Returns each expression that is not rendered, with the field of its pattern. The rest of the pattern may contain rendered values.
    pub(super) fn open(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [("include", &self.include), ("exclude", &self.exclude)];
        let patterns = fields
            .into_iter()
            .filter_map(|(field, pattern)| Some((field, pattern.as_ref()?)));
        patterns.flat_map(|(field, pattern)| expressions(&pattern.text).map(move |own| (field, own)))
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            expression: OnceLock::new(),
        }
    }

    /// Returns true if it matches a path; `None` if it depends on an expression that is not rendered.
    fn matches(&self, path: &str) -> Option<bool> {
        if is_open(&self.text) {
            return None;
        }
        let expression = self.expression.get_or_init(|| pattern::of_files(&self.text));
        Some(expression.as_ref().is_some_and(|own| own.is_match(path)))
    }
}

/// Returns true if a pattern contains an expression.
fn is_open(pattern: &str) -> bool {
    expressions(pattern).next().is_some()
}

/// Returns the inner texts of the expressions in a pattern, such as `.env` of `{{.env}}`, unlike the braces in `{{a,b},c}`.
fn expressions(pattern: &str) -> impl Iterator<Item = &str> {
    let all = pattern
        .split("{{")
        .skip(1)
        .filter_map(|behind| behind.split_once("}}"));
    all.map(|(expression, _)| expression.trim())
        .filter(|expression| !expression.contains(['{', '}', ',']))
}

/// Returns true if a source applies the folders below its own. Without `directory.recurse`, Argo CD reads only the files in the folder
/// itself.
pub(super) fn recurses(directory: &Node) -> bool {
    let recurse = directory.get("recurse").map(|recurse| &recurse.kind);
    matches!(recurse, Some(NodeKind::Bool(true)))
}

#[cfg(test)]
mod tests {
    use super::{FileFilter, recurses};
    use crate::check::yaml::{NodeRef, Reader};

    fn directory(text: &str) -> NodeRef {
        Reader::new(text).next().unwrap().unwrap().node
    }

    #[test]
    fn a_file_is_applied_if_it_is_included_and_not_excluded() {
        for (patterns, path, applies) in [
            ("{}", "a/b.yaml", true),
            ("{include: '*.yaml'}", "a/b.yaml", true),
            ("{include: '*.yaml'}", "b.yml", false),
            ("{exclude: 'test/**'}", "test/b.yaml", false),
            ("{exclude: 'test/**'}", "b.yaml", true),
            ("{include: '*.yaml', exclude: 'b*'}", "b.yaml", false),
            ("{include: '[a'}", "a", false),
            ("{exclude: '[a'}", "a", true),
            ("{include: '{{a,b},c}'}", "c", true),
            ("{include: '{{a,b},c}'}", "d", false),
        ] {
            let filter = FileFilter::read(&directory(patterns));
            assert_eq!(filter.applies(path), applies, "{patterns} {path}");
            assert_eq!(filter.open().count(), 0, "{patterns}");
        }
        assert!(FileFilter::read(&directory("{recurse: true}")).is_empty());
    }

    #[test]
    fn a_pattern_that_is_not_rendered_may_match_every_file() {
        let mut filter = FileFilter::read(&directory("{include: '{{.env}}-*.yaml', exclude: 'b-{{ .x }}'}"));
        assert!(filter.applies("a.yaml") && filter.applies("b-c"));
        let open: Vec<_> = filter.open().collect();
        assert_eq!(open, [("include", ".env"), ("exclude", ".x")]);
        filter.fill(|text| text.replace("{{.env}}", "prod").replace("{{ .x }}", "c"));
        assert!(filter.applies("prod-a.yaml") && !filter.applies("a.yaml") && !filter.applies("b-c"));
    }

    #[test]
    fn a_source_recurses_only_if_it_says_so() {
        assert!(recurses(&directory("{recurse: true}")));
        for text in ["{}", "{recurse: false}", "{recurse: 'true'}", "{include: '*'}"] {
            assert!(!recurses(&directory(text)), "{text}");
        }
    }
}
