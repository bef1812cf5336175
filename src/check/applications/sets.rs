//! The applications that an Argo CD `ApplicationSet` makes.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;

use crate::check::yaml::{Node, NodeKind, NodeRef, Reader, SpannedNode};

use super::{Application, Destination, Directories, pattern};

/// The maximum number of applications that a set makes, and the maximum depth of its generators.
const MAX_APPLICATIONS: usize = 10_000;
const MAX_DEPTH: usize = 4;

/// The values of a template's parameters.
type Parameters = BTreeMap<String, String>;

/// An `ApplicationSet`.
#[derive(Debug, Clone)]
pub(super) struct ApplicationSet {
    pub(super) file: usize,
    pub(super) line: u32,
    node: NodeRef,
}

/// The applications of a set, and what is not known about them.
#[derive(Debug, Default)]
pub(super) struct Generated {
    pub(super) applications: Vec<Application>,
    /// The generators whose parameters are not in the files, and other reasons.
    pub(super) unknown: BTreeSet<&'static str>,
}

impl ApplicationSet {
    pub(super) fn read(file: usize, object: &SpannedNode) -> Self {
        Self {
            file,
            line: object.span.line,
            node: object.node.clone(),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.node.text_at(&["metadata", "name"]).unwrap_or_default()
    }

    /// Returns the applications that the set makes from its generators.
    ///
    /// A parameter that is not in the files stays in the text. In a path it then matches any folder, and every such folder is for
    /// a Kubernetes cluster of its own.
    pub(super) fn generate(&self, directories: &Directories) -> Generated {
        let mut generated = Generated::default();
        let Some(template) = self.node.at(&["spec", "template"]).map(Node::to_json) else {
            return generated;
        };
        if self.node.at(&["spec", "templatePatch"]).is_some() {
            generated.unknown.insert("templatePatch");
        }
        let generators = self.node.at(&["spec", "generators"]).map(Node::items);
        let mut all = Vec::new();
        for generator in generators.unwrap_or_default() {
            all.extend(parameters(
                &generator.node,
                directories,
                MAX_DEPTH,
                &mut generated.unknown,
            ));
        }
        for parameters in all.iter().take(MAX_APPLICATIONS) {
            let rendered = substituted(&template, parameters);
            if let Some(application) = self.application(&rendered) {
                generated.applications.extend(matched(application, directories));
            }
        }
        generated
    }

    /// Reads the application in a rendered template.
    fn application(&self, rendered: &Value) -> Option<Application> {
        let document = Reader::new(&rendered.to_string()).next()?.ok()?;
        let mut application =
            Application::read(self.file, self.line, "argoproj.io", "Application", &document.node)?;
        if application.namespace.is_empty() {
            let own = self.node.text_at(&["metadata", "namespace"]);
            own.unwrap_or_default().clone_into(&mut application.namespace);
        }
        Some(application)
    }
}

/// Returns the values of the parameters that a generator yields.
///
/// A generator that is not known yields none of its own values once, so that the template is rendered with the others.
fn parameters(
    generator: &Node,
    directories: &Directories,
    depth: usize,
    unknown: &mut BTreeSet<&'static str>,
) -> Vec<Parameters> {
    if depth == 0 {
        return vec![Parameters::new()];
    }
    if let Some(list) = generator.get("list") {
        if list.get("elementsYaml").is_some() {
            unknown.insert("list with elementsYaml");
        }
        let elements = list.get("elements").map(Node::items).unwrap_or_default();
        return elements
            .iter()
            .map(|element| {
                let mut own = Parameters::new();
                flatten(&element.node, "", &mut own);
                own
            })
            .collect();
    }
    if let Some(git) = generator.get("git") {
        if let Some(patterns) = git.get("directories") {
            return folders(patterns, git.text_at(&["pathParamPrefix"]), directories);
        }
        unknown.insert("git with files");
        return vec![Parameters::new()];
    }
    if let Some(matrix) = generator.at(&["matrix", "generators"]) {
        let mut all = vec![Parameters::new()];
        for inner in matrix.items() {
            let own = parameters(&inner.node, directories, depth - 1, unknown);
            let pairs = all.iter().flat_map(|outer| {
                own.iter().map(|own| {
                    let mut both = outer.clone();
                    both.extend(own.clone());
                    both
                })
            });
            all = pairs.take(MAX_APPLICATIONS).collect();
        }
        return all;
    }
    if let Some(merge) = generator.at(&["merge", "generators"]) {
        unknown.insert("merge");
        let first = merge.items().first();
        return first.map_or_else(Vec::new, |first| {
            parameters(&first.node, directories, depth - 1, unknown)
        });
    }
    let kinds = [
        "clusters",
        "clusterDecisionResource",
        "scmProvider",
        "pullRequest",
        "plugin",
    ];
    let kind = kinds.into_iter().find(|kind| generator.get(kind).is_some());
    unknown.insert(kind.unwrap_or("a generator of another kind"));
    vec![Parameters::new()]
}

/// Adds the texts in an element of a list, with the names that templates use for them.
fn flatten(node: &Node, name: &str, into: &mut Parameters) {
    match &node.kind {
        NodeKind::Map(entries) => {
            for entry in entries {
                let inner = if name.is_empty() {
                    entry.key.to_string()
                } else {
                    format!("{name}.{}", entry.key)
                };
                flatten(&entry.value.node, &inner, into);
            }
        }
        NodeKind::Text(text) => drop(into.insert(name.to_owned(), text.to_string())),
        NodeKind::Bool(_) | NodeKind::Number(_) => {
            into.insert(name.to_owned(), node.to_json().to_string());
        }
        NodeKind::Null | NodeKind::List(_) => {}
    }
}

/// Returns the parameters of each folder that a git generator finds.
fn folders(patterns: &Node, prefix: Option<&str>, directories: &Directories) -> Vec<Parameters> {
    let all = |excluded: bool| -> Vec<Regex> {
        let items = patterns.items().iter();
        items
            .filter(|item| {
                let exclude = item.node.get("exclude");
                excluded == exclude.is_some_and(|flag| matches!(flag.kind, NodeKind::Bool(true)))
            })
            .filter_map(|item| pattern::of_folders(item.node.text_at(&["path"])?))
            .collect()
    };
    let (included, excluded) = (all(false), all(true));
    let is_in = |patterns: &[Regex], folder: &str| patterns.iter().any(|pattern| pattern.is_match(folder));
    directories
        .all()
        .filter(|folder| is_in(&included, folder) && !is_in(&excluded, folder))
        .map(|folder| {
            let name = |end: &str| match prefix {
                Some(prefix) => format!("{prefix}.{end}"),
                None => end.to_owned(),
            };
            let base = folder.rsplit('/').next().unwrap_or(folder);
            let mut own = Parameters::from([
                (name("path"), folder.to_owned()),
                (name("path.path"), folder.to_owned()),
                (name("path.basename"), base.to_owned()),
                (name("path.basenameNormalized"), base.replace(['_', '.'], "-")),
            ]);
            for (index, part) in folder.split('/').enumerate() {
                own.insert(name(&format!("path[{index}]")), part.to_owned());
                own.insert(name(&format!("path.segments[{index}]")), part.to_owned());
            }
            own
        })
        .collect()
}

/// Returns a template with the parameters that have a value.
fn substituted(template: &Value, parameters: &Parameters) -> Value {
    match template {
        Value::String(text) => Value::String(render(text, parameters)),
        Value::Array(items) => items.iter().map(|item| substituted(item, parameters)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), substituted(value, parameters)))
            .collect(),
        other => other.clone(),
    }
}

