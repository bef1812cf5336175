//! The webhook: bytes to review to verdict to bytes.
//!
//! The steps: `body` receives, `review` decodes, `validate` and `mutate` decide with the findings of
//! [`evaluate`](crate::evaluate), `wire` encodes. An invalid object is a verdict. An invalid request or an
//! internal error is an HTTP error with a `Status`, so that `failurePolicy` decides.

mod body;
mod mutate;
mod review;
mod texts;
mod validate;
mod verdict;
mod wire;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;

use crate::api::Kind;
use crate::evaluate::Gatherer;
use crate::rules::catalogue::Severity;
use crate::rules::facts::FactSource;
use crate::rules::policy::{Context, Executor, Policy};
use crate::telemetry::metrics::{
    FindingSeverity, Metrics, Operation as OperationLabel, ReviewKind, ReviewVerdict, RuleLabel,
};

use body::{BodyError, NoTurn, Turns};
use review::{Operation, Review, ReviewError};
use verdict::Verdict;

/// The path of the mutating webhook.
pub const MUTATE: &str = "/mutate";

/// The path of the validating webhook.
pub const VALIDATE: &str = "/validate";

/// The timeout of the API server if the request does not name one.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum length of an error about a body that is not a review, in characters.
const MAX_ERROR_LENGTH: usize = 512;

/// The percentage of the API server's timeout that reads may take. The rest is for the answer.
const READ_PERCENT: u32 = 60;

/// The state of the webhook.
pub struct Admission {
    /// The source of the facts.
    pub facts: Arc<dyn FactSource>,
    /// The policy of the rules.
    pub policy: Policy,
    /// Counts reviews and findings.
    pub metrics: Metrics,
    /// Returns true if the status of a kind is a subresource; `None` if that is unknown.
    pub status_is_subresource: Box<dyn Fn(Kind) -> Option<bool> + Send + Sync>,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// Returns the routes of the webhook: POST [`MUTATE`] and [`VALIDATE`], for all kinds.
pub fn router(admission: Arc<Admission>) -> Router {
    Router::new()
        .route(
            MUTATE,
            post(|state, budget, body| serve(Webhook::Mutating, state, budget, body)),
        )
        .route(
            VALIDATE,
            post(|state, budget, body| serve(Webhook::Validating, state, budget, body)),
        )
        .with_state(Arc::new(Service {
            admission,
            turns: Turns::new(),
        }))
}

/// The webhook and the limits of its reviews.
struct Service {
    admission: Arc<Admission>,
    turns: Turns,
}

#[derive(Debug, Clone, Copy)]
enum Webhook {
    Mutating,
    Validating,
}

impl Webhook {
    fn as_str(self) -> &'static str {
        match self {
            Self::Mutating => "mutate",
            Self::Validating => "validate",
        }
    }
}

/// The query that the API server adds to the path.
#[derive(Deserialize)]
struct TimeoutQuery {
    timeout: Option<String>,
}

/// The time that reads may take.
struct ReadBudget(Duration);

impl ReadBudget {
    /// Returns the budget for the `timeout` of a request.
    ///
    /// The API server writes whole seconds (`10s`); any other value means the default.
    fn for_timeout(timeout: Option<&str>) -> Self {
        let seconds = timeout.and_then(|text| text.strip_suffix('s')?.parse::<u64>().ok());
        let whole = seconds
            .filter(|s| (1..=30).contains(s))
            .map_or(DEFAULT_TIMEOUT, Duration::from_secs);
        Self(whole * READ_PERCENT / 100)
    }
}

impl<S: Sync> FromRequestParts<S> for ReadBudget {
    type Rejection = QueryRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, QueryRejection> {
        // The query of the API server needs no URL decoding, so the usual case is read without a deserializer.
        let plain = parts
            .uri
            .query()
            .and_then(|query| query.strip_prefix("timeout="))
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if plain.is_some() {
            return Ok(Self::for_timeout(plain));
        }
        let Query(TimeoutQuery { timeout }) = Query::try_from_uri(&parts.uri)?;
        Ok(Self::for_timeout(timeout.as_deref()))
    }
}

async fn serve(
    webhook: Webhook,
    State(service): State<Arc<Service>>,
    ReadBudget(budget): ReadBudget,
    body: Body,
) -> Response {
    let body = match body::receive(body).await {
        Ok(body) => body,
        Err(error) => return not_received(&error),
    };
    let received = Instant::now();
    let admission = &service.admission;
    let turn = service.turns.decoding(body.len()).await;
    // Boxed to keep the future of this function small.
    let review = match Review::decode(&body).map(Box::new) {
        Ok(review) => review,
        Err(error) => return admission.undecodable(webhook, &error, received.elapsed()),
    };
    drop(turn);
    let deadline = received + budget;
    let verdict = match service.turns.judging(review.spec_length(), deadline).await {
        // The turn ends with the verdict.
        Ok(_turn) => admission.review(webhook, &review, deadline).await,
        Err(no_turn) => Err(no_turn),
    };
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(no_turn) => {
            admission.failed(&review, received.elapsed());
            return unavailable(no_turn.to_string());
        }
    };
    admission.record(webhook, &review, &verdict, received.elapsed());
    match wire::answer(&review, &verdict) {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => {
            tracing::error!(%error, uid = &*review.uid, "answer cannot be encoded");
            json(
                StatusCode::INTERNAL_SERVER_ERROR,
                wire::failure(
                    500,
                    "InternalError",
                    "cassgate could not encode its answer".to_owned(),
                ),
            )
        }
    }
}

