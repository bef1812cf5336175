//! Clients without credentials send arbitrary traffic. Reviews of the API server are answered meanwhile, and memory
//! stays bounded.

use std::{
    env,
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use crate::support::{
    attack::{self, Attack, CLIENT_HELLO_OF_TLS_1_1, Target},
    gate::{self, Gate},
    load::Load,
    servers::{self, Crds},
    stage::Stage,
    until,
};

/// Less than the container's memory limit in the shipped manifests.
const MOST_MEMORY: usize = 100 * 1024 * 1024;

/// Number of concurrent connections; `make soak` uses ten thousand.
fn connections() -> usize {
    let output = env::var("CASSGATE_TEST_CONNECTIONS");
    output.map_or(2000, |number| {
        number.parse().expect("CASSGATE_TEST_CONNECTIONS is a number")
    })
}

pub(crate) fn reviews_are_answered_during_attacks() {
    let stage = Stage::new(Crds::Ours);
    let gate = Gate::start(stage.servers, &["--executor=none"]);
    stage.register(&gate);
    let name = format!("cassgate-{}", stage.namespace);
    let target = Target {
        address: gate.webhook,
        certificate_authority: Arc::from(gate.certificate_authority()),
    };
    let load = Load::start(&stage, &name, &[gate.webhook]);
    load.goes_on_for(100);
    let during = |what: &str, attack: Attack| {
        let clients = attack.clients();
        load.goes_on_for(300);
        println!(
            "{what}: {clients} clients, {} reviews answered so far, at most {} KiB",
            load.answered(),
            gate.peak_memory() / 1024
        );
        drop(attack);
        assert_eq!(load.failed(), Vec::<String>::new(), "{what}");
        assert!(
            gate.peak_memory() < MOST_MEMORY,
            "{what}: {} bytes",
            gate.peak_memory()
        );
    };
    during(
        "half-open handshakes",
        Attack::by(connections(), &target, attack::half_open),
    );
    during("garbage", Attack::by(30, &target, attack::garbage));
    during("TLS 1.1", Attack::by(30, &target, attack::tls_1_1));
    during("slow headers", Attack::by(200, &target, attack::slow_headers));
    let slow = |target, _| attack::slow_body(target, 1000, 0);
    during("slow bodies", Attack::by(200, &target, slow));
    let huge = |target, _| attack::slow_body(target, 8 << 20, (8 << 20) - (64 << 10));
    during("huge bodies", Attack::by(50, &target, huge));
    let larger = |target, _| attack::slow_body(target, 1 << 30, 1 << 30);
    during("larger bodies than are read", Attack::by(20, &target, larger));
    during(
        "streams of bodies",
        Attack::by(4, &target, attack::streams_of_bodies),
    );
    during("rapid reset", Attack::by(4, &target, attack::rapid_reset));
    during("settings", Attack::by(4, &target, attack::settings_flood));
    during("pings", Attack::by(4, &target, attack::ping_flood));

    let (reviews, failed) = load.stop();
    println!("{reviews} reviews, {} failed", failed.len());
    assert_eq!(failed, Vec::<String>::new());
    // The API server itself keeps one or two connections.
    until("they are gone", || gate.connections() <= 2);
    gate.stop_well().unwrap();
}

pub(crate) fn a_client_of_tls_1_1_is_refused() {
    let gate = gate::shared(servers::with(Crds::Ours), &["--executor=none"]);
    let mut stream = TcpStream::connect(gate.webhook).unwrap();
    stream.write_all(&CLIENT_HELLO_OF_TLS_1_1).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    // A single alert record (type 21) with a fatal alert (level 2).
    assert_eq!((answer.len(), answer[0], answer[5]), (7, 21, 2), "{answer:?}");
}
