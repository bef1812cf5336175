//! One object's findings: out of caches first, and before anything is refused out of what the API server says now.

use crate::rules::facts::{Caller, Facts, Freshness, Neighbours, Reference, Witness};
use crate::rules::finding::Findings;
use crate::rules::policy::{Context, SecretDetails};
use crate::rules::subject::Subject;

use super::gather::Gather;

/// The findings of `rules` on the facts of `subject`.
///
/// No refusal rests on what was only remembered: what the object names is read and judged again, and then each
/// neighbour that a refusal rests on. Every round reads neighbours that were not read before, so there are few rounds.
pub(super) async fn settled(
    subject: &Subject,
    gather: Gather<'_>,
    rules: impl Fn(&Facts) -> Findings,
) -> Findings {
    let found = match gather
        .known(subject, Freshness::Cached)
        .map(|facts| rules(&facts))
    {
        Ok(found) => found,
        // Apart, here and below: most reviews never come here, and need not carry the room for it.
        Err(asked) => rules(&Box::pin(gather.wait(asked, subject, Freshness::Cached)).await),
    };
    if found.denied() {
        Box::pin(looked_at_again(subject, gather, rules)).await
    } else {
        found
    }
}

async fn looked_at_again(
    subject: &Subject,
    gather: Gather<'_>,
    rules: impl Fn(&Facts) -> Findings,
) -> Findings {
    let mut facts = gather.facts(subject, Freshness::Live).await;
    let mut read: Vec<Witness> = Vec::new();
    loop {
        let found = rules(&facts);
        if !read_witnesses(&mut facts.neighbours, &found, gather, &mut read).await {
            return found;
        }
    }
}

/// Reads the neighbours that a refusal among `found` rests on and that were not read yet; false when there are none.
pub(super) async fn read_witnesses(
    neighbours: &mut Neighbours,
    found: &Findings,
    gather: Gather<'_>,
    read: &mut Vec<Witness>,
) -> bool {
    let mut fresh = neighbours.witnesses(found, gather.namespace);
    fresh.retain(|witness| !read.contains(witness));
    for witness in &fresh {
        let about = witness.about(gather.namespace);
        match witness {
            Witness::Backup(namespace, name) => {
                let backup = gather.backup_of(namespace, name, Freshness::Live).await;
                neighbours.read_backup(namespace, name, backup, about);
            }
            Witness::Restore(name) => {
                neighbours.read_restore(name, gather.restore(name).await, about);
            }
        }
    }
    let any = !fresh.is_empty();
    read.append(&mut fresh);
    any
}

/// Takes out of the findings what a Secret holds, unless `caller` may read it or everybody may know.
pub(super) async fn discreet(
    mut found: Findings,
    secret: Option<&str>,
    caller: &Caller,
    gather: Gather<'_>,
    context: &Context,
) -> Findings {
    if context.policy.secret_details == SecretDetails::Always || !found.tell_of_a_secret() {
        return found;
    }
    let may_read = match secret {
        Some(name) if !caller.username.is_empty() => gather.may_read_secret(caller, name).await,
        _ => Reference::Absent,
    };
    if may_read != Reference::Found(true) {
        found.withhold();
    }
    found
}
