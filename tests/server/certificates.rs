//! Modes `files` and `dev`: accepted and rejected pairs, and their effect on readiness.

use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use axum::Router;
use cassgate::{
    server::{
        limits::Limits,
        readiness::{Gate, Readiness},
    },
    telemetry::metrics::Metrics,
    tls::{CertificateState, DevOptions, PairFiles, PairSource, Reload, Reloader},
};
use jiff::{SignedDuration, Timestamp};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::support::{
    Authority, NEVER, RunningServer, SOON, Volume, now, roots, tls, tls_config, until, value, write_pair,
};

/// A reloader with the metrics that it writes and a readiness gate for its state.
struct Replica {
    reloader: Reloader,
    readiness: Readiness,
    gate: Gate,
    metrics: Metrics,
}

impl Replica {
    fn start(source: PairSource) -> Result<Self, String> {
        let (readiness, metrics) = (Readiness::new(), Metrics::new());
        let gate = readiness.gate("tls", "no certificate loaded yet");
        let reloader = Reloader::start(source, metrics.clone(), now()).map_err(|error| error.to_string())?;
        Ok(Self {
            reloader,
            readiness,
            gate,
            metrics,
        })
    }

    fn directory(directory: &Path) -> Self {
        Self::start(PairSource::Files(PairFiles::in_directory(directory))).unwrap()
    }

    async fn served(&self) -> RunningServer {
        let (limits, metrics) = (Limits::default(), self.metrics.clone());
        RunningServer::https(&self.reloader, Router::new(), limits, metrics, NEVER).await
    }

    /// Returns the closed gates and their reasons, after the gate has followed the state of the certificate.
    fn closed_gates(&self) -> Vec<(&'static str, String)> {
        let state = self.reloader.state();
        self.gate.update(state.borrow().unready());
        self.readiness.closed()
    }

    fn is_ready(&self) -> bool {
        self.closed_gates().is_empty() && self.readiness.is_ready()
    }

    fn reloads(&self, outcome: &str) -> i64 {
        value(
            &self.metrics,
            &format!("cassgate_tls_reloads_total{{outcome={outcome:?}}}"),
        )
    }
}

fn minutes(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

/// Returns the chain that the server presents to a client.
async fn presented_chain(address: SocketAddr, roots: RootCertStore) -> Vec<CertificateDer<'static>> {
    let stream = tls(address, tls_config(roots, &["h2"])).await.unwrap();
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain
        .iter()
        .map(|certificate| certificate.clone().into_owned())
        .collect()
}

#[tokio::test]
async fn a_renewed_secret_is_served_after_one_reload() {
    let authority = Authority::new();
    let (old, new) = (authority.issue(), authority.issue());
    let mut volume = Volume::new(&old);
    let mut replica = Replica::directory(volume.path());
    let served = replica.served().await;
    assert_eq!(
        presented_chain(served.address, authority.roots()).await,
        [old.der()]
    );
    assert_eq!(replica.reloader.reload(now()), Reload::Unchanged);

    volume.replace(&new);
    assert_eq!(replica.reloader.reload(now()), Reload::Swapped);
    assert_eq!(
        presented_chain(served.address, authority.roots()).await,
        [new.der()]
    );
    assert_eq!(replica.reloader.reload(now()), Reload::Unchanged);
    assert_eq!((replica.reloads("swapped"), replica.reloads("failed")), (1, 0));

    volume.replace(&old);
    assert_eq!(replica.reloader.reload(now()), Reload::Swapped);
    assert_eq!(
        presented_chain(served.address, authority.roots()).await,
        [old.der()]
    );
}

