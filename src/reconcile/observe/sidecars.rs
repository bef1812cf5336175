//! The questions of a plan, asked of real sidecars.

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;

use crate::domain::resolved_tag::ResolvedTag;
use crate::domain::source_directory::{self, SourceDirectory};
use crate::icarus::{
    ANSWER_WITHIN, Operation, OperationFilter, OperationId, OperationKind, OperationRequest, OperationState,
    PORT, Refusal, RestorePhase, SidecarApi, SidecarError, TOPOLOGY_WITHIN,
};
use crate::reconcile::observe::Listings;
use crate::reconcile::plan::{
    Answer, OperationReport, Outcome, Phase, PodMember, Question, Ring, RingNode, State,
};

/// By what the operations of one object are known among all that a sidecar remembers.
#[derive(Debug, Clone)]
pub(in crate::reconcile) enum OperationOwner {
    /// The name of the run.
    Backup(Option<ResolvedTag>),
    /// Where the downloads go.
    Restore(SourceDirectory),
}

/// Who asks.
pub(in crate::reconcile) struct SidecarObserver<'a, S> {
    pub(in crate::reconcile) sidecars: &'a S,
    pub(in crate::reconcile) members: &'a [PodMember],
    pub(in crate::reconcile) mark: OperationOwner,
    pub(in crate::reconcile) listings: &'a Listings,
    /// What lists a node's share, by its host id, and its datacenter where the status does not tell it.
    pub(in crate::reconcile) listing: &'a (dyn Fn(&str, Option<&str>) -> Option<OperationRequest> + Sync),
}

