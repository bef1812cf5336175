//! The rotator on a store in memory, with real keys and certificates.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use jiff::{SignedDuration, Timestamp};
use rustls::{RootCertStore, client::WebPkiServerVerifier, client::danger::ServerCertVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};

use super::*;
use crate::{
    telemetry::metrics::{Metrics, WebhookSide},
    tls::install_default_provider,
};

#[derive(Default)]
struct Objects {
    secret: Option<StoredSecret>,
    configurations: BTreeMap<WebhookSide, StoredConfiguration>,
    version: u64,
    /// The error of every write.
    write_error: Option<&'static str>,
    /// The number of writes that still get a conflict.
    remaining_conflicts: usize,
}

#[derive(Clone, Default)]
struct InMemoryStore(Arc<Mutex<Objects>>);

impl InMemoryStore {
    /// Returns an empty Secret and two configurations without a bundle, as the manifests have them.
    fn new() -> Self {
        let store = Self::default();
        store.put_secret(true, &[]);
        for &side in WebhookSide::ALL {
            store.objects().configurations.insert(
                side,
                StoredConfiguration {
                    resource_version: "0".to_owned(),
                    webhooks: vec![StoredWebhook::default(), StoredWebhook::default()],
                },
            );
        }
        store
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap()
    }

    fn put_secret(&self, is_labelled: bool, data: &[(&str, &str)]) {
        let mut objects = self.objects();
        objects.version += 1;
        let data = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
        objects.secret = Some(StoredSecret {
            resource_version: objects.version.to_string(),
            is_labelled,
            data: data.collect(),
        });
    }

    fn data(&self) -> BTreeMap<String, Vec<u8>> {
        self.objects().secret.clone().unwrap().data
    }

    fn keys(&self) -> Vec<String> {
        self.data().into_keys().collect()
    }

    /// Returns the bundle that an API server uses for the validating configuration.
    fn bundle(&self) -> Vec<u8> {
        self.objects().configurations[&WebhookSide::Validating].webhooks[0]
            .ca_bundle
            .clone()
    }

    fn write(
        &self,
        resource_version: &str,
        current: impl FnOnce(&Objects) -> String,
    ) -> Result<WriteOutcome, StoreError> {
        let mut objects = self.objects();
        if let Some(error) = objects.write_error {
            return Err(StoreError(error.to_owned()));
        }
        if objects.remaining_conflicts > 0 {
            objects.remaining_conflicts -= 1;
            return Ok(WriteOutcome::Conflict);
        }
        if current(&objects) != resource_version {
            return Ok(WriteOutcome::Conflict);
        }
        objects.version += 1;
        Ok(WriteOutcome::Stored)
    }
}

impl Store for InMemoryStore {
    async fn secret(&self) -> Result<Option<StoredSecret>, StoreError> {
        Ok(self.objects().secret.clone())
    }

    async fn replace_secret(
        &self,
        resource_version: &str,
        data: BTreeMap<String, Vec<u8>>,
    ) -> Result<WriteOutcome, StoreError> {
        let written = self.write(resource_version, |objects| {
            objects.secret.clone().unwrap().resource_version
        })?;
        if written == WriteOutcome::Stored {
            let mut objects = self.objects();
            objects.secret = Some(StoredSecret {
                resource_version: objects.version.to_string(),
                is_labelled: true,
                data,
            });
        }
        Ok(written)
    }

    async fn configuration(&self, side: WebhookSide) -> Result<Option<StoredConfiguration>, StoreError> {
        Ok(self.objects().configurations.get(&side).cloned())
    }

    async fn publish(
        &self,
        side: WebhookSide,
        observed: &StoredConfiguration,
        bundle: &str,
    ) -> Result<WriteOutcome, StoreError> {
        let written = self.write(&observed.resource_version, |objects| {
            objects.configurations[&side].resource_version.clone()
        })?;
        if written == WriteOutcome::Stored {
            let mut objects = self.objects();
            let version = objects.version.to_string();
            let configuration = objects.configurations.get_mut(&side).unwrap();
            configuration.resource_version = version;
            for webhook in &mut configuration.webhooks {
                webhook.ca_bundle = bundle.as_bytes().to_vec();
            }
        }
        Ok(written)
    }
}

