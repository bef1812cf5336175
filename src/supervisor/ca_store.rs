//! The store of TLS mode `self`: a Secret and two webhook configurations on the API server.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
        core::v1::Secret,
    },
};
use kube::{
    Client, Error,
    api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::kubernetes::reason;
use crate::telemetry::metrics::WebhookSide;
use crate::tls::self_signed::{
    Store, StoreError, StoredConfiguration, StoredSecret, StoredWebhook, WriteOutcome,
};

/// The timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The field manager that owns the `caBundle`. Argo CD and Flux can be configured to ignore its fields.
const FIELD_MANAGER: &str = "cassgate-ca-bundle";

/// The key and value of the label on a Secret that cassgate may write.
pub const AUTHORITY_LABEL: (&str, &str) = ("cassgate.db.orange.com/authority", "self");

/// Reads and writes the objects of mode `self`.
#[derive(Clone)]
pub(super) struct KubernetesStore {
    client: Client,
    namespace: String,
    secret: String,
    webhooks: String,
}

impl KubernetesStore {
    pub(super) fn new(client: Client, namespace: &str, secret: &str, webhooks: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            secret: secret.to_owned(),
            webhooks: webhooks.to_owned(),
        }
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn configurations(&self, side: WebhookSide) -> (Api<DynamicObject>, ApiResource) {
        let resource = match side {
            WebhookSide::Mutating => ApiResource::erase::<MutatingWebhookConfiguration>(&()),
            WebhookSide::Validating => ApiResource::erase::<ValidatingWebhookConfiguration>(&()),
        };
        (Api::all_with(self.client.clone(), &resource), resource)
    }
}

impl Store for KubernetesStore {
    async fn secret(&self) -> Result<Option<StoredSecret>, StoreError> {
        let secret = with_timeout(self.secrets().get_opt(&self.secret)).await?;
        Ok(secret.map(|secret| StoredSecret {
            resource_version: secret.metadata.resource_version.unwrap_or_default(),
            is_labelled: secret.metadata.labels.is_some_and(|labels| {
                labels
                    .get(AUTHORITY_LABEL.0)
                    .is_some_and(|value| value == AUTHORITY_LABEL.1)
            }),
            data: secret
                .data
                .unwrap_or_default()
                .into_iter()
                .map(|(key, value)| (key, value.0))
                .collect(),
        }))
    }

    /// Replaces the data of the Secret and keeps everything else, if it still has this `resourceVersion`.
    ///
    /// The Secret is read again, because a replace needs the whole object.
    async fn replace_secret(
        &self,
        resource_version: &str,
        data: BTreeMap<String, Vec<u8>>,
    ) -> Result<WriteOutcome, StoreError> {
        let secrets = self.secrets();
        let Some(mut secret) = with_timeout(secrets.get_opt(&self.secret)).await? else {
            return Ok(WriteOutcome::Conflict);
        };
        if secret.metadata.resource_version.as_deref() != Some(resource_version) {
            return Ok(WriteOutcome::Conflict);
        }
        let labels = secret.metadata.labels.get_or_insert_default();
        labels.insert(AUTHORITY_LABEL.0.to_owned(), AUTHORITY_LABEL.1.to_owned());
        secret.data = Some(
            data.into_iter()
                .map(|(key, value)| (key, ByteString(value)))
                .collect(),
        );
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        write_outcome(secrets.replace(&self.secret, &parameters, &secret)).await
    }

    async fn configuration(&self, side: WebhookSide) -> Result<Option<StoredConfiguration>, StoreError> {
        let configuration = with_timeout(self.configurations(side).0.get_opt(&self.webhooks)).await?;
        Ok(configuration.map(|configuration| StoredConfiguration {
            resource_version: configuration.metadata.resource_version.unwrap_or_default(),
            webhooks: configuration
                .data
                .get("webhooks")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(stored_webhook)
                .collect(),
        }))
    }

    /// Applies the one field by server-side apply, with the `resourceVersion` that was read. The API server rejects the
    /// patch if the configuration has changed since.
    async fn publish(
        &self,
        side: WebhookSide,
        observed: &StoredConfiguration,
        bundle: &str,
    ) -> Result<WriteOutcome, StoreError> {
        let (configurations, resource) = self.configurations(side);
        let bundle = STANDARD.encode(bundle);
        let webhooks: Vec<Value> = observed
            .webhooks
            .iter()
            .map(|webhook| json!({"name": webhook.name, "clientConfig": {"caBundle": bundle}}))
            .collect();
        let applied = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": self.webhooks, "resourceVersion": observed.resource_version},
            "webhooks": webhooks,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        write_outcome(configurations.patch(&self.webhooks, &parameters, &Patch::Apply(applied))).await
    }
}

fn stored_webhook(webhook: &Value) -> StoredWebhook {
    let text = |pointer: &str| {
        webhook
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    StoredWebhook {
        name: text("/name").to_owned(),
        ca_bundle: STANDARD
            .decode(text("/clientConfig/caBundle"))
            .unwrap_or_default(),
    }
}

/// Awaits a request for at most [`REQUEST_TIMEOUT`].
async fn with_timeout<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
    match timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| StoreError(reason(&error))),
        Err(_) => Err(StoreError("the API server does not answer in time".to_owned())),
    }
}

