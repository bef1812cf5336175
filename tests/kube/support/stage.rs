//! The environment of one test: a namespace with a cassgate in front of it.

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

/// A separate namespace on a real API server.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The servers of the namespace.
    pub(crate) servers: &'static Servers,
    /// The name of the namespace.
    pub(crate) namespace: String,
    /// The administrator's kubectl in this namespace.
    pub(crate) kubectl: Kubectl,
}

/// A stage and the cassgate that guards it.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// The stage.
    pub(crate) stage: Stage,
    /// The cassgate.
    pub(crate) gate: Arc<Gate>,
}

impl Stage {
    /// Creates a namespace without a webhook.
    pub(crate) fn new(crds: Crds) -> Self {
        Self::on(servers::with(crds))
    }

    /// Creates a namespace on these servers, without a webhook.
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

    /// Registers the shipped webhooks with this cassgate for this namespace, and waits until they are called.
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
            if answer.stderr.contains("[cassgate entities-mixed]") {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the webhook is not called in {}:\n{}", self.namespace, gate.log());
    }
}

impl Guarded {
    /// Creates a namespace behind a shared cassgate with these flags.
    pub(crate) fn new(crds: Crds, flags: &[&str]) -> Self {
        let stage = Stage::new(crds);
        let gate = gate::shared(stage.servers, flags);
        stage.register(&gate);
        Self { stage, gate }
    }

    /// Creates a namespace behind its own cassgate.
    pub(crate) fn alone(crds: Crds, flags: &[&str]) -> Self {
        let stage = Stage::new(crds);
        let gate = Arc::new(Gate::start(stage.servers, flags));
        stage.register(&gate);
        Self { stage, gate }
    }

    /// Writes the status of a completed backup, as an executor does.
    pub(crate) fn has_run(&self, backup: &str) {
        self.says("cassandrabackup", backup, "COMPLETED");
    }

    /// Writes the state of an object, as an executor does.
    pub(crate) fn says(&self, kind: &str, name: &str, state: &str) {
        let patch = format!("{{\"status\":{{\"condition\":{{\"type\":\"{state}\"}}}}}}");
        let mut command = vec!["patch", kind, name, "--type=merge", "-p", &patch];
        if self.stage.servers.crds() == Crds::Ours {
            command.push("--subresource=status");
        }
        self.kubectl().run(&command).succeeds();
    }

    /// Returns the administrator's kubectl in this namespace.
    pub(crate) fn kubectl(&self) -> &Kubectl {
        &self.stage.kubectl
    }
}
