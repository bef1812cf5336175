//! What the next run of a schedule needs, judged before that is due: conditions, and one event a change. Pure.
//!
//! What was told is read back out of the conditions. So a look that finds what the last one found writes nothing and
//! says nothing, and neither does the run that is due later and waits for the same.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::builder::PlanBuilder;
use super::conditions::{self, Progress};
use super::schedule::{self, NextRun};
use super::{Observation, Wait, prune};
use crate::api::conditions::{READY, STALLED};
use crate::api::{BackRestStatus, CassandraBackup, Reason};
use crate::rules::catalogue::{BACKUP_NOT_FOUND, CLUSTER_NOT_FOUND, Rule, SECRET_NOT_FOUND};
use crate::rules::finding::{Finding, Findings};

/// How many seconds pass between two looks at what a backup needs.
const PACE: i64 = 600;

/// What the rules say of something that is named and is not there, and the reason of the condition.
static MISSING: [(&Rule, Reason); 3] = [
    (&CLUSTER_NOT_FOUND, Reason::ClusterNotFound),
    (&BACKUP_NOT_FOUND, Reason::BackupNotFound),
    (&SECRET_NOT_FOUND, Reason::SecretNotFound),
];

/// What the rules say of an object that is stored: whether its run would begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// What it names and is not there. `None`: nothing.
    pub missing: Option<Wait>,
    /// What the rules refuse. `None`: nothing.
    pub refused: Option<Wait>,
    /// What it names and could not be looked up, by field. Nothing may be concluded from it.
    pub unchecked: Vec<(String, Wait)>,
}

impl Needs {
    /// Out of what the rules found. It may have come in past the webhook, or the world has moved on since.
    #[must_use]
    pub fn of(findings: &Findings) -> Self {
        let mut needs = Self::default();
        for (rule, reason) in MISSING {
            for finding in findings.iter().filter(|finding| finding.rule == rule) {
                let wait = Wait::new(reason, conditions::cut(&said(finding)));
                if finding.unchecked {
                    needs.unchecked.push((finding.path.clone(), wait));
                } else {
                    needs.missing.get_or_insert(wait);
                }
            }
        }
        let texts: Vec<_> = findings.denials().map(said).collect();
        if !texts.is_empty() {
            needs.refused = Some(Wait::stalled(Reason::Refused, conditions::cut(&texts.join("; "))));
        }
        needs
    }

    /// What a run that is due waits for, among them what could not be looked up. Not so a Secret that cassgate may not
    /// read: the sidecar reads it with rights of its own, and says so when it cannot.
    #[must_use]
    pub fn absent(&self) -> Option<Wait> {
        let mut unchecked = self.unchecked.iter().map(|(_, wait)| wait);
        let unchecked = || {
            unchecked
                .find(|wait| wait.reason != Reason::SecretNotFound)
                .cloned()
        };
        self.missing.clone().or_else(unchecked)
    }

    /// Whether what was told may still be so, since it cannot be looked up. The cluster decides on everything else.
    fn leave(&self, told: Option<&Wait>) -> bool {
        self.unchecked.iter().any(|(field, wait)| {
            let spoken_of = |told: &Wait| told.message.contains(&format!("{field}: "));
            wait.reason == Reason::ClusterNotFound || told.is_some_and(spoken_of)
        })
    }
}

fn said(finding: &Finding) -> String {
    format!("{}: {}", finding.path, finding.text())
}

/// What the conditions say that the next run lacks; `None`: it would begin, or they speak of something else.
#[must_use]
pub fn told(common: &BackRestStatus) -> Option<Wait> {
    let mut conditions = common.conditions.iter();
    let ready = conditions.find(|condition| condition.type_ == READY && condition.status == "False")?;
    let mut reasons = MISSING.iter().map(|(_, reason)| *reason).chain([Reason::Refused]);
    let reason = reasons.find(|reason| *reason == *ready.reason)?;
    Some(Wait {
        reason,
        message: ready.message.clone(),
        stalled: common.true_condition(STALLED).is_some(),
    })
}

