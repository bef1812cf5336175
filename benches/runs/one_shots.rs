//! Time from the apply of a one-shot backup to the first request to a sidecar.

use std::time::Duration;

use cassgate::api::CassandraBackup;
use jiff::Timestamp;

use crate::Result;
use crate::figures::{Distribution, Figures};
use crate::gate::Gate;
use crate::stage::{Ring, Stage};

/// Timeout for a run.
const RUN_TIMEOUT: Duration = Duration::from_mins(2);

/// Nodes of the ring.
pub(crate) const NODES: u8 = 3;

/// # Errors
/// An error if a server does not start or a backup fails.
pub(crate) async fn measure(shots: usize) -> Result<()> {
    let stage = Stage::start(Duration::ZERO).await?;
    stage.namespace("shots").await?;
    let ring = stage.ring("shots", "c1", NODES).await?;
    let gate = Gate::start(&stage)?;
    let times = begun(&stage, &ring, "shot", shots).await?;
    let mut figures = Figures::new();
    let what = "from apply to the first request of a one-shot, sidecars that answer at once";
    figures.row(what, times.words(), "median at most 50 ms");
    figures.row(
        "the same, resident memory at most",
        format!("{:.1} MiB", gate.memory()?.peak),
        "",
    );
    figures.print();
    Ok(())
}

/// Runs backups one after another and returns the time of each until its first request.
///
/// # Errors
/// An error if a backup does not begin or does not end.
pub(crate) async fn begun(stage: &Stage, ring: &Ring, prefix: &str, count: usize) -> Result<Distribution> {
    let mut times = Vec::new();
    for number in 0..count {
        let name = format!("{prefix}-{number:04}");
        let applied = Timestamp::now();
        stage.back_up(ring, &name, None).await?;
        let post = stage.sidecars.backed_up(&format!("{name}-"), RUN_TIMEOUT).await?;
        times.push(post.at.duration_since(applied).as_secs_f64() * 1_000.0);
        over(stage, ring, &name).await?;
    }
    Ok(Distribution::new(times))
}

/// Runs a backup to its end and returns it.
///
/// # Errors
/// An error if it does not complete.
pub(crate) async fn over(stage: &Stage, ring: &Ring, name: &str) -> Result<CassandraBackup> {
    stage
        .until(
            (&ring.namespace, name),
            RUN_TIMEOUT,
            |backup: &CassandraBackup| {
                let condition = backup
                    .status
                    .as_ref()
                    .and_then(|status| status.common.condition.as_ref());
                condition.is_some_and(|condition| condition.type_ == "COMPLETED")
            },
        )
        .await
}
