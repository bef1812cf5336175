//! The keeper on a store that is a value, with real keys and certificates.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use jiff::{SignedDuration, Timestamp};
use rustls::{RootCertStore, client::WebPkiServerVerifier, client::danger::ServerCertVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};

use super::*;
use crate::{telemetry::metrics::Metrics, tls::install_default_provider};

#[derive(Default)]
struct Objects {
    secret: Option<SecretObject>,
    configurations: BTreeMap<Configured, ConfigurationObject>,
    version: u64,
    /// What every write is answered with.
    refuses: Option<&'static str>,
    /// How many writes find that somebody was quicker.
    conflicts: usize,
}

#[derive(Clone, Default)]
struct Cluster(Arc<Mutex<Objects>>);

impl Cluster {
    /// An empty Secret and two configurations without a bundle, as the manifests have them.
    fn new() -> Self {
        let cluster = Self::default();
        cluster.put_secret(true, &[]);
        for &side in Configured::ALL {
            cluster.now().configurations.insert(
                side,
                ConfigurationObject {
                    version: "0".to_owned(),
                    entries: vec![Entry::default(), Entry::default()],
                },
            );
        }
        cluster
    }

    fn now(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap()
    }

    fn put_secret(&self, marked: bool, data: &[(&str, &str)]) {
        let mut objects = self.now();
        objects.version += 1;
        let data = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
        objects.secret = Some(SecretObject {
            version: objects.version.to_string(),
            marked,
            data: data.collect(),
        });
    }

    fn data(&self) -> BTreeMap<String, Vec<u8>> {
        self.now().secret.clone().unwrap().data
    }

    fn keys(&self) -> Vec<String> {
        self.data().into_keys().collect()
    }

    /// What an API server trusts that goes by the validating configuration.
    fn bundle(&self) -> Vec<u8> {
        self.now().configurations[&Configured::Validating].entries[0]
            .bundle
            .clone()
    }

    fn write(&self, version: &str, current: impl FnOnce(&Objects) -> String) -> Result<Written, StoreError> {
        let mut objects = self.now();
        if let Some(refuses) = objects.refuses {
            return Err(StoreError(refuses.to_owned()));
        }
        if objects.conflicts > 0 {
            objects.conflicts -= 1;
            return Ok(Written::Conflict);
        }
        if current(&objects) != version {
            return Ok(Written::Conflict);
        }
        objects.version += 1;
        Ok(Written::Done)
    }
}

impl Store for Cluster {
    async fn secret(&self) -> Result<Option<SecretObject>, StoreError> {
        Ok(self.now().secret.clone())
    }

    async fn replace_secret(
        &self,
        version: &str,
        data: BTreeMap<String, Vec<u8>>,
    ) -> Result<Written, StoreError> {
        let written = self.write(version, |objects| objects.secret.clone().unwrap().version)?;
        if written == Written::Done {
            let mut objects = self.now();
            objects.secret = Some(SecretObject {
                version: objects.version.to_string(),
                marked: true,
                data,
            });
        }
        Ok(written)
    }

    async fn configuration(&self, side: Configured) -> Result<Option<ConfigurationObject>, StoreError> {
        Ok(self.now().configurations.get(&side).cloned())
    }

    async fn publish(
        &self,
        side: Configured,
        seen: &ConfigurationObject,
        bundle: &str,
    ) -> Result<Written, StoreError> {
        let written = self.write(&seen.version, |objects| {
            objects.configurations[&side].version.clone()
        })?;
        if written == Written::Done {
            let mut objects = self.now();
            let version = objects.version.to_string();
            let configuration = objects.configurations.get_mut(&side).unwrap();
            configuration.version = version;
            for entry in &mut configuration.entries {
                entry.bundle = bundle.as_bytes().to_vec();
            }
        }
        Ok(written)
    }
}

/// One replica.
struct Replica {
    rotator: SelfRotator<Cluster>,
    metrics: Metrics,
}