/// Replaces `{{name}}`, `{{ .name }}` and `{{ index .path.segments 0 }}` in a text.
fn render(text: &str, parameters: &Parameters) -> String {
    let mut rendered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("{{") {
        let Some((expression, behind)) = inside.split_once("}}") else {
            break;
        };
        rendered.push_str(before);
        match parameters.get(&parameter(expression)) {
            Some(value) => rendered.push_str(value),
            None => rendered.extend(["{{", expression, "}}"]),
        }
        rest = behind;
    }
    rendered + rest
}

/// Returns the name of the parameter in an expression.
fn parameter(expression: &str) -> String {
    let words: Vec<&str> = expression
        .trim_matches('-')
        .split_whitespace()
        .map(|word| word.trim_start_matches('.'))
        .collect();
    match words.as_slice() {
        ["index", list, index] => format!("{list}[{}]", index.trim_matches('"')),
        words => words.join(" "),
    }
}

/// Returns the application for each set of folders that its paths match. A path without a parameter is not changed.
fn matched(application: Application, directories: &Directories) -> Vec<Application> {
    let is_open = |path: &str| path.contains("{{");
    let Some(pattern) = application
        .sources
        .iter()
        .map(|source| source.path.clone())
        .find(|path| is_open(path))
    else {
        return vec![application];
    };
    // The path of a folder can have any number of parts.
    let is_path = |expression: &str| parameter(expression).starts_with("path");
    if pattern
        .split_once("{{")
        .is_some_and(|(_, expression)| is_path(expression.split("}}").next().unwrap_or_default()))
    {
        return Vec::new();
    }
    let bindings: BTreeSet<Vec<(String, String)>> = directories
        .all()
        .filter_map(|folder| bound(&pattern, folder))
        .collect();
    bindings
        .into_iter()
        .take(MAX_APPLICATIONS)
        .map(|binding| {
            let mut own = application.clone();
            let fill = |text: &str| {
                binding
                    .iter()
                    .fold(text.to_owned(), |text, (open, value)| text.replace(open, value))
            };
            for source in &mut own.sources {
                source.path = fill(&source.path);
                source.changes.files.fill(fill);
            }
            own.sources.retain(|source| !is_open(&source.path));
            own.name = fill(&own.name);
            if own.destination == Destination::Unknown {
                let values: Vec<&str> = binding.iter().map(|(_, value)| value.as_str()).collect();
                own.destination = Destination::Named(values.join("/"));
            }
            own
        })
        .collect()
}

