//! Answers the questions of a plan by asking the sidecars.

use std::net::{IpAddr, SocketAddr};

use super::listings::Listings;
use super::operation_owner::OperationOwner;
use super::report::report;
use crate::icarus::{
    ANSWER_WITHIN, Operation, OperationFilter, OperationId, OperationRequest, OperationState, PORT, Refusal,
    SidecarApi, SidecarError, TOPOLOGY_WITHIN,
};
use crate::reconcile::plan::{Answer, Phase, PodMember, Question, Ring, RingNode};

/// Asks the sidecars of one cluster on behalf of one object.
pub(in crate::reconcile) struct SidecarObserver<'a, S> {
    pub(in crate::reconcile) sidecars: &'a S,
    pub(in crate::reconcile) members: &'a [PodMember],
    pub(in crate::reconcile) owner: OperationOwner,
    pub(in crate::reconcile) listings: &'a Listings,
    /// Builds the request that lists the share of a node in the bucket, from its host id and, where the status does not
    /// have it, its datacenter.
    pub(in crate::reconcile) listing_request:
        &'a (dyn Fn(&str, Option<&str>) -> Option<OperationRequest> + Sync),
}

impl<S: SidecarApi> SidecarObserver<'_, S> {
    /// Answers a question. A failure is an answer too: [`Answer::Silence`].
    pub(in crate::reconcile) async fn ask(&self, question: &Question) -> Answer {
        match question {
            Question::Ring => self.ring().await,
            Question::Busy { pod } => self.busy(pod).await,
            Question::Operation { pod, id } => self.operation(pod, id).await,
            Question::Sent { pod, phase } => self.sent(pod, *phase).await,
            Question::Others { pod } => self.conflicting(pod).await,
            Question::Files { pod, host_id } => self.files(pod, host_id).await,
            Question::Stored {
                pod,
                host_id,
                datacenter,
                snapshot,
            } => {
                let request = (self.listing_request)(host_id, Some(datacenter));
                self.stored(pod, request, snapshot).await
            }
        }
    }

    /// Reads the ring from the first sidecar that responds. The sidecars are asked one after the other, because the
    /// request takes a Cassandra node five seconds.
    async fn ring(&self) -> Answer {
        let mut reason = "the cluster has no pod with an address".to_owned();
        for member in self.members {
            let Ok(at) = self.address(&member.pod) else {
                continue;
            };
            match self.ring_from(at).await {
                Ok(ring) => return Answer::Ring(ring),
                Err(error) => reason = format!("{}: {error}", member.pod),
            }
        }
        Answer::Silence(reason)
    }

    async fn ring_from(&self, at: SocketAddr) -> Result<Ring, SidecarError> {
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
                Ok(operations) => {
                    let running = operations
                        .iter()
                        .filter(|operation| !operation.state.is_terminal());
                    busy.extend(running.map(report));
                }
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
            Ok(operation) => Answer::Operations(vec![report(&operation)]),
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
            Ok(operations) => {
                let own = operations
                    .iter()
                    .filter(|operation| self.owner.owns_phase(operation, phase));
                Answer::Operations(own.map(report).collect())
            }
            Err(error) => Answer::Silence(error.to_string()),
        }
    }

    async fn conflicting(&self, pod: &str) -> Answer {
        let at = match self.address(pod) {
            Ok(at) => at,
            Err(silence) => return silence,
        };
        let filter = match self.owner {
            OperationOwner::Backup(_) => OperationFilter::Backups,
            OperationOwner::Restore(_) => OperationFilter::Restores,
        };
        match self.sidecars.operations(at, filter, ANSWER_WITHIN).await {
            Ok(operations) => Answer::Operations(self.owner.conflicting(&operations)),
            Err(error) => Answer::Silence(error.to_string()),
        }
    }

    async fn files(&self, pod: &str, host_id: &str) -> Answer {
        let (Some(request), OperationOwner::Backup(Some(tag))) =
            ((self.listing_request)(host_id, None), &self.owner)
        else {
            return Answer::Unsupported;
        };
        let operation = match self.list(pod, &request).await {
            Ok(operation) => operation,
            Err(answer) => return answer,
        };
        // Only a completed listing proves that there are no files.
        match (operation.state, operation.listing) {
            (OperationState::Completed, Some(listing)) => {
                let snapshot = listing.snapshot(tag.as_str());
                Answer::Files {
                    count: snapshot.map_or(0, |snapshot| snapshot.files),
                    bytes: snapshot.map_or(0, |snapshot| snapshot.size),
                }
            }
            (state, _) if state.is_terminal() => Answer::Unsupported,
            _ => Answer::Silence(format!("the listing of the share of {pod} is still running")),
        }
    }

    async fn stored(&self, pod: &str, request: Option<OperationRequest>, snapshot: &str) -> Answer {
        let Some(request) = request else {
            return Answer::Silence("the name of its share of the bucket is not valid".to_owned());
        };
        let operation = match self.list(pod, &request).await {
            Ok(operation) => operation,
            Err(answer) => return answer,
        };
        // Only a completed listing proves that a snapshot is missing.
        match (operation.state, operation.listing) {
            (OperationState::Completed, Some(listing)) => {
                Answer::Stored(listing.snapshot(snapshot).is_some())
            }
            _ => Answer::Silence(format!("the listing of the share of {pod} did not complete")),
        }
    }

    /// Returns a listing, over or not; else the answer to give instead.
    async fn list(&self, pod: &str, request: &OperationRequest) -> Result<Operation, Answer> {
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
        address.ok_or_else(|| Answer::Silence(format!("pod {pod} does not exist or has no address")))
    }
}

/// Returns the socket address of the sidecar of a pod with this IP address.
pub(in crate::reconcile) fn socket(address: &str) -> Option<SocketAddr> {
    address
        .parse::<IpAddr>()
        .ok()
        .map(|address| SocketAddr::new(address, PORT))
}
