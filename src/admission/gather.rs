//! One request's facts: what its object names, asked for at once and within the request's budget.

use tokio::time::{Instant, timeout_at};

use crate::domain::object_name::is_object_name;
use crate::domain::storage::Provider;
use crate::rules::facts::{FactSource, Facts, Freshness, Pending, Reference, StoredBackup};
use crate::rules::subject::Subject;

/// Asks `source` for what one request may rest on.
#[derive(Clone, Copy)]
pub(super) struct Gather<'a> {
    /// Who knows.
    pub(super) source: &'a dyn FactSource,
    /// Where the object is.
    pub(super) namespace: &'a str,
    /// What has not come by then is unknown.
    pub(super) deadline: Instant,
}

impl Gather<'_> {
    /// Everything that `subject` names.
    ///
    /// Names that no object can have are not looked up; the rules refuse them. A restore that names no Secret uses
    /// its backup's, so that one is asked for in a second round.
    pub(super) async fn facts(self, subject: &Subject, freshness: Freshness) -> Facts {
        let own = subject.secret(None);
        let (cluster, backup, secret) = tokio::join!(
            self.look_up(Some(subject.cluster()), |name| self.source.cluster(
                self.namespace,
                name,
                freshness
            )),
            async { self.backup(subject.backup()?, freshness).await },
            self.look_up(own.filter(|_| needs_secret(subject)), |name| {
                self.source.secret(self.namespace, name, freshness)
            }),
        );
        let mut facts = Facts {
            cluster,
            backup,
            secret,
        };
        if own.is_none() && subject.provider(facts.found_backup()) != Some(Provider::File) {
            let inherited = subject.secret(facts.found_backup());
            facts.secret = self
                .look_up(inherited, |name| {
                    self.source.secret(self.namespace, name, freshness)
                })
                .await;
        }
        facts
    }

    /// The backup of this name; `None` when no backup can have it.
    pub(super) async fn backup(self, name: &str, freshness: Freshness) -> Option<Reference<StoredBackup>> {
        self.look_up(Some(name), |name| {
            self.source.backup(self.namespace, name, freshness)
        })
        .await
    }

    async fn look_up<'n, T>(
        self,
        name: Option<&'n str>,
        ask: impl FnOnce(&'n str) -> Pending<'n, T>,
    ) -> Option<Reference<T>> {
        let answer = ask(name.filter(|name| is_object_name(name))?);
        Some(timeout_at(self.deadline, answer).await.unwrap_or_else(|_| {
            Reference::Unknown("the API server did not answer within the time of this request".to_owned())
        }))
    }
}

fn needs_secret(subject: &Subject) -> bool {
    subject.provider(None) != Some(Provider::File)
}
