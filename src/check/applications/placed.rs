//! The folders that each application applies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::check::kustomize::{Kustomizations, Placement};
use crate::check::report::Note;

use super::sources::{common_parts, resolved};
use super::{Application, Applications, Changes, Depth, Destination, Directories, Source};

/// An application, with the folder that contains it and those that it applies.
#[derive(Debug)]
pub(in crate::check) struct PlacedApplication {
    /// The folder of the outermost kustomization that applies it, or else of its file.
    pub(in crate::check) folder: String,
    pub(in crate::check) kind: Box<str>,
    pub(in crate::check) namespace: String,
    pub(in crate::check) name: String,
    pub(in crate::check) destination: Destination,
    /// The spec, for comparisons.
    pub(in crate::check) content: String,
    /// The folders with files that it applies, with its changes.
    pub(in crate::check) applied: Vec<Applied>,
    /// The names of the applications that it depends on.
    depends_on: Vec<String>,
    /// The folders of the applications that it depends on, if they are in other folders.
    pub(in crate::check) before: BTreeSet<String>,
}

/// A folder that an application applies.
#[derive(Debug, Clone)]
pub(in crate::check) struct Applied {
    pub(in crate::check) folder: String,
    /// The folder of its source, to which the patterns of files are relative.
    pub(super) root: Arc<str>,
    pub(in crate::check) changes: Arc<Changes>,
}

impl Applied {
    /// Returns true if a file in the folder is applied.
    pub(super) fn applies(&self, file: &str) -> bool {
        let path = file.strip_prefix(&*self.root).unwrap_or(file);
        self.changes.files.applies(path.trim_start_matches('/'))
    }
}

impl Applications {
    /// Finds the folders that each application applies. `folders` are those of the resources, and `names` the names of the files.
    ///
    /// Returns notes on what is not known. An application that a patch may change applies unknown folders.
    pub(in crate::check) fn place<'a>(
        mut self,
        kustomizations: &Kustomizations,
        folders: impl Iterator<Item = &'a str>,
        names: &[String],
    ) -> (Vec<PlacedApplication>, Vec<Note>) {
        let name_of = |file: usize| names.get(file).map(String::as_str).unwrap_or_default();
        let placements_of = |application: &Application| {
            kustomizations.placements(name_of(application.file), &application.kind, &application.name)
        };
        let mut all: BTreeSet<String> = folders.map(ToOwned::to_owned).collect();
        for application in &self.all {
            let placements = placements_of(application);
            all.extend(
                placements
                    .into_iter()
                    .map(|placement| folder(placement.root, name_of(application.file))),
            );
        }
        let directories: Directories = all.iter().map(String::as_str).collect();
        let charts = charts(names);
        let mut notes = self.generate(&directories);
        notes.extend(self.open_patterns());
        let mut placed = Vec::new();
        for application in &self.all {
            for placement in placements_of(application) {
                if let Some(why) = &placement.opaque {
                    notes.push(patched(application, why));
                }
                placed.push(self.placed(application, placement, (&directories, &charts), names));
            }
        }
        add_dependencies(&mut placed);
        (placed, notes)
    }

    /// Adds the applications of all sets, and returns notes on those that are not known.
    fn generate(&mut self, directories: &Directories) -> Vec<Note> {
        let mut notes = Vec::new();
        for set in &self.sets {
            let generated = set.generate(directories);
            if !generated.unknown.is_empty() {
                let unknown: Vec<&str> = generated.unknown.into_iter().collect();
                notes.push(Note {
                    file: set.file,
                    line: set.line,
                    message: format!(
                        "ApplicationSet {}: the result of {} is not in the files, so the folders and Kubernetes clusters of its \
                         applications are known only in part; name the folder of each Kubernetes cluster with --tree",
                        set.name(),
                        unknown.join(", ")
                    ),
                });
            }
            self.all.extend(generated.applications);
        }
        notes
    }

    /// Returns a note on each parameter in a pattern of files that is not in the files.
    fn open_patterns(&self) -> impl Iterator<Item = Note> {
        let mut open = BTreeSet::new();
        for application in &self.all {
            let patterns = application
                .sources
                .iter()
                .flat_map(|source| source.changes.files.open());
            open.extend(patterns.map(|pattern| (application.file, application.line, pattern)));
        }
        open.into_iter().map(|(file, line, (field, expression))| Note {
            file,
            line,
            message: format!(
                "{field} of a directory depends on {{{{{expression}}}}}, which is not in the files, so all files of its folder are \
                 judged as applied; render the Applications first"
            ),
        })
    }

    fn placed(
        &self,
        application: &Application,
        placement: Placement,
        (directories, charts): (&Directories, &BTreeSet<&str>),
        names: &[String],
    ) -> PlacedApplication {
        let name_of = |file: usize| names.get(file).map(String::as_str).unwrap_or_default();
        let own = folder(placement.root, name_of(application.file));
        let is_final = placement.opaque.is_none();
        let folder_of_artifact =
            |file: usize| name_of(file).rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut applied = Vec::new();
        for source in application.sources.iter().filter(|_| is_final) {
            let changes = Arc::new(source.changes.clone());
            let sources = resolved(source, &own, &self.repositories, &self.artifacts, |artifact| {
                folder_of_artifact(artifact.file)
            });
            for source in &sources {
                for root in directories.named(source, &own) {
                    let root: Arc<str> = root.into();
                    let below = directories.below(&root);
                    let recurses = recurses(source, &root, charts);
                    let below = below.filter(|folder| recurses || **folder == *root);
                    applied.extend(below.map(|folder| Applied {
                        folder: folder.to_owned(),
                        root: Arc::clone(&root),
                        changes: Arc::clone(&changes),
                    }));
                }
            }
        }
        PlacedApplication {
            folder: own,
            kind: application.kind.clone(),
            namespace: application.namespace.clone(),
            name: application.name.clone(),
            destination: application.destination.clone(),
            content: format!("{}{}", application.content, placement.opaque.unwrap_or_default()),
            applied,
            depends_on: application.depends_on.clone(),
            before: BTreeSet::new(),
        }
    }
}

