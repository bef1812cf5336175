//! Answers the questions of a plan by asking the sidecars.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::timeout;

use super::listings::Listings;
use super::operation_owner::OperationOwner;
use super::report::report;
use crate::icarus::{
    Operation, OperationFilter, OperationId, OperationRequest, OperationState, PORT, REQUEST_TIMEOUT,
    Refusal, SidecarApi, SidecarError, TOPOLOGY_TIMEOUT, Topology,
};
use crate::reconcile::plan::{Answer, Phase, PodMember, Question, RingView};

/// Number of sidecars that report the ring at the begin of a run.
const RING_VIEWS: usize = 2;

/// The time without a response after which other sidecars are asked for the ring too. A healthy one takes six seconds
/// (observed).
const SLOW_RESPONSE: Duration = Duration::from_secs(10);

/// Asks the sidecars of one cluster on behalf of one object.
pub(in crate::reconcile) struct SidecarObserver<'a, S> {
    pub(in crate::reconcile) sidecars: &'a S,
    pub(in crate::reconcile) members: &'a [PodMember],
    pub(in crate::reconcile) owner: OperationOwner,
    pub(in crate::reconcile) listings: &'a Listings,
    /// Builds the request that lists the folder of a node in the bucket, from its host id and, where the status does not
    /// have it, its datacenter.
    pub(in crate::reconcile) listing_request:
        &'a (dyn Fn(&str, Option<&str>) -> Option<OperationRequest> + Sync),
}

/// The reason why a question has no answer.
struct Unavailable(String);

impl From<SidecarError> for Unavailable {
    fn from(error: SidecarError) -> Self {
        Self(error.to_string())
    }
}