impl<S: SidecarApi> SidecarObserver<'_, S> {
    /// The answer; never an error: what cannot be found out is [`Answer::Silence`].
    pub(in crate::reconcile) async fn ask(&self, question: &Question) -> Answer {
        match question {
            Question::Ring => self.ring().await,
            Question::Busy { pod } => self.busy(pod).await,
            Question::Operation { pod, id } => self.operation(pod, id).await,
            Question::Sent { pod, phase } => self.sent(pod, *phase).await,
            Question::Others { pod } => self.others(pod).await,
            Question::Files { pod, host_id } => self.files(pod, host_id).await,
            Question::Stored {
                pod,
                host_id,
                datacenter,
                snapshot,
            } => {
                let listing = (self.listing)(host_id, Some(datacenter));
                self.stored(pod, listing, snapshot).await
            }
        }
    }

    /// The first sidecar that answers speaks for the ring. They are asked one after the other: the question costs a
    /// Cassandra node five seconds.
    async fn ring(&self) -> Answer {
        let mut why = "the cluster has no pod with an address".to_owned();
        for member in self.members {
            let Ok(at) = self.address(&member.pod) else {
                continue;
            };
            match self.ring_as_seen_from(at).await {
                Ok(ring) => return Answer::Ring(ring),
                Err(error) => why = format!("{}: {error}", member.pod),
            }
        }
        Answer::Silence(why)
    }

    async fn ring_as_seen_from(&self, at: SocketAddr) -> Result<Ring, SidecarError> {
        let topology = self.sidecars.topology(at, TOPOLOGY_WITHIN).await?;
        let schema = match topology.schema {
            Some(schema) => schema,
            None => self.sidecars.schema_version(at, ANSWER_WITHIN).await?,
        };
        let node = |node: crate::icarus::RingNode| RingNode {
            host_id: node.host.as_str().to_owned(),
            datacenter: node.datacenter.as_str().to_owned(),
            address: node.address.to_string(),
        };
        Ok(Ring {
            cluster_name: topology.cluster.as_str().to_owned(),
            schema_version: schema.as_str().to_owned(),
            nodes: topology.nodes.into_iter().map(node).collect(),
        })
    }

    async fn busy(&self, pod: &str) -> Answer {
        let at = match self.address(pod) {
            Ok(at) => at,
            Err(silence) => return silence,
        };
        let mut busy = Vec::new();
        for filter in [OperationFilter::Restores, OperationFilter::Backups] {
            match self.sidecars.operations(at, filter, ANSWER_WITHIN).await {
                Ok(known) => busy.extend(known.iter().filter(|known| !known.state.is_terminal()).map(said)),
                Err(error) => return Answer::Silence(error.to_string()),
            }
        }
        Answer::Operations(busy)
    }

    async fn operation(&self, pod: &str, id: &str) -> Answer {
        let at = match self.address(pod) {
            Ok(at) => at,
            Err(silence) => return silence,
        };
        let Some(id) = OperationId::parse(id) else {
            return Answer::Operations(Vec::new());
        };
        match self.sidecars.operation(at, &id, ANSWER_WITHIN).await {
            Ok(operation) => Answer::Operations(vec![said(&operation)]),
            Err(SidecarError::UnknownOperation) => Answer::Operations(Vec::new()),
            Err(error) => Answer::Silence(error.to_string()),
        }
    }

    async fn sent(&self, pod: &str, phase: Phase) -> Answer {
        let at = match self.address(pod) {
            Ok(at) => at,
            Err(silence) => return silence,
        };
        let filter = match phase {
            Phase::Backup => OperationFilter::Backups,
            Phase::Refresh => OperationFilter::Refreshes,
            Phase::Remove => OperationFilter::Removals,
            _ => OperationFilter::Restores,
        };
        match self.sidecars.operations(at, filter, ANSWER_WITHIN).await {
            Ok(known) => Answer::Operations(
                known
                    .iter()
                    .filter(|known| self.is_ours(known, phase))
                    .map(said)
                    .collect(),
            ),
            Err(error) => Answer::Silence(error.to_string()),
        }
    }

    async fn others(&self, pod: &str) -> Answer {
        let at = match self.address(pod) {
            Ok(at) => at,
            Err(silence) => return silence,
        };
        let filter = match self.mark {
            OperationOwner::Backup(_) => OperationFilter::Backups,
            OperationOwner::Restore(_) => OperationFilter::Restores,
        };
        match self.sidecars.operations(at, filter, ANSWER_WITHIN).await {
            Ok(known) => Answer::Operations(of_others(&self.mark, &known)),
            Err(error) => Answer::Silence(error.to_string()),
        }
    }

    fn is_ours(&self, operation: &Operation, phase: Phase) -> bool {
        match (&self.mark, RestorePhase::parse(phase.as_str())) {
            (OperationOwner::Backup(Some(tag)), _) => operation.is_backup(tag),
            (OperationOwner::Backup(None), _) => false,
            (OperationOwner::Restore(source), Some(phase)) => operation.is_phase(source, phase),
            // A refresh has no mark of its restore; it is harmless to take another one for it.
            (OperationOwner::Restore(_), None) => true,
        }
    }

    async fn files(&self, pod: &str, host_id: &str) -> Answer {
        let (Some(request), OperationOwner::Backup(Some(tag))) = ((self.listing)(host_id, None), &self.mark)
        else {
            return Answer::Unsupported;
        };
        let operation = match self.listed(pod, &request).await {
            Ok(operation) => operation,
            Err(answer) => return answer,
        };
        // Only a listing that ended well tells that there is nothing.
        match (operation.state, operation.listing) {
            (OperationState::Completed, Some(listing)) => {
                let snapshot = listing.snapshot(tag.as_str());
                Answer::Files {
                    count: snapshot.map_or(0, |snapshot| snapshot.files),
                    bytes: snapshot.map_or(0, |snapshot| snapshot.size),
                }
            }
            (state, _) if state.is_terminal() => Answer::Unsupported,
            _ => Answer::Silence(format!("the listing of the share of {pod} goes on")),
        }
    }

    async fn stored(&self, pod: &str, listing: Option<OperationRequest>, snapshot: &str) -> Answer {
        let Some(request) = listing else {
            return Answer::Silence("its share of the bucket has no name that can be sent".to_owned());
        };
        let operation = match self.listed(pod, &request).await {
            Ok(operation) => operation,
            Err(answer) => return answer,
        };
        // Only a listing that ended well tells that something is not there.
        match (operation.state, operation.listing) {
            (OperationState::Completed, Some(listing)) => {
                Answer::Stored(listing.snapshot(snapshot).is_some())
            }
            _ => Answer::Silence(format!("the listing of the share of {pod} did not end well")),
        }
    }

    /// A listing, over or not; else what is to be answered instead.
    async fn listed(&self, pod: &str, request: &OperationRequest) -> Result<Operation, Answer> {
        let at = self.address(pod)?;
        let listing = self.listings.list(self.sidecars, at, request).await;
        listing.map_err(|error| match error {
            // Icarus 1 has no listing.
            SidecarError::Refused(Refusal::UnknownType, _) => Answer::Unsupported,
            error => Answer::Silence(error.to_string()),
        })
    }

    fn address(&self, pod: &str) -> Result<SocketAddr, Answer> {
        let member = self.members.iter().find(|member| member.pod == pod);
        let address = member.and_then(|member| member.address.as_deref());
        let address = address.and_then(socket);
        address.ok_or_else(|| Answer::Silence(format!("pod {pod} is not there or has no address")))
    }
}

