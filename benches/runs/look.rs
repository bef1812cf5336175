//! One look at a restore of many nodes while every node downloads: what it takes, and what it costs.
//!
//! A look begins when cassgate reads the restore, and ends with its last request: a question to a sidecar, or a write.

use std::time::Duration;

use cassgate::api::{CassandraRestore, Phase};
use jiff::Timestamp;

use crate::Result;
use crate::figures::{Distribution, Figures};
use crate::gate::Gate;
use crate::one_shots;
use crate::stage::Stage;

/// Time for the begin of the download, and for its end.
const TIMEOUT: Duration = Duration::from_mins(3);

/// # Errors
/// An error if a server does not start, or if the restore does not download or does not complete.
pub(crate) async fn measure(nodes: u8, seconds: u64) -> Result<()> {
    let stage = Stage::start(Duration::ZERO).await?;
    stage.namespace("look").await?;
    let ring = stage.ring("look", "ring", nodes).await?;
    let gate = Gate::start(&stage)?;
    stage.back_up(&ring, &ring.name, None).await?;
    one_shots::over(&stage, &ring, &ring.name).await?;
    let download = Duration::from_secs(seconds) + TIMEOUT / 6;
    stage.sidecars.download_for(download);
    stage.restore(&ring, "monday", &ring.name).await?;
    let place = (ring.namespace.as_str(), "monday");
    let downloads = |restore: &CassandraRestore| {
        let of_restore = restore.status.iter().flat_map(|status| &status.common.nodes);
        let active = of_restore.filter(|node| node.phase() == Some(Phase::Download) && node.is_active());
        active.count() == usize::from(nodes)
    };
    stage.until(place, TIMEOUT, downloads).await?;
    let (before, log, begun) = (gate.usage()?, stage.audit.end()?, Timestamp::now());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let spent = gate.usage()?.since(before);
    let (reads, writes) = stage.audit.times_of(log, "cassandrarestores")?;
    let mut requests = stage.sidecars.questions(begun);
    requests.extend(writes);
    let looks = durations(&reads, &requests);
    let peak = gate.memory()?.peak;
    stage
        .until(place, download + TIMEOUT, |restore: &CassandraRestore| {
            let status = restore.status.as_ref();
            status.is_some_and(|status| status.common.time_completed.is_some())
        })
        .await?;
    let count = u32::try_from(looks.len().max(1))?;
    let mut figures = Figures::new();
    let what = format!("one look at a restore of {nodes} nodes that download");
    figures.row(&what, Distribution::new(looks).words(), "at most 2 000 ms");
    figures.row(
        "the same: of a core",
        format!("{:.0} ms", spent / f64::from(count) * 1_000.0),
        "",
    );
    figures.row(
        "the same: resident memory at most",
        format!("{peak:.1} MiB"),
        "at most 64 MiB",
    );
    figures.print();
    Ok(())
}

/// Returns the time from each read to the last request before the next one, in milliseconds. The last look may not be over.
fn durations(reads: &[Timestamp], requests: &[Timestamp]) -> Vec<f64> {
    let looks = reads.windows(2).filter_map(|pair| {
        let [begin, next] = pair else { return None };
        let of_look = requests.iter().filter(|time| (begin..next).contains(time));
        let last = of_look.max()?;
        Some(last.duration_since(*begin).as_secs_f64() * 1_000.0)
    });
    looks.collect()
}
