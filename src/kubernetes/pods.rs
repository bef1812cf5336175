//! The pods of a cluster, as CassKop selects them.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::core::{ObjectList, PartialObjectMeta};

use crate::rules::facts::{LabelsWithoutPod, PodQuery, Reference};
use crate::telemetry::metrics::{ReadKind, ReadOutcome};

use super::live::LiveReads;
use super::reason::reason;

impl LiveReads {
    /// Returns the labels of the cluster that its pods lack; none if one pod has all of them, or if there is no pod.
    ///
    /// Reads the metadata of at most two pods.
    pub(super) async fn labels_without_pod(&self, query: PodQuery<'_>) -> Reference<LabelsWithoutPod> {
        let labels = self.compare_in_turn(query).await;
        let outcome = match &labels {
            Reference::Found(_) => ReadOutcome::Found,
            Reference::Absent | Reference::Unknown(_) => ReadOutcome::Unknown,
        };
        self.metrics.live_read(ReadKind::Pods, outcome);
        tracing::debug!(
            kind = ReadKind::Pods.as_str(),
            namespace = query.namespace,
            name = query.cluster,
            outcome = outcome.as_str(),
            "live read"
        );
        labels
    }

    async fn compare_in_turn(&self, query: PodQuery<'_>) -> Reference<LabelsWithoutPod> {
        match self.in_turn(query.namespace, self.compare(query)).await {
            Ok(Ok(labels)) => Reference::Found(labels),
            Ok(Err(error)) => Reference::Unknown(reason(&error)),
            Err(error) => Reference::Unknown(error.no_answer()),
        }
    }

    async fn compare(&self, query: PodQuery<'_>) -> Result<LabelsWithoutPod, kube::Error> {
        let every_pod = query.labels_of_pods();
        let selected: Vec<_> = every_pod.iter().copied().chain(query.own_labels()).collect();
        if !self.pods(query.namespace, &selected).await?.items.is_empty() {
            return Ok(Vec::new());
        }
        let any = self.pods(query.namespace, &every_pod).await?.items;
        Ok(any
            .first()
            .map(|pod| query.lacking(&pod.metadata.labels.clone().unwrap_or_default()))
            .unwrap_or_default())
    }

    /// Returns at most one pod with these labels.
    async fn pods(
        &self,
        namespace: &str,
        labels: &[(&str, &str)],
    ) -> Result<ObjectList<PartialObjectMeta<Pod>>, kube::Error> {
        let selector: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let parameters = ListParams::default().labels(&selector.join(",")).limit(1);
        Api::<Pod>::namespaced(self.client.clone(), namespace)
            .list_metadata(&parameters)
            .await
    }
}
