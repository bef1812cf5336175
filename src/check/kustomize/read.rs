//! What one kustomization says.

use crate::check::yaml::{Child, Entry, Node, Reader};

use super::generator::Generator;

/// Fields that bring objects which are not in the given files.
const BRINGS: [&str; 3] = ["helmCharts", "helmChartInflationGenerator", "generators"];

/// What our annotations and labels begin with.
const OURS: &str = "cassgate.db.orange.com/";

/// What one kustomization says.
#[derive(Debug, Default)]
pub(in crate::check) struct Kustomization {
    /// Its file.
    pub(super) file: String,
    /// Its folder.
    pub(super) folder: String,
    /// Whether it is only a part of others.
    pub(super) is_component: bool,
    pub(super) namespace: Option<String>,
    pub(super) prefix: String,
    pub(super) suffix: String,
    /// Files and folders that it takes.
    pub(super) resources: Vec<String>,
    pub(super) components: Vec<String>,
    /// The same as they are written, each with its line.
    pub(super) takes: Vec<(String, u32)>,
    /// What it patches: kind and name, each only where it says them.
    pub(super) patched: Vec<(Option<String>, Option<String>)>,
    pub(super) patch_files: Vec<String>,
    /// Those of them that say themselves what they patch.
    pub(super) strategic: Vec<String>,
    /// The field that changes every object, where there is one.
    pub(super) changes_all: Option<&'static str>,
    pub(super) generators: Vec<Generator>,
    /// The fields that bring objects from elsewhere, each with its line.
    pub(super) brings: Vec<(&'static str, u32)>,
}

impl Kustomization {
    /// Whether a file is one by its name.
    pub(in crate::check) fn is_named(path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization")
    }

    pub(super) fn read(node: &Node, file: &str) -> Self {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let paths = |field: &str| -> Vec<String> {
            let items = node.get(field).map(Node::items).unwrap_or_default();
            items
                .iter()
                .filter_map(|item| Some(join(&folder, item.node.text()?)))
                .collect()
        };
        let takes = ["resources", "bases", "components"]
            .into_iter()
            .flat_map(|field| {
                let items = node.get(field).map(Node::items).unwrap_or_default();
                let path = |item: &Child| Some((item.node.text()?.to_owned(), item.place.line));
                items.iter().filter_map(path)
            });
        let text = |field| node.text_at(&[field]).map(ToOwned::to_owned);
        let mut own = Self {
            file: file.to_owned(),
            is_component: node.text_at(&["kind"]) == Some("Component"),
            namespace: text("namespace"),
            prefix: text("namePrefix").unwrap_or_default(),
            suffix: text("nameSuffix").unwrap_or_default(),
            resources: [paths("resources"), paths("bases")].concat(),
            components: paths("components"),
            takes: takes.collect(),
            changes_all: changes_all(node),
            generators: Generator::read_all(node, &folder),
            brings: BRINGS
                .into_iter()
                .filter_map(|field| Some((field, node.entry(field)?)))
                .filter(|(_, entry)| !is_empty(&entry.value.node))
                .map(|(field, entry)| (field, entry.key_place.line))
                .collect(),
            ..Self::default()
        };
        for field in ["patches", "patchesStrategicMerge", "patchesJson6902"] {
            for patch in node.get(field).map(Node::items).unwrap_or_default() {
                own.patch(&patch.node, &folder);
            }
        }
        own.folder = folder;
        own
    }

    fn patch(&mut self, patch: &Node, folder: &str) {
        // A patch of the old form is a path, or the patch itself.
        let written = patch
            .text_at(&["path"])
            .or_else(|| patch.text().filter(|text| !text.contains('\n')));
        let file = written.map(|path| join(folder, path));
        self.patch_files.extend(file.clone());
        if patch.get("target").is_none()
            && let Some(file) = file
        {
            self.strategic.push(file);
            return;
        }
        let target = |field| patch.text_at(&["target", field]).map(ToOwned::to_owned);
        self.patched.push((target("kind"), target("name")));
        let inline = patch
            .text_at(&["patch"])
            .or_else(|| patch.text().filter(|text| text.contains('\n')));
        if patch.get("target").is_none()
            && let (Some(text), Some(last)) = (inline, self.patched.last_mut())
            && let Some(Ok(child)) = Reader::new(text).next()
        {
            let own = |keys: &[&str]| child.node.text_at(keys).map(ToOwned::to_owned);
            *last = (own(&["kind"]), own(&["metadata", "name"]));
        }
    }
}

/// The first field that may change every object in what we look at.
fn changes_all(node: &Node) -> Option<&'static str> {
    let is_set = |field: &str| node.get(field).is_some_and(|value| !is_empty(value));
    let of_ours = |entries: &[Entry]| entries.iter().any(|entry| entry.key.starts_with(OURS));
    let is_ours = |field: &str| node.get(field).is_some_and(|map| of_ours(map.entries()));
    let labels = |item: &Child| item.node.get("pairs").is_some_and(|map| of_ours(map.entries()));
    if let Some(field) = ["replacements", "transformers", "vars"]
        .into_iter()
        .find(|field| is_set(field))
    {
        return Some(field);
    }
    if let Some(field) = ["commonAnnotations", "commonLabels"]
        .into_iter()
        .find(|field| is_ours(field))
    {
        return Some(field);
    }
    if node
        .get("labels")
        .is_some_and(|list| list.items().iter().any(labels))
    {
        return Some("labels");
    }
    // A configuration can tell it that a field of ours is an image.
    (is_set("images") && is_set("configurations")).then_some("images")
}

fn is_empty(node: &Node) -> bool {
    node.text().is_none() && node.items().is_empty() && node.entries().is_empty()
}

/// A path from a folder, with `.` and `..` taken out.
pub(super) fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    let root = if folder.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn a_path_is_taken_from_its_folder() {
        assert_eq!(join("a/overlays/prod", "../../base"), "a/base");
        assert_eq!(join("", "./x.yaml"), "x.yaml");
        assert_eq!(join("a", "../../x"), "../x");
        assert_eq!(join("/abs/a", "../b"), "/abs/b");
    }
}
