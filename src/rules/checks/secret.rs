//! The Secret with the credentials of a backup or restore.
//!
//! The required keys follow Esop 1.1.4 and 2.0.4 (`TransferManagerFactory`, `CephModule`, `AzureModule`, `GCPModule`) and
//! the checks of CassKop's backup controller. Icarus 3.0.0 and later ignore Secrets. Messages name missing keys and
//! keys with an unusable value, never values, and only to users who may read the Secret.

use crate::api::MISSING_REFERENCES_LABEL;
use crate::domain::credentials::{Credentials, Defect, Key};
use crate::domain::storage::Provider;

use super::reference::NamedReference;
use crate::api::Kind;
use crate::rules::catalogue::{
    Rule, SECRET_ABSENT, SECRET_IGNORED, SECRET_KEY_MALFORMED, SECRET_KEY_MISSING, SECRET_NOT_FOUND,
    STORAGE_PROVIDER_UNSUPPORTED, Severity,
};
use crate::rules::facts::Facts;
use crate::rules::finding::{Cause, Finding, Findings, Redaction};
use crate::rules::policy::{Context, Executor};
use crate::rules::subject::Subject;

const PATH: &str = "spec.secret";

/// Denies an object whose Secret is missing or lacks a key, and warns about values that are probably wrong.
///
/// The sidecar reads the Secret in the namespace of its pods. A `file://` location needs no credentials.
pub(super) fn check(subject: &Subject, facts: &Facts, context: &Context, findings: &mut Findings) {
    let backup = facts.found_backup();
    let provider = subject.provider(backup);
    if provider == Some(Provider::File) {
        return;
    }
    let Some(name) = subject.secret(backup) else {
        findings.extend(provider.and_then(|provider| not_set(subject, provider, facts, context)));
        return;
    };
    let reference = NamedReference {
        rule: &SECRET_NOT_FOUND,
        path: PATH,
        kind: "Secret",
        name,
    };
    let absent = not_found(subject, facts, context);
    let severity = absent.severity;
    let not_found = || redacted(absent, name, provider, severity, false);
    let credentials = reference.resolve(facts.secret.as_ref(), not_found, findings);
    if let (Some(credentials), Some(provider)) = (credentials, provider) {
        let check = SecretCheck {
            name,
            provider,
            credentials,
            reader: reader(facts),
            absent: severity,
        };
        findings.extend(check.rejected(subject.kind(), context));
        check.missing_keys(subject.kind(), context, findings);
        check.malformed_values(casskop_reads(subject.kind(), context), findings);
        check.unsupported_endpoint(findings);
        check.ignored_secret(subject.kind(), context, findings);
    }
}

/// Reports an object without a Secret although its storage needs credentials.
///
/// CassKop gives a backup without a Secret up. For a restore it then sends no name, and Icarus 1.x and 2.x use a default
/// name that does not exist (observed: `cassandra-backup-restore-secret-cluster-null`).
fn not_set(subject: &Subject, provider: Provider, facts: &Facts, context: &Context) -> Option<Finding> {
    let reader = reader(facts);
    let message = match (subject.kind(), context.casskop_acts()) {
        (Kind::Backup, true) => format!(
            "{provider}:// needs credentials, and CassKop takes them only from a Secret: without one it gives the backup \
             up; name a Secret of this namespace"
        ),
        (_, true) if reader == Reader::Icarus => format!(
            "{provider}:// needs credentials, and without a name the cluster's sidecar looks for a Secret that does not \
             exist; name a Secret of this namespace"
        ),
        // This sidecar takes its credentials from its environment in any case.
        _ if reader == Reader::None => return None,
        _ => {
            let message =
                format!("{provider}:// without a Secret works only if the sidecar has its own credentials");
            return Some(Finding::warn(&SECRET_ABSENT, PATH, Cause::Required, message));
        }
    };
    Some(Finding::deny(&SECRET_ABSENT, PATH, Cause::Required, message))
}