const BEGIN: i64 = 1_800_000_000;

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + seconds).unwrap()
}

impl Replica {
    fn new(cluster: &Cluster) -> Self {
        install_default_provider();
        let options = SelfOptions {
            secret: "cassgate-ca".to_owned(),
            namespace: None,
            service: "cassgate".to_owned(),
            webhooks: "cassgate".to_owned(),
            names: vec!["127.0.0.1".parse().unwrap()],
            timing: plan::Timing {
                authority: SignedDuration::from_secs(900),
                leaf: SignedDuration::from_secs(300),
                settle: SignedDuration::from_secs(15),
            },
        };
        let metrics = Metrics::new();
        let rotator = SelfRotator::new(&options, "cassgate-system", cluster.clone(), metrics.clone());
        Self { rotator, metrics }
    }

    async fn pass(&mut self, seconds: i64) {
        self.rotator.pass(|| after(seconds)).await;
    }

    fn unready(&self) -> Vec<String> {
        let state = self.rotator.state();
        let state = state.borrow();
        state.unready().map(str::to_owned).into_iter().collect()
    }

    fn serial(&self) -> String {
        self.rotator.pair().unwrap().serial().to_owned()
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|found| found == line)
    }

    /// Whether a client that trusts this bundle takes the certificate, for a name.
    fn is_taken(&self, bundle: &[u8], name: &str, seconds: i64) -> bool {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(bundle) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let Ok(verifier) = WebPkiServerVerifier::builder(Arc::new(roots)).build() else {
            return false;
        };
        let chain = self.rotator.pair().unwrap().key().cert.clone();
        let moment = u64::try_from(after(seconds).as_second()).unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(moment));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier
            .verify_server_cert(&chain[0], &chain[1..], &name, &[], now)
            .is_ok()
    }
}

#[tokio::test]
async fn one_pass_leads_from_an_empty_secret_to_a_certificate_that_clients_take() {
    let cluster = Cluster::new();
    let mut replica = Replica::new(&cluster);
    assert_eq!(replica.unready(), ["no certificate yet"]);
    replica.pass(0).await;
    assert_eq!(replica.unready(), Vec::<String>::new());
    assert_eq!(cluster.keys(), ["ca.crt", "ca.key"]);
    for name in [
        "cassgate.cassgate-system.svc",
        "cassgate.cassgate-system.svc.cluster.local",
        "127.0.0.1",
    ] {
        assert!(replica.is_taken(&cluster.bundle(), name, 1), "{name}");
    }
    assert!(!replica.is_taken(&cluster.bundle(), "other.cassgate-system.svc", 1));
    assert!(replica.metric(&format!(
        "cassgate_tls_certificate_not_after_seconds {}",
        BEGIN + 300
    )));
    assert!(replica.metric("cassgate_tls_reloads_total{outcome=\"failed\"} 0"));
    assert!(
        replica.metric(&format!(
            "cassgate_tls_authority_not_after_seconds{{}} {}",
            BEGIN + 900
        )),
        "{}",
        replica.metrics.encode()
    );
}

#[tokio::test]
async fn it_is_told_of_each_configuration_whether_it_vouches() {
    let cluster = Cluster::new();
    let mut replica = Replica::new(&cluster);
    let vouches = |replica: &Replica, side: &str, value: u8| {
        let line = format!("cassgate_tls_ca_bundle_vouches{{webhooks=\"{side}\"}} {value}");
        assert!(replica.metric(&line), "{line}: {}", replica.metrics.encode());
    };
    assert!(
        !replica
            .metrics
            .encode()
            .contains("cassgate_tls_ca_bundle_vouches{")
    );
    replica.pass(0).await;
    vouches(&replica, "mutating", 1);
    vouches(&replica, "validating", 1);

    // Somebody overwrites it, and it cannot be mended.
    cluster
        .now()
        .configurations
        .get_mut(&Configured::Mutating)
        .unwrap()
        .entries[0]
        .bundle
        .clear();
    cluster.now().refuses = Some("no right");
    replica.pass(10).await;
    vouches(&replica, "mutating", 0);
    vouches(&replica, "validating", 1);
    cluster.now().refuses = None;
    replica.pass(20).await;
    vouches(&replica, "mutating", 1);

    cluster.now().configurations.remove(&Configured::Mutating);
    replica.pass(30).await;
    assert!(!replica.metrics.encode().contains("{webhooks=\"mutating\"}"));
    vouches(&replica, "validating", 1);
}