fn json(code: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = code;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn not_received(error: &BodyError) -> Response {
    let (code, reason) = match error {
        BodyError::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
        BodyError::Incomplete => (StatusCode::BAD_REQUEST, "BadRequest"),
        BodyError::TooSlow => return unavailable(error.to_string()),
    };
    json(code, wire::failure(code.as_u16(), reason, error.to_string()))
}

/// Returns the answer to a review that cassgate cannot judge now: 503, upon which `failurePolicy` decides.
fn unavailable(message: String) -> Response {
    let body = wire::failure(503, "ServiceUnavailable", message);
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, body);
    let seconds = HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

impl Admission {
    /// Returns the verdict of a review.
    ///
    /// A restore destroys data, so it is not admitted if reads had no turn: a denial could have become a warning.
    async fn review(
        &self,
        webhook: Webhook,
        review: &Review<'_>,
        deadline: Instant,
    ) -> Result<Verdict, NoTurn> {
        let had_no_turn = AtomicBool::new(false);
        let gatherer = Gatherer {
            source: self.facts.as_ref(),
            namespace: &review.namespace,
            deadline: Some(deadline),
            looks_up_pods: self.policy.executor == Executor::Casskop,
            had_no_turn: Some(&had_no_turn),
        };
        let verdict = self.judge(webhook, review, gatherer).await;
        let is_admitted = !matches!(verdict, Verdict::Deny(..));
        let is_restore = review.kind.judged() == Some(Kind::Restore) && review.operation != Operation::Delete;
        if had_no_turn.into_inner() && is_admitted && is_restore {
            return Err(NoTurn::Reads);
        }
        Ok(verdict)
    }

    async fn judge(&self, webhook: Webhook, review: &Review<'_>, gatherer: Gatherer<'_>) -> Verdict {
        match webhook {
            Webhook::Mutating => {
                let status_is_subresource = review
                    .kind
                    .judged()
                    .and_then(|kind| (self.status_is_subresource)(kind));
                mutate::mutate(
                    review,
                    gatherer,
                    status_is_subresource,
                    (self.now)().as_millisecond(),
                )
                .await
            }
            Webhook::Validating => {
                let context = Context {
                    policy: self.policy.clone(),
                    dry_run: review.dry_run,
                    creating: review.operation == Operation::Create,
                    now: (self.now)(),
                };
                validate::validate(review, gatherer, &context).await
            }
        }
    }

    /// Counts and logs a body that is not a review, and returns its answer.
    fn undecodable(&self, webhook: Webhook, error: &ReviewError, elapsed: Duration) -> Response {
        // An error of the parser may repeat a text of the body.
        let error: String = error.to_string().chars().take(MAX_ERROR_LENGTH).collect();
        tracing::info!(webhook = webhook.as_str(), error, "review cannot be decoded");
        let verdict = ReviewVerdict::Undecodable;
        self.metrics
            .reviewed(ReviewKind::Other, OperationLabel::Other, verdict, elapsed);
        json(StatusCode::BAD_REQUEST, wire::failure(400, "BadRequest", error))
    }

    /// Counts a review without a verdict.
    fn failed(&self, review: &Review<'_>, elapsed: Duration) {
        let operation = operation_label(review.operation);
        self.metrics
            .reviewed(kind_label(review), operation, ReviewVerdict::Failed, elapsed);
    }

    /// Counts a verdict and logs it in one line: denials at level info, all others at level debug. Never logs the object.
    fn record(&self, webhook: Webhook, review: &Review<'_>, verdict: &Verdict, elapsed: Duration) {
        let outcome = outcome(verdict);
        self.metrics.reviewed(
            kind_label(review),
            operation_label(review.operation),
            outcome,
            elapsed,
        );
        for finding in verdict.findings().iter() {
            let severity = match finding.severity {
                Severity::Deny => FindingSeverity::Deny,
                Severity::Warn => FindingSeverity::Warn,
            };
            self.metrics.found(RuleLabel(finding.rule.id), severity);
        }
        if outcome == ReviewVerdict::Denied {
            let rules: Vec<&str> = verdict
                .findings()
                .denials()
                .map(|finding| finding.rule.id)
                .collect();
            tracing::info!(
                webhook = webhook.as_str(),
                uid = &*review.uid,
                kind = &*review.kind.kind.0,
                namespace = &*review.namespace,
                name = &*review.name,
                operation = operation_label(review.operation).as_str(),
                dry_run = review.dry_run,
                rules = rules.join(","),
                "denied"
            );
        } else {
            tracing::debug!(
                webhook = webhook.as_str(),
                uid = &*review.uid,
                kind = &*review.kind.kind.0,
                namespace = &*review.namespace,
                name = &*review.name,
                operation = operation_label(review.operation).as_str(),
                dry_run = review.dry_run,
                verdict = outcome.as_str(),
                "reviewed"
            );
        }
    }
}

fn outcome(verdict: &Verdict) -> ReviewVerdict {
    match verdict {
        Verdict::Deny(..) => ReviewVerdict::Denied,
        Verdict::Patch(..) => ReviewVerdict::Patched,
        Verdict::Allow(findings) if findings.warnings().next().is_none() => ReviewVerdict::Allowed,
        Verdict::Allow(_) => ReviewVerdict::Warned,
    }
}

fn kind_label(review: &Review<'_>) -> ReviewKind {
    match review.kind.judged() {
        Some(Kind::Backup) => ReviewKind::Backup,
        Some(Kind::Restore) => ReviewKind::Restore,
        _ => ReviewKind::Other,
    }
}

fn operation_label(operation: Operation) -> OperationLabel {
    match operation {
        Operation::Create => OperationLabel::Create,
        Operation::Update => OperationLabel::Update,
        Operation::Delete => OperationLabel::Delete,
        Operation::Other => OperationLabel::Other,
    }
}

#[cfg(test)]
mod tests;
