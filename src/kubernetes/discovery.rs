//! Discovery of the status subresources, which shows whose CRDs are installed: CassKop's or ours.
//!
//! CassKop writes status through the main resource. With a status subresource, the API server silently drops such a
//! write, and on the main resource it drops or keeps the status itself.

use std::time::Duration;

use kube::{Client, Error, Resource};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::api::{API_VERSION, CassandraBackup, CassandraRestore};

use super::reason::reason;

/// The timeout of one discovery.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two discoveries. A CRD is replaced by hand, and rarely.
const INTERVAL: Duration = Duration::from_mins(1);

/// The time between two discoveries until both kinds are known.
const INTERVAL_UNTIL_KNOWN: Duration = Duration::from_secs(5);

/// The status subresources of the two kinds.
///
/// `None` if it is unknown: the kind is not served, or no discovery has succeeded yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusSubresources {
    /// True if `CassandraBackup` has one.
    pub backups: Option<bool>,
    /// True if `CassandraRestore` has one.
    pub restores: Option<bool>,
}

/// Asks the API server once. Every authenticated user may discover what is served.
///
/// # Errors
/// Returns an error if the request fails. If the group is not served, both kinds are unknown, which is no error.
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

/// Updates `known` every minute as long as it is polled. A failed discovery keeps the previous value.
pub async fn follow_status_subresources(client: Client, known: watch::Sender<StatusSubresources>) {
    loop {
        match timeout(TIMEOUT, status_subresources(&client)).await {
            Ok(Ok(found)) => update(&known, found),
            Ok(Err(error)) => tracing::debug!(reason = reason(&error), "discovery failed"),
            Err(_) => tracing::debug!("discovery timed out"),
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

fn update(known: &watch::Sender<StatusSubresources>, found: StatusSubresources) {
    known.send_if_modified(|known| {
        let changed = *known != found;
        if changed {
            let StatusSubresources { backups, restores } = found;
            tracing::info!(backups, restores, "status subresources");
            *known = found;
        }
        changed
    });
}