/// What it lacks from now on. `None` for `needs`: nobody has judged it in this look.
fn lack(told: Option<&Wait>, needs: Option<&Needs>) -> Option<Wait> {
    match needs {
        Some(needs) if !needs.leave(told) => needs.missing.clone().or_else(|| needs.refused.clone()),
        _ => told.cloned(),
    }
}

fn stored(backup: &CassandraBackup) -> Option<Wait> {
    backup.status.as_ref().and_then(|status| told(&status.common))
}

/// Whether a backup rests until the next time of its schedule, so that nobody else looks at what it needs.
#[must_use]
pub fn are_watched(backup: &CassandraBackup, now: Timestamp) -> bool {
    let removes = backup.status.as_ref().is_some_and(prune::in_flight);
    backup.spec.is_scheduled() && !removes && matches!(schedule::rest(backup, now), NextRun::Until(_))
}

/// Whether a judgement says something else than what the backup tells.
#[must_use]
pub fn differ(backup: &CassandraBackup, needs: &Needs) -> bool {
    let told = stored(backup);
    lack(told.as_ref(), Some(needs)) != told
}

/// Whether that is to be told before anything else is done for the backup.
#[must_use]
pub fn are_news(backup: &CassandraBackup, look: &Observation<'_>) -> bool {
    let news = look.needs.as_ref().is_some_and(|needs| differ(backup, needs));
    news && are_watched(backup, look.now)
}

/// Whether a look is due that was not due before `since`, at the latest at `until`. Backups that share a Secret are
/// looked at together, so that it is read once; the others at other times, so that not all are read at once.
#[must_use]
pub fn are_due(backup: &CassandraBackup, since: Timestamp, until: Timestamp) -> bool {
    let mut hasher = DefaultHasher::new();
    backup.metadata.namespace.hash(&mut hasher);
    let spec = &backup.spec;
    spec.secret
        .as_ref()
        .unwrap_or(&spec.cassandra_cluster)
        .hash(&mut hasher);
    let phase = i64::try_from(hasher.finish() % PACE.unsigned_abs()).unwrap_or_default();
    let looks = |time: Timestamp| time.as_second().saturating_sub(phase).div_euclid(PACE);
    looks(since) != looks(until)
}

/// What an armed schedule tells whose next run is due at `next`.
pub(super) fn armed(
    backup: &CassandraBackup,
    making: &mut PlanBuilder<'_>,
    common: &mut BackRestStatus,
    next: Timestamp,
) -> Progress {
    let (told, needs) = (stored(backup), making.look.needs.as_ref());
    let lack = lack(told.as_ref(), needs);
    let missing = lack.as_ref().filter(|lack| lack.reason != Reason::Refused);
    let is_there = told.as_ref().is_some_and(|told| told.reason != Reason::Refused);
    // Of what could not be looked up nobody says that it is there.
    if missing.is_some() || is_there || needs.is_some_and(|needs| needs.unchecked.is_empty()) {
        conditions::resolved(common, backup.metadata.generation, missing, making.look.now);
    }
    match (&lack, &told) {
        (Some(lack), told) if told.as_ref() != Some(lack) => {
            let message = format!("the run that is due at {next} would not begin: {}", lack.message);
            making.say(true, Reason::NotReady, message);
        }
        (None, Some(_)) => {
            let message = format!("nothing keeps the next run from beginning any more; it is due at {next}");
            making.say(false, Reason::Ready, message);
        }
        _ => {}
    }
    let ready = lack.is_none();
    let lack = lack.unwrap_or_else(|| Wait::new(Reason::Scheduled, format!("the next run is due at {next}")));
    Progress::Armed {
        ready,
        stalled: lack.stalled,
        reason: lack.reason,
        message: lack.message,
    }
}