impl<S: SidecarApi> SidecarObserver<'_, S> {
    /// Answers a question. If that fails, the answer is [`Answer::Unavailable`].
    pub(in crate::reconcile) async fn ask(&self, question: &Question) -> Answer {
        let answer = match question {
            Question::Ring => self.ring().await,
            Question::RingViews => self.ring_views().await,
            Question::Mode { pod } => self.mode(pod).await,
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
                let request = request.map(OperationRequest::for_removal);
                self.stored(pod, request, snapshot).await
            }
        };
        answer.unwrap_or_else(|Unavailable(reason)| Answer::Unavailable(reason))
    }

    /// Reads the ring from the first sidecar that responds. While the first one is healthy it is the only one asked,
    /// because the request takes a Cassandra node five seconds.
    async fn ring(&self) -> Result<Answer, Unavailable> {
        let (views, silent) = self.views(1).await;
        match views.into_iter().next() {
            Some(view) => Ok(Answer::Ring(view.ring)),
            None => Err(no_view(&silent)),
        }
    }

    /// Reads the ring from the sidecars of two pods at once. Those that do not respond are replaced by others.
    async fn ring_views(&self) -> Result<Answer, Unavailable> {
        let (mut views, mut silent) = self.views(RING_VIEWS).await;
        if views.is_empty() {
            return Err(no_view(&silent));
        }
        views.sort_by(|a, b| a.pod.cmp(&b.pod));
        silent.sort();
        Ok(Answer::RingViews { views, silent })
    }

    /// Reads the ring from `wanted` sidecars, and returns it with the errors of those that did not respond.
    ///
    /// For each that fails, or after a while without any response, others are asked beside it: twice as many each
    /// time, so that a cluster of which most sidecars are out of reach does not take a timeout for each of them.
    async fn views(&self, wanted: usize) -> (Vec<RingView>, Vec<(String, String)>) {
        let mut others = self.members.iter().filter_map(|member| self.view(member));
        let mut asked: FuturesUnordered<_> = others.by_ref().take(wanted).collect();
        let (mut views, mut silent) = (Vec::new(), Vec::new());
        let mut more = 1_usize;
        while views.len() < wanted {
            match timeout(SLOW_RESPONSE, asked.next()).await {
                Ok(Some(Ok(view))) => {
                    views.push(view);
                    continue;
                }
                Ok(Some(Err(error))) => silent.push(error),
                Ok(None) => break,
                Err(_) => {}
            }
            asked.extend(others.by_ref().take(more));
            more = more.saturating_mul(2);
        }
        (views, silent)
    }

    /// Reads the ring from the sidecar of a pod; `None` if the pod has no address. The error has the name of the pod.
    fn view<'s>(
        &'s self,
        member: &'s PodMember,
    ) -> Option<impl Future<Output = Result<RingView, (String, String)>> + Send + 's> {
        let address = self.address(&member.pod).ok()?;
        Some(async move {
            let pod = member.pod.clone();
            match self.ring_from(address).await {
                Ok(ring) => Ok(RingView { pod, ring }),
                Err(error) => Err((pod, error.to_string())),
            }
        })
    }

    /// Reads the mode of the Cassandra node of a pod.
    async fn mode(&self, pod: &str) -> Result<Answer, Unavailable> {
        let address = self.address(pod)?;
        Ok(Answer::Mode(self.sidecars.mode(address, REQUEST_TIMEOUT).await?))
    }

    async fn ring_from(&self, address: SocketAddr) -> Result<Topology, SidecarError> {
        let topology = self.sidecars.topology(address, TOPOLOGY_TIMEOUT).await?;
        let schema = match topology.schema.clone() {
            Some(schema) => schema,
            None => self.sidecars.schema_version(address, REQUEST_TIMEOUT).await?,
        };
        Ok(Topology {
            schema: Some(schema),
            ..topology
        })
    }

    /// Returns the operations of every kind and of every client that a sidecar runs.
    async fn busy(&self, pod: &str) -> Result<Answer, Unavailable> {
        let operations = self.operations(pod, OperationFilter::Active).await?;
        let open = operations
            .iter()
            .filter(|operation| !operation.state.is_terminal());
        Ok(Answer::Operations(open.map(report).collect()))
    }

    /// Returns the operation with this id; nothing if the sidecar does not know it.
    async fn operation(&self, pod: &str, id: &str) -> Result<Answer, Unavailable> {
        let address = self.address(pod)?;
        let Some(id) = OperationId::parse(id) else {
            return Ok(Answer::Operations(Vec::new()));
        };
        match self.sidecars.operation(address, &id, REQUEST_TIMEOUT).await {
            Ok(operation) => Ok(Answer::Operations(vec![report(&operation)])),
            Err(SidecarError::UnknownOperation) => Ok(Answer::Operations(Vec::new())),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the operations of the object in one phase.
    async fn sent(&self, pod: &str, phase: Phase) -> Result<Answer, Unavailable> {
        let filter = match phase {
            Phase::Backup => OperationFilter::Backups,
            Phase::Refresh => OperationFilter::Refreshes,
            Phase::Remove => OperationFilter::Removals,
            _ => OperationFilter::Restores,
        };
        let operations = self.operations(pod, filter).await?;
        let own = operations
            .iter()
            .filter(|operation| self.owner.owns_phase(operation, phase));
        Ok(Answer::Operations(own.map(report).collect()))
    }

    /// Returns the operations that conflict with the object.
    async fn conflicting(&self, pod: &str) -> Result<Answer, Unavailable> {
        let filter = match self.owner {
            OperationOwner::Backup { .. } => OperationFilter::Backups,
            OperationOwner::Restore(_) => OperationFilter::Restores,
        };
        let operations = self.operations(pod, filter).await?;
        Ok(Answer::Operations(self.owner.conflicting(&operations)))
    }

    async fn operations(&self, pod: &str, filter: OperationFilter) -> Result<Vec<Operation>, Unavailable> {
        let address = self.address(pod)?;
        Ok(self.sidecars.operations(address, filter, REQUEST_TIMEOUT).await?)
    }

    /// Counts the files of the run in the folder of a node.
    async fn files(&self, pod: &str, host_id: &str) -> Result<Answer, Unavailable> {
        let (Some(request), OperationOwner::Backup { tag: Some(tag), .. }) =
            ((self.listing_request)(host_id, None), &self.owner)
        else {
            return Ok(Answer::Unsupported);
        };
        let Some(operation) = self.list(pod, &request).await? else {
            return Ok(Answer::Unsupported);
        };
        // Only a completed listing proves that there are no files.
        match (operation.state, operation.listing) {
            (OperationState::Completed, Some(listing)) => {
                let snapshot = listing.snapshot(tag.as_str());
                Ok(Answer::Files {
                    count: snapshot.map_or(0, |snapshot| snapshot.files),
                    bytes: snapshot.map_or(0, |snapshot| snapshot.size),
                })
            }
            (state, _) if state.is_terminal() => Ok(Answer::Unsupported),
            _ => Err(Unavailable(format!(
                "the listing of the folder of {pod} is still running"
            ))),
        }
    }

    /// Looks for a snapshot in the folder of a node.
    async fn stored(
        &self,
        pod: &str,
        request: Option<OperationRequest>,
        snapshot: &str,
    ) -> Result<Answer, Unavailable> {
        let invalid = || Unavailable("the name of its folder in the bucket is not valid".to_owned());
        let request = request.ok_or_else(invalid)?;
        let Some(operation) = self.list(pod, &request).await? else {
            return Ok(Answer::Unsupported);
        };
        // Only a completed listing proves that a snapshot is missing.
        match (operation.state, operation.listing) {
            (OperationState::Completed, Some(listing)) => {
                Ok(Answer::Stored(listing.snapshot(snapshot).is_some()))
            }
            _ => Err(Unavailable(format!(
                "the listing of the folder of {pod} did not complete"
            ))),
        }
    }

    /// Lists the folder of a node. The operation may still be running. Returns `None` if the sidecar cannot list.
    async fn list(&self, pod: &str, request: &OperationRequest) -> Result<Option<Operation>, Unavailable> {
        let address = self.address(pod)?;
        match self.listings.list(self.sidecars, address, request).await {
            Ok(operation) => Ok(Some(operation)),
            // Icarus 1 has no listing.
            Err(SidecarError::Refused(Refusal::UnknownType, _)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn address(&self, pod: &str) -> Result<SocketAddr, Unavailable> {
        let member = self.members.iter().find(|member| member.pod == pod);
        let address = member.and_then(|member| member.address.as_deref());
        let address = address.and_then(sidecar_address);
        address.ok_or_else(|| Unavailable(format!("pod {pod} does not exist or has no address")))
    }
}

/// Returns the reason why no sidecar reports the ring, from the errors of those that were asked.
fn no_view(silent: &[(String, String)]) -> Unavailable {
    Unavailable(silent.first().map_or_else(
        || "the cluster has no pod with an address".to_owned(),
        |(pod, error)| format!("{pod}: {error}"),
    ))
}

/// Returns the socket address of the sidecar of a pod with this IP address.
pub(in crate::reconcile) fn sidecar_address(address: &str) -> Option<SocketAddr> {
    address
        .parse::<IpAddr>()
        .ok()
        .map(|address| SocketAddr::new(address, PORT))
}
