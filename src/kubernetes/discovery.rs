//! Whether the two kinds have a status subresource: whose CRDs are installed, CassKop's or ours.
//!
//! CassKop writes status through the main resource. Where there is a subresource the API server drops such a write in
//! silence, and it drops or keeps status by itself on the main resource.

use std::time::Duration;

use kube::{Client, Error, Resource};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::api::{API_VERSION, CassandraBackup, CassandraRestore};

use super::reason::reason;

/// How long a discovery may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Between two discoveries. A CRD is replaced by hand, and rarely.
const INTERVAL: Duration = Duration::from_mins(1);

/// Between two discoveries while nothing is known.
const INTERVAL_UNTIL_KNOWN: Duration = Duration::from_secs(5);

/// Which kinds have a status subresource. `None`: not known; the kind is not served, or the API server was never
/// asked with success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusSubresources {
    /// `CassandraBackup`.
    pub backups: Option<bool>,
    /// `CassandraRestore`.
    pub restores: Option<bool>,
}

/// Asks the API server once. It needs no right: every authenticated user may discover what is served.
///
/// # Errors
/// The API server cannot be asked. That the group is not served is an answer: nothing is known of either kind.
pub async fn status_subresources(client: &Client) -> Result<StatusSubresources, Error> {
    let served = match client.list_api_group_resources(API_VERSION).await {
        Ok(list) => list.resources,
        Err(Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => return Err(error),
    };
    let is_served = |name: &str| served.iter().any(|resource| resource.name == name);
    let has_status = |plural: &str| is_served(plural).then(|| is_served(&format!("{plural}/status")));
    Ok(StatusSubresources {
        backups: has_status(&CassandraBackup::plural(&())),
        restores: has_status(&CassandraRestore::plural(&())),
    })
}

/// Keeps `known` up to date, every minute, for as long as it is polled. What was known stays when the API server
/// cannot be asked.
pub async fn follow_status_subresources(client: Client, known: watch::Sender<StatusSubresources>) {
    loop {
        match timeout(TIMEOUT, status_subresources(&client)).await {
            Ok(Ok(found)) => note(&known, found),
            Ok(Err(error)) => tracing::debug!(reason = reason(&error), "discovery failed"),
            Err(_) => tracing::debug!("discovery takes too long"),
        }
        let complete = matches!(
            *known.borrow(),
            StatusSubresources {
                backups: Some(_),
                restores: Some(_)
            }
        );
        sleep(if complete { INTERVAL } else { INTERVAL_UNTIL_KNOWN }).await;
    }
}

fn note(known: &watch::Sender<StatusSubresources>, found: StatusSubresources) {
    known.send_if_modified(|known| {
        let changed = *known != found;
        if changed {
            let StatusSubresources { backups, restores } = found;
            tracing::info!(?backups, ?restores, "status subresources");
            *known = found;
        }
        changed
    });
}