/// Returns the folders of Helm charts.
fn charts(names: &[String]) -> BTreeSet<&str> {
    let charts = names
        .iter()
        .filter_map(|name| match name.strip_suffix("Chart.yaml")? {
            "" => Some(""),
            folder => folder.strip_suffix('/'),
        });
    charts.collect()
}

/// Returns true if a source applies also the folders below `root`, one of its own.
fn recurses(source: &Source, root: &str, charts: &BTreeSet<&str>) -> bool {
    match source.depth {
        Depth::One => false,
        Depth::All => true,
        Depth::AllOfChart => charts.contains(root),
    }
}

fn folder(root: Option<String>, file: &str) -> String {
    root.unwrap_or_else(|| file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned())
}

fn patched(application: &Application, why: &str) -> Note {
    Note {
        file: application.file,
        line: application.line,
        message: format!(
            "the folders that {} {} applies are not known: {why}",
            application.kind, application.name
        ),
    }
}

/// Adds the folder of each application that another one depends on, if it is in another folder. Of several applications with the
/// same name, the closest one counts, if there is only one.
fn add_dependencies(placed: &mut [PlacedApplication]) {
    let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for application in placed.iter().filter(|application| !application.name.is_empty()) {
        let known = folders.entry(application.name.clone()).or_default();
        known.insert(application.folder.clone());
    }
    for application in placed {
        let own = application.folder.as_str();
        let owners = application.depends_on.iter().filter_map(|name| folders.get(name));
        let closest = owners
            .filter(|owners| !owners.contains(own))
            .filter_map(|owners| {
                let most = owners.iter().map(|owner| common_parts(owner, own)).max()?;
                let mut closest = owners.iter().filter(|owner| common_parts(owner, own) == most);
                closest.next().filter(|_| closest.next().is_none())
            });
        application.before = closest.cloned().collect();
    }
}
