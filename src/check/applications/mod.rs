//! The objects of Flux and Argo CD in the files, which say what is applied to which Kubernetes cluster.
//!
//! [`Applications`] collects them while the files are loaded. [`Applications::place`] then finds the folders that each one applies.

mod directories;
mod effects;
mod file_filter;
mod pattern;
mod placed;
mod sets;
mod sources;

use std::collections::BTreeSet;

use super::kustomize::Transformation;
use super::yaml::{Node, SpannedNode};

pub(super) use directories::{Directories, is_within};
pub(super) use effects::Effects;
pub(super) use placed::PlacedApplication;

use file_filter::FileFilter;
use sets::ApplicationSet;
use sources::{Artifact, Repository};

/// All objects of Flux and Argo CD that apply folders, or say where the folders are.
#[derive(Debug, Default)]
pub(super) struct Applications {
    all: Vec<Application>,
    sets: Vec<ApplicationSet>,
    repositories: Vec<Repository>,
    artifacts: Vec<Artifact>,
}

/// An object that applies the folders of a repository to a Kubernetes cluster.
#[derive(Debug, Clone)]
pub(super) struct Application {
    /// The index of the file that contains it.
    file: usize,
    /// Its line.
    line: u32,
    kind: Box<str>,
    namespace: String,
    name: String,
    sources: Vec<Source>,
    /// The names of the applications that are applied before it.
    depends_on: Vec<String>,
    destination: Destination,
    /// Its spec, for comparisons.
    content: String,
}

/// The Kubernetes cluster to which an application applies its folders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Destination {
    /// The one that contains the application itself.
    Own,
    Named(String),
    /// A name that is not in the files. The folders may be applied to any Kubernetes cluster.
    Unknown,
}

/// A folder that an application applies.
#[derive(Debug, Clone)]
struct Source {
    /// The path in the repository; empty for its root.
    path: String,
    /// The names of the repository.
    repositories: Vec<String>,
    /// The name of the artifact that contains the path, if it is no repository.
    artifact: Option<String>,
    /// True if the path may contain the application itself.
    may_contain_itself: bool,
    depth: Depth,
    changes: Changes,
}

/// The folders that a source applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Only the one that it names.
    One,
    /// Also those below it.
    All,
    /// Also those below it, if it is a Helm chart.
    AllOfChart,
}

/// The changes that an application makes to the objects in a folder.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    pub(super) transformation: Transformation,
    /// The namespace of objects without one.
    pub(super) default_namespace: Option<String>,
    /// The files in the folder that are applied.
    files: FileFilter,
}

impl Changes {
    /// Returns true if all objects are applied as they are written.
    pub(super) fn is_empty(&self) -> bool {
        self.transformation.is_empty() && self.default_namespace.is_none() && self.files.is_empty()
    }
}

impl Applications {
    /// Adds an object, if it is of one of the kinds.
    pub(super) fn add(&mut self, file: usize, api_version: &str, kind: &str, object: &SpannedNode) {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let node = &object.node;
        match (group, kind) {
            ("argoproj.io", "ApplicationSet") => {
                self.sets.push(ApplicationSet::read(file, object));
            }
            ("source.toolkit.fluxcd.io", "GitRepository" | "OCIRepository" | "Bucket") => {
                self.repositories.extend(Repository::read(node));
            }
            ("source.extensions.fluxcd.io", "ArtifactGenerator") => {
                self.artifacts.extend(Artifact::read_all(file, node));
            }
            _ => self
                .all
                .extend(Application::read(file, object.span.line, group, kind, node)),
        }
    }

    /// Adds the objects of other files, whose first one gets the index `first`.
    pub(super) fn append(&mut self, other: Self, first: usize) {
        let Self {
            all,
            sets,
            repositories,
            artifacts,
        } = other;
        self.all.extend(all.into_iter().map(|mut application| {
            application.file += first;
            application
        }));
        self.sets.extend(sets.into_iter().map(|mut set| {
            set.file += first;
            set
        }));
        self.repositories.extend(repositories);
        self.artifacts.extend(artifacts.into_iter().map(|mut artifact| {
            artifact.file += first;
            artifact
        }));
    }

    /// Returns the paths that applications name, as they are written.
    pub(super) fn paths(&self) -> BTreeSet<&str> {
        let sources = self.all.iter().flat_map(|application| &application.sources);
        sources
            .map(|source| source.path.as_str())
            .filter(|path| !path.is_empty())
            .collect()
    }
}

impl Application {
    /// Reads an object; `None` if it is of another kind.
    fn read(file: usize, line: u32, group: &str, kind: &str, node: &Node) -> Option<Self> {
        let text = |keys: &[&str]| node.text_at(keys).map(ToOwned::to_owned);
        let name = text(&["metadata", "name"]).unwrap_or_default();
        let mut application = Self {
            file,
            line,
            kind: kind.into(),
            namespace: text(&["metadata", "namespace"]).unwrap_or_default(),
            name,
            sources: Vec::new(),
            depends_on: Vec::new(),
            destination: Destination::Own,
            content: String::new(),
        };
        match (group, kind) {
            ("kustomize.toolkit.fluxcd.io", "Kustomization") => application.read_flux(node),
            ("fluxcd.controlplane.io", "FluxInstance") => {
                let path = text(&["spec", "sync", "path"])?;
                application.sources.push(Source::at(&path));
            }
            ("argoproj.io", "Application") => application.read_argo(node),
            _ => return None,
        }
        application.content = node
            .get("spec")
            .map(|spec| spec.to_json().to_string())
            .unwrap_or_default();
        Some(application)
    }

