//! The credentials that an object uses.
//!
//! Source of the keys: Esop 1.1.4 and 2.0.4 (`TransferManagerFactory`, `CephModule`, `AzureModule`, `GCPModule`) and
//! the checks of CassKop's backup controller. Icarus 3.0.0 has lost Secrets. Missing keys are named, present ones
//! and values never.

use crate::api::MISSING_REFERENCES_LABEL;
use crate::domain::credentials::{Credentials, Defect, Key};
use crate::domain::storage::Provider;

use super::reference::Named;
use crate::api::Kind;
use crate::rules::catalogue::{
    SECRET_ABSENT, SECRET_IGNORED, SECRET_KEY_MALFORMED, SECRET_KEY_MISSING, SECRET_NOT_FOUND,
    STORAGE_PROVIDER_UNSUPPORTED, Severity,
};
use crate::rules::facts::Facts;
use crate::rules::finding::{Cause, Finding, Findings};
use crate::rules::policy::{Context, Executor};
use crate::rules::subject::Subject;

const PATH: &str = "spec.secret";

pub(super) fn judge(subject: &Subject, facts: &Facts, context: &Context, found: &mut Findings) {
    let backup = facts.found_backup();
    let provider = subject.provider(backup);
    if provider == Some(Provider::File) {
        return;
    }
    let Some(name) = subject.secret(backup) else {
        found.extend(provider.and_then(|provider| absent(subject, provider, facts, context)));
        return;
    };
    let named = Named {
        rule: &SECRET_NOT_FOUND,
        path: PATH,
        kind: "Secret",
        name,
    };
    let credentials = named.resolve(
        facts.secret.as_ref(),
        || not_found(subject, facts, context),
        found,
    );
    if let (Some(credentials), Some(provider)) = (credentials, provider) {
        let check = Check {
            name,
            provider,
            credentials,
            reader: reader(facts),
        };
        check.keys_present(subject.kind(), context, found);
        check.values_usable(found);
        check.endpoint_usable(found);
        check.read_by_somebody(subject.kind(), context, found);
    }
}

/// CassKop gives up a backup without a Secret. Of a restore it sends no name then, and Icarus 1.x and 2.x look for a
/// Secret of a name of their own (seen: `cassandra-backup-restore-secret-cluster-null`).
fn absent(subject: &Subject, provider: Provider, facts: &Facts, context: &Context) -> Option<Finding> {
    let reader = reader(facts);
    let message = match (subject.kind(), context.casskop_acts()) {
        (Kind::Backup, true) => format!(
            "{provider}:// needs credentials, and CassKop takes them from a Secret only: without one it gives the \
             backup up; name a Secret of this namespace"
        ),
        (_, true) if reader == Reader::Icarus => format!(
            "{provider}:// needs credentials, and without a name the cluster's sidecar looks for a Secret that nobody \
             has; name a Secret of this namespace"
        ),
        // Its credentials are those of its environment, whatever is written here.
        _ if reader == Reader::Nobody => return None,
        _ => {
            let message = format!(
                "{provider}:// without a Secret works only where the sidecar has credentials of its own"
            );
            return Some(Finding::warn(&SECRET_ABSENT, PATH, Cause::Required, message));
        }
    };
    Some(Finding::deny(&SECRET_ABSENT, PATH, Cause::Required, message))
}

fn not_found(subject: &Subject, facts: &Facts, context: &Context) -> Finding {
    let noun = subject.noun();
    let casskop_looks = subject.kind() == Kind::Backup && context.casskop_acts();
    let severity = if reader(facts) == Reader::Nobody && !casskop_looks {
        Severity::Warn
    } else {
        context.absent(subject.kind(), facts)
    };
    let consequence = match (subject.kind(), context.policy.executor) {
        (Kind::Backup, Executor::Casskop) => "; CassKop would give the backup up for ever",
        _ => "",
    };
    let message = match severity {
        Severity::Warn if reader(facts) == Reader::Nobody && !casskop_looks => {
            "no such Secret in this namespace, and the cluster's sidecar (Icarus 3 or later) reads none; give the sidecar \
             its credentials in its environment"
                .to_owned()
        }
        Severity::Warn => format!("no such Secret in this namespace yet; the {noun} needs it"),
        Severity::Deny => format!(
            "the sidecar reads it in this namespace and there is none{consequence}; create the Secret before the {noun}, or \
             label the namespace {MISSING_REFERENCES_LABEL}=warn"
        ),
    };
    Finding::deny(&SECRET_NOT_FOUND, PATH, Cause::NotFound, message).severity(severity)
}

