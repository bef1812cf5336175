//! One kustomization file.

use crate::check::yaml::{Entry, Node, NodeKind, Reader, SpannedNode};

use super::generator::Generator;
use super::paths::join;

/// Fields that add objects from outside the given files.
const EXTERNAL: [&str; 3] = ["helmCharts", "helmChartInflationGenerator", "generators"];

/// The prefix of the annotations and labels of cassgate.
const OWN_PREFIX: &str = "cassgate.db.orange.com/";

/// The fields of a kustomization that the check understands.
#[derive(Debug, Default)]
pub(in crate::check) struct Kustomization {
    /// The name of its file.
    pub(super) file: String,
    /// Its folder.
    pub(super) folder: String,
    /// True for `kind: Component`, which is applied only as a part of other kustomizations.
    pub(super) is_component: bool,
    pub(super) namespace: Option<String>,
    pub(super) prefix: String,
    pub(super) suffix: String,
    /// The files and folders of `resources` and `bases`, relative to the root of the tree.
    pub(super) resources: Vec<String>,
    pub(super) components: Vec<String>,
    /// All included paths as they are written, each with its line.
    pub(super) includes: Vec<(String, u32)>,
    /// The kind and the name of each patch's target; `None` matches everything.
    pub(super) patched: Vec<(Option<String>, Option<String>)>,
    pub(super) patch_files: Vec<String>,
    /// Patch files whose target is the object in the file itself.
    pub(super) strategic: Vec<String>,
    /// The first field that may change every object.
    pub(super) changes_all: Option<&'static str>,
    pub(super) generators: Vec<Generator>,
    /// The fields that add objects from outside the given files, each with its line.
    pub(super) external: Vec<(&'static str, u32)>,
}

impl Kustomization {
    /// Returns true if the name of a file makes it a kustomization.
    pub(in crate::check) fn is_named(path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization")
    }

    /// Reads the kustomization in `file`.
    pub(super) fn read(node: &Node, file: &str) -> Self {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let paths = |field: &str| -> Vec<String> {
            let items = node.get(field).map(Node::items).unwrap_or_default();
            items
                .iter()
                .filter_map(|item| Some(join(&folder, item.node.text()?)))
                .collect()
        };
        let includes = ["resources", "bases", "components"]
            .into_iter()
            .flat_map(|field| {
                let items = node.get(field).map(Node::items).unwrap_or_default();
                let path = |item: &SpannedNode| Some((item.node.text()?.to_owned(), item.span.line));
                items.iter().filter_map(path)
            });
        let text = |field| node.text_at(&[field]).map(ToOwned::to_owned);
        let mut kustomization = Self {
            file: file.to_owned(),
            is_component: node.text_at(&["kind"]) == Some("Component"),
            namespace: text("namespace"),
            prefix: text("namePrefix").unwrap_or_default(),
            suffix: text("nameSuffix").unwrap_or_default(),
            resources: [paths("resources"), paths("bases")].concat(),
            components: paths("components"),
            includes: includes.collect(),
            changes_all: changes_all(node),
            generators: Generator::read_all(node, &folder),
            external: EXTERNAL
                .into_iter()
                .filter_map(|field| Some((field, node.entry(field)?)))
                .filter(|(_, entry)| !is_empty(&entry.value.node))
                .map(|(field, entry)| (field, entry.key_span.line))
                .collect(),
            ..Self::default()
        };
        for field in ["patches", "patchesStrategicMerge", "patchesJson6902"] {
            for patch in node.get(field).map(Node::items).unwrap_or_default() {
                kustomization.add_patch(&patch.node, &folder);
            }
        }
        kustomization.folder = folder;
        kustomization
    }

    fn add_patch(&mut self, patch: &Node, folder: &str) {
        // An item of `patchesStrategicMerge` is a path, or the patch as a text.
        let name = patch
            .text_at(&["path"])
            .or_else(|| patch.text().filter(|text| !text.contains('\n')));
        let file = name.map(|name| join(folder, name));
        self.patch_files.extend(file.clone());
        if patch.get("target").is_none()
            && let Some(file) = file
        {
            self.strategic.push(file);
            return;
        }
        if patch.get("target").is_some() {
            let target = |field| patch.text_at(&["target", field]).map(ToOwned::to_owned);
            self.patched.push((target("kind"), target("name")));
            return;
        }
        // Without a target, each document of the patch names its object. A text that cannot be read may change any object.
        let inline = patch.text_at(&["patch"]).or_else(|| patch.text());
        let before = self.patched.len();
        for document in inline.into_iter().flat_map(Reader::new) {
            match document.map(|document| document.node) {
                Ok(node) if matches!(node.kind, NodeKind::Null) => {}
                Ok(node) => {
                    let field = |keys: &[&str]| node.text_at(keys).map(ToOwned::to_owned);
                    self.patched
                        .push((field(&["kind"]), field(&["metadata", "name"])));
                }
                Err(_) => self.patched.push((None, None)),
            }
        }
        if self.patched.len() == before {
            self.patched.push((None, None));
        }
    }
}

/// Returns the first field that may change a field of an object that the check reads.
fn changes_all(node: &Node) -> Option<&'static str> {
    let is_set = |field: &str| node.get(field).is_some_and(|value| !is_empty(value));
    let has_own = |entries: &[Entry]| entries.iter().any(|entry| entry.key.starts_with(OWN_PREFIX));
    let sets_own = |field: &str| node.get(field).is_some_and(|map| has_own(map.entries()));
    let sets_own_label =
        |item: &SpannedNode| item.node.get("pairs").is_some_and(|map| has_own(map.entries()));
    if let Some(field) = ["replacements", "transformers", "vars"]
        .into_iter()
        .find(|field| is_set(field))
    {
        return Some(field);
    }
    if let Some(field) = ["commonAnnotations", "commonLabels"]
        .into_iter()
        .find(|field| sets_own(field))
    {
        return Some(field);
    }
    if node
        .get("labels")
        .is_some_and(|list| list.items().iter().any(sets_own_label))
    {
        return Some("labels");
    }
    // With `configurations`, kustomize can take a field of our kinds for an image.
    (is_set("images") && is_set("configurations")).then_some("images")
}

fn is_empty(node: &Node) -> bool {
    node.text().is_none() && node.items().is_empty() && node.entries().is_empty()
}