/// Returns the value of each expression with which a pattern is a folder; `None` if it cannot be this one.
fn bound(pattern: &str, folder: &str) -> Option<Vec<(String, String)>> {
    let names: Vec<&str> = folder.split('/').collect();
    let parts = parts_of(pattern);
    if parts.len() != names.len() {
        return None;
    }
    let mut binding = Vec::new();
    for (part, name) in parts.iter().zip(names) {
        let Some((begin, inside)) = part.split_once("{{") else {
            if part != name {
                return None;
            }
            continue;
        };
        let (expression, end) = inside.split_once("}}")?;
        let value = name.strip_prefix(begin)?.strip_suffix(end)?;
        if value.is_empty() {
            return None;
        }
        let open = format!("{{{{{expression}}}}}");
        if binding
            .iter()
            .any(|(known, other)| *known == open && other != value)
        {
            return None;
        }
        binding.push((open, value.to_owned()));
    }
    Some(binding)
}

/// Splits a pattern at each `/` outside of an expression.
fn parts_of(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = pattern;
    while !rest.is_empty() {
        let expression = rest.strip_prefix("{{").and_then(|inside| inside.split_once("}}"));
        let (taken, behind) = match expression {
            Some((inside, behind)) => (format!("{{{{{inside}}}}}"), behind),
            None => match rest.split_at_checked(rest.chars().next().map_or(1, char::len_utf8)) {
                Some((one, behind)) => (one.to_owned(), behind),
                None => break,
            },
        };
        rest = behind;
        match (taken.as_str(), parts.last_mut()) {
            ("/", _) => parts.push(String::new()),
            (taken, Some(last)) => last.push_str(taken),
            (_, None) => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests;
