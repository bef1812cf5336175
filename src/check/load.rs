//! From the bytes of files to manifests.

use std::collections::{BTreeSet, HashMap, HashSet};

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::applications::{Applications, is_within};
use super::excerpt;
use super::expectations::Expectations;
use super::files::{GivenFile, Input, Unreadable};
use super::kustomize::{EnvFiles, Kustomization, Kustomizations, keys_of_env_file};
use super::manifest::{Manifest, ManifestKind, TypeMeta};
use super::placeholder;
use super::repeated;
use super::report::{ErrorReport, Note};
use super::source::Source;
use super::unjudged;
use super::yaml::{Node, NodeKind, Reader, SpannedNode};

/// The position of an object in the given files.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The index of the file.
    file: usize,
    /// The number of the document, from 1.
    document: usize,
    /// True if the text of the file contains the name of a judged kind.
    names_judged_kind: bool,
    /// True inside a list in a list.
    in_nested_list: bool,
}

/// The manifests of all files read so far, with the errors and notes about the files.
#[derive(Debug, Default)]
pub struct Loaded {
    pub(super) manifests: Vec<Manifest>,
    pub(super) sources: Vec<Source>,
    pub(super) errors: Vec<ErrorReport>,
    pub(super) notes: Vec<Note>,
    pub(super) env_files: EnvFiles,
    pub(super) expectations: Expectations,
    pub(super) applications: Applications,
}

/// The number of files that are read before the first ones are added.
const AT_ONCE: usize = 128;

impl Loaded {
    /// Reads files on all cores, and adds them in their order. `progress` is called with the number of files so far.
    #[must_use]
    pub fn read(files: Vec<GivenFile>, mut progress: impl FnMut(usize)) -> Self {
        let mut loaded = Self::default();
        let mut rest = files.into_iter();
        loop {
            let files: Vec<GivenFile> = rest.by_ref().take(AT_ONCE).collect();
            if files.is_empty() {
                return loaded;
            }
            // A single file needs no other thread.
            let read: Vec<Self> = match files.len() {
                1 => files.into_iter().map(Self::of_file).collect(),
                _ => files.into_par_iter().map(Self::of_file).collect(),
            };
            for file in read {
                loaded.append(file);
            }
            progress(loaded.sources.len());
        }
    }

    /// Reads one more file. A file that cannot be read becomes an error of the report.
    pub fn add(&mut self, input: Input) {
        self.append(Self::of(input));
    }

    /// Adds everything that was read of other files.
    fn append(&mut self, other: Self) {
        let first = self.sources.len();
        let Self {
            manifests,
            sources,
            errors,
            notes,
            env_files,
            expectations,
            applications,
        } = other;
        self.sources.extend(sources);
        self.manifests.extend(manifests.into_iter().map(|mut manifest| {
            manifest.file += first;
            manifest
        }));
        self.errors.extend(errors.into_iter().map(|mut error| {
            error.file += first;
            error
        }));
        self.notes.extend(notes.into_iter().map(|mut note| {
            note.file += first;
            note
        }));
        self.applications.append(applications, first);
        self.env_files.extend(env_files);
        self.expectations.append(expectations);
    }

    /// Reads a file. Its text is dropped if it can be read again.
    fn of_file(file: GivenFile) -> Self {
        let path = file.regular_file();
        let mut loaded = Self::of(file.read());
        for source in &mut loaded.sources {
            if let Some(path) = &path {
                source.drop_text(path);
            }
        }
        loaded
    }

    /// Reads a file from its bytes.
    fn of(input: Input) -> Self {
        let mut loaded = Self::default();
        loaded.read_file(input);
        loaded
    }

