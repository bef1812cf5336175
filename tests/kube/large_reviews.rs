//! Clients send reviews that are meant to take much memory. Reviews of the API server are answered meanwhile, and memory
//! stays bounded.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::support::{
    attack::{Attack, Target},
    gate::Gate,
    hostile_json::{VARIANTS, send, send_in_bytes},
    load::Load,
    servers::Crds,
    stage::Stage,
};

/// The memory that the process may take: three quarters of the container's limit in the shipped manifests.
const MAX_MEMORY: usize = 96 * 1024 * 1024;

/// Number of concurrent clients.
const CLIENTS: usize = 64;

/// Number of hostile reviews; `make soak-hostile` sends each variant.
fn reviews() -> usize {
    let number = env::var("CASSGATE_TEST_LARGE_REVIEWS");
    number.map_or(600, |number| {
        number.parse().expect("CASSGATE_TEST_LARGE_REVIEWS is a number")
    })
}

pub(crate) fn memory_stays_bounded_whatever_the_json_of_reviews_is() {
    let stage = Stage::new(Crds::Ours);
    let gate = Gate::start(stage.servers, &["--executor=none"]);
    stage.register(&gate);
    let target = Target {
        address: gate.webhook,
        certificate_authority: Arc::from(gate.certificate_authority()),
    };
    let load = Load::start(&stage, &format!("cassgate-{}", stage.namespace), &[gate.webhook]);
    load.goes_on_for(20);
    let before = gate.peak_memory();
    println!("before: {} KiB", before / 1024);

    let sent = Arc::new(AtomicUsize::new(0));
    let number = Arc::clone(&sent);
    // A step without a common factor with the number of variants visits each of them, large and small ones mixed.
    let turn = move |target, _| {
        let turn = number.fetch_add(1, Ordering::Relaxed);
        send(target, turn * 1009 % VARIANTS)
    };
    let mut attack = Attack::by(CLIENTS, &target, turn);
    while sent.load(Ordering::Relaxed) < reviews() {
        load.goes_on_for(20);
        let peak = gate.peak_memory();
        assert!(
            peak < MAX_MEMORY,
            "{peak} bytes after {} reviews",
            sent.load(Ordering::Relaxed)
        );
        assert!(attack.is_running(), "a client got an unexpected answer");
    }
    drop(attack);
    println!(
        "hostile JSON: {} reviews, {} KiB",
        sent.load(Ordering::Relaxed),
        gate.peak_memory() / 1024
    );

    let attack = Attack::by(CLIENTS, &target, send_in_bytes);
    load.goes_on_for(100);
    drop(attack);
    println!("chunks of one byte: {} KiB", gate.peak_memory() / 1024);
    assert!(gate.peak_memory() < MAX_MEMORY, "{} bytes", gate.peak_memory());

    let (answered, failed) = load.stop();
    println!("{answered} reviews meanwhile, {} failed", failed.len());
    assert_eq!(failed, Vec::<String>::new());
    gate.stop_well().unwrap();
}
