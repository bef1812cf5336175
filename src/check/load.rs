//! Bytes to manifests at their places.

use std::collections::{BTreeMap, BTreeSet};

use super::files::{Input, Unreadable};
use super::kustomize::{EnvFiles, Kustomization, Plan, keys_of_env_file};
use super::manifest::{Manifest, Placed, PlacedAll, What};
use super::placeholder;
use super::report::{ErrorReport, Note, Report, Source};
use super::yaml::{Child, Reader};

/// How deep lists in lists are taken apart.
const LISTS: usize = 4;

/// What was read of all files.
#[derive(Debug, Default)]
pub struct Loaded {
    manifests: Vec<Manifest>,
    sources: Vec<Source>,
    errors: Vec<ErrorReport>,
    notes: Vec<Note>,
    env_files: EnvFiles,
}

impl Loaded {
    /// Reads one more file. What cannot be read is an error of the report.
    pub fn add(&mut self, input: Input) {
        let file = self.sources.len();
        self.sources.push(Source {
            name: input.name,
            text: None,
        });
        let text = match input.bytes.map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => return self.not_utf8(file, error.as_bytes(), error.utf8_error().valid_up_to()),
            Err(error) => return self.unreadable(file, &error),
        };
        let before = self.manifests.len();
        let mut failed = None;
        let mut documents = 0;
        for child in Reader::new(&text) {
            documents += 1;
            match child {
                Ok(child) => self.document(file, documents, child, LISTS),
                Err(error) => failed = Some(error),
            }
        }
        let judged = |manifest: &Manifest| manifest.what.is_judged();
        let mut shown = self.manifests.iter().skip(before).any(judged);
        if let Some(error) = failed {
            if placeholder::is_template(&text) {
                self.template(file, error.line);
            } else {
                shown = true;
                self.errors.push(ErrorReport {
                    file,
                    document: documents,
                    line: error.line,
                    column: error.column,
                    message: error.message,
                });
            }
        }
        if shown && let Some(source) = self.sources.get_mut(file) {
            source.text = Some(text);
        }
    }

    /// The files, beside the kustomizations that were loaded, in which their generators look for keys of Secrets.
    #[must_use]
    pub fn env_files(&self) -> BTreeSet<String> {
        Plan::env_files(&self.manifests, &self.names())
    }

    /// Reads the keys of such a file. No value is kept.
    pub fn add_env_file(&mut self, input: Input) {
        let keys = match input.bytes.map(String::from_utf8) {
            Ok(Ok(text)) => Ok(keys_of_env_file(&text)),
            Ok(Err(_)) => Err("is no UTF-8 text".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        self.env_files.insert(input.name, keys);
    }

    fn names(&self) -> Vec<String> {
        self.sources.iter().map(|source| source.name.clone()).collect()
    }

    fn document(&mut self, file: usize, document: usize, child: Child, lists: usize) {
        let node = &child.node;
        let kind = node.text_at(&["kind"]);
        let is_list = kind.is_some_and(|kind| kind.ends_with("List"));
        if is_list
            && lists > 0
            && let Some(items) = node.get("items")
        {
            for item in items.items() {
                self.document(file, document, item.clone(), lists - 1);
            }
            return;
        }
        let api_version = node.text_at(&["apiVersion"]);
        let what = match (api_version, kind) {
            (Some(api_version), Some(kind)) => What::read(api_version, kind),
            _ => None,
        };
        let by_name = || {
            self.sources
                .get(file)
                .is_some_and(|source| Kustomization::is_named(&source.name))
        };
        if let Some(what) = what.or_else(|| by_name().then_some(What::Kustomization)) {
            self.manifests.push(Manifest {
                what,
                file,
                document,
                child,
            });
        } else if api_version.is_some_and(|version| version.starts_with("db.orange.com/")) {
            let message = format!(
                "{} {} is not judged by this cassgate",
                api_version.unwrap_or_default(),
                kind.unwrap_or_default()
            );
            self.note(file, child.place.line, message);
        }
    }

    fn note(&mut self, file: usize, line: u32, message: String) {
        self.notes.push(Note { file, line, message });
    }

    fn template(&mut self, file: usize, line: u32) {
        let message = "a template that is not rendered, so it is not judged; render it: helm template CHART | cassgate \
                       check -";
        self.note(file, line, message.to_owned());
    }

    fn not_utf8(&mut self, file: usize, bytes: &[u8], at: usize) {
        let before = bytes.get(..at).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        self.errors.push(ErrorReport {
            file,
            document: 1,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: 1,
            message: "is no UTF-8 text".to_owned(),
        });
    }

    fn unreadable(&mut self, file: usize, error: &Unreadable) {
        self.errors.push(ErrorReport {
            file,
            document: 1,
            line: 1,
            column: 1,
            message: error.to_string(),
        });
    }

    /// Puts every manifest where it is applied: by the kustomizations that take it, or by itself.
    pub(super) fn place(mut self, default_namespace: &str) -> (PlacedAll, Report) {
        let names = self.names();
        let plan = Plan::of(&self.manifests, &names, &self.env_files);
        self.notes.extend(plan.notes(&names));
        let mut all = PlacedAll {
            generated: plan.generated().to_vec(),
            ..PlacedAll::default()
        };
        for made in &mut all.generated {
            made.namespace.get_or_insert_with(|| default_namespace.to_owned());
        }
        let mut told: BTreeMap<(usize, String), u32> = BTreeMap::new();
        let mut patches = BTreeSet::new();
        for manifest in std::mem::take(&mut self.manifests) {
            let name = names.get(manifest.file).map(String::as_str).unwrap_or_default();
            if manifest.what == What::Kustomization {
                continue;
            }
            if plan.is_patch(name) {
                if manifest.what.is_judged() && patches.insert(manifest.file) {
                    let line = manifest.child.place.line;
                    self.note(
                        manifest.file,
                        line,
                        "a patch of a kustomization; it is not judged by itself".to_owned(),
                    );
                }
                continue;
            }
            for place in plan.placements(name, &manifest) {
                let namespace = place
                    .namespace
                    .or_else(|| manifest.namespace().map(ToOwned::to_owned));
                let placed = Placed {
                    namespace: namespace.unwrap_or_else(|| default_namespace.to_owned()),
                    renamed: place.name,
                    opaque: place.opaque,
                    manifest: manifest.clone(),
                };
                if manifest.what.is_judged()
                    && let Some(why) = &placed.opaque
                {
                    told.entry((manifest.file, why.clone()))
                        .or_insert(manifest.child.place.line);
                } else if manifest.what.is_judged() {
                    all.judged.push(placed.clone());
                }
                all.facts.push(placed);
            }
        }
        for ((file, why), line) in told {
            self.note(file, line, format!("not judged: {why}"));
        }
        all.names = names;
        (all, Report::new(self.sources, self.errors, self.notes))
    }
}
