//! From the bytes of files to manifests.

use std::collections::{BTreeSet, HashSet};

use super::excerpt;
use super::files::{Input, Unreadable};
use super::kustomize::{EnvFiles, Kustomization, Kustomizations, keys_of_env_file};
use super::manifest::{Manifest, ManifestKind};
use super::placeholder;
use super::report::{ErrorReport, Note, Source};
use super::yaml::{Reader, SpannedNode};

/// The maximum depth of lists in lists whose items are read.
const MAX_LIST_DEPTH: usize = 4;

/// The manifests of all files read so far, with the errors and notes about the files.
#[derive(Debug, Default)]
pub struct Loaded {
    pub(super) manifests: Vec<Manifest>,
    pub(super) sources: Vec<Source>,
    pub(super) errors: Vec<ErrorReport>,
    pub(super) notes: Vec<Note>,
    pub(super) env_files: EnvFiles,
}

impl Loaded {
    /// Reads one more file. A file that cannot be read becomes an error of the report.
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
        let mut first_error = None;
        let mut documents = 0;
        let mut end = 0;
        for object in Reader::new(&text) {
            documents += 1;
            match object {
                Ok(object) => {
                    end = object.span.end;
                    let first = self.manifests.len();
                    self.document(file, documents, object, MAX_LIST_DEPTH);
                    self.mark_shared_values(first);
                }
                Err(error) => first_error = Some(error),
            }
        }
        let is_judged = |manifest: &Manifest| manifest.kind.judged().is_some();
        // Only the text of files that the report may quote is kept.
        let mut quoted = self.manifests.iter().skip(before).any(is_judged);
        if let Some(error) = first_error {
            if placeholder::is_template(&text) {
                self.template(file, error.line);
            } else {
                let quotable = excerpt::may_quote_error(&excerpt::document_behind(&text, end), error.line);
                quoted |= quotable;
                self.errors.push(ErrorReport {
                    file,
                    document: documents,
                    line: error.line,
                    column: error.column,
                    message: error.message,
                    quotable,
                });
            }
        }
        if quoted && let Some(source) = self.sources.get_mut(file) {
            source.text = Some(text);
        }
    }

    /// Returns the env files that the loaded kustomizations read keys of Secrets from.
    #[must_use]
    pub fn env_files(&self) -> BTreeSet<String> {
        Kustomizations::env_files(&self.manifests, &self.names())
    }

    /// Reads the keys of an env file. No value is kept.
    pub fn add_env_file(&mut self, input: Input) {
        let keys = match input.bytes.map(String::from_utf8) {
            Ok(Ok(text)) => Ok(keys_of_env_file(&text)),
            Ok(Err(_)) => Err("is not UTF-8 text".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        self.env_files.insert(input.name, keys);
    }

    /// Returns the names of the files, by index.
    pub(super) fn names(&self) -> Vec<String> {
        self.sources.iter().map(|source| source.name.clone()).collect()
    }

    /// Adds the manifest of a document, or those of the items of a list.
    fn document(&mut self, file: usize, document: usize, object: SpannedNode, list_depth: usize) {
        let node = &object.node;
        let kind = node.text_at(&["kind"]);
        let is_list = kind.is_some_and(|kind| kind.ends_with("List"));
        if is_list
            && list_depth > 0
            && let Some(items) = node.get("items")
        {
            for item in items.items() {
                self.document(file, document, item.clone(), list_depth - 1);
            }
            return;
        }
        let api_version = node.text_at(&["apiVersion"]);
        let known_kind = match (api_version, kind) {
            (Some(api_version), Some(kind)) => ManifestKind::parse(api_version, kind),
            _ => None,
        };
        // A kustomization may leave out `apiVersion` and `kind`.
        let by_file_name = || {
            self.sources
                .get(file)
                .is_some_and(|source| Kustomization::is_named(&source.name))
        };
        if let Some(kind) = known_kind.or_else(|| by_file_name().then_some(ManifestKind::Kustomization)) {
            self.manifests.push(Manifest {
                kind,
                file,
                document,
                object,
                opaque: None,
            });
        } else if api_version.is_some_and(|version| version.starts_with("db.orange.com/")) {
            let message = format!(
                "{} {} is not judged by this version of cassgate",
                api_version.unwrap_or_default(),
                kind.unwrap_or_default()
            );
            self.note(file, object.span.line, message);
        }
    }

    /// Marks the objects of a document, those from `first` on, that share a value with a Secret in it through an alias.
    ///
    /// A message about such an object could contain the value.
    fn mark_shared_values(&mut self, first: usize) {
        let Some(objects) = self.manifests.get_mut(first..) else {
            return;
        };
        let mut values = HashSet::new();
        for secret in objects.iter().filter(|object| object.kind.holds_values()) {
            secret.collect_values(&mut values);
        }
        for object in objects.iter_mut().filter(|object| !object.kind.holds_values()) {
            if !values.is_empty() && object.shares(&values) {
                object.opaque = Some(
                    "an alias shares a value with a Secret, which cassgate does not show; write the value itself",
                );
            }
        }
    }

    fn note(&mut self, file: usize, line: u32, message: String) {
        self.notes.push(Note { file, line, message });
    }

    fn template(&mut self, file: usize, line: u32) {
        let message =
            "an unrendered template, so it is not judged; render it: helm template CHART | cassgate check -";
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
            message: "is not UTF-8 text".to_owned(),
            quotable: false,
        });
    }

    fn unreadable(&mut self, file: usize, error: &Unreadable) {
        self.errors.push(ErrorReport {
            file,
            document: 1,
            line: 1,
            column: 1,
            message: error.to_string(),
            quotable: false,
        });
    }
}
