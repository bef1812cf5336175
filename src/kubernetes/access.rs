//! The right of a user to read a Secret, by `SubjectAccessReview`: only the API server knows all of its authorizers.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};

use crate::rules::facts::{Caller, Reference};
use crate::telemetry::metrics::{ReadKind, ReadOutcome};

use super::live::LiveReads;
use super::reason::reason;

impl LiveReads {
    /// Returns `Found(true)` if `caller` may get this Secret. The request stores nothing.
    pub(super) async fn may_read_secret(
        &self,
        caller: &Caller,
        namespace: &str,
        name: &str,
    ) -> Reference<bool> {
        let review = access_review(caller, namespace, name);
        let answer = self.is_allowed(namespace, &review).await;
        let outcome = match &answer {
            Reference::Found(_) => ReadOutcome::Found,
            Reference::Absent | Reference::Unknown(_) => ReadOutcome::Unknown,
        };
        self.metrics.live_read(ReadKind::Access, outcome);
        tracing::debug!(
            kind = ReadKind::Access.as_str(),
            namespace,
            name,
            outcome = outcome.as_str(),
            "live read"
        );
        answer
    }

    async fn is_allowed(&self, namespace: &str, review: &SubjectAccessReview) -> Reference<bool> {
        let reviews = Api::<SubjectAccessReview>::all(self.client.clone());
        let parameters = PostParams::default();
        match self.in_turn(namespace, reviews.create(&parameters, review)).await {
            Ok(Ok(review)) => Reference::Found(review.status.is_some_and(|status| status.allowed)),
            Ok(Err(error)) => Reference::Unknown(reason(&error)),
            Err(error) => Reference::Unknown(error.no_answer()),
        }
    }
}

fn access_review(caller: &Caller, namespace: &str, name: &str) -> SubjectAccessReview {
    let non_empty = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: non_empty(&caller.username),
            uid: non_empty(&caller.uid),
            groups: Some(caller.groups.clone()),
            extra: Some(caller.extra.clone()).filter(|extra| !extra.is_empty()),
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(namespace.to_owned()),
                name: Some(name.to_owned()),
                verb: Some("get".to_owned()),
                resource: Some("secrets".to_owned()),
                version: Some("v1".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    }
}
