//! Runs rules on facts from caches, and again on live facts before a denial.

use crate::rules::facts::{Facts, Freshness, NeighbourRef, Neighbours};
use crate::rules::finding::Findings;
use crate::rules::subject::Subject;

use super::gather::Gatherer;

/// Returns the findings of `rules` on the facts of `subject`.
///
/// # Guarantees
/// No denial rests on cached facts. If the first result contains a denial, the references of the object are read
/// live and the rules run again, and then every neighbour that a denial rests on is read. Each round reads neighbours that were not read before, so the number
/// of rounds is bounded by the number of neighbours.
pub(super) async fn judge(
    subject: &Subject,
    gatherer: Gatherer<'_>,
    rules: impl Fn(&Facts) -> Findings,
) -> Findings {
    let found = match gatherer
        .facts_at_once(subject, Freshness::Cached)
        .map(|facts| rules(&facts))
    {
        Ok(found) => found,
        // Boxed, here and below, to keep the common future small.
        Err(pending) => rules(&Box::pin(gatherer.wait(pending, subject, Freshness::Cached)).await),
    };
    if found.denied() {
        Box::pin(judge_live(subject, gatherer, rules)).await
    } else {
        found
    }
}

async fn judge_live(
    subject: &Subject,
    gatherer: Gatherer<'_>,
    rules: impl Fn(&Facts) -> Findings,
) -> Findings {
    let mut facts = gatherer.facts(subject, Freshness::Live).await;
    let mut already_read: Vec<NeighbourRef> = Vec::new();
    loop {
        let found = rules(&facts);
        if !refresh_neighbours(&mut facts.neighbours, &found, gatherer, &mut already_read).await {
            return found;
        }
    }
}

/// Reads live the neighbours that a denial in `found` rests on, except those in `already_read`.
///
/// Returns true if a neighbour was read, so that the rules have to run again.
pub(super) async fn refresh_neighbours(
    neighbours: &mut Neighbours,
    found: &Findings,
    gatherer: Gatherer<'_>,
    already_read: &mut Vec<NeighbourRef>,
) -> bool {
    let mut unread = neighbours.behind_denials(found);
    unread.retain(|neighbour| !already_read.contains(neighbour));
    for neighbour in &unread {
        let about = neighbour.about();
        match neighbour {
            NeighbourRef::Backup(name) => {
                neighbours.update_backup(name, gatherer.neighbouring_backup(name).await, about);
            }
            NeighbourRef::Restore(name) => {
                neighbours.update_restore(name, gatherer.restore(name).await, about);
            }
        }
    }
    let any = !unread.is_empty();
    already_read.append(&mut unread);
    any
}