/// Awaits a write. A missing or changed object is a conflict, not an error.
async fn write_outcome<T>(
    request: impl Future<Output = Result<T, Error>>,
) -> Result<WriteOutcome, StoreError> {
    let answer = async {
        match request.await {
            Ok(_) => Ok(WriteOutcome::Stored),
            Err(Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(WriteOutcome::Conflict),
            Err(error) => Err(error),
        }
    };
    with_timeout(answer).await
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    use http::{Method, Request, Response};
    use http_body_util::BodyExt;
    use kube::client::Body;

    use super::*;

    /// An API server that answers reads with the object and writes with a status code, and records the writes.
    #[derive(Clone)]
    struct ApiServer {
        object: Value,
        code: u16,
        writes: Arc<Mutex<Vec<Write>>>,
    }

    /// The method and path, the content type, and the body.
    type Write = (String, Option<String>, Value);

    impl ApiServer {
        fn new(object: Value, code: u16) -> Self {
            Self {
                object,
                code,
                writes: Arc::default(),
            }
        }

        fn store(&self) -> KubernetesStore {
            let server = self.clone();
            let client = Client::new(
                tower::service_fn(move |request| server.clone().answer(request)),
                "default",
            );
            KubernetesStore::new(client, "cassgate-system", "cassgate-ca", "cassgate")
        }

        async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
            let (head, body) = request.into_parts();
            let (code, answer) = if head.method == Method::GET {
                (200, self.object.clone())
            } else {
                let body = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
                let content_type = head.headers.get("content-type");
                self.writes.lock().unwrap().push((
                    format!("{} {}", head.method, head.uri),
                    content_type.map(|value| value.to_str().unwrap().to_owned()),
                    body,
                ));
                let status =
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.code});
                (
                    self.code,
                    if self.code == 200 {
                        self.object.clone()
                    } else {
                        status
                    },
                )
            };
            let answer = Body::from(answer.to_string().into_bytes());
            Ok(Response::builder().status(code).body(answer).unwrap())
        }

        fn writes(&self) -> Vec<Write> {
            self.writes.lock().unwrap().clone()
        }
    }

    fn secret() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": "cassgate-ca", "namespace": "cassgate-system", "resourceVersion": "7",
                "labels": {"team": "storage"}, "annotations": {"kept": "yes"},
            },
            "data": {"old": "b2xk"},
        })
    }

    fn data() -> BTreeMap<String, Vec<u8>> {
        BTreeMap::from([("ca.crt".to_owned(), b"new".to_vec())])
    }

    #[tokio::test]
    async fn a_secret_is_replaced_with_new_data_and_the_label_and_keeps_everything_else() {
        let server = ApiServer::new(secret(), 200);
        let outcome = server.store().replace_secret("7", data()).await.unwrap();
        assert_eq!(outcome, WriteOutcome::Stored);
        let [(request, _, sent)] = server.writes().try_into().unwrap();
        assert_eq!(
            request,
            "PUT /api/v1/namespaces/cassgate-system/secrets/cassgate-ca?&fieldManager=cassgate-ca-bundle"
        );
        assert_eq!(sent["data"], json!({"ca.crt": "bmV3"}));
        assert_eq!(sent["metadata"]["resourceVersion"], "7");
        assert_eq!(sent["metadata"]["annotations"], json!({"kept": "yes"}));
        assert_eq!(
            sent["metadata"]["labels"],
            json!({"team": "storage", "cassgate.db.orange.com/authority": "self"})
        );
        assert_eq!(sent["type"], "Opaque");
    }

    #[tokio::test]
    async fn a_secret_that_has_changed_is_not_written() {
        let server = ApiServer::new(secret(), 200);
        let outcome = server.store().replace_secret("6", data()).await.unwrap();
        assert_eq!((outcome, server.writes()), (WriteOutcome::Conflict, Vec::new()));
        for code in [404, 409] {
            let outcome = ApiServer::new(secret(), code)
                .store()
                .replace_secret("7", data())
                .await;
            assert_eq!(outcome.unwrap(), WriteOutcome::Conflict, "{code}");
        }
        let rejected = ApiServer::new(secret(), 403)
            .store()
            .replace_secret("7", data())
            .await;
        assert_eq!(
            rejected.unwrap_err().to_string(),
            "cassgate lacks a right on the API server (403)"
        );
    }

    #[tokio::test]
    async fn a_bundle_is_applied_to_every_webhook_at_the_resource_version_that_was_read() {
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "cassgate", "resourceVersion": "9"},
            "webhooks": [
                {"name": "a.example", "clientConfig": {"caBundle": "b2xk"}},
                {"name": "b.example", "clientConfig": {}},
            ],
        });
        let server = ApiServer::new(configuration, 200);
        let store = server.store();
        let observed = store
            .configuration(WebhookSide::Validating)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(observed.resource_version, "9");
        let bundles: Vec<&[u8]> = observed
            .webhooks
            .iter()
            .map(|webhook| webhook.ca_bundle.as_slice())
            .collect();
        assert_eq!(bundles, [b"old".as_slice(), b""]);

        let outcome = store
            .publish(WebhookSide::Validating, &observed, "new")
            .await
            .unwrap();
        assert_eq!(outcome, WriteOutcome::Stored);
        let [(request, kind, sent)] = server.writes().try_into().unwrap();
        assert_eq!(
            request,
            "PATCH /apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/cassgate?&force=true\
             &fieldManager=cassgate-ca-bundle"
        );
        assert_eq!(kind.as_deref(), Some("application/apply-patch+yaml"));
        let bundle = json!({"caBundle": "bmV3"});
        assert_eq!(
            sent,
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": "cassgate", "resourceVersion": "9"},
                "webhooks": [
                    {"name": "a.example", "clientConfig": bundle},
                    {"name": "b.example", "clientConfig": bundle},
                ],
            })
        );
        let late = ApiServer::new(Value::Null, 409);
        let outcome = late
            .store()
            .publish(WebhookSide::Mutating, &observed, "new")
            .await;
        assert_eq!(outcome.unwrap(), WriteOutcome::Conflict);
    }
}
