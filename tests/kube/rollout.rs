//! Replicas that start and stop: rollouts, node drains and evictions.

use std::{fs, io::Read, net::TcpStream, thread, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    reviews::review,
    support::{
        api::tls,
        balancer::Balancer,
        gate::{Gate, fresh_directory},
        http,
        load::Load,
        manifests,
        objects::{backup, cluster, documents, secret},
        proxy::{Condition, Proxy},
        servers::{self, Crds},
        stage::Stage,
        tls::make_pair_by_hand,
        until,
    },
};

/// Starts a replica like the shipped Deployment, with shorter delays; all replicas use the same certificate.
fn replica(stage: &Stage, tls_directory: &str) -> Gate {
    let arguments = [
        "run",
        "--listen=127.0.0.1:0",
        "--admin-listen=127.0.0.1:0",
        "--tls=files",
        &format!("--tls-dir={tls_directory}"),
        "--executor=none",
        "--log-format=json",
        "--shutdown-delay=1s",
        "--drain-timeout=20s",
    ];
    let kubeconfig = stage.servers.gate_kubeconfig().display().to_string();
    let gate = Gate::start_as(
        &arguments.map(ToString::to_string),
        &kubeconfig,
        &fresh_directory("gate"),
    );
    gate.wait_until_ready();
    gate
}

pub(crate) fn ten_rolling_restarts_of_two_replicas_lose_no_review() {
    let stage = Stage::new(Crds::Ours);
    let directory = make_pair_by_hand();
    let authority = fs::read_to_string(directory.join("ca.crt")).unwrap();
    let directory = directory.display().to_string();
    let balancer = Balancer::start();
    let start = || {
        let gate = replica(&stage, &directory);
        balancer.follow(&gate);
        until("connections go to it", || balancer.leads_to(&gate));
        gate
    };
    let mut replicas = [start(), start()];
    let name = format!("cassgate-{}", stage.namespace);
    register(&stage, &balancer, &authority);
    let load = Load::start(&stage, &name, &[balancer.address]);
    load.goes_on_for(200);
    // The next replica starts while the previous one ends, as the Deployment controller does it.
    let mut ending = Vec::new();
    for _ in 0..10 {
        for replica in &mut replicas {
            // maxSurge 1, maxUnavailable 0.
            let old = std::mem::replace(replica, start());
            ending.push(thread::spawn(move || old.stop_well()));
        }
        load.goes_on_for(20);
    }
    for ended in ending {
        ended.join().unwrap().unwrap();
    }
    let (reviews, failed) = load.stop();
    println!(
        "{reviews} reviews through ten rolling restarts, {} failed",
        failed.len()
    );
    assert_eq!(failed, Vec::<String>::new());
    assert!(reviews >= 10 * 200, "{reviews}");
    for replica in replicas {
        replica.stop_well().unwrap();
    }
}

/// Registers the shipped configurations with the balancer in place of the Service.
fn register(stage: &Stage, balancer: &Balancer, authority: &str) {
    let address = balancer.address.to_string();
    let bundle = STANDARD.encode(authority);
    let mut webhooks = manifests::webhooks(&stage.kubectl, &[&stage.namespace], &address, &bundle);
    for configuration in &mut webhooks {
        // A failed review must fail the request, on the mutating side too.
        configuration["webhooks"][0]["failurePolicy"] = json!("Fail");
    }
    let manifest = manifests::list(webhooks);
    stage.servers.kubectl.apply_server_side(&manifest).succeeds();
    until("the webhook is called", || {
        let bad = backup("probe", "entities: k1,k2.t2");
        let answer = stage
            .kubectl
            .run_with(&["create", "--dry-run=server", "-f", "-"], &bad);
        answer.stderr.contains("[cassgate entities-mixed]")
    });
}

/// The review waits for a Secret that the API server returns slowly.
pub(crate) fn at_sigterm_a_review_in_flight_is_answered_while_a_handshake_hangs() {
    let stage = Stage::new(Crds::Ours);
    stage.kubectl.apply(&documents(&[cluster(), secret()])).succeeds();
    let proxy = Proxy::before(stage.servers);
    let mut gate = Gate::start_with_kubeconfig(&proxy.kubeconfig(), &["--executor=none"]);
    gate.wait_until_ready();
    let mut hanging = TcpStream::connect(gate.webhook).unwrap();

    proxy.is(Condition::Slow(Duration::from_secs(2)));
    let (webhook, authority) = (gate.webhook, gate.certificate_authority());
    let review = good_review(&stage);
    let answer =
        thread::spawn(move || http::post(webhook, "/validate?timeout=10s", &authority, review.as_bytes()));
    // The request is in flight from here to its answer.
    until("the Secret is read", || proxy.was_asked_for("/secrets/s3"));
    gate.terminate();

    let reply = answer.join().unwrap();
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(answer["response"]["allowed"], true, "{answer}");
    assert_eq!(
        answer["response"]["warnings"],
        Value::Null,
        "the Secret was waited for: {answer}"
    );
    assert_eq!(gate.stop().code(), Some(0), "{}", gate.log());
    let ended = hanging.read(&mut [0; 1]);
    assert_eq!(ended.unwrap(), 0, "the handshake was given up");
}

/// A body that never ends does not block the shutdown: exit code 1 reports the cut request.
pub(crate) fn at_sigterm_a_body_that_never_ends_is_cut_at_the_deadline() {
    let servers = servers::with(Crds::Ours);
    let mut gate = Gate::start(servers, &["--executor=none", "--drain-timeout=1s"]);
    let (webhook, authority) = (gate.webhook, gate.certificate_authority());
    let held = http::runtime().block_on(async {
        let mut stream = tls(webhook, &authority, &["http/1.1"]).await.unwrap();
        let head = "POST /validate HTTP/1.1\r\nhost: cassgate\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server now waits for the body: the request has begun.
        let mut begun = [0; 25];
        stream.read_exact(&mut begun).await.unwrap();
        assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream
    });
    assert_eq!(gate.stop().code(), Some(1), "{}", gate.log());
    assert!(gate.log().contains("the drain timeout passed"), "{}", gate.log());
    drop(held);
}

/// Returns a review of a valid backup whose Secret must be read.
fn good_review(stage: &Stage) -> String {
    let spec = json!({
        "cassandraCluster": "c1", "storageLocation": "s3://bucket", "snapshotTag": "t", "secret": "s3",
    });
    let mut review: Value = serde_json::from_slice(&review("CassandraBackup", &spec)).unwrap();
    review["request"]["namespace"] = json!(stage.namespace);
    review.to_string()
}