#[tokio::test]
async fn replicas_share_the_authority_and_nothing_else() {
    let cluster = Cluster::new();
    let (mut one, mut two) = (Replica::new(&cluster), Replica::new(&cluster));
    one.pass(0).await;
    let before = cluster.data();
    two.pass(1).await;
    assert_eq!(cluster.data(), before);
    assert_ne!(one.serial(), two.serial());
    for replica in [&one, &two] {
        assert!(replica.is_taken(&cluster.bundle(), "127.0.0.1", 2));
    }
}

#[tokio::test]
async fn a_replica_that_was_too_late_looks_again() {
    let cluster = Cluster::new();
    cluster.now().conflicts = 4;
    let mut replica = Replica::new(&cluster);
    replica.pass(0).await;
    assert_eq!(replica.unready(), Vec::<String>::new());
}

#[tokio::test]
async fn through_a_rotation_the_old_bundle_takes_the_old_and_the_new_one_takes_both() {
    let cluster = Cluster::new();
    let (mut one, mut two) = (Replica::new(&cluster), Replica::new(&cluster));
    one.pass(0).await;
    two.pass(0).await;
    let old = cluster.bundle();
    for seconds in [210, 410, 590] {
        one.pass(seconds).await;
        two.pass(seconds).await;
    }
    assert_eq!(cluster.bundle(), old);
    one.pass(600).await;
    assert_eq!(cluster.keys(), ["ca.crt", "ca.key", "next.crt", "next.key"]);
    let both = cluster.bundle();
    assert!(both.len() > old.len());
    for replica in [&one, &two] {
        assert!(
            replica.is_taken(&old, "127.0.0.1", 600),
            "it was switched too early"
        );
    }
    two.pass(605).await;
    one.pass(615).await;
    assert_eq!(cluster.keys(), ["ca.crt", "ca.key", "previous.crt"]);
    assert!(!one.is_taken(&old, "127.0.0.1", 615));
    two.pass(616).await;
    assert!(two.is_taken(&old, "127.0.0.1", 616));
    two.pass(620).await;
    assert!(!two.is_taken(&old, "127.0.0.1", 620));
    for replica in [&one, &two] {
        assert!(replica.is_taken(&both, "127.0.0.1", 620));
        assert_eq!(replica.unready(), Vec::<String>::new());
    }
    for seconds in [810, 900] {
        one.pass(seconds).await;
        two.pass(seconds).await;
    }
    assert_eq!(cluster.keys(), ["ca.crt", "ca.key"]);
    assert!(one.is_taken(&cluster.bundle(), "127.0.0.1", 900));
    assert!(cluster.bundle().len() < both.len());
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_never_written() {
    let cluster = Cluster::new();
    cluster.put_secret(false, &[("password", "x")]);
    let mut replica = Replica::new(&cluster);
    replica.pass(0).await;
    assert_eq!(
        replica.unready(),
        [
            "no certificate yet: the authority's Secret is not used: it holds data and lacks the label \
          cassgate.db.orange.com/authority=self, so it is left alone"
        ]
    );
    assert_eq!(cluster.keys(), ["password"]);
    assert!(replica.metric("cassgate_tls_reloads_total{outcome=\"failed\"} 1"));
}

#[tokio::test]
async fn a_secret_that_is_ours_and_broken_is_mended_and_told_and_nobody_is_cut_off() {
    for broken in [
        &[("ca.crt", "noise"), ("ca.key", "noise")][..],
        &[("ca.crt", "")],
        &[("ca.key", "noise")],
        &[("previous.crt", "noise")],
    ] {
        let cluster = Cluster::new();
        let mut replica = Replica::new(&cluster);
        replica.pass(0).await;
        let (old, serial) = (cluster.bundle(), replica.serial());
        cluster.put_secret(true, broken);
        replica.pass(10).await;
        assert_eq!(replica.serial(), serial, "{broken:?}");
        assert_eq!(cluster.keys(), ["next.crt", "next.key"]);
        replica.pass(30).await;
        assert_eq!(cluster.keys(), ["ca.crt", "ca.key"]);
        assert_ne!(replica.serial(), serial);
        assert!(!replica.is_taken(&old, "127.0.0.1", 30));
        assert!(replica.is_taken(&cluster.bundle(), "127.0.0.1", 30));
        assert_eq!(replica.unready(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_key_of_another_authority_is_noticed() {
    let cluster = Cluster::new();
    let mut replica = Replica::new(&cluster);
    replica.pass(0).await;
    let text = |data: &BTreeMap<String, Vec<u8>>, key: &str| String::from_utf8(data[key].clone()).unwrap();
    let ours = cluster.data();
    let other = Cluster::new();
    Replica::new(&other).pass(0).await;
    let (certificate, key) = (text(&ours, "ca.crt"), text(&other.data(), "ca.key"));
    cluster.put_secret(true, &[("ca.crt", &certificate), ("ca.key", &key)]);
    replica.pass(10).await;
    assert_eq!(cluster.keys(), ["next.crt", "next.key"]);
}

#[tokio::test]
async fn without_the_secret_the_certificate_is_served_to_its_end_and_readiness_says_why() {
    let cluster = Cluster::new();
    let mut replica = Replica::new(&cluster);
    replica.pass(0).await;
    cluster.now().secret = None;
    replica.pass(290).await;
    assert_eq!(replica.unready(), Vec::<String>::new());
    assert!(replica.metric("cassgate_tls_reloads_total{outcome=\"failed\"} 1"));
    replica.pass(301).await;
    assert_eq!(
        replica.unready(),
        [format!(
            "the certificate expired at {}: the authority's Secret does not exist; apply the manifests again",
            after(300)
        )]
    );
    cluster.put_secret(true, &[]);
    replica.pass(310).await;
    assert_eq!(replica.unready(), Vec::<String>::new());
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_and_nothing_is_served() {
    let cluster = Cluster::new();
    cluster.now().refuses = Some("no right");
    let mut replica = Replica::new(&cluster);
    replica.pass(0).await;
    assert_eq!(
        replica.unready(),
        ["no certificate yet: the authority's Secret cannot be written: no right"]
    );
}

#[tokio::test]
async fn a_bundle_that_was_wiped_is_filled_in_the_same_pass() {
    let cluster = Cluster::new();
    let mut replica = Replica::new(&cluster);
    replica.pass(0).await;
    let (bundle, serial) = (cluster.bundle(), replica.serial());
    for configuration in cluster.now().configurations.values_mut() {
        for entry in &mut configuration.entries {
            entry.bundle.clear();
        }
    }
    replica.pass(10).await;
    assert_eq!((cluster.bundle(), replica.serial()), (bundle, serial));
    assert_eq!(replica.unready(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_of_a_key_is_shown_by_debug() {
    let cluster = Cluster::new();
    let mut replica = Replica::new(&cluster);
    replica.pass(0).await;
    let object = cluster.now().secret.clone().unwrap();
    let (secret, _) = content::read(&object).unwrap();
    let key = String::from_utf8(object.data["ca.key"].clone()).unwrap();
    let line = key.lines().nth(1).unwrap();
    for shown in [
        format!("{object:?}"),
        format!("{secret:?}"),
        format!("{:?}", replica.rotator.pair()),
    ] {
        assert!(!shown.contains(line) && !shown.contains("BEGIN"), "{shown}");
    }
}
