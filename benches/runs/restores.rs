//! The part of a restore that cassgate takes: on a ring of many nodes and on one of few.

use std::time::Duration;

use cassgate::api::CassandraRestore;
use jiff::Timestamp;

use crate::Result;
use crate::figures::{Distribution, Figures};
use crate::gate::Gate;
use crate::one_shots;
use crate::stage::{Ring, Stage};

const FEW: u8 = 2;
const MANY: u8 = 200;

/// Timeout for a restore.
const RUN_TIMEOUT: Duration = Duration::from_mins(3);

/// # Errors
/// An error if a server does not start or a restore does not complete.
pub(crate) async fn measure(count: usize) -> Result<()> {
    let stage = Stage::start(Duration::ZERO).await?;
    stage.namespace("restores").await?;
    let rings = [
        stage.ring("restores", "few", FEW).await?,
        stage.ring("restores", "many", MANY).await?,
    ];
    let gate = Gate::start(&stage)?;
    for ring in &rings {
        stage.back_up(ring, &ring.name, None).await?;
        one_shots::over(&stage, ring, &ring.name).await?;
    }
    let mut times = [Vec::new(), Vec::new()];
    // Alternates, so that other activity of the machine affects both.
    for number in 0..count {
        for (ring, times) in rings.iter().zip(&mut times) {
            times.push(restored(&stage, ring, number).await?);
        }
    }
    let [few, many] = times.map(Distribution::new);
    let mut figures = Figures::new();
    for (nodes, times) in [(FEW, &few), (MANY, &many)] {
        let what = format!("a restore of {nodes} nodes, sidecars that are through at once");
        figures.row(&what, times.words(), "");
    }
    let ratio = many.median() / few.median();
    figures.row("the medians' ratio", format!("{ratio:.2}"), "");
    figures.row(
        &format!("restores of {MANY} nodes: resident memory at most"),
        format!("{:.1} MiB", gate.memory()?.peak),
        "at most 64 MiB",
    );
    figures.print();
    Ok(())
}

async fn restored(stage: &Stage, ring: &Ring, number: usize) -> Result<f64> {
    let name = format!("{}-{number}", ring.name);
    let applied = Timestamp::now();
    stage.restore(ring, &name, &ring.name).await?;
    let done: CassandraRestore = stage
        .until(
            (&ring.namespace, &name),
            RUN_TIMEOUT,
            |restore: &CassandraRestore| {
                let status = restore.status.as_ref();
                status.is_some_and(|status| status.common.time_completed.is_some())
            },
        )
        .await?;
    let common = done.status.unwrap_or_default().common;
    let outcome = common.condition.map(|condition| condition.type_);
    if outcome.as_deref() != Some("COMPLETED") {
        return Err(format!("the restore of {} ended as {outcome:?}", ring.name).into());
    }
    let ended: Timestamp = common.time_completed.unwrap_or_default().parse()?;
    Ok(ended.duration_since(applied).as_secs_f64() * 1_000.0)
}