/// Reports a Secret that does not exist. CassKop looks up the Secret of a backup, but not of a restore.
fn not_found(subject: &Subject, facts: &Facts, context: &Context) -> Finding {
    let noun = subject.noun();
    let casskop_reads = casskop_reads(subject.kind(), context);
    let severity = if reader(facts) == Reader::None && !casskop_reads {
        Severity::Warn
    } else {
        context.missing_reference_severity(subject.kind(), facts)
    };
    let consequence = match (subject.kind(), context.policy.executor) {
        (Kind::Backup, Executor::Casskop) => "; CassKop would give the backup up and never retry it",
        _ => "",
    };
    let message = match severity {
        Severity::Warn if reader(facts) == Reader::None && !casskop_reads => {
            "is not in this namespace, and the cluster's sidecar (Icarus 3 or later) ignores Secrets; give the sidecar its \
             credentials in its environment"
                .to_owned()
        }
        Severity::Warn => format!("the {noun} needs this Secret, which is not in this namespace yet"),
        Severity::Deny => format!(
            "the {noun} needs this Secret, which is not in this namespace{consequence}; create the Secret before the {noun}, \
             or label the namespace {MISSING_REFERENCES_LABEL}=warn"
        ),
    };
    Finding::deny(&SECRET_NOT_FOUND, PATH, Cause::NotFound, message).severity(severity)
}

/// Returns true if CassKop itself reads the Secret: for backups only.
fn casskop_reads(kind: Kind, context: &Context) -> bool {
    kind == Kind::Backup && context.casskop_acts()
}

/// The reader of the Secret, according to the version of the cluster's sidecar image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Icarus 1.x or 2.x.
    Icarus,
    /// None: Icarus 3.0 and later ignore Secrets.
    None,
    /// The image shows no version.
    Unknown,
}

fn reader(facts: &Facts) -> Reader {
    match facts
        .found_cluster()
        .and_then(|cluster| cluster.sidecar.ignores_secrets())
    {
        Some(true) => Reader::None,
        Some(false) => Reader::Icarus,
        None => Reader::Unknown,
    }
}

impl Reader {
    /// Returns the severity of a defect: a denial only if the sidecar is known to read the Secret.
    fn severity(self) -> Severity {
        if self == Self::Icarus {
            Severity::Deny
        } else {
            Severity::Warn
        }
    }

    fn note(self) -> &'static str {
        match self {
            Self::Icarus => "",
            Self::None => {
                "; the cluster's sidecar (Icarus 3 or later) ignores Secrets and uses its environment"
            }
            Self::Unknown => "; the version of the cluster's sidecar is unknown",
        }
    }
}

/// The checks of a Secret's content.
struct SecretCheck<'a> {
    name: &'a str,
    provider: Provider,
    credentials: &'a Credentials,
    reader: Reader,
    /// The severity that the Secret would have if it did not exist.
    absent: Severity,
}

/// Returns the finding with its form for callers who may not read the Secret: the same for every finding about it.
///
/// Without a provider only the existence of the Secret is checked, so such a caller sees no finding.
fn redacted(
    finding: Finding,
    name: &str,
    provider: Option<Provider>,
    absent: Severity,
    reveals_content: bool,
) -> Finding {
    let purpose = provider
        .map(|provider| format!(" for {provider}://"))
        .unwrap_or_default();
    let redaction = Redaction {
        rule: &SECRET_KEY_MISSING,
        cause: Cause::Invalid,
        message: format!("Secret {name} is not usable{purpose}; users who may read it see the reason"),
        severity: absent,
        is_hidden: provider.is_none() || absent < finding.severity,
        reveals_content,
    };
    finding.redaction(redaction)
}

