//! Live reads from the API server.
//!
//! Only an answer that names the object as not found is [`Reference::Absent`]. A missing right, a missing CRD, a 404 of
//! a proxy and every other error are [`Reference::Unknown`].

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Client, Error, Resource,
    api::GetParams,
    core::{Request, Status},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use crate::domain::credentials::Credentials;
use crate::domain::object_name::is_object_name;
use crate::rules::facts::{NO_TURN, Reference};
use crate::telemetry::metrics::{Metrics, ReadKind, ReadOutcome};

use super::kind::WatchedKind;
use super::read_turns::{ReadTurns, Turn};
use super::reason::{UNREADABLE, is_transient, reason};

/// The `ClusterRole` that grants reading Secrets and nothing else.
///
/// If cassgate may not read the Secrets of a namespace, the warning contains the command that binds this role there.
pub const SECRETS_ROLE: &str = "cassgate-secrets";

/// The timeout of a read, including its attempts and the wait for its turn.
///
/// A review has its own deadline, which may be shorter. This one bounds a read that several reviews share.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The reason of a request without an answer.
const NO_ANSWER: &str = "the API server did not answer in time";

/// The delays before the second and the third attempt after a transient error: etcd changes its leader, or an API
/// server restarts. Without them such a moment would turn a denial into a warning.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Reads objects by name. Clones share connections, turns and metrics.
#[derive(Clone)]
pub(super) struct LiveReads {
    pub(super) client: Client,
    pub(super) turns: ReadTurns,
    pub(super) metrics: Metrics,
}

/// An error of a read.
pub(super) enum ReadError {
    /// The name or the namespace is not valid.
    InvalidName,
    /// [`READ_TIMEOUT`] has passed.
    TimedOut,
    /// [`READ_TIMEOUT`] has passed, and this read waited for its turn while the API server answered others.
    NoTurn,
    /// A 404 that is not about the object.
    NoSuchKind,
    /// cassgate has no right to read it.
    Forbidden(Box<Status>),
    /// Any other error.
    Failed(Error),
}

/// Counts a read when it is dropped. A cancelled read counts as unknown.
struct ReadCounter<'a> {
    metrics: &'a Metrics,
    kind: ReadKind,
    outcome: ReadOutcome,
}

/// The name of any object.
#[derive(Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// The data of a Secret. It is dropped right after the check and has no `Debug`, so that values cannot leak.
#[derive(Deserialize)]
struct SecretData {
    data: Option<BTreeMap<String, ByteString>>,
}

impl LiveReads {
    pub(super) fn new(client: Client, metrics: Metrics) -> Self {
        Self {
            client,
            turns: ReadTurns::default(),
            metrics,
        }
    }

    /// Reads the fact of an object. `namespace` is empty for a kind without namespaces.
    pub(super) async fn object<K: WatchedKind>(&self, namespace: &str, name: &str) -> Reference<K::Fact> {
        self.read::<K, _>(K::READ, namespace, name, object::<K>).await
    }

    /// Reads an object whole.
    pub(super) async fn whole<K: WatchedKind>(&self, namespace: &str, name: &str) -> Reference<Value> {
        let decode = |text: &str| serde_json::from_str(text).map_err(|_| UNREADABLE.to_owned());
        self.read::<K, _>(K::READ, namespace, name, decode).await
    }

