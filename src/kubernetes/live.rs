//! Reads for one request, straight from the API server.
//!
//! Only an answer that names the object as not found is [`Reference::Absent`]. A missing right, a CRD that is not
//! installed, a 404 of something in between, a breakdown: [`Reference::Unknown`].

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Client, Error, Resource,
    api::GetParams,
    core::{Request, Status},
};
use serde::Deserialize;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::domain::credentials::Credentials;
use crate::domain::object_name::is_object_name;
use crate::rules::facts::Reference;
use crate::telemetry::metrics::{Metrics, ReadKind, ReadOutcome};

use super::kind::WatchedKind;
use super::reason::{UNREADABLE, is_transient, reason};

/// The `ClusterRole` that allows to read Secrets and nothing else. Where cassgate may not read those of a namespace,
/// the warning names the command that binds it there.
pub const SECRETS_ROLE: &str = "cassgate-secrets";

/// A read takes this long at most, its attempts and the wait for its turn included. A review has a deadline of its
/// own, which may be shorter; this one keeps a read that several reviews share from hanging for ever.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Pauses before another attempt where the answer may be another one a moment later: etcd changes its leader, an API
/// server restarts. Without them such a moment would turn a refusal into a warning.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Reads at the same time. kube speaks HTTP/1.1, where each needs a connection of its own; hundreds of applies at
/// once must not open hundreds.
const READS_AT_ONCE: usize = 32;

/// Reads objects by name. A clone is another handle to the same connections, limit and metrics.
#[derive(Clone)]
pub(super) struct LiveReads {
    pub(super) client: Client,
    pub(super) turns: Arc<Semaphore>,
    pub(super) metrics: Metrics,
}

/// Why an object could not be read.
enum Unread {
    /// No object can have this name, or none of its namespace.
    NotAName,
    /// [`READ_TIMEOUT`] is over.
    TimedOut,
    /// A 404 that is not about the object.
    NoSuchKind,
    /// cassgate lacks the right.
    Forbidden(Box<Status>),
    /// Anything else.
    Failed(Error),
}

/// Counts a read when it is dropped. One that is given up half way has learnt nothing.
struct Counted<'a> {
    metrics: &'a Metrics,
    kind: ReadKind,
    outcome: ReadOutcome,
}

/// The part of any object that says which one it is.
#[derive(Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// The part of a Secret that is looked at. It lives as long as that takes, and has no `Debug`.
#[derive(Deserialize)]
struct SecretData {
    data: Option<BTreeMap<String, ByteString>>,
}

impl LiveReads {
    pub(super) fn new(client: Client, metrics: Metrics) -> Self {
        Self {
            client,
            turns: Arc::new(Semaphore::new(READS_AT_ONCE)),
            metrics,
        }
    }

    /// What the rules need of an object. One that is in no namespace has an empty one.
    pub(super) async fn object<K: WatchedKind>(&self, namespace: &str, name: &str) -> Reference<K::Fact> {
        self.read::<K, _>(K::READ, namespace, name, object::<K>).await
    }

    /// The keys of a Secret and what is wrong with their values.
    pub(super) async fn secret(&self, namespace: &str, name: &str) -> Reference<Credentials> {
        self.read::<Secret, _>(ReadKind::Secret, namespace, name, credentials)
            .await
    }

    async fn read<K: Resource<DynamicType = ()>, T>(
        &self,
        kind: ReadKind,
        namespace: &str,
        name: &str,
        decode: fn(&str) -> Result<T, String>,
    ) -> Reference<T> {
        let mut counted = Counted {
            metrics: &self.metrics,
            kind,
            outcome: ReadOutcome::Unknown,
        };
        let text = timeout(READ_TIMEOUT, self.get::<K>(kind, namespace, name)).await;
        let reference = match text.unwrap_or(Err(Unread::TimedOut)) {
            Ok(Some(text)) if is_about(&text, name) => {
                decode(&text).map_or_else(Reference::Unknown, Reference::Found)
            }
            Ok(Some(_)) => Reference::Unknown(UNREADABLE.to_owned()),
            Ok(None) => Reference::Absent,
            Err(unread) => Reference::Unknown(unread.text::<K>(kind, namespace)),
        };
        counted.outcome = outcome(&reference);
        tracing::debug!(
            kind = kind.as_str(),
            namespace,
            name,
            outcome = counted.outcome.as_str(),
            "live read"
        );
        reference
    }

