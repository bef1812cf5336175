//! Fields that no schema of the kind has.
//!
//! cassgate's CRDs have every field of CassKop's, so a field that they do not have is known to neither.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::api::Kind;
use crate::rules::catalogue::FIELD_UNKNOWN;
use crate::rules::finding::{Cause, Finding, Findings, field};

use super::metadata;

/// The fields of both kinds, from their CRDs: generating the CRDs takes longer than judging a hundred objects. A test compares the
/// list with the CRDs, and rewrites it with `UPDATE_PAGES=1`.
const FIELDS: &str = include_str!("field_unknown/fields.txt");

/// The fields of a kind.
#[derive(Debug, PartialEq, Eq)]
enum Schema {
    /// Any value.
    Any,
    /// A map with these fields.
    Fields(BTreeMap<String, Self>),
    /// A list or a map whose values all have the same schema.
    Values(Box<Self>),
}

/// The path of a value, whose text is built only for a finding.
#[derive(Clone, Copy)]
enum Path<'a> {
    /// The object itself.
    Object,
    Field(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl Path<'_> {
    fn text(self) -> String {
        match self {
            Self::Object => String::new(),
            Self::Field(parent, key) => child(&parent.text(), key),
            Self::Item(parent, index) => format!("{}[{index}]", parent.text()),
        }
    }
}

/// Denies each field of an object that its kind does not have, as kubectl's strict validation does.
///
/// Only manifests have such fields: the API server drops them before it calls a webhook.
#[must_use]
pub fn check(kind: Kind, object: &Value) -> Findings {
    let mut findings = Findings::default();
    let schema = schema(kind);
    schema.walk(object, Path::Object, &mut |parent, key| {
        findings.extend([unknown(kind, schema, parent, key)]);
    });
    findings
}

/// The words of other tools for a field of the spec, in lower case and without separators, each with the remedy.
const MEANT: [(&[Kind], &[&str], &str); 9] = [
    (
        &[Kind::Backup, Kind::Restore],
        &["cluster", "clustername", "cassandraclustername", "clusterref"],
        "write spec.cassandraCluster",
    ),
    (
        &[Kind::Backup, Kind::Restore],
        &["keyspaces", "keyspace"],
        "write the keyspaces as spec.entities: k1,k2",
    ),
    (
        &[Kind::Backup, Kind::Restore],
        &["tables", "table", "columnfamilies", "columnfamily"],
        "write the tables as spec.entities: k1.t1,k1.t2",
    ),
    (
        &[Kind::Backup, Kind::Restore],
        &["secretname", "secretref", "credentials", "credentialssecret"],
        "write spec.secret",
    ),
    (
        &[Kind::Backup, Kind::Restore],
        &["dc", "dcs", "datacenters", "datacentre"],
        "write spec.datacenter",
    ),
    (
        &[Kind::Backup],
        &["snapshot", "snapshotname", "tag"],
        "write spec.snapshotTag",
    ),
    (
        &[Kind::Backup],
        &["bucket", "location", "storage", "destination"],
        "write spec.storageLocation",
    ),
    (
        &[Kind::Restore],
        &["backup", "backupname", "backupref", "cassandrabackupname"],
        "write spec.cassandraBackup",
    ),
    (
        &[Kind::Restore],
        &["snapshottag", "snapshotname", "tag"],
        "remove it: a restore takes the tag of its backup; spec.snapshot names one run of a scheduled backup",
    ),
];

/// Returns the remedy for a word of another tool.
fn meant(kind: Kind, parent: &str, key: &str) -> Option<&'static str> {
    let key = plain(key);
    let is_meant = |(kinds, words, _): &&(&[Kind], &[&str], &str)| {
        kinds.contains(&kind) && words.contains(&key.as_str())
    };
    let mut all = MEANT.iter().filter(|_| matches!(parent, "" | "spec"));
    all.find(is_meant).map(|(_, _, remedy)| *remedy)
}

fn unknown(kind: Kind, schema: &Schema, parent: &str, key: &str) -> Finding {
    let other = match kind {
        Kind::Backup => Kind::Restore,
        Kind::Restore => Kind::Backup,
    };
    let path = child(parent, &shown(key));
    let is_of_other = schema_has(self::schema(other), &path) && !schema.has_similar(parent, key);
    let remedy = match (meant(kind, parent, key), schema.nearest(parent, key)) {
        (Some(meant), _) => meant.to_owned(),
        (None, Some(nearest)) if !is_of_other => format!("write {nearest}"),
        _ if is_of_other => format!(
            "it is a field of a {}; remove it from this object",
            other.as_str()
        ),
        _ => format!(
            "remove it; the command kubectl explain {} lists the fields",
            kind.as_str().to_ascii_lowercase()
        ),
    };
    let message = format!(
        "a {} has no such field: kubectl rejects the object, and clients that do not validate drop the field, so it has no \
         effect; {remedy}",
        kind.as_str()
    );
    Finding::deny(&FIELD_UNKNOWN, path, Cause::Forbidden, message)
}

fn schema(kind: Kind) -> &'static Schema {
    static SCHEMAS: LazyLock<[Schema; 2]> = LazyLock::new(|| {
        [Kind::Backup, Kind::Restore].map(|kind| with_common_fields(Schema::listed(FIELDS, kind)))
    });
    let [backup, restore] = &*SCHEMAS;
    match kind {
        Kind::Backup => backup,
        Kind::Restore => restore,
    }
}