/// What a sidecar was sent by others since it got the first operation of ours that it remembers, and what is at work
/// in it. Both times are by its own clock.
fn of_others(mark: &OperationOwner, known: &[Operation]) -> Vec<OperationReport> {
    let ours = known.iter().filter(|known| whose(mark, known) == Whose::Ours);
    let first = ours.filter_map(|known| known.created).min();
    let is_later = |other: &Operation| {
        other
            .created
            .zip(first)
            .is_some_and(|(created, first)| created > first)
    };
    let others = known.iter().filter(|known| whose(mark, known) == Whose::Others);
    others
        .filter(|other| !other.state.is_terminal() || is_later(other))
        .map(said)
        .collect()
}

/// To whom an operation belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// To the object.
    Ours,
    /// To somebody else who does the same.
    Others,
    /// To somebody who does something else: another restore of cassgate's, a backup under another tag.
    Neither,
}

fn whose(mark: &OperationOwner, operation: &Operation) -> Whose {
    match mark {
        OperationOwner::Backup(Some(tag)) if operation.is_backup(tag) => Whose::Ours,
        OperationOwner::Backup(Some(tag)) if is_of_tag(operation, tag.tag()) => Whose::Others,
        OperationOwner::Backup(_) => Whose::Neither,
        OperationOwner::Restore(source) => match operation.source_directory.as_deref() {
            Some(text) if source.is(text) && !operation.global => Whose::Ours,
            Some(text) if source_directory::is_cassgates(text) => Whose::Neither,
            _ => Whose::Others,
        },
    }
}

/// Whether it backs up under this tag, stamped or not.
fn is_of_tag(operation: &Operation, tag: &str) -> bool {
    operation.kind == OperationKind::Backup
        && operation.snapshot_tag.as_deref().is_some_and(|other| {
            other == tag || ResolvedTag::parse(other).is_ok_and(|other| other.tag() == tag)
        })
}

/// The sidecar at this address.
pub(in crate::reconcile) fn socket(address: &str) -> Option<SocketAddr> {
    address
        .parse::<IpAddr>()
        .ok()
        .map(|address| SocketAddr::new(address, PORT))
}

/// What became of a request.
pub(in crate::reconcile) fn outcome(result: Result<Operation, SidecarError>) -> Outcome {
    match result {
        Ok(operation) => Outcome::Taken(said(&operation)),
        Err(SidecarError::Refused(_, words)) => Outcome::Refused(words),
        Err(error) if error.may_have_arrived() => Outcome::Unknown(error.to_string()),
        Err(error) => Outcome::NotSent(error.to_string()),
    }
}