impl SecretCheck<'_> {
    /// Reports the manifest of a Secret that the API server rejects, so that the Secret will not exist.
    fn rejected(&self, kind: Kind, context: &Context) -> Option<Finding> {
        let reason = self.credentials.rejected()?;
        let severity = if self.reader == Reader::None && !casskop_reads(kind, context) {
            Severity::Warn
        } else {
            Severity::Deny
        };
        let message = format!(
            "Secret {}: {reason}, so the API server rejects the Secret; write base64 under data, or the text in quotes under \
             stringData",
            self.name
        );
        Some(self.finding(&SECRET_KEY_MALFORMED, Cause::Invalid, severity, message))
    }

    /// Reports missing keys: a denial if the sidecar or CassKop fails without them.
    fn missing_keys(&self, kind: Kind, context: &Context, findings: &mut Findings) {
        let casskop_reads = casskop_reads(kind, context);
        let missing = self.missing(self.required(casskop_reads));
        if !missing.is_empty() {
            let casskop_fails = casskop_reads && missing.iter().any(|key| self.required_by_casskop(*key));
            let severity = if casskop_fails {
                Severity::Deny
            } else {
                self.reader.severity()
            };
            // Only CassKop requires the region here: Icarus may find one in its environment.
            let only_casskop_fails =
                casskop_fails && missing == [Key::AwsRegion] && !self.credentials.has(Key::AwsEndpoint);
            let required_by = if only_casskop_fails {
                "CassKop".to_owned()
            } else {
                format!("{}://", self.provider)
            };
            findings.push(self.missing_keys_finding(&missing, severity, &required_by));
        } else if self.takes_region() && !self.credentials.has(Key::AwsRegion) {
            let message = format!(
                "Secret {} has no awsregion; it works only if the sidecar finds a region by itself",
                self.name
            );
            findings.push(self.finding(&SECRET_KEY_MISSING, Cause::Invalid, Severity::Warn, message));
        }
    }

    fn missing_keys_finding(&self, keys: &[Key], severity: Severity, required_by: &str) -> Finding {
        let keys = keys.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ");
        let (name, provider) = (self.name, self.provider);
        let message = match severity {
            Severity::Deny => {
                format!(
                    "Secret {name} has no {keys}, which {required_by} requires; add the missing keys to the Secret"
                )
            }
            Severity::Warn => format!(
                "Secret {name} has no {keys}, which {provider}:// requires{}",
                self.reader.note()
            ),
        };
        self.finding(&SECRET_KEY_MISSING, Cause::Invalid, severity, message)
    }

    /// Reports values that the sidecar cannot use. It takes values as they are: a line end becomes part of the key.
    fn malformed_values(&self, casskop_reads: bool, findings: &mut Findings) {
        for &key in self.relevant() {
            let Some(defect) = self.credentials.defect(key) else {
                continue;
            };
            let (severity, problem) = match defect {
                // Observed: it retries without an event.
                Defect::Empty if casskop_reads && self.required_by_casskop(key) => (
                    Severity::Deny,
                    "is empty, and CassKop then never begins the backup; write the value",
                ),
                Defect::Empty => (Severity::Warn, "is empty"),
                // Observed: with a line end in the endpoint every operation fails.
                Defect::Padded if key == Key::AwsEndpoint => (
                    self.reader.severity(),
                    "begins or ends with a blank or a line end, which is not valid in an address; remove it",
                ),
                Defect::Padded => (
                    Severity::Warn,
                    "begins or ends with a blank or a line end, which the sidecar takes as part of the value",
                ),
                Defect::NotServiceAccount => (
                    self.reader.severity(),
                    "is not a JSON object with a string `type`; write the JSON document of the service account",
                ),
                Defect::NotEndpoint => (
                    self.reader.severity(),
                    "is not a host, host:port or http(s) URL; write one of these",
                ),
                // With an endpoint the region is that of another store, which may have any name.
                Defect::NotRegion | Defect::UnknownRegion if self.is_given(Key::AwsEndpoint) => continue,
                // Icarus 3 takes its region from its environment.
                Defect::UnknownRegion if self.reader == Reader::None => continue,
                Defect::UnknownRegion => (
                    self.reader.severity(),
                    "is a region that the AWS library of Icarus 1 and 2 does not know, and without awsendpoint every \
                     operation fails; add awsendpoint: https://s3.REGION.amazonaws.com (in China: .amazonaws.com.cn)",
                ),
                Defect::NotRegion => (
                    Severity::Warn,
                    "is not an AWS region, and without awsendpoint the storage is AWS; write an AWS region, for example \
                     eu-west-1",
                ),
            };
            let message = format!("Secret {}: {key} {problem}", self.name);
            findings.push(self.finding(&SECRET_KEY_MALFORMED, Cause::Invalid, severity, message));
        }
    }

    /// Warns about an endpoint with Icarus 3: Esop 3.0.1 reads it and does not apply it, so the data would go to AWS.
    fn unsupported_endpoint(&self, findings: &mut Findings) {
        if self.reader == Reader::None && self.takes_region() && self.credentials.has(Key::AwsEndpoint) {
            let message = format!(
                "Secret {} has awsendpoint, which the cluster's sidecar (Icarus 3 or later) does not support",
                self.name
            );
            findings.push(self.finding(
                &STORAGE_PROVIDER_UNSUPPORTED,
                Cause::NotSupported,
                Severity::Warn,
                message,
            ));
        }
    }

    /// Warns about a complete Secret that the sidecar ignores. The warning about missing keys already says so.
    fn ignored_secret(&self, kind: Kind, context: &Context, findings: &mut Findings) {
        let required = self.required(casskop_reads(kind, context));
        if self.reader != Reader::None || !self.missing(required).is_empty() {
            return;
        }
        let message = format!(
            "the cluster's sidecar (Icarus 3 or later) ignores Secret {}; give the sidecar its credentials in its \
             environment",
            self.name
        );
        let finding = Finding::warn(&SECRET_IGNORED, PATH, Cause::Invalid, message)
            .value(self.name)
            .related_object("Secret", self.name);
        findings.push(redacted(
            finding,
            self.name,
            Some(self.provider),
            self.absent,
            false,
        ));
    }

    /// Returns the required keys. CassKop requires a region for s3; Icarus requires one beside an endpoint.
    fn required(&self, casskop_reads: bool) -> &'static [Key] {
        use Key::{AwsAccessKeyId, AwsEndpoint, AwsRegion, AwsSecretAccessKey};
        let region = self.credentials.has(AwsEndpoint) || (casskop_reads && self.provider == Provider::S3);
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

    /// Returns true if CassKop itself rejects a Secret without `key`, for any sidecar: the keys of gcp and azure, and for
    /// s3 a region beside both access keys or beside an endpoint.
    fn required_by_casskop(&self, key: Key) -> bool {
        let given = |key| self.is_given(key);
        match self.provider {
            Provider::Azure | Provider::Gcp => true,
            Provider::S3 => {
                key == Key::AwsRegion
                    && (given(Key::AwsEndpoint)
                        || (given(Key::AwsAccessKeyId) && given(Key::AwsSecretAccessKey)))
            }
            _ => false,
        }
    }

    /// Returns true if the Secret has a value for the key that is not empty. CassKop takes an empty value for a missing
    /// key.
    fn is_given(&self, key: Key) -> bool {
        self.credentials.has(key) && self.credentials.defect(key) != Some(Defect::Empty)
    }

    fn missing(&self, keys: &[Key]) -> Vec<Key> {
        keys.iter()
            .copied()
            .filter(|key| !self.credentials.has(*key))
            .collect()
    }

    fn takes_region(&self) -> bool {
        matches!(self.provider, Provider::S3 | Provider::Oracle | Provider::Minio)
    }

    /// Returns the keys whose values are checked.
    fn relevant(&self) -> &'static [Key] {
        use Key::{AwsAccessKeyId, AwsEndpoint, AwsRegion, AwsSecretAccessKey};
        if self.takes_region() {
            &[AwsAccessKeyId, AwsSecretAccessKey, AwsRegion, AwsEndpoint]
        } else {
            self.required(true)
        }
    }

    fn finding(&self, rule: &'static Rule, cause: Cause, severity: Severity, message: String) -> Finding {
        let finding = Finding::deny(rule, PATH, cause, message)
            .severity(severity)
            .value(self.name)
            .related_object("Secret", self.name);
        redacted(finding, self.name, Some(self.provider), self.absent, true)
    }
}
