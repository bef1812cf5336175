//! The Flux `Kustomization` and Argo CD `Application` objects in the files, which say what is applied to one Kubernetes cluster.

use super::yaml::Node;

/// An object that applies the folders of a repository to a Kubernetes cluster.
#[derive(Debug, Clone)]
pub(super) struct Application {
    /// The index of the file that contains it.
    pub(super) file: usize,
    pub(super) name: String,
    /// The folders, relative to the root of a repository.
    pub(super) paths: Vec<String>,
    /// The names of the applications that are applied before it.
    pub(super) depends_on: Vec<String>,
    /// The Kubernetes cluster; empty for the one that contains the object itself.
    pub(super) destination: String,
}

impl Application {
    /// Reads an object; `None` if it is of another kind, or applies no folder.
    pub(super) fn read(file: usize, api_version: &str, kind: &str, node: &Node) -> Option<Self> {
        let group = api_version.split_once('/').map(|(group, _)| group)?;
        let text = |keys: &[&str]| node.text_at(keys).map(ToOwned::to_owned);
        let mut application = Self {
            file,
            name: text(&["metadata", "name"]).unwrap_or_default(),
            paths: Vec::new(),
            depends_on: Vec::new(),
            destination: String::new(),
        };
        match (group, kind) {
            ("kustomize.toolkit.fluxcd.io", "Kustomization") => {
                // Without a path, Flux applies the root of the source.
                application.paths.extend(text(&["spec", "path"]));
                let before = node
                    .at(&["spec", "dependsOn"])
                    .map(Node::items)
                    .unwrap_or_default();
                let names = before.iter().filter_map(|item| item.node.text_at(&["name"]));
                application.depends_on = names.map(ToOwned::to_owned).collect();
                application.destination =
                    text(&["spec", "kubeConfig", "secretRef", "name"]).unwrap_or_default();
            }
            ("argoproj.io", "Application") => {
                let sources = node.at(&["spec", "sources"]).map(Node::items).unwrap_or_default();
                let paths = sources.iter().filter_map(|source| source.node.text_at(&["path"]));
                application.paths = paths.map(ToOwned::to_owned).collect();
                application.paths.extend(text(&["spec", "source", "path"]));
                let server = text(&["spec", "destination", "server"]);
                application.destination = text(&["spec", "destination", "name"])
                    .or(server)
                    .filter(|name| name != "in-cluster" && name != "https://kubernetes.default.svc")
                    .unwrap_or_default();
            }
            _ => return None,
        }
        for path in &mut application.paths {
            *path = path.trim_start_matches("./").trim_matches('/').to_owned();
        }
        application.paths.retain(|path| !path.is_empty() && path != ".");
        Some(application)
    }
}