    fn read_flux(&mut self, node: &Node) {
        let text = |keys: &[&str]| node.text_at(keys).map(ToOwned::to_owned);
        let before = node
            .at(&["spec", "dependsOn"])
            .map(Node::items)
            .unwrap_or_default();
        let names = before.iter().filter_map(|item| item.node.text_at(&["name"]));
        self.depends_on = names.map(ToOwned::to_owned).collect();
        if let Some(secret) = text(&["spec", "kubeConfig", "secretRef", "name"])
            .or_else(|| text(&["spec", "kubeConfig", "configMapRef", "name"]))
        {
            self.destination = Destination::Named(secret);
        }
        let path = text(&["spec", "path"]).unwrap_or_default();
        let mut transformation = Transformation::of_application(
            format!("the Flux Kustomization {}", self.name),
            format!("flux build kustomization {} --path {}", self.name, shown(&path)),
            node.get("spec"),
        );
        transformation.namespace = text(&["spec", "targetNamespace"]);
        if ["labels", "annotations"].iter().any(|map| {
            let own = node.at(&["spec", "commonMetadata", map]);
            own.is_some_and(|own| own.keys().any(|key| key.starts_with("cassgate.db.orange.com/")))
        }) {
            transformation.change_all("commonMetadata");
        }
        let kind = text(&["spec", "sourceRef", "kind"]);
        let source = text(&["spec", "sourceRef", "name"]);
        self.sources.push(Source {
            may_contain_itself: kind.as_deref().is_none_or(|kind| kind == "GitRepository"),
            artifact: source
                .clone()
                .filter(|_| kind.as_deref() == Some("ExternalArtifact")),
            repositories: source.into_iter().collect(),
            changes: Changes {
                transformation,
                ..Changes::default()
            },
            ..Source::at(&path)
        });
    }

    fn read_argo(&mut self, node: &Node) {
        let text = |keys: &[&str]| node.text_at(keys).map(ToOwned::to_owned);
        let namespace = text(&["spec", "destination", "namespace"]);
        let one = node.at(&["spec", "source"]);
        let many = node.at(&["spec", "sources"]).map(Node::items).unwrap_or_default();
        for source in one.into_iter().chain(many.iter().map(|source| &*source.node)) {
            // A source without a path is a chart, or gives values to another source.
            let Some(path) = source.text_at(&["path"]) else {
                continue;
            };
            let fields = source.get("kustomize");
            let mut transformation = Transformation::of_application(
                format!("the Argo CD Application {}", self.name),
                format!("argocd app manifests {} --source git", self.name),
                fields,
            );
            transformation.namespace = fields
                .and_then(|fields| fields.text_at(&["namespace"]))
                .map(ToOwned::to_owned);
            if source.get("plugin").is_some() {
                transformation.change_all("plugin");
            }
            let directory = source.get("directory");
            let repository = source.text_at(&["repoURL"]).map(sources::base_name);
            self.sources.push(Source {
                repositories: repository.map(ToOwned::to_owned).into_iter().collect(),
                depth: depth(source),
                changes: Changes {
                    transformation,
                    default_namespace: namespace.clone(),
                    files: directory.map(FileFilter::read).unwrap_or_default(),
                },
                ..Source::at(path)
            });
        }
        let server = text(&["spec", "destination", "server"]);
        let name = text(&["spec", "destination", "name"]).or(server);
        self.destination = match name {
            Some(name) if name.contains("{{") => Destination::Unknown,
            Some(name) if name != "in-cluster" && name != "https://kubernetes.default.svc" => {
                Destination::Named(name)
            }
            _ => Destination::Own,
        };
    }
}

impl Source {
    /// Creates the source of a path in a repository.
    fn at(path: &str) -> Self {
        let path = path.trim_start_matches("./").trim_matches('/');
        Self {
            path: if path == "." { "" } else { path }.to_owned(),
            repositories: Vec::new(),
            artifact: None,
            may_contain_itself: true,
            depth: Depth::All,
            changes: Changes::default(),
        }
    }
}

/// Returns the folders that a source of Argo CD applies.
///
/// Without `directory`, Argo CD finds out the tool. Plain files are then applied as with an empty `directory`; the files of a
/// kustomization are wherever it names them.
fn depth(source: &Node) -> Depth {
    let is_set = |tool: &str| source.get(tool).is_some();
    match source.get("directory") {
        Some(directory) if file_filter::recurses(directory) => Depth::All,
        Some(_) => Depth::One,
        None if is_set("plugin") || is_set("helm") => Depth::All,
        None => Depth::AllOfChart,
    }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}