#[tokio::test]
async fn the_reloader_runs_until_it_is_stopped_and_its_end_closes_readiness() {
    let authority = Authority::new();
    let (old, new) = (authority.issue(), authority.issue());
    let mut volume = Volume::new(&old);
    let replica = Replica::directory(volume.path());
    let served = replica.served().await;
    let stop = CancellationToken::new();
    let follow = replica
        .gate
        .follow(replica.reloader.state(), CertificateState::unready);
    let following = AbortOnDropHandle::new(tokio::spawn(follow));
    let running = AbortOnDropHandle::new(tokio::spawn(replica.reloader.run(SOON, now, stop.clone())));

    volume.replace(&new);
    until(|| {
        value(
            &replica.metrics,
            r#"cassgate_tls_reloads_total{outcome="swapped"}"#,
        ) == 1
    })
    .await;
    assert_eq!(
        presented_chain(served.address, authority.roots()).await,
        [new.der()]
    );
    assert!(replica.readiness.is_ready());
    stop.cancel();
    running.await.unwrap();
    following.await.unwrap();
    let ended = "the part of cassgate that is responsible for this has ended";
    assert_eq!(replica.readiness.closed(), [("tls", ended.to_owned())]);
}

#[test]
fn both_files_are_read_from_the_directory_that_the_data_link_points_to() {
    let authority = Authority::new();
    let (old, new) = (authority.issue(), authority.issue());
    let volume = Volume::new(&new);
    // One of the links still shows the old version, as if it had been read while kubelet renames.
    fs::remove_file(volume.path().join("tls.crt")).unwrap();
    fs::write(volume.path().join("tls.crt"), &old.certificate).unwrap();
    let pair = PairFiles::in_directory(volume.path()).load().unwrap();
    assert_eq!(pair.key().cert, [new.der()]);
}

#[tokio::test]
async fn a_mismatched_pair_is_not_served_until_its_key_arrives() {
    let authority = Authority::new();
    let (old, new) = (authority.issue(), authority.issue());
    let directory = tempfile::tempdir().unwrap();
    write_pair(directory.path(), &old);
    let mut replica = Replica::directory(directory.path());
    let served = replica.served().await;

    fs::write(directory.path().join("tls.crt"), &new.certificate).unwrap();
    let log = Log::default();
    log.collect(|| {
        assert_eq!(replica.reloader.reload(now()), Reload::Failed);
        assert_eq!(replica.reloader.reload(now()), Reload::Failed);
    });
    let path = directory.path().display();
    assert_eq!(
        log.lines(),
        [format!(
            "ERROR the new certificate is unusable; the old one is still served \
             error=\"{path}/tls.crt and {path}/tls.key: the key does not belong to the first certificate; \
             the webhook's own certificate must come first\""
        )]
    );
    assert_eq!((replica.reloads("swapped"), replica.reloads("failed")), (0, 2));
    assert_eq!(
        presented_chain(served.address, authority.roots()).await,
        [old.der()]
    );
    assert!(replica.is_ready());

    fs::write(directory.path().join("tls.key"), &new.key).unwrap();
    assert_eq!(replica.reloader.reload(now()), Reload::Swapped);
    assert_eq!(
        presented_chain(served.address, authority.roots()).await,
        [new.der()]
    );
}

#[tokio::test]
async fn after_the_secret_was_deleted_the_old_pair_is_still_served() {
    let authority = Authority::new();
    let pair = authority.issue();
    let volume = Volume::new(&pair);
    let mut replica = Replica::directory(volume.path());
    let served = replica.served().await;
    drop(volume);
    assert_eq!(replica.reloader.reload(now()), Reload::Failed);
    assert_eq!(
        presented_chain(served.address, authority.roots()).await,
        [pair.der()]
    );
    assert!(replica.is_ready());
}

#[test]
fn an_expired_certificate_closes_readiness_until_a_valid_one_arrives() {
    let authority = Authority::new();
    let mut volume = Volume::new(&authority.issue_for(minutes(-60), minutes(10)));
    let mut replica = Replica::directory(volume.path());
    assert!(replica.is_ready());
    let gauge = "cassgate_tls_certificate_not_after_seconds";
    assert_eq!(value(&replica.metrics, gauge), minutes(10).as_second());

    assert_eq!(replica.reloader.reload(minutes(10)), Reload::Unchanged);
    assert!(replica.is_ready());
    assert_eq!(replica.reloader.reload(minutes(11)), Reload::Unchanged);
    let expired = "the certificate expired at 2026-11-23T12:10:00Z";
    assert_eq!(replica.closed_gates(), [("tls", expired.to_owned())]);

    volume.replace(&authority.issue_for(minutes(-60), minutes(60)));
    assert_eq!(replica.reloader.reload(minutes(12)), Reload::Swapped);
    assert!(replica.is_ready());
    assert_eq!(value(&replica.metrics, gauge), minutes(60).as_second());
}

