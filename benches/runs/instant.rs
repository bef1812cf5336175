//! Many backups that are due at one instant: their start times and order, and the requests to the API server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cassgate::api::CassandraBackup;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::Result;
use crate::audit::Requests;
use crate::figures::{Distribution, Figures};
use crate::gate::Gate;
use crate::sidecars::Post;
use crate::stage::{Ring, Stage};

/// Duration of a backup in a sidecar.
const BACKUP_DURATION: Duration = Duration::from_secs(1);

/// Timeout after which the remaining runs count as lost.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Time between creation and the due instant.
const LEAD_TIME: SignedDuration = SignedDuration::from_secs(70);

/// # Errors
/// An error if a server does not start.
pub(crate) async fn measure(count: usize, clusters: usize, one_namespace: bool) -> Result<()> {
    let clusters = clusters.clamp(1, count.max(1));
    let stage = Stage::start(BACKUP_DURATION).await?;
    let rings = rings(&stage, clusters, one_namespace).await?;
    let gate = Gate::start(&stage)?;
    let slot = Timestamp::from_second((Timestamp::now() + LEAD_TIME).as_second().div_euclid(60) * 60 + 60)?;
    let schedule = slot.strftime("%M %H %d %m *").to_string();
    let store = async |number: usize| -> Result<()> {
        let ring = rings.get(number % clusters).ok_or("no such ring")?;
        stage.back_up(ring, &name(number), Some(&schedule)).await
    };
    stage.all(0..count, store).await?;
    let left = slot.duration_since(Timestamp::now()).as_secs_f64() - 1.0;
    tokio::time::sleep(Duration::try_from_secs_f64(left).unwrap_or_default()).await;
    let (before, log, begun) = (gate.usage()?, stage.audit.end()?, Instant::now());
    let ended = loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let backups = stage.backups().await?;
        let ended = backups.iter().filter(|backup| has_run(backup)).count();
        if ended >= count || begun.elapsed() > TIMEOUT {
            break backups;
        }
    };
    let asked = stage.audit.since(log)?;
    let mut figures = Figures::new();
    tell(&ended, &stage.sidecars.posts(), (slot, clusters), &mut figures);
    tell_cost(
        (asked, count),
        gate.usage()?.since(before),
        gate.memory()?.peak,
        &mut figures,
    );
    figures.print();
    Ok(())
}

fn name(number: usize) -> String {
    format!("due-{number:05}")
}

async fn rings(stage: &Stage, clusters: usize, one_namespace: bool) -> Result<Vec<Ring>> {
    let mut rings = Vec::new();
    for number in 0..clusters {
        let place = if one_namespace { 0 } else { number };
        let namespace = format!("team-{place:03}");
        if number == place {
            stage.namespace(&namespace).await?;
        }
        rings.push(
            stage
                .ring(&namespace, &format!("cassandra-{number:03}"), 1)
                .await?,
        );
    }
    Ok(rings)
}

fn has_run(backup: &CassandraBackup) -> bool {
    let history = backup.status.as_ref().map(|status| status.history.as_slice());
    history
        .unwrap_or_default()
        .iter()
        .any(|run| run.outcome == "COMPLETED")
}

fn tell(
    backups: &[CassandraBackup],
    posts: &[Post],
    (slot, clusters): (Timestamp, usize),
    figures: &mut Figures,
) {
    let posts: Vec<_> = posts.iter().filter(|post| post.tag.is_some()).collect();
    let due = |post: &&Post| name_of(post).to_owned();
    let begun: BTreeSet<String> = posts.iter().map(due).collect();
    let after = |time: Timestamp| time.duration_since(slot).as_secs_f64();
    let lags = Distribution::new(posts.iter().map(|post| after(post.at) * 1_000.0));
    let last = posts.iter().map(|post| after(post.ends)).fold(0.0, f64::max);
    let each = backups.len().div_ceil(clusters);
    let what = format!(
        "{} backups of {clusters} clusters due at one instant",
        backups.len()
    );
    let shortest = u32::try_from(each).unwrap_or(u32::MAX) * BACKUP_DURATION;
    figures.row(
        &format!("{what}: the last one through"),
        format!("{last:.1} s after"),
        &format!(
            "at most {:.0} s, twice what the sidecars take",
            2.0 * shortest.as_secs_f64()
        ),
    );
    figures.row(&format!("{what}: begun after"), lags.words(), "");
    let mut first: BTreeMap<usize, f64> = BTreeMap::new();
    for post in &posts {
        let earliest = first.entry(post.ring).or_insert(f64::INFINITY);
        *earliest = earliest.min(after(post.at) * 1_000.0);
    }
    let firsts = Distribution::new(first.into_values());
    figures.row(
        &format!("{what}: the first of each cluster after"),
        firsts.words(),
        "",
    );
    figures.row(
        &format!("{what}: lost, begun twice, beside another, out of order"),
        format!(
            "{}, {}, {}, {}",
            backups.len() - begun.len().min(backups.len()),
            posts.len() - begun.len(),
            overlaps(&posts),
            order_violations(&posts, backups)
        ),
        "0, 0, 0, 0",
    );
}

fn tell_cost((asked, runs): (Requests, usize), seconds: f64, peak: f64, figures: &mut Figures) {
    let Requests {
        reads,
        writes,
        events,
        throttled,
        ..
    } = asked;
    figures.row(
        "the same: API reads, writes (of these events)",
        format!("{reads}, {writes} ({events})"),
        &format!(
            "at most {} and {}: 8.7 and 4.2 a run",
            runs.saturating_mul(87) / 10,
            runs.saturating_mul(42) / 10
        ),
    );
    figures.row("the same: answered with 429", throttled.to_string(), "0");
    figures.row(
        "the same: core, resident memory at most",
        format!("{seconds:.1} s, {peak:.1} MiB"),
        "",
    );
}

/// The tag is the name, followed by schema and time.
fn name_of(post: &Post) -> &str {
    post.tag
        .as_deref()
        .and_then(|tag| tag.get(..name(0).len()))
        .unwrap_or_default()
}

fn by_ring<'a>(posts: &[&'a Post]) -> BTreeMap<usize, Vec<&'a Post>> {
    let mut rings: BTreeMap<usize, Vec<&Post>> = BTreeMap::new();
    for post in posts {
        rings.entry(post.ring).or_default().push(post);
    }
    rings
}

/// Counts the runs of a cluster that began before the previous one had ended.
fn overlaps(posts: &[&Post]) -> usize {
    let rings = by_ring(posts);
    let pairs = rings.values().flat_map(|posts| posts.windows(2));
    pairs
        .filter(|pair| matches!(pair, [one, next] if next.at < one.ends))
        .count()
}

/// Counts the runs of a cluster that began before one that was created earlier.
fn order_violations(posts: &[&Post], backups: &[CassandraBackup]) -> usize {
    let created: BTreeMap<_, _> = backups
        .iter()
        .map(|backup| {
            let created = backup.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (backup.name_any(), created)
        })
        .collect();
    let place = |post: &Post| {
        (
            created.get(name_of(post)).copied().flatten(),
            name_of(post).to_owned(),
        )
    };
    let rings = by_ring(posts);
    let pairs = rings.values().flat_map(|posts| posts.windows(2));
    pairs
        .filter(|pair| matches!(pair, [one, next] if place(next) < place(one)))
        .count()
}
