//! The background tasks of the process: named, owned and supervised.

use std::collections::HashMap;

use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::server::shutdown::Shutdown;

/// Named tasks. None of them should end before the shutdown.
pub(super) struct Background {
    tasks: JoinSet<()>,
    names: HashMap<task::Id, &'static str>,
    stop: CancellationToken,
    shutdown: Shutdown,
}

impl Background {
    /// Creates an empty set. A task that ends too early begins `shutdown`.
    pub(super) fn new(shutdown: Shutdown) -> Self {
        Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
            stop: CancellationToken::new(),
            shutdown,
        }
    }

    /// Returns the token that ends the tasks of [`spawn`](Self::spawn).
    pub(super) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a task that is dropped when the stop token is cancelled.
    pub(super) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let spawned = self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
        self.names.insert(spawned.id(), name);
    }

    /// Starts a task that ends by itself when the shutdown begins, because it has to clean up first.
    pub(super) fn spawn_to_completion(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let spawned = self.tasks.spawn(task);
        self.names.insert(spawned.id(), name);
    }

    /// Waits until all tasks have ended. Returns false if one ended before the shutdown began.
    pub(super) async fn supervise(mut self) -> bool {
        let mut intact = true;
        while let Some(ended) = self.tasks.join_next_with_id().await {
            if self.shutdown.draining().is_cancelled() {
                continue;
            }
            let id = match &ended {
                Ok((id, ())) => *id,
                Err(error) => error.id(),
            };
            let task = self.names.get(&id).copied().unwrap_or_default();
            match ended {
                Ok(_) => tracing::error!(task, "a background task ended before the shutdown; shutting down"),
                Err(error) => tracing::error!(task, %error, "a background task failed; shutting down"),
            }
            intact = false;
            self.shutdown.begin();
        }
        intact
    }
}

#[cfg(test)]
mod tests {
    use super::{Background, Shutdown};

    #[tokio::test]
    async fn a_task_that_ends_by_itself_begins_the_shutdown() {
        let shutdown = Shutdown::new();
        let mut background = Background::new(shutdown.clone());
        background.spawn("short", async {});
        assert!(!background.supervise().await);
        assert!(shutdown.draining().is_cancelled());
    }

    #[tokio::test]
    async fn a_task_that_panics_begins_the_shutdown() {
        let shutdown = Shutdown::new();
        let mut background = Background::new(shutdown.clone());
        background.spawn("broken", async { panic!("on purpose") });
        assert!(!background.supervise().await);
        assert!(shutdown.draining().is_cancelled());
    }

    #[tokio::test]
    async fn tasks_that_end_during_the_shutdown_count_as_intact() {
        let shutdown = Shutdown::new();
        let mut background = Background::new(shutdown.clone());
        background.spawn("long", std::future::pending());
        shutdown.begin();
        background.stop.cancel();
        assert!(background.supervise().await);
    }
}
