//! The cost of idle objects.

use std::time::{Duration, Instant};

use cassgate::api::CassandraBackup;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::Result;
use crate::audit::Requests;
use crate::figures::Figures;
use crate::gate::Gate;
use crate::one_shots;
use crate::stage::Stage;

/// Timeout for the first reconcile of all objects.
const TIMEOUT: Duration = Duration::from_mins(15);

/// Namespaces of the scheduled backups.
const NAMESPACES: usize = 100;

/// A schedule without a slot during the measurement.
const YEARLY: &str = "0 0 29 2 *";

/// Measures finished one-shot backups.
///
/// # Errors
/// An error if a server does not start.
pub(crate) async fn finished(count: usize, seconds: u64) -> Result<()> {
    let stage = Stage::start(Duration::ZERO).await?;
    stage.namespace("shots").await?;
    let ring = stage.ring("shots", "c1", one_shots::NODES).await?;
    let gate = Gate::start(&stage)?;
    stage.back_up(&ring, "first", None).await?;
    let first = one_shots::over(&stage, &ring, "first").await?;
    drop(gate);
    // The status of the first one, as cassgate wrote it, for all others.
    let status = json!({
        "apiVersion": "db.orange.com/v2", "kind": "CassandraBackup", "status": first.status,
    });
    let ours = PatchParams::apply("cassgate").force();
    let store = async |number: usize| -> Result<()> {
        let name = format!("done-{number:05}");
        stage.back_up(&ring, &name, None).await?;
        let api = stage.api::<CassandraBackup>(&ring.namespace);
        api.patch_status(&name, &ours, &Patch::Apply(&status)).await?;
        Ok(())
    };
    stage.all(1..count, store).await?;
    let gate = Gate::start(&stage)?;
    let mut figures = Figures::new();
    let what = format!("{count} finished one-shots at rest");
    let goals = ("below 0.5 %", "at most 40 MiB");
    rest(&stage, &gate, &what, goals, seconds, &mut figures).await?;
    let times = one_shots::begun(&stage, &ring, "late", 30).await?;
    let what = format!("first request of a one-shot in the namespace of those {count}");
    figures.row(&what, times.words(), "");
    figures.print();
    Ok(())
}

/// Measures scheduled backups with distant slots.
///
/// # Errors
/// An error if a server does not start.
pub(crate) async fn scheduled(count: usize, seconds: u64) -> Result<()> {
    let stage = Stage::start(Duration::ZERO).await?;
    let mut rings = Vec::new();
    for number in 0..NAMESPACES {
        let namespace = format!("team-{number:03}");
        stage.namespace(&namespace).await?;
        rings.push(stage.ring(&namespace, "cassandra-demo", 0).await?);
    }
    let gate = Gate::start(&stage)?;
    let (begun, before, log) = (Instant::now(), gate.usage()?, stage.audit.end()?);
    let store = async |number: usize| -> Result<()> {
        let ring = rings.get(number % NAMESPACES).ok_or("no such ring")?;
        let name = format!("nightly-{:04}", number / NAMESPACES);
        stage.back_up(ring, &name, Some(YEARLY)).await
    };
    stage.all(0..count, store).await?;
    let stored = begun.elapsed().as_secs_f64();
    taken_up(&stage, count).await?;
    let asked = stage.audit.since(log)?;
    let mut figures = Figures::new();
    figures.row(
        &format!("{count} scheduled backups in {NAMESPACES} namespaces, created and taken up"),
        format!(
            "{:.0} s (created in {stored:.0} s), {:.1} s of a core, {} reads, {} writes, {} times 429",
            begun.elapsed().as_secs_f64(),
            gate.usage()?.since(before),
            asked.reads,
            asked.writes,
            asked.throttled
        ),
        "",
    );
    let goals = ("below 1 %", "at most 60 MiB");
    let what = format!("{count} scheduled backups at rest, after they came");
    rest(&stage, &gate, &what, goals, seconds, &mut figures).await?;
    drop(gate);
    let gate = Gate::start(&stage)?;
    let what = format!("{count} scheduled backups at rest, after a start");
    rest(&stage, &gate, &what, goals, seconds, &mut figures).await?;
    figures.print();
    Ok(())
}

/// Waits until the status of each backup has its next slot.
async fn taken_up(stage: &Stage, count: usize) -> Result<()> {
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let backups = stage.backups().await?;
        let known = backups.iter().filter(|backup| {
            let status = backup.status.as_ref();
            status.is_some_and(|status| status.next_schedule_time.is_some())
        });
        let known = known.count();
        if known >= count {
            return Ok(());
        }
        if begun.elapsed() > TIMEOUT {
            return Err(format!("{known} of {count} backups say when they are due").into());
        }
    }
}

async fn rest(
    stage: &Stage,
    gate: &Gate,
    what: &str,
    (core, memory): (&str, &str),
    seconds: u64,
    figures: &mut Figures,
) -> Result<()> {
    gate.settles().await?;
    let (begun, before, log) = (Instant::now(), gate.usage()?, stage.audit.end()?);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let share = gate.usage()?.since(before) / begun.elapsed().as_secs_f64();
    let Requests {
        reads,
        writes,
        renewals,
        ..
    } = stage.audit.since(log)?;
    let resident = gate.memory()?;
    let asked = format!("{writes} (and {renewals} renewals of the lease, {reads} reads) in {seconds} s");
    figures.row(&format!("{what}: API writes"), asked, "0");
    figures.row(
        &format!("{what}: of a core"),
        format!("{:.2} %", share * 100.0),
        core,
    );
    figures.row(
        &format!("{what}: resident memory"),
        format!(
            "{:.1} MiB (of these {:.1} no file; at most {:.1})",
            resident.resident, resident.anonymous, resident.peak
        ),
        memory,
    );
    Ok(())
}
