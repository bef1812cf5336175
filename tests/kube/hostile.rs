//! Whoever reaches the port can send what he likes. Honest reviews are answered meanwhile, and memory stays bounded.

use std::{
    env,
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use crate::support::{
    attack::{self, Attack, CLIENT_HELLO_OF_TLS_1_1, Victim},
    gate::{self, Gate},
    load::Load,
    servers::{self, Crds},
    stage::Stage,
    until,
};

/// Less than the shipped limit of the container.
const MOST_MEMORY: usize = 100 * 1024 * 1024;

/// How many connections come at once. `make soak` has ten thousand of them.
fn connections() -> usize {
    let said = env::var("CASSGATE_TEST_CONNECTIONS");
    said.map_or(2000, |number| {
        number.parse().expect("CASSGATE_TEST_CONNECTIONS is a number")
    })
}

pub(crate) fn honest_reviews_are_answered_while_others_do_their_worst() {
    let stage = Stage::new(Crds::Ours);
    let gate = Gate::start(stage.servers, &["--executor=none"]);
    stage.register(&gate);
    let name = format!("cassgate-{}", stage.namespace);
    let victim = Victim {
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
        Attack::by(connections(), &victim, attack::half_open),
    );
    during("garbage", Attack::by(30, &victim, attack::garbage));
    during("TLS 1.1", Attack::by(30, &victim, attack::tls_1_1));
    during("slow headers", Attack::by(200, &victim, attack::slow_headers));
    let slow = |victim, _| attack::slow_body(victim, 1000, 0);
    during("slow bodies", Attack::by(200, &victim, slow));
    let huge = |victim, _| attack::slow_body(victim, 8 << 20, (8 << 20) - (64 << 10));
    during("huge bodies", Attack::by(50, &victim, huge));
    let larger = |victim, _| attack::slow_body(victim, 1 << 30, 1 << 30);
    during("larger bodies than are read", Attack::by(20, &victim, larger));
    during(
        "streams of bodies",
        Attack::by(4, &victim, attack::streams_of_bodies),
    );
    during("rapid reset", Attack::by(4, &victim, attack::rapid_reset));
    during("settings", Attack::by(4, &victim, attack::settings_flood));
    during("pings", Attack::by(4, &victim, attack::ping_flood));

    let (reviews, failed) = load.stop();
    println!("{reviews} reviews, {} failed", failed.len());
    assert_eq!(failed, Vec::<String>::new());
    // The API server's own connection, at most one or two of them.
    until("they are gone", || gate.connections() <= 2);
    gate.stop_well().unwrap();
}

pub(crate) fn a_client_of_tls_1_1_is_refused() {
    let gate = gate::shared(servers::with(Crds::Ours), &["--executor=none"]);
    let mut stream = TcpStream::connect(gate.webhook).unwrap();
    stream.write_all(&CLIENT_HELLO_OF_TLS_1_1).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    // A record of alerts (21) and no other, and in it a fatal one (2).
    assert_eq!((answer.len(), answer[0], answer[5]), (7, 21, 2), "{answer:?}");
}
