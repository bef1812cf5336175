//! Time from the slot of a schedule to the first request, for backups that are due one at a time.

use std::time::Duration;

use cassgate::api::CassandraBackup;

use crate::Result;
use crate::figures::{Distribution, Figures};
use crate::gate::Gate;
use crate::stage::Stage;

/// Interval between two of them.
const INTERVAL: Duration = Duration::from_millis(2_100);

/// The schedule of each.
const SCHEDULE: &str = "@every 2m";

/// Delay after which a slot counts as lost.
const TIMEOUT: Duration = Duration::from_mins(5);

/// # Errors
/// An error if a server does not start or a backup does not begin.
pub(crate) async fn measure(count: usize) -> Result<()> {
    let stage = Stage::start(Duration::ZERO).await?;
    stage.namespace("lag").await?;
    let mut rings = Vec::new();
    for number in 0..count {
        rings.push(stage.ring("lag", &format!("cassandra-{number:03}"), 1).await?);
    }
    let _gate = Gate::start(&stage)?;
    let mut lags = Vec::new();
    let mut due = Vec::new();
    for ring in &rings {
        stage.back_up(ring, &ring.name, Some(SCHEDULE)).await?;
        let armed: CassandraBackup = stage
            .until(
                (&ring.namespace, &ring.name),
                TIMEOUT,
                |backup: &CassandraBackup| {
                    let status = backup.status.as_ref();
                    status.is_some_and(|status| status.next_schedule_time.is_some())
                },
            )
            .await?;
        let next = armed.status.and_then(|status| status.next_schedule_time);
        due.push(next.ok_or("no time")?.0);
        tokio::time::sleep(INTERVAL).await;
    }
    for (ring, slot) in rings.iter().zip(due) {
        let post = stage
            .sidecars
            .backed_up(&format!("{}-", ring.name), TIMEOUT)
            .await?;
        lags.push(post.at.duration_since(slot).as_secs_f64() * 1_000.0);
    }
    let mut figures = Figures::new();
    let what = "from the time of a schedule to its first request, one at a time";
    figures.row(what, Distribution::new(lags).words(), "");
    figures.print();
    Ok(())
}