/// Who reads the Secret, as far as the cluster's sidecar image tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Icarus 1.x or 2.x.
    Icarus,
    /// Nobody: Icarus 3.0 and later.
    Nobody,
    /// The version does not show.
    Unknown,
}

fn reader(facts: &Facts) -> Reader {
    match facts
        .found_cluster()
        .and_then(|cluster| cluster.sidecar.ignores_secrets())
    {
        Some(true) => Reader::Nobody,
        Some(false) => Reader::Icarus,
        None => Reader::Unknown,
    }
}

impl Reader {
    /// A refusal rests on a sidecar that is known to read the Secret.
    fn severity(self) -> Severity {
        if self == Self::Icarus {
            Severity::Deny
        } else {
            Severity::Warn
        }
    }

    fn remark(self) -> &'static str {
        match self {
            Self::Icarus => "",
            Self::Nobody => {
                "; the cluster's sidecar (Icarus 3 or later) ignores Secrets and takes its environment"
            }
            Self::Unknown => "; the version of the cluster's sidecar is unknown",
        }
    }
}

struct Check<'a> {
    name: &'a str,
    provider: Provider,
    credentials: &'a Credentials,
    reader: Reader,
}

impl Check<'_> {
    fn keys_present(&self, kind: Kind, context: &Context, found: &mut Findings) {
        let casskop_looks = kind == Kind::Backup && context.casskop_acts();
        let required = self.lacking(self.required(casskop_looks));
        if !required.is_empty() {
            let by_casskop = casskop_looks && required.iter().any(|key| self.casskop_demands(*key));
            let severity = if by_casskop {
                Severity::Deny
            } else {
                self.reader.severity()
            };
            // A region that only CassKop wants: Icarus alone may find one.
            let casskop_alone =
                by_casskop && required == [Key::AwsRegion] && !self.credentials.has(Key::AwsEndpoint);
            let consequence = if casskop_alone {
                "CassKop refuses the backup without".to_owned()
            } else {
                format!("{}:// does not work without", self.provider)
            };
            found.push(self.missing(&required, severity, &consequence));
        } else if self.takes_region() && !self.credentials.has(Key::AwsRegion) {
            let message = format!(
                "Secret {} has no awsregion; it works only where the sidecar finds a region by itself",
                self.name
            );
            found.push(self.finding(&SECRET_KEY_MISSING, Cause::Invalid, Severity::Warn, message));
        }
    }

    fn missing(&self, keys: &[Key], severity: Severity, consequence: &str) -> Finding {
        let keys = keys.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ");
        let (name, provider) = (self.name, self.provider);
        let message = match severity {
            Severity::Deny => {
                format!("Secret {name} has no {keys}, and {consequence}; add what is missing to the Secret")
            }
            Severity::Warn => format!(
                "Secret {name} has no {keys} for {provider}://{}",
                self.reader.remark()
            ),
        };
        self.finding(&SECRET_KEY_MISSING, Cause::Invalid, severity, message)
    }

    fn values_usable(&self, found: &mut Findings) {
        for &key in self.relevant() {
            let Some(defect) = self.credentials.defect(key) else {
                continue;
            };
            let (severity, what) = match defect {
                Defect::Empty => (Severity::Warn, "is empty"),
                // Seen: an endpoint with a line end fails each operation.
                Defect::Padded if key == Key::AwsEndpoint => (
                    self.reader.severity(),
                    "begins or ends with a blank or a line end, and no address has one; write it without",
                ),
                Defect::Padded => (
                    Severity::Warn,
                    "begins or ends with a blank or a line end, which the sidecar takes as part of it",
                ),
                Defect::NotServiceAccount => (
                    self.reader.severity(),
                    "is no JSON object with a text `type`; put the service account's JSON document there",
                ),
                Defect::NotEndpoint => (
                    self.reader.severity(),
                    "is neither host, host:port nor an http(s) URL; write one of these",
                ),
                // Beside an endpoint it is the store's, which takes any.
                Defect::NotRegion if self.credentials.has(Key::AwsEndpoint) => continue,
                Defect::NotRegion => (
                    Severity::Warn,
                    "is no region of Amazon's, and without awsendpoint the storage is Amazon's; write one, as in \
                     eu-west-1",
                ),
            };
            let message = format!("Secret {}: {key} {what}", self.name);
            found.push(self.finding(&SECRET_KEY_MALFORMED, Cause::Invalid, severity, message));
        }
    }

    /// Esop 3.0.1 reads the endpoint and does not apply it: the data would go to Amazon.
    fn endpoint_usable(&self, found: &mut Findings) {
        if self.reader == Reader::Nobody && self.takes_region() && self.credentials.has(Key::AwsEndpoint) {
            let message = format!(
                "Secret {} has awsendpoint, and the cluster's sidecar (Icarus 3 or later) has no endpoints",
                self.name
            );
            found.push(self.finding(
                &STORAGE_PROVIDER_UNSUPPORTED,
                Cause::NotSupported,
                Severity::Warn,
                message,
            ));
        }
    }

    /// A Secret that lacks something has been told of, with the remark that nobody reads it.
    fn read_by_somebody(&self, kind: Kind, context: &Context, found: &mut Findings) {
        let casskop_looks = kind == Kind::Backup && context.casskop_acts();
        if self.reader != Reader::Nobody || !self.lacking(self.required(casskop_looks)).is_empty() {
            return;
        }
        let message = format!(
            "the cluster's sidecar (Icarus 3 or later) does not read Secret {}; give the sidecar its credentials in \
             its environment",
            self.name
        );
        let finding = Finding::warn(&SECRET_IGNORED, PATH, Cause::Invalid, message);
        found.push(finding.value(self.name));
    }

    fn required(&self, casskop_looks: bool) -> &'static [Key] {
        use Key::{AwsAccessKeyId, AwsEndpoint, AwsRegion, AwsSecretAccessKey};
        let region = self.credentials.has(AwsEndpoint) || (casskop_looks && self.provider == Provider::S3);
        match self.provider {
            Provider::S3 | Provider::Oracle | Provider::Minio if region => {
                &[AwsAccessKeyId, AwsSecretAccessKey, AwsRegion]
            }
            Provider::S3 | Provider::Oracle | Provider::Minio => &[AwsAccessKeyId, AwsSecretAccessKey],
            Provider::Ceph => &[AwsAccessKeyId, AwsSecretAccessKey, AwsEndpoint],
            Provider::Azure => &[Key::AzureStorageAccount, Key::AzureStorageKey],
            Provider::Gcp => &[Key::Gcp],
            Provider::File => &[],
        }
    }

    /// What CassKop itself refuses, whatever the sidecar: the keys of gcp and azure; of s3 only a region that is
    /// missing beside both keys or beside an endpoint.
    fn casskop_demands(&self, key: Key) -> bool {
        let has = |key| self.credentials.has(key);
        match self.provider {
            Provider::Azure | Provider::Gcp => true,
            Provider::S3 => {
                key == Key::AwsRegion
                    && (has(Key::AwsEndpoint) || (has(Key::AwsAccessKeyId) && has(Key::AwsSecretAccessKey)))
            }
            _ => false,
        }
    }

    fn lacking(&self, keys: &[Key]) -> Vec<Key> {
        keys.iter()
            .copied()
            .filter(|key| !self.credentials.has(*key))
            .collect()
    }

    fn takes_region(&self) -> bool {
        matches!(self.provider, Provider::S3 | Provider::Oracle | Provider::Minio)
    }

    /// The keys whose values matter.
    fn relevant(&self) -> &'static [Key] {
        use Key::{AwsAccessKeyId, AwsEndpoint, AwsRegion, AwsSecretAccessKey};
        if self.takes_region() {
            &[AwsAccessKeyId, AwsSecretAccessKey, AwsRegion, AwsEndpoint]
        } else {
            self.required(true)
        }
    }

    fn finding(
        &self,
        rule: &'static crate::rules::catalogue::Rule,
        cause: Cause,
        severity: Severity,
        message: String,
    ) -> Finding {
        let discreet = format!(
            "Secret {} is not usable for {}://; who may read it is told why",
            self.name, self.provider
        );
        Finding::deny(rule, PATH, cause, message)
            .severity(severity)
            .value(self.name)
            .about("Secret", self.name)
            .discreet(discreet)
    }
}