#[test]
fn a_valid_pair_is_not_replaced_by_one_that_is_not_valid_now() {
    let authority = Authority::new();
    let mut volume = Volume::new(&authority.issue());
    let mut replica = Replica::directory(volume.path());
    for (pair, error) in [
        (
            authority.issue_for(minutes(-60), minutes(-30)),
            "the certificate expired at 2026-11-23T11:30:00Z",
        ),
        (
            authority.issue_for(minutes(5), minutes(60)),
            "the certificate is not valid before 2026-11-23T12:05:00Z",
        ),
    ] {
        volume.replace(&pair);
        let log = Log::default();
        log.collect(|| assert_eq!(replica.reloader.reload(now()), Reload::Failed));
        let path = volume.path().display();
        assert_eq!(
            log.lines(),
            [format!(
                "ERROR the new certificate is unusable; the old one is still served error=\"{path}/tls.crt: {error}\""
            )]
        );
        assert!(replica.is_ready());
    }
    assert_eq!(replica.reloader.reload(minutes(5)), Reload::Swapped);
}

#[test]
fn a_certificate_that_is_not_valid_at_start_is_served_but_not_ready() {
    let authority = Authority::new();
    let volume = Volume::new(&authority.issue_for(minutes(5), minutes(60)));
    let mut replica = Replica::directory(volume.path());
    let early = "the certificate is not valid before 2026-11-23T12:05:00Z";
    assert_eq!(replica.closed_gates(), [("tls", early.to_owned())]);
    assert_eq!(replica.reloader.reload(minutes(5)), Reload::Unchanged);
    assert!(replica.is_ready());
}

#[tokio::test]
async fn a_chain_is_presented_in_full() {
    let authority = Authority::new();
    let mut pair = authority.issue();
    pair.certificate.push_str(&authority.pem());
    let volume = Volume::new(&pair);
    let served = Replica::directory(volume.path()).served().await;
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    assert_eq!(
        presented_chain(served.address, authority.roots()).await,
        [pair.der(), root]
    );
}

#[test]
fn unusable_files_at_start_are_reported_with_path_and_reason() {
    let pair = Authority::new().issue();
    let other = Authority::new().issue();
    let no_key = "no private key in it; an unencrypted PEM block that begins with -----BEGIN PRIVATE KEY-----, \
                  -----BEGIN EC PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY----- is needed";
    let no_certificate =
        "no certificate in it; a PEM block that begins with -----BEGIN CERTIFICATE----- is needed";
    let garbled = pair.key.replacen("\nM", "\n*M", 1);
    let cut = pair.certificate.lines().next().unwrap();
    let der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_x509 = "certificate 1 of the chain is not an X.509 certificate";
    let mismatch =
        "the key does not belong to the first certificate; the webhook's own certificate must come first";
    for (certificate, key, error) in [
        ("", pair.key.as_str(), format!("{{}}/tls.crt: {no_certificate}")),
        ("\u{0}\u{1}", &pair.key, format!("{{}}/tls.crt: {no_certificate}")),
        (&pair.key, &pair.key, format!("{{}}/tls.crt: {no_certificate}")),
        (
            cut,
            &pair.key,
            "{}/tls.crt: the PEM in it is damaged: a block has no -----END line".to_owned(),
        ),
        (
            der,
            &pair.key,
            format!("{{}}/tls.crt and {{}}/tls.key: {no_x509}"),
        ),
        (&pair.certificate, "", format!("{{}}/tls.key: {no_key}")),
        (
            &pair.certificate,
            &garbled,
            "{}/tls.key: the PEM in it is damaged: a block is not base64".to_owned(),
        ),
        (
            &pair.certificate,
            &other.key,
            format!("{{}}/tls.crt and {{}}/tls.key: {mismatch}"),
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("tls.crt"), certificate).unwrap();
        fs::write(directory.path().join("tls.key"), key).unwrap();
        assert_eq!(
            start_error(directory.path()),
            error.replace("{}", directory.path().to_str().unwrap())
        );
    }
}

