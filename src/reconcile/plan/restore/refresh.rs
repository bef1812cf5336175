//! `REFRESH`: the repair of an import on Icarus 1, table by table.

use super::RestorePlanner;
use crate::api::{Phase, Reason};
use crate::reconcile::plan::node;
use crate::reconcile::plan::wait::Wait;

impl RestorePlanner<'_> {
    /// Begins to refresh the tables of a node on Icarus 1, and imports again on any other sidecar.
    ///
    /// Icarus 1 fails on hard links that an earlier import left. A refresh makes Cassandra load them, table by table;
    /// the next `TRUNCATE` then removes them. On a later version, and on an unknown one, a refresh could load half an
    /// SSTable, which only a person can repair; another import costs nothing.
    pub(super) fn refresh(&mut self, host_id: &str) {
        match self.observation.sidecar.needs_refresh() {
            Some(true) => {}
            Some(false) => {
                self.send_task(host_id, Phase::Import);
                return;
            }
            None => {
                self.report_unknown_sidecar(host_id);
                self.send_task(host_id, Phase::Import);
                return;
            }
        }
        let Some(first) = self.imported_tables().into_iter().next() else {
            let message = format!(
                "an import on node {host_id} is stuck on links of an earlier one, and the restore names no tables to \
                 refresh: restart that Cassandra node; it then loads the links, and the restore continues"
            );
            self.plan.wait_for(Wait::stalled(Reason::ImportStuck, message));
            self.send_task(host_id, Phase::Import);
            return;
        };
        self.refresh_table(host_id, first);
    }

    /// Reports an import that another import may not get past, because the version of the sidecar is unknown.
    fn report_unknown_sidecar(&mut self, host_id: &str) {
        let (pod, error) = self.name_and_message(host_id);
        let message = format!(
            "IMPORT on {pod}: {}; the version of the sidecar is unknown; if it is Icarus 1, restart the Cassandra of {pod}: it \
             then loads the links of the earlier import, and the restore continues; IMPORT is retried",
            error.unwrap_or_default()
        );
        self.plan.wait_for(Wait::stalled(Reason::ImportStuck, message));
    }

    /// Refreshes the next table of a node. Returns true if there is none.
    pub(super) fn refresh_next_table(&mut self, host_id: &str) -> bool {
        let tables = self.imported_tables();
        let Some(node) = self.node_mut(host_id) else {
            return true;
        };
        let mut from_current = tables
            .into_iter()
            .skip_while(|table| Some(table) != node.table.as_ref());
        let Some(next) = from_current.nth(1) else {
            return true;
        };
        self.refresh_table(host_id, next);
        false
    }

    fn refresh_table(&mut self, host_id: &str, table: String) {
        if let Some(node) = self.node_mut(host_id) {
            node::enter(node, Phase::Refresh);
            node.table = Some(table);
        }
        self.send_task(host_id, Phase::Refresh);
    }
}