    /// Reads the file, which is the first one.
    fn read_file(&mut self, input: Input) {
        let file = self.sources.len();
        self.sources.push(Source::new(input.name));
        let text = match input.bytes.map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => return self.not_utf8(file, error.as_bytes(), error.utf8_error().valid_up_to()),
            Err(error) => return self.unreadable(file, &error),
        };
        let before = self.manifests.len();
        // kubectl applies nothing without it, and a kustomization may lack it.
        let name = self.sources.get(file).map(|source| source.name.as_str());
        let is_for_kubernetes = text.contains("apiVersion") || name.is_some_and(Kustomization::is_named);
        let mut place = Place {
            file,
            document: 0,
            names_judged_kind: unjudged::names_judged_kind(&text),
            in_nested_list: false,
        };
        let mut documents = Vec::new();
        let mut first_error = None;
        let mut end = 0;
        for object in Reader::new(&text) {
            place.document += 1;
            match object {
                Ok(object) => {
                    end = object.span.end;
                    let first = self.manifests.len();
                    documents.push(object.clone());
                    self.document(place, object.clone(), None);
                    self.mark_shared_values(first);
                    self.repeated_keys(place, &object, first, &text);
                }
                Err(error) if error.is_difference && !is_for_kubernetes => {}
                Err(error) => first_error = Some(error),
            }
        }
        if let Some(reason) = placeholder::in_comments(&text, &documents) {
            for manifest in self.manifests.iter_mut().skip(before) {
                manifest.opaque = Some(reason);
            }
        }
        // The nodes of `documents` stay at their addresses meanwhile.
        let mut packed = HashMap::new();
        for manifest in self.manifests.iter_mut().skip(before) {
            manifest.pack(&mut packed);
        }
        let is_judged = |manifest: &Manifest| manifest.kind.judged().is_some();
        // Only the text of files that the report may quote is kept.
        let mut quoted = self.manifests.iter().skip(before).any(is_judged);
        if let Some(error) = first_error {
            let failed = excerpt::document_behind(&text, end);
            if placeholder::explains_error(failed.text) {
                self.template(place, error.line);
            } else {
                let quotable = excerpt::may_quote_error(&failed, error.line);
                quoted |= quotable;
                self.errors.push(ErrorReport {
                    file,
                    document: place.document,
                    line: error.line,
                    column: error.column,
                    message: error.message,
                    quotable,
                });
            }
        }
        if quoted && let Some(source) = self.sources.get_mut(file) {
            source.keep(text);
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

    /// Returns true if a file is in this folder.
    #[must_use]
    pub fn has_files_in(&self, folder: &str) -> bool {
        let mut names = self.sources.iter().map(|source| source.name.as_str());
        names.any(|name| is_within(name, folder))
    }

    /// Returns the names of the files, by index.
    pub(super) fn names(&self) -> Vec<String> {
        self.sources.iter().map(|source| source.name.clone()).collect()
    }

    /// Adds the manifest of an object, or those of the items of a list.
    ///
    /// kubectl takes every object with the field `items` for a list. `inferred` is the type of an item without one.
    fn document(&mut self, place: Place, object: SpannedNode, inferred: Option<TypeMeta>) {
        let node = object.node.clone();
        let written = |key: &str| node.text_at(&[key]);
        let (api_version, kind) = match &inferred {
            Some(inferred) => (Some(&*inferred.api_version), Some(&*inferred.kind)),
            None => (written("apiVersion"), written("kind")),
        };
        if let (Some(kind), Some(items)) = (kind, node.get("items")) {
            let list = TypeMeta::new(api_version.unwrap_or_default(), kind);
            let version = node.get("apiVersion").map(|version| &version.kind);
            let is_rejected = !matches!(version, None | Some(NodeKind::Text(_) | NodeKind::Null));
            return self.list(place, object.span.line, &list, items, is_rejected);
        }
        if let (Some(api_version), Some(kind)) = (api_version, kind) {
            let file = self.sources.get(place.file).map(|source| source.name.as_str());
            self.expectations
                .add(file.unwrap_or_default(), api_version, kind, &node);
            self.applications.add(place.file, api_version, kind, &object);
        }
        let known_kind = match (api_version, kind) {
            (Some(api_version), Some(kind)) => ManifestKind::parse(api_version, kind),
            _ => None,
        };
        if let Some(kind) = known_kind.or_else(|| self.kustomization(place.file, kind)) {
            let manifest = Manifest::new(kind, inferred, place.file, place.document, object);
            self.manifests.push(manifest);
        } else if let Some(reason) = unjudged::reason(&node, api_version, kind) {
            self.note(place.file, object.span.line, reason);
        } else if place.names_judged_kind {
            for (line, message) in unjudged::embedded(&object, kind) {
                self.note(place.file, line, message);
            }
        }
    }

    /// Adds the manifests of the items of a list.
    ///
    /// An item with neither `apiVersion` nor `kind` has those of the list: a `CassandraBackupList` contains
    /// `CassandraBackup` objects. `api_version_is_rejected` is true if the list has an `apiVersion` that is not a text.
    fn list(
        &mut self,
        place: Place,
        line: u32,
        list: &TypeMeta,
        items: &Node,
        api_version_is_rejected: bool,
    ) {
        let item_type = TypeMeta::new(
            &list.api_version,
            list.kind.strip_suffix("List").unwrap_or(&list.kind),
        );
        let is_judged = |kind: ManifestKind| kind.judged().is_some();
        if ManifestKind::parse(&list.api_version, &list.kind).is_some_and(is_judged) {
            let message = format!(
                "kubectl takes a {} with the field items for a list and drops its other fields, so they are not judged; \
                 remove items",
                list.kind
            );
            self.note(place.file, line, message);
        }
        if !matches!(items.kind, NodeKind::List(_) | NodeKind::Null) {
            let message = format!(
                "items of {} is not a list, so it is not judged, and kubectl rejects it",
                list.kind
            );
            self.note(place.file, line, message);
        }
        if place.names_judged_kind && api_version_is_rejected {
            let message = format!(
                "the apiVersion of {} is not a text, and kubectl rejects it; write a text",
                list.kind
            );
            self.note(place.file, line, message);
        }
        for item in items.items() {
            let is_set = |key: &str| item.node.text_at(&[key]).is_some();
            let has_type = is_set("apiVersion") || is_set("kind") || item_type.kind.is_empty();
            match item.node.kind {
                NodeKind::Map(_) => {
                    let is_list = item.node.get("items").is_some();
                    let message = if is_list {
                        (!place.in_nested_list).then(|| rejected_list(&list.kind))
                    } else if has_type || item_type.api_version.is_empty() {
                        untyped_item(&item.node, &list.kind)
                    } else {
                        None
                    };
                    if let Some(message) = message.filter(|_| place.names_judged_kind) {
                        self.note(place.file, item.span.line, message);
                    }
                    let place = Place {
                        in_nested_list: place.in_nested_list || is_list,
                        ..place
                    };
                    self.document(place, item.clone(), (!has_type).then(|| item_type.clone()));
                }
                NodeKind::Null => {
                    if place.names_judged_kind {
                        self.note(place.file, item.span.line, empty_item(&list.kind));
                    }
                }
                _ => {
                    let message = format!("an item of {} is not an object, so it is not judged", list.kind);
                    self.note(place.file, item.span.line, message);
                }
            }
        }
    }

    /// Returns the kind of an object in a file with the name of a kustomization, which may leave out `apiVersion` and
    /// `kind`.
    fn kustomization(&self, file: usize, kind: Option<&str>) -> Option<ManifestKind> {
        let name = self.sources.get(file).map(|source| source.name.as_str());
        let is_kustomization = matches!(kind, None | Some("Kustomization" | "Component"));
        (is_kustomization && name.is_some_and(Kustomization::is_named)).then_some(ManifestKind::Kustomization)
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

    /// Adds a note on keys that are written twice in a document with objects, those from `first` on, that the check reads. A backup
    /// or restore has findings about its own keys instead.
    fn repeated_keys(&mut self, place: Place, document: &SpannedNode, first: usize, text: &str) {
        let objects = self.manifests.get_mut(first..).unwrap_or_default();
        let items = document.node.entry("items");
        let is_list = items.is_some_and(|items| items.earlier_line > 0);
        if objects.is_empty() && !place.names_judged_kind && !is_list {
            return;
        }
        let is_judged = |manifest: &&Manifest| manifest.kind.judged().is_some();
        let judged: Vec<SpannedNode> = objects.iter().filter(is_judged).map(Manifest::object).collect();
        let judged: Vec<&Node> = judged.iter().map(|object| &*object.node).collect();
        let note = repeated::note(document, &judged, text);
        let glued = repeated::glued(document, text);
        for manifest in objects {
            manifest.glued = glued;
        }
        if let Some((line, message)) = note {
            self.note(place.file, line, message);
        }
    }

    fn note(&mut self, file: usize, line: u32, message: String) {
        self.notes.push(Note { file, line, message });
    }

    /// Adds a note on a document that is a template, at which the reading of its file ends.
    fn template(&mut self, place: Place, line: u32) {
        let rest = match place.document {
            1 => "so it is not judged".to_owned(),
            document => {
                format!(
                    "so document {document} and those behind it are not judged; those before it are judged"
                )
            }
        };
        let message =
            format!("an unrendered template, {rest}; render it: helm template CHART | cassgate check -");
        self.note(place.file, line, message);
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

/// Returns the note on a list inside a list.
fn rejected_list(list: &str) -> String {
    format!(
        "an item of {list} is a list itself, and kubectl rejects the whole {list}; write its items into one list"
    )
}

/// Returns the note on an item without content.
fn empty_item(list: &str) -> String {
    format!("an item of {list} is empty, and kubectl rejects the whole {list}; remove it")
}

/// Returns the note on an item without `apiVersion` or `kind`, unless it has one as a backup or restore.
fn untyped_item(item: &Node, list: &str) -> Option<String> {
    let (version, kind) = (item.text_at(&["apiVersion"]), item.text_at(&["kind"]));
    let missing = match (version, kind) {
        (Some(_), Some(_)) => return None,
        (None, Some(_)) => "no apiVersion",
        (_, None) => "no kind",
    };
    unjudged::reason(item, version, kind).is_none().then(|| {
        format!("an item of {list} has {missing}, and kubectl rejects the whole {list}; add it, or remove the item")
    })
}