struct Replica {
    rotator: SelfRotator<InMemoryStore>,
    metrics: Metrics,
}

const START: i64 = 1_800_000_000;

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

impl Replica {
    fn new(store: &InMemoryStore) -> Self {
        install_default_provider();
        let options = SelfOptions {
            secret: "cassgate-ca".to_owned(),
            namespace: None,
            service: "cassgate".to_owned(),
            webhooks: "cassgate".to_owned(),
            names: vec!["127.0.0.1".parse().unwrap()],
            timing: plan::Timing {
                authority_lifetime: SignedDuration::from_secs(900),
                leaf_lifetime: SignedDuration::from_secs(300),
                propagation_delay: SignedDuration::from_secs(15),
            },
        };
        let metrics = Metrics::new();
        let rotator = SelfRotator::new(&options, "cassgate-system", store.clone(), metrics.clone());
        Self { rotator, metrics }
    }

    async fn reconcile(&mut self, seconds: i64) {
        self.rotator.reconcile(|| after(seconds)).await;
    }

    fn unready_reasons(&self) -> Vec<String> {
        let state = self.rotator.state();
        let state = state.borrow();
        state.unready().map(str::to_owned).into_iter().collect()
    }

    fn serial(&self) -> String {
        self.rotator.pair().unwrap().serial().to_owned()
    }

    fn has_metric(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|found| found == line)
    }

    /// Returns true if a client that trusts `bundle` accepts the certificate for `name`.
    fn is_accepted(&self, bundle: &[u8], name: &str, seconds: i64) -> bool {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(bundle) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let Ok(verifier) = WebPkiServerVerifier::builder(Arc::new(roots)).build() else {
            return false;
        };
        let chain = self.rotator.pair().unwrap().key().cert.clone();
        let seconds = u64::try_from(after(seconds).as_second()).unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier
            .verify_server_cert(&chain[0], &chain[1..], &name, &[], now)
            .is_ok()
    }
}

#[tokio::test]
async fn one_reconciliation_leads_from_an_empty_secret_to_a_certificate_that_clients_accept() {
    let store = InMemoryStore::new();
    let mut replica = Replica::new(&store);
    assert_eq!(replica.unready_reasons(), ["no certificate yet"]);
    replica.reconcile(0).await;
    assert_eq!(replica.unready_reasons(), Vec::<String>::new());
    assert_eq!(store.keys(), ["ca.crt", "ca.key"]);
    for name in [
        "cassgate.cassgate-system.svc",
        "cassgate.cassgate-system.svc.cluster.local",
        "127.0.0.1",
    ] {
        assert!(replica.is_accepted(&store.bundle(), name, 1), "{name}");
    }
    assert!(!replica.is_accepted(&store.bundle(), "other.cassgate-system.svc", 1));
    assert!(replica.has_metric(&format!(
        "cassgate_tls_certificate_not_after_seconds {}",
        START + 300
    )));
    assert!(replica.has_metric("cassgate_tls_reloads_total{outcome=\"failed\"} 0"));
    assert!(
        replica.has_metric(&format!(
            "cassgate_tls_authority_not_after_seconds{{}} {}",
            START + 900
        )),
        "{}",
        replica.metrics.encode()
    );
}

#[tokio::test]
async fn a_gauge_per_configuration_tells_if_its_bundles_contain_the_authority() {
    let store = InMemoryStore::new();
    let mut replica = Replica::new(&store);
    let vouches = |replica: &Replica, side: &str, value: u8| {
        let line = format!("cassgate_tls_ca_bundle_vouches{{webhooks=\"{side}\"}} {value}");
        assert!(replica.has_metric(&line), "{line}: {}", replica.metrics.encode());
    };
    assert!(
        !replica
            .metrics
            .encode()
            .contains("cassgate_tls_ca_bundle_vouches{")
    );
    replica.reconcile(0).await;
    vouches(&replica, "mutating", 1);
    vouches(&replica, "validating", 1);

    // A user overwrites a bundle, and the rotator may not repair it.
    store
        .objects()
        .configurations
        .get_mut(&WebhookSide::Mutating)
        .unwrap()
        .webhooks[0]
        .ca_bundle
        .clear();
    store.objects().write_error = Some("no right");
    replica.reconcile(10).await;
    vouches(&replica, "mutating", 0);
    vouches(&replica, "validating", 1);
    store.objects().write_error = None;
    replica.reconcile(20).await;
    vouches(&replica, "mutating", 1);

    store.objects().configurations.remove(&WebhookSide::Mutating);
    replica.reconcile(30).await;
    assert!(!replica.metrics.encode().contains("{webhooks=\"mutating\"}"));
    vouches(&replica, "validating", 1);
}