    /// The object as JSON; nothing: it is not there.
    async fn get<K: Resource<DynamicType = ()>>(
        &self,
        kind: ReadKind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<String>, Unread> {
        // Only what the API server keeps outside of namespaces is asked for without one.
        let inside = Some(namespace).filter(|namespace| kind != ReadKind::Namespace || !namespace.is_empty());
        if inside.is_some_and(|namespace| !is_object_name(namespace)) || !is_object_name(name) {
            return Err(Unread::NotAName);
        }
        let path = Request::new(K::url_path(&(), inside));
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await;
        for pause in PAUSES {
            match self.attempt(&path, name).await {
                Err(error) if is_transient(&error) => sleep(pause).await,
                answer => return judged(answer, name),
            }
        }
        judged(self.attempt(&path, name).await, name)
    }

    /// One GET, without a resource version: the API server then answers with what is stored now, not from its cache.
    ///
    /// It asks for text. Where kube decodes itself it logs an answer that it cannot decode, whole.
    async fn attempt(&self, path: &Request, name: &str) -> Result<String, Error> {
        let request = path
            .get(name, &GetParams::default())
            .map_err(Error::BuildRequest)?;
        self.client.request_text(request).await
    }
}

impl Unread {
    fn text<K: Resource<DynamicType = ()>>(&self, kind: ReadKind, namespace: &str) -> String {
        match self {
            Self::NotAName => "no object can have this name".to_owned(),
            Self::TimedOut => format!(
                "the API server did not answer within {} s",
                READ_TIMEOUT.as_secs()
            ),
            Self::NoSuchKind => format!(
                "the API server does not know the kind {}; is its CRD installed?",
                K::kind(&())
            ),
            Self::Forbidden(status) if kind == ReadKind::Secret => secrets_forbidden(status, namespace),
            Self::Forbidden(_) if namespace.is_empty() => {
                format!("cassgate may not get {} (403)", K::plural(&()))
            }
            Self::Forbidden(_) => {
                format!(
                    "cassgate may not get {} in namespace {namespace} (403)",
                    K::plural(&())
                )
            }
            Self::Failed(error) => reason(error),
        }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.metrics.live_read(self.kind, self.outcome);
    }
}

fn judged(answer: Result<String, Error>, name: &str) -> Result<Option<String>, Unread> {
    match answer {
        Ok(text) => Ok(Some(text)),
        Err(Error::Api(status)) if status.code == 404 => {
            let missing = status.details.as_ref().map(|details| details.name.as_str());
            if status.reason == "NotFound" && missing == Some(name) {
                Ok(None)
            } else {
                Err(Unread::NoSuchKind)
            }
        }
        Err(Error::Api(status)) if status.is_forbidden() => Err(Unread::Forbidden(status)),
        Err(error) => Err(Unread::Failed(error)),
    }
}

fn is_about(text: &str, name: &str) -> bool {
    serde_json::from_str::<Named>(text).is_ok_and(|object| object.metadata.name == name)
}

fn object<K: WatchedKind>(text: &str) -> Result<K::Fact, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json)
        .map(|object: K| object.fact())
        .map_err(|error| format!("the stored {} cannot be read: {}", K::kind(&()), error.path()))
}

/// Neither the error nor its path is told: the one may quote a value, the other names a key that is there.
fn credentials(text: &str) -> Result<Credentials, String> {
    let secret: SecretData = serde_json::from_str(text).map_err(|_| UNREADABLE.to_owned())?;
    let entries = secret.data.unwrap_or_default();
    Ok(Credentials::read(
        entries
            .iter()
            .map(|(key, value)| (key.as_str(), value.0.as_slice())),
    ))
}

fn outcome<T>(reference: &Reference<T>) -> ReadOutcome {
    match reference {
        Reference::Found(_) => ReadOutcome::Found,
        Reference::Absent => ReadOutcome::Absent,
        Reference::Unknown(_) => ReadOutcome::Unknown,
    }
}

/// The warning has to fit into about two hundred characters, so it is the command and little else.
fn secrets_forbidden(status: &Status, namespace: &str) -> String {
    match service_account(&status.message) {
        Some((home, account)) => format!(
            "cassgate may not read it; allow it: kubectl -n {namespace} create rolebinding {SECRETS_ROLE} \
             --clusterrole={SECRETS_ROLE} --serviceaccount={home}:{account}"
        ),
        None => format!("cassgate's user may not get secrets in namespace {namespace} (403)"),
    }
}

/// Namespace and name of the service account that the API server's refusal is about. Source: the text of its RBAC
/// authorizer, `… is forbidden: User "system:serviceaccount:NAMESPACE:NAME" cannot get …`.
fn service_account(refusal: &str) -> Option<(&str, &str)> {
    let (_, from) = refusal.split_once("\"system:serviceaccount:")?;
    let (account, _) = from.split_once('"')?;
    account
        .split_once(':')
        .filter(|(namespace, name)| is_object_name(namespace) && is_object_name(name))
}
