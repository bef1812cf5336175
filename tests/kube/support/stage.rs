//! One test's place: a namespace, and a cassgate in front of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    gate::{self, Gate},
    kubectl::Kubectl,
    manifests, objects,
    servers::{self, Crds, Servers},
};

/// A namespace of its own on a real API server.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The servers that it is on.
    pub(crate) servers: &'static Servers,
    /// Its name.
    pub(crate) namespace: String,
    /// The administrator's kubectl, in this namespace.
    pub(crate) kubectl: Kubectl,
}

/// A stage and the cassgate that guards it.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// Where it happens.
    pub(crate) stage: Stage,
    /// Who judges.
    pub(crate) gate: Arc<Gate>,
}

impl Stage {
    /// A fresh namespace, unguarded.
    pub(crate) fn new(crds: Crds) -> Self {
        Self::on(servers::with(crds))
    }

    /// A fresh namespace on these servers, unguarded.
    pub(crate) fn on(servers: &'static Servers) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let namespace = format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        servers
            .kubectl
            .run(&["create", "namespace", &namespace])
            .succeeds();
        let kubectl = servers.kubectl.in_namespace(&namespace);
        Self {
            servers,
            namespace,
            kubectl,
        }
    }

    /// Registers the shipped webhooks with this gate, for this namespace, and waits until they are called.
    pub(crate) fn register(&self, gate: &Gate) {
        let address = gate.webhook.to_string();
        let webhooks = manifests::webhooks(&self.kubectl, &[&self.namespace], &address, &gate.ca_bundle());
        self.servers
            .kubectl
            .apply_server_side(&manifests::list(webhooks))
            .succeeds();
        let probe = objects::backup("probe", "entities: k1,k2.t2");
        for _ in 0..200 {
            let answer = self
                .kubectl
                .run_with(&["create", "--dry-run=server", "-f", "-"], &probe);
            if answer.stderr.contains("[entities-mixed]") {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the webhook is not called in {}:\n{}", self.namespace, gate.log());
    }
}

impl Guarded {
    /// A fresh namespace behind a gate with these flags; other tests use the same gate.
    pub(crate) fn new(crds: Crds, flags: &[&str]) -> Self {
        let stage = Stage::new(crds);
        let gate = gate::shared(stage.servers, flags);
        stage.register(&gate);
        Self { stage, gate }
    }

    /// A fresh namespace behind a gate of its own.
    pub(crate) fn alone(crds: Crds, flags: &[&str]) -> Self {
        let stage = Stage::new(crds);
        let gate = Arc::new(Gate::start(stage.servers, flags));
        stage.register(&gate);
        Self { stage, gate }
    }

    /// Says that this backup has run well, as whoever acts would say it.
    pub(crate) fn has_run(&self, backup: &str) {
        self.says("cassandrabackup", backup, "COMPLETED");
    }

    /// Writes the state of an object, as whoever acts would write it.
    pub(crate) fn says(&self, kind: &str, name: &str, state: &str) {
        let patch = format!("{{\"status\":{{\"condition\":{{\"type\":\"{state}\"}}}}}}");
        let mut command = vec!["patch", kind, name, "--type=merge", "-p", &patch];
        if self.stage.servers.crds() == Crds::Ours {
            command.push("--subresource=status");
        }
        self.kubectl().run(&command).succeeds();
    }

    /// The administrator's kubectl, in this namespace.
    pub(crate) fn kubectl(&self) -> &Kubectl {
        &self.stage.kubectl
    }
}