#[tokio::test]
async fn replicas_share_the_authority_and_nothing_else() {
    let store = InMemoryStore::new();
    let (mut one, mut two) = (Replica::new(&store), Replica::new(&store));
    one.reconcile(0).await;
    let before = store.data();
    two.reconcile(1).await;
    assert_eq!(store.data(), before);
    assert_ne!(one.serial(), two.serial());
    for replica in [&one, &two] {
        assert!(replica.is_accepted(&store.bundle(), "127.0.0.1", 2));
    }
}

#[tokio::test]
async fn a_replica_observes_again_after_a_conflict() {
    let store = InMemoryStore::new();
    store.objects().remaining_conflicts = 4;
    let mut replica = Replica::new(&store);
    replica.reconcile(0).await;
    assert_eq!(replica.unready_reasons(), Vec::<String>::new());
}

#[tokio::test]
async fn during_a_rotation_clients_of_the_old_and_of_the_new_bundle_accept_the_certificate() {
    let store = InMemoryStore::new();
    let (mut one, mut two) = (Replica::new(&store), Replica::new(&store));
    one.reconcile(0).await;
    two.reconcile(0).await;
    let old = store.bundle();
    for seconds in [210, 410, 590] {
        one.reconcile(seconds).await;
        two.reconcile(seconds).await;
    }
    assert_eq!(store.bundle(), old);
    one.reconcile(600).await;
    assert_eq!(store.keys(), ["ca.crt", "ca.key", "next.crt", "next.key"]);
    let both = store.bundle();
    assert!(both.len() > old.len());
    for replica in [&one, &two] {
        assert!(
            replica.is_accepted(&old, "127.0.0.1", 600),
            "the certificate was switched too early"
        );
    }
    two.reconcile(605).await;
    one.reconcile(615).await;
    assert_eq!(store.keys(), ["ca.crt", "ca.key", "previous.crt"]);
    assert!(!one.is_accepted(&old, "127.0.0.1", 615));
    two.reconcile(616).await;
    assert!(two.is_accepted(&old, "127.0.0.1", 616));
    two.reconcile(620).await;
    assert!(!two.is_accepted(&old, "127.0.0.1", 620));
    for replica in [&one, &two] {
        assert!(replica.is_accepted(&both, "127.0.0.1", 620));
        assert_eq!(replica.unready_reasons(), Vec::<String>::new());
    }
    for seconds in [810, 900] {
        one.reconcile(seconds).await;
        two.reconcile(seconds).await;
    }
    assert_eq!(store.keys(), ["ca.crt", "ca.key"]);
    assert!(one.is_accepted(&store.bundle(), "127.0.0.1", 900));
    assert!(store.bundle().len() < both.len());
}

#[tokio::test]
async fn a_foreign_secret_is_never_written() {
    let store = InMemoryStore::new();
    store.put_secret(false, &[("password", "x")]);
    let mut replica = Replica::new(&store);
    replica.reconcile(0).await;
    assert_eq!(
        replica.unready_reasons(),
        [
            "no certificate yet: the authority's Secret is not used: it holds data and lacks the label \
          cassgate.db.orange.com/authority=self, so it is left alone"
        ]
    );
    assert_eq!(store.keys(), ["password"]);
    assert!(replica.has_metric("cassgate_tls_reloads_total{outcome=\"failed\"} 1"));
}