/// An operation as a plan sees it. A state that no Icarus we know has is one that goes on: nothing is concluded.
fn said(operation: &Operation) -> OperationReport {
    let error = |error: &crate::icarus::OperationError| (error.source.clone(), error.message.clone());
    OperationReport {
        id: operation.id.as_str().to_owned(),
        state: match operation.state {
            OperationState::Pending => State::Pending,
            OperationState::Running | OperationState::Unknown(_) => State::Running,
            OperationState::Completed => State::Completed,
            OperationState::Failed => State::Failed,
            OperationState::Cancelled => State::Cancelled,
        },
        progress: operation.progress,
        created: operation.created.unwrap_or(Timestamp::MIN),
        errors: operation.errors.iter().map(error).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Operation, OperationKind, OperationOwner, OperationState, ResolvedTag, SourceDirectory, of_others,
    };
    use crate::domain::cassandra_directory::CassandraDirectory;
    use crate::icarus::OperationId;

    const TAG: &str = "nightly-168d568b-d346-3f61-968f-a2716307a6e4-1795383523776";
    const OWN: &str = "file:///var/lib/cassandra/cassgate-restore-6f2b/";

    const NUMBERS: [u8; 6] = [1, 2, 3, 4, 5, 6];

    fn id(number: u8) -> String {
        format!("00000000-0000-0000-0000-00000000000{number}")
    }

    /// An operation that was created in this second and is over.
    fn operation(id: &str, second: i64, state: OperationState) -> Operation {
        Operation {
            progress: 1.0,
            created: jiff::Timestamp::from_second(second).ok(),
            ..Operation::new(OperationId::parse(id).unwrap(), OperationKind::Restore, state)
        }
    }

    fn restore(id: &str, second: i64, state: OperationState, directory: &str) -> Operation {
        Operation {
            source_directory: Some(directory.to_owned()),
            ..operation(id, second, state)
        }
    }

    fn backup(id: &str, second: i64, state: OperationState, tag: &str) -> Operation {
        Operation {
            kind: OperationKind::Backup,
            snapshot_tag: Some(tag.to_owned()),
            ..operation(id, second, state)
        }
    }

    fn ids(mark: &OperationOwner, known: &[Operation]) -> Vec<String> {
        of_others(mark, known).into_iter().map(|said| said.id).collect()
    }

    #[test]
    fn a_restore_sees_what_is_at_work_or_came_after_it_and_is_no_restore_of_cassgates() {
        use OperationState::{Completed, Running};
        let directory = CassandraDirectory::parse("/var/lib/cassandra").unwrap();
        let mark = OperationOwner::Restore(SourceDirectory::of_restore(&directory, "6f2b").unwrap());
        let theirs = "file:///var/lib/cassandra/downloadedsstables/";
        let another = "/var/lib/cassandra/cassgate-restore-77aa";
        let [early, own, later, busy, sibling, bare] = NUMBERS.map(id);
        let known = [
            restore(&early, 10, Completed, theirs),
            restore(&own, 20, Completed, OWN),
            restore(&later, 30, Completed, theirs),
            restore(&busy, 5, Running, theirs),
            restore(&sibling, 40, Running, another),
            operation(&bare, 50, Completed),
        ];
        assert_eq!(ids(&mark, &known), [later.clone(), busy.clone(), bare]);
        // Before ours came, only what is at work counts.
        assert_eq!(ids(&mark, &[known[0].clone(), known[3].clone()]), [busy]);
        let global = Operation {
            global: true,
            ..restore(&later, 30, Running, theirs)
        };
        assert_eq!(ids(&mark, &[global]), [later]);
    }

    #[test]
    fn a_backup_sees_those_under_its_tag_that_are_not_its_own() {
        use OperationState::{Completed, Running};
        let mark = OperationOwner::Backup(Some(ResolvedTag::parse(TAG).unwrap()));
        let [early, own, later, busy, namesake, _] = NUMBERS.map(id);
        let other = TAG.replace("1795383523776", "1795383599999");
        let known = [
            backup(&early, 10, Completed, &other),
            backup(&own, 20, Running, TAG),
            backup(&later, 30, Completed, &other),
            backup(&busy, 30, Running, "nightly"),
            backup(&namesake, 30, Running, "nightly-prod"),
        ];
        assert_eq!(ids(&mark, &known), [later, busy]);
        assert_eq!(ids(&OperationOwner::Backup(None), &known), Vec::<String>::new());
    }
}
