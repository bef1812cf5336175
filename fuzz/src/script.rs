//! A review as lines of text, so that most mutations of its bytes give another review instead of malformed JSON.
//!
//! ```text
//! do update              create (the default), update, delete
//! kind CassandraRestore  CassandraBackup is the default
//! as cassgate            casskop (the default), cassgate, none
//! flags dry,confirm      dry, confirm, always, notices, warn, deny, apart, reader
//! name r1
//! confirms RULE,RULE
//! label velero
//! user jane
//! status RUNNING         of the new object
//! was.status RUNNING     of the stored one
//! spec.FIELD VALUE       JSON, or a string if it is not valid JSON
//! was.spec.FIELD VALUE   of the stored object, and of the new one unless it has its own
//! rename FROM=INTO       a pair of spec.rename
//! ```
//! Other lines are ignored.

use cassgate::rules::policy::{Executor, MissingReferences, Policy, RestoreGuard, SecretDetails};
use serde_json::{Map, Value, json};

/// The maximum length of the name of an object, in characters.
const MAX_NAME_LENGTH: usize = 253;

/// A parsed script.
#[derive(Debug, Clone)]
pub(super) struct Script {
    /// The policy of the platform team.
    pub(super) policy: Policy,
    /// True if the status is a subresource.
    pub(super) apart: bool,
    /// True if the caller may read Secrets.
    pub(super) reader: bool,
    /// CREATE, UPDATE or DELETE.
    pub(super) operation: &'static str,
    /// The new object, or null for a deletion.
    pub(super) object: Value,
    /// The stored object, or null for a creation.
    pub(super) old: Value,
    kind: String,
    dry_run: bool,
    user: String,
}

impl Script {
    /// Parses a script. Every text is a valid script.
    pub(super) fn read(text: &str) -> Self {
        let mut script = Self {
            policy: Policy::default(),
            apart: false,
            reader: false,
            operation: "CREATE",
            object: json!({"metadata": {"name": "x", "namespace": "prod"}, "spec": {}}),
            old: json!({"metadata": {"name": "x", "namespace": "prod"}, "spec": {}}),
            kind: "CassandraBackup".to_owned(),
            dry_run: false,
            user: String::new(),
        };
        for (word, rest) in text.lines().filter_map(|line| line.split_once(' ')) {
            script.line(word, rest);
        }
        for object in [&mut script.object, &mut script.old] {
            object["kind"] = json!(script.kind);
            object["apiVersion"] = json!("db.orange.com/v2");
        }
        match script.operation {
            "CREATE" => script.old = Value::Null,
            "DELETE" => script.object = Value::Null,
            _ => {}
        }
        script
    }

    fn line(&mut self, word: &str, rest: &str) {
        match word {
            "do" => {
                self.operation = match rest {
                    "update" => "UPDATE",
                    "delete" => "DELETE",
                    _ => "CREATE",
                }
            }
            "kind" => rest.clone_into(&mut self.kind),
            "as" => {
                self.policy.executor = match rest {
                    "cassgate" => Executor::Cassgate,
                    "none" => Executor::None,
                    _ => Executor::Casskop,
                }
            }
            "flags" => rest.split(',').for_each(|flag| self.flag(flag)),
            "user" => rest.clone_into(&mut self.user),
            // The API server sends no longer name, and the webhook answers one with 400.
            "name" => {
                let name: String = rest.chars().take(MAX_NAME_LENGTH).collect();
                self.object["metadata"]["name"] = json!(name);
                self.old["metadata"]["name"] = json!(name);
            }
            "confirms" => {
                self.object["metadata"]["annotations"] = json!({"cassgate.db.orange.com/confirm": rest});
            }
            "label" => self.object["metadata"]["labels"] = json!({"velero.io/restore-name": rest}),
            "status" => self.object["status"] = json!({"condition": {"type": rest}}),
            "was.status" => self.old["status"] = json!({"condition": {"type": rest}}),
            "rename" => {
                let (from, into) = rest.split_once('=').unwrap_or((rest, ""));
                let spec = &mut self.object["spec"];
                if !spec["rename"].is_object() {
                    spec["rename"] = Value::Object(Map::new());
                }
                spec["rename"][from] = json!(into);
            }
            _ => self.field(word, rest),
        }
    }

    fn field(&mut self, word: &str, rest: &str) {
        let value = || serde_json::from_str(rest).unwrap_or_else(|_| json!(rest));
        if let Some(field) = word.strip_prefix("spec.") {
            self.object["spec"][field] = value();
        } else if let Some(field) = word.strip_prefix("was.spec.") {
            self.old["spec"][field] = value();
            self.object["spec"][field] = value();
        }
    }

    fn flag(&mut self, flag: &str) {
        match flag {
            "dry" => self.dry_run = true,
            "confirm" => self.policy.restore_guard = RestoreGuard::Confirm,
            "always" => self.policy.secret_details = SecretDetails::Always,
            "notices" => self.policy.notices = true,
            "warn" => self.policy.missing_references = Some(MissingReferences::Warn),
            "deny" => self.policy.missing_references_on_dry_run = MissingReferences::Deny,
            "apart" => self.apart = true,
            "reader" => self.reader = true,
            _ => {}
        }
    }

    /// Returns the review that the API server sends with this new object.
    pub(super) fn review(&self, object: &Value) -> Value {
        let metadata = &if object.is_null() { &self.old } else { object }["metadata"];
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u-1", "operation": self.operation, "dryRun": self.dry_run,
            "kind": {"group": "db.orange.com", "version": "v2", "kind": self.kind},
            "name": metadata["name"], "namespace": metadata["namespace"],
            "userInfo": {"username": self.user}, "object": object, "oldObject": self.old,
        }})
    }
}