#[tokio::test]
async fn a_damaged_secret_is_repaired_without_an_interruption() {
    for damaged in [
        &[("ca.crt", "noise"), ("ca.key", "noise")][..],
        &[("ca.crt", "")],
        &[("ca.key", "noise")],
        &[("previous.crt", "noise")],
    ] {
        let store = InMemoryStore::new();
        let mut replica = Replica::new(&store);
        replica.reconcile(0).await;
        let (old, serial) = (store.bundle(), replica.serial());
        store.put_secret(true, damaged);
        replica.reconcile(10).await;
        assert_eq!(replica.serial(), serial, "{damaged:?}");
        assert_eq!(store.keys(), ["next.crt", "next.key"]);
        replica.reconcile(30).await;
        assert_eq!(store.keys(), ["ca.crt", "ca.key"]);
        assert_ne!(replica.serial(), serial);
        assert!(!replica.is_accepted(&old, "127.0.0.1", 30));
        assert!(replica.is_accepted(&store.bundle(), "127.0.0.1", 30));
        assert_eq!(replica.unready_reasons(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_key_of_another_authority_is_detected() {
    let store = InMemoryStore::new();
    let mut replica = Replica::new(&store);
    replica.reconcile(0).await;
    let text = |data: &BTreeMap<String, Vec<u8>>, key: &str| String::from_utf8(data[key].clone()).unwrap();
    let ours = store.data();
    let other = InMemoryStore::new();
    Replica::new(&other).reconcile(0).await;
    let (certificate, key) = (text(&ours, "ca.crt"), text(&other.data(), "ca.key"));
    store.put_secret(true, &[("ca.crt", &certificate), ("ca.key", &key)]);
    replica.reconcile(10).await;
    assert_eq!(store.keys(), ["next.crt", "next.key"]);
}

#[tokio::test]
async fn without_the_secret_the_certificate_is_served_until_it_expires_and_readiness_gives_the_reason() {
    let store = InMemoryStore::new();
    let mut replica = Replica::new(&store);
    replica.reconcile(0).await;
    store.objects().secret = None;
    replica.reconcile(290).await;
    assert_eq!(replica.unready_reasons(), Vec::<String>::new());
    assert!(replica.has_metric("cassgate_tls_reloads_total{outcome=\"failed\"} 1"));
    replica.reconcile(301).await;
    assert_eq!(
        replica.unready_reasons(),
        [format!(
            "the certificate expired at {}: the authority's Secret does not exist; apply the manifests again",
            after(300)
        )]
    );
    store.put_secret(true, &[]);
    replica.reconcile(310).await;
    assert_eq!(replica.unready_reasons(), Vec::<String>::new());
}

#[tokio::test]
async fn a_missing_permission_is_named_and_no_certificate_is_served() {
    let store = InMemoryStore::new();
    store.objects().write_error = Some("no right");
    let mut replica = Replica::new(&store);
    replica.reconcile(0).await;
    assert_eq!(
        replica.unready_reasons(),
        ["no certificate yet: the authority's Secret cannot be written: no right"]
    );
}

#[tokio::test]
async fn an_emptied_bundle_is_filled_in_the_same_reconciliation() {
    let store = InMemoryStore::new();
    let mut replica = Replica::new(&store);
    replica.reconcile(0).await;
    let (bundle, serial) = (store.bundle(), replica.serial());
    for configuration in store.objects().configurations.values_mut() {
        for webhook in &mut configuration.webhooks {
            webhook.ca_bundle.clear();
        }
    }
    replica.reconcile(10).await;
    assert_eq!((store.bundle(), replica.serial()), (bundle, serial));
    assert_eq!(replica.unready_reasons(), Vec::<String>::new());
}

#[tokio::test]
async fn debug_output_contains_no_part_of_a_key() {
    let store = InMemoryStore::new();
    let mut replica = Replica::new(&store);
    replica.reconcile(0).await;
    let stored = store.objects().secret.clone().unwrap();
    let (secret, _) = secret::read(&stored).unwrap();
    let key = String::from_utf8(stored.data["ca.key"].clone()).unwrap();
    let line = key.lines().nth(1).unwrap();
    for shown in [
        format!("{stored:?}"),
        format!("{secret:?}"),
        format!("{:?}", replica.rotator.pair()),
    ] {
        assert!(!shown.contains(line) && !shown.contains("BEGIN"), "{shown}");
    }
}