    /// Reads the key names of a Secret and the defects of their values.
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
        let mut counter = ReadCounter {
            metrics: &self.metrics,
            kind,
            outcome: ReadOutcome::Unknown,
        };
        let reference = match self.get::<K>(kind, namespace, name).await {
            Ok(Some(text)) if is_about(&text, name) => {
                decode(&text).map_or_else(Reference::Unknown, Reference::Found)
            }
            Ok(Some(_)) => Reference::Unknown(UNREADABLE.to_owned()),
            Ok(None) => Reference::Absent,
            Err(error) => Reference::Unknown(error.reason::<K>(kind, namespace)),
        };
        counter.outcome = outcome(&reference);
        tracing::debug!(
            kind = kind.as_str(),
            namespace,
            name,
            outcome = counter.outcome.as_str(),
            "live read"
        );
        reference
    }

    /// Returns the object as JSON; `None` if it does not exist.
    async fn get<K: Resource<DynamicType = ()>>(
        &self,
        kind: ReadKind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<String>, ReadError> {
        // Only a kind without namespaces is read without one.
        let inside = Some(namespace).filter(|namespace| kind != ReadKind::Namespace || !namespace.is_empty());
        if inside.is_some_and(|namespace| !is_object_name(namespace)) || !is_object_name(name) {
            return Err(ReadError::InvalidName);
        }
        let path = Request::new(K::url_path(&(), inside));
        let attempts = self.attempts(&path, name);
        let answer = self.in_turn(inside.unwrap_or(name), attempts).await?;
        classify(answer, name)
    }

    /// Sends a request for a review of this namespace when its turn has come, and returns the answer of the API server.
    ///
    /// # Errors
    /// Returns [`ReadError::NoTurn`] or [`ReadError::TimedOut`] if there is no answer within [`READ_TIMEOUT`].
    pub(super) async fn in_turn<T>(
        &self,
        namespace: &str,
        request: impl Future<Output = T>,
    ) -> Result<T, ReadError> {
        let deadline = Instant::now() + READ_TIMEOUT;
        let turn = self.turn(namespace, deadline).await?;
        let answer = timeout_at(deadline, request).await;
        let answer = answer.map_err(|_| ReadError::timeout_of(&turn))?;
        self.turns.answered();
        Ok(answer)
    }

    /// Waits for the turn of a read of this namespace.
    async fn turn(&self, namespace: &str, deadline: Instant) -> Result<Turn, ReadError> {
        let begun = Instant::now();
        match timeout_at(deadline, self.turns.wait(namespace)).await {
            Ok(Some(turn)) => Ok(turn),
            _ if self.turns.answered_since(begun) => Err(ReadError::NoTurn),
            _ => Err(ReadError::TimedOut),
        }
    }

    /// Sends a read until it has an answer that is not a transient error, at most three times.
    async fn attempts(&self, path: &Request, name: &str) -> Result<String, Error> {
        for delay in RETRY_DELAYS {
            match self.attempt(path, name).await {
                Err(error) if is_transient(&error) => sleep(delay).await,
                answer => return answer,
            }
        }
        self.attempt(path, name).await
    }

    /// Sends one GET without a resource version, so that the API server answers from etcd and not from its cache.
    ///
    /// Requests text, because kube logs the whole body of an answer that it cannot decode, which may be a Secret.
    async fn attempt(&self, path: &Request, name: &str) -> Result<String, Error> {
        let request = path
            .get(name, &GetParams::default())
            .map_err(Error::BuildRequest)?;
        self.client.request_text(request).await
    }
}

impl ReadError {
    /// Returns the error of a read that had this turn and no answer in time.
    fn timeout_of(turn: &Turn) -> Self {
        if turn.is_late {
            Self::NoTurn
        } else {
            Self::TimedOut
        }
    }

    /// Returns the reason of a request whose turn did not come, or that has no answer in time.
    pub(super) fn no_answer(&self) -> String {
        let reason = if matches!(self, Self::NoTurn) {
            NO_TURN
        } else {
            NO_ANSWER
        };
        reason.to_owned()
    }

    fn reason<K: Resource<DynamicType = ()>>(&self, kind: ReadKind, namespace: &str) -> String {
        match self {
            Self::InvalidName => "no object can have this name".to_owned(),
            Self::TimedOut => format!(
                "the API server did not answer within {} s",
                READ_TIMEOUT.as_secs()
            ),
            Self::NoTurn => NO_TURN.to_owned(),
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

impl Drop for ReadCounter<'_> {
    fn drop(&mut self) {
        self.metrics.live_read(self.kind, self.outcome);
    }
}

fn classify(answer: Result<String, Error>, name: &str) -> Result<Option<String>, ReadError> {
    match answer {
        Ok(text) => Ok(Some(text)),
        Err(Error::Api(status)) if status.code == 404 => {
            let missing = status.details.as_ref().map(|details| details.name.as_str());
            if status.reason == "NotFound" && missing == Some(name) {
                Ok(None)
            } else {
                Err(ReadError::NoSuchKind)
            }
        }
        Err(Error::Api(status)) if status.is_forbidden() => Err(ReadError::Forbidden(status)),
        Err(error) => Err(ReadError::Failed(error)),
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

/// Decodes a Secret. The error has no details: serde may quote a value, and its path names a key.
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

/// Returns the reason for a forbidden Secret. A warning has about two hundred characters, so this is mostly the command.
fn secrets_forbidden(status: &Status, namespace: &str) -> String {
    match service_account(&status.message) {
        Some((home, account)) => format!(
            "cassgate may not read it; allow it: kubectl -n {namespace} create rolebinding {SECRETS_ROLE} \
             --clusterrole={SECRETS_ROLE} --serviceaccount={home}:{account}"
        ),
        None => format!("cassgate's user may not get secrets in namespace {namespace} (403)"),
    }
}

/// Returns the namespace and the name of the service account in the message of a 403.
///
/// Source: the text of the RBAC authorizer, `… is forbidden: User "system:serviceaccount:NAMESPACE:NAME" cannot get …`.
fn service_account(message: &str) -> Option<(&str, &str)> {
    let (_, from) = message.split_once("\"system:serviceaccount:")?;
    let (account, _) = from.split_once('"')?;
    account
        .split_once(':')
        .filter(|(namespace, name)| is_object_name(namespace) && is_object_name(name))
}