/// Returns the schema of a kind with the fields that every object has.
fn with_common_fields(schema: Schema) -> Schema {
    let Schema::Fields(mut fields) = schema else {
        return schema;
    };
    let metadata = metadata::FIELDS.map(|(name, _)| (name.to_owned(), Schema::Any));
    fields.insert("metadata".to_owned(), Schema::Fields(metadata.into()));
    for name in ["apiVersion", "kind"] {
        fields.insert(name.to_owned(), Schema::Any);
    }
    Schema::Fields(fields)
}

impl Schema {
    /// Returns the fields of a kind from a list: on each line the kind and the path of a field that contains no other field.
    fn listed(list: &str, kind: Kind) -> Self {
        let mut schema = Self::Any;
        for line in list.lines() {
            if let Some((_, path)) = line.split_once(' ').filter(|(own, _)| *own == kind.as_str()) {
                schema.add(path);
            }
        }
        schema
    }

    /// Adds a field by its path. `[]` stands for every item of a list and every value of a map.
    fn add(&mut self, path: &str) {
        if let Some(rest) = path.strip_prefix("[]") {
            if matches!(self, Self::Any) {
                *self = Self::Values(Box::new(Self::Any));
            }
            if let Self::Values(inner) = self {
                inner.add(rest.trim_start_matches('.'));
            }
        } else if !path.is_empty() {
            let (name, rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
            if matches!(self, Self::Any) {
                *self = Self::Fields(BTreeMap::new());
            }
            if let Self::Fields(fields) = self {
                let inner = fields.entry(name.to_owned()).or_insert(Self::Any);
                inner.add(rest.trim_start_matches('.'));
            }
        }
    }
}

impl Schema {
    /// Calls `report` with the path of the parent and the key of each field that the schema does not have.
    fn walk(&self, value: &Value, path: Path<'_>, report: &mut impl FnMut(&str, &str)) {
        match (self, value) {
            (Self::Fields(fields), Value::Object(entries)) => {
                for (key, value) in entries {
                    match fields.get(key) {
                        Some(inner) => inner.walk(value, Path::Field(&path, key), report),
                        None => report(&path.text(), key),
                    }
                }
            }
            (Self::Values(inner), Value::Object(entries)) => {
                for (key, value) in entries {
                    inner.walk(value, Path::Field(&path, key), report);
                }
            }
            (Self::Values(inner), Value::Array(items)) => {
                for (index, value) in items.iter().enumerate() {
                    inner.walk(value, Path::Item(&path, index), report);
                }
            }
            _ => {}
        }
    }

    /// Returns the path of the field that `key` in `parent` most likely stands for.
    ///
    /// A field of the same name in another place comes first, then a similar name, then a longer name that contains it.
    fn nearest(&self, parent: &str, key: &str) -> Option<String> {
        let mut all = Vec::new();
        self.collect("", &mut all);
        let wanted = plain(key);
        let rank = |(place, name): &(String, String)| {
            let own = plain(name);
            let here = place == parent;
            let similar = strsim::osa_distance(&wanted, &own) <= wanted.len() / 4
                || strsim::jaro_winkler(&wanted, &own) >= 0.88;
            let kind = if wanted == own {
                0
            } else if similar && here {
                1
            } else if similar && wanted.len() > 3 {
                2
            } else if here && wanted.len() > 3 && own.contains(&wanted) {
                3
            } else {
                return None;
            };
            Some((kind, !here, strsim::osa_distance(&wanted, &own)))
        };
        all.iter()
            .filter_map(|candidate| Some((rank(candidate)?, candidate)))
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, (place, name))| child(place, name))
    }

    /// Returns true if a field of `parent` differs from `key` in few letters.
    fn has_similar(&self, parent: &str, key: &str) -> bool {
        let mut all = Vec::new();
        self.collect("", &mut all);
        let wanted = plain(key);
        all.iter()
            .filter(|(place, _)| place == parent)
            .any(|(_, name)| strsim::osa_distance(&wanted, &plain(name)) <= wanted.len() / 4)
    }

    /// Collects the place and the name of each field that a user writes.
    fn collect(&self, path: &str, into: &mut Vec<(String, String)>) {
        match self {
            Self::Fields(fields) => {
                for (name, inner) in fields.iter().filter(|(name, _)| *name != "status") {
                    into.push((path.to_owned(), name.clone()));
                    inner.collect(&child(path, name), into);
                }
            }
            Self::Values(inner) => inner.collect(&format!("{path}[]"), into),
            Self::Any => {}
        }
    }
}

fn child(path: &str, key: &str) -> String {
    if path.is_empty() {
        field("", key).trim_start_matches('.').to_owned()
    } else {
        field(path, key)
    }
}

fn schema_has(schema: &Schema, path: &str) -> bool {
    let mut all = Vec::new();
    schema.collect("", &mut all);
    all.iter().any(|(place, name)| child(place, name) == path)
}

/// Returns the part of an unknown key that a message repeats. A line of another file, such as `KEY=VALUE`, can become a key.
fn shown(key: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    match key.find(|c| !is_name(c)) {
        Some(end) => format!("{}…", key.get(..end).unwrap_or_default()),
        None => key.to_owned(),
    }
}

/// Returns a name in lower case and without separators, as users of other formats write it.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | '.'));
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests;
