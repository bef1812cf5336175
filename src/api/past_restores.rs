//! The restores that have used a backup, as cassgate records them in an annotation of the backup.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::domain::entities::Entities;

use super::restore::CassandraRestoreSpec;

/// The maximum number of restores that a backup remembers. The oldest are forgotten.
const MAX_PAST_RESTORES: usize = 50;

/// The restores that have used a backup, the newest first: each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PastRestores(Vec<PastRestore>);

/// A restore that has run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRestore {
    /// Its name.
    pub name: String,
    /// The digest of its spec without `entities`: see [`spec_digest`].
    pub spec: String,
    /// The digest of its entities: see [`entities_digest`].
    pub entities: String,
    /// The time at which it ended, in RFC 3339. It names the run in [`GO_ON_ANNOTATION`](super::GO_ON_ANNOTATION).
    pub ended: String,
}

impl PastRestores {
    /// Reads the annotation. A text that is malformed, for example edited by hand, contains no restore.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Returns the last restore of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&PastRestore> {
        self.0.iter().find(|past| past.name == name)
    }

    /// Adds a restore as the newest one, in place of an older one of the same name.
    pub fn add(&mut self, restore: PastRestore) {
        self.0.retain(|past| past.name != restore.name);
        self.0.insert(0, restore);
        self.0.truncate(MAX_PAST_RESTORES);
    }
}

impl fmt::Display for PastRestores {
    /// Writes the value of the annotation.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", json!(self))
    }
}

/// Returns a digest of the fields that decide what a restore does to the tables, except `entities`.
///
/// Fields of the download (`concurrentConnection`, `secret`, `cassandraDirectory`) and `noDeleteTruncates` make no difference.
#[must_use]
pub fn spec_digest(spec: &CassandraRestoreSpec) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let fields = json!([
        spec.cassandra_cluster,
        spec.cassandra_backup,
        text(&spec.datacenter),
        text(&spec.snapshot),
        text(&spec.schema_version),
        spec.exact_schema_version.unwrap_or_default(),
        spec.rename.clone().unwrap_or_default(),
        spec.nodes,
    ]);
    digest(&fields.to_string())
}

/// Returns a digest of a list of entities, in which order and separators make no difference.
#[must_use]
pub fn entities_digest(entities: &str) -> String {
    Entities::parse(entities).map_or_else(|_| digest(entities), |entities| digest(&entities.to_string()))
}

/// Returns the 64-bit FNV-1a hash. It is stable, as a stored value has to be, and no one gains from a collision: another name
/// does the same.
fn digest(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::{MAX_PAST_RESTORES, PastRestore, PastRestores, entities_digest, spec_digest};
    use crate::api::CassandraRestoreSpec;

    fn past(name: &str, ended: &str) -> PastRestore {
        PastRestore {
            name: name.to_owned(),
            spec: "s".to_owned(),
            entities: "e".to_owned(),
            ended: ended.to_owned(),
        }
    }

    #[test]
    fn a_backup_remembers_the_newest_restores_and_each_name_once() {
        let mut all = PastRestores::default();
        for number in 0..=MAX_PAST_RESTORES {
            all.add(past(&format!("r{number}"), "t1"));
        }
        all.add(past("r7", "t2"));
        assert_eq!(all.find("r0"), None, "the oldest is forgotten");
        assert_eq!(all.find("r7").unwrap().ended, "t2");
        assert_eq!(all.0.len(), MAX_PAST_RESTORES);
        assert_eq!(PastRestores::parse(&all.to_string()), all);
        assert!(all.to_string().len() < 8 * 1024, "{}", all.to_string().len());
    }

    #[test]
    fn a_malformed_annotation_contains_no_restore() {
        for text in ["", "r1", "{}", r#"[{"name": "r1"}]"#, "[1]"] {
            assert_eq!(PastRestores::parse(text), PastRestores::default(), "{text}");
        }
    }

    #[test]
    fn only_fields_that_change_the_tables_change_the_digest() {
        let spec = |change: fn(&mut CassandraRestoreSpec)| {
            let mut spec = CassandraRestoreSpec {
                cassandra_cluster: "c1".to_owned(),
                cassandra_backup: "tables".to_owned(),
                ..CassandraRestoreSpec::default()
            };
            change(&mut spec);
            spec_digest(&spec)
        };
        let plain = spec(|_| ());
        assert_eq!(plain, "384090a5701fdac3", "a stored digest stays valid");
        assert_eq!(spec(|spec| spec.secret = Some("s3".to_owned())), plain);
        assert_eq!(spec(|spec| spec.datacenter = Some(String::new())), plain);
        assert_eq!(spec(|spec| spec.exact_schema_version = Some(false)), plain);
        assert_ne!(spec(|spec| spec.datacenter = Some("dc1".to_owned())), plain);
        assert_ne!(spec(|spec| spec.snapshot = Some("t1".to_owned())), plain);
        assert_ne!(spec(|spec| spec.cassandra_backup = "other".to_owned()), plain);
        assert_eq!(entities_digest("k1.t1, k2.t3"), entities_digest("k2.t3,k1.t1"));
        assert_ne!(entities_digest("k1.t1"), entities_digest("k1"));
    }
}