#[test]
fn missing_and_oversized_files_are_reported_with_path_and_reason() {
    let absent = tempfile::tempdir().unwrap();
    let path = absent.path().display().to_string();
    assert_eq!(
        start_error(absent.path()),
        format!("{path}/tls.crt: cannot be read: No such file or directory (os error 2)")
    );

    write_pair(absent.path(), &Authority::new().issue());
    fs::remove_file(absent.path().join("tls.key")).unwrap();
    fs::create_dir(absent.path().join("tls.key")).unwrap();
    assert_eq!(start_error(absent.path()), format!("{path}/tls.key: not a file"));

    fs::write(absent.path().join("tls.crt"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
    assert_eq!(
        start_error(absent.path()),
        format!("{path}/tls.crt: larger than 1048576 bytes, the most that a Secret can hold")
    );
}

fn start_error(directory: &Path) -> String {
    Replica::start(PairSource::Files(PairFiles::in_directory(directory)))
        .map(|_| ())
        .unwrap_err()
}

#[tokio::test]
async fn dev_serves_a_pair_that_clients_of_its_written_authority_trust() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("tls");
    let options = DevOptions {
        directory: Some(directory.clone()),
        names: vec!["gate.example".parse().unwrap()],
    };
    let mut replica = Replica::start(PairSource::Dev(options)).unwrap();
    assert!(replica.is_ready());
    assert_eq!(
        replica.reloader.pair().names(),
        ["localhost", "127.0.0.1", "::1", "gate.example"]
    );
    let served = replica.served().await;
    let authority = CertificateDer::from_pem_file(directory.join("ca.crt")).unwrap();
    // The test's clock differs from the system clock, so the client has a clock of its own.
    let chain = presented_chain_at(served.address, roots(authority), now()).await;
    assert_eq!(chain, replica.reloader.pair().key().cert);

    // No key is written, and no temporary file is left.
    let files: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files, ["ca.crt"]);

    let year = 365 * 24 * 60;
    assert_eq!(replica.reloader.reload(minutes(year)), Reload::Unchanged);
    assert!(replica.is_ready());
    assert_eq!(replica.reloader.reload(minutes(year + 1)), Reload::Unchanged);
    let expired = "the certificate expired at 2027-11-23T12:00:00Z";
    assert_eq!(replica.closed_gates(), [("tls", expired.to_owned())]);
}

#[test]
fn dev_names_the_path_if_it_cannot_write_its_authority() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let options = DevOptions {
        directory: Some(file.clone()),
        names: Vec::new(),
    };
    let error = Replica::start(PairSource::Dev(options)).map(|_| ()).unwrap_err();
    let path = file.display();
    assert_eq!(
        error,
        format!("--tls-dir: {path}/ca.crt cannot be written: File exists (os error 17)")
    );
}

/// Returns the chain that the server presents to a client with a stopped clock.
async fn presented_chain_at(
    address: SocketAddr,
    roots: RootCertStore,
    time: Timestamp,
) -> Vec<CertificateDer<'static>> {
    #[derive(Debug)]
    struct Stopped(u64);
    impl rustls::time_provider::TimeProvider for Stopped {
        fn current_time(&self) -> Option<rustls_pki_types::UnixTime> {
            Some(rustls_pki_types::UnixTime::since_unix_epoch(
                std::time::Duration::from_secs(self.0),
            ))
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clock = Arc::new(Stopped(time.as_second().try_into().unwrap()));
    let config = rustls::ClientConfig::builder_with_details(provider, clock)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tls(address, config).await.unwrap();
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain
        .iter()
        .map(|certificate| certificate.clone().into_owned())
        .collect()
}

/// The log of this thread: one line per event, without time and module.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn collect(&self, during: impl FnOnce()) {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || log.clone())
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, during);
    }

    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| line.trim().to_owned())
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
