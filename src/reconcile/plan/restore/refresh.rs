//! `REFRESH`: the repair of an import on Icarus 1, table by table.

use super::RestorePlanner;
use crate::api::{Phase, Reason};
use crate::domain::entities::{Entities, Table};
use crate::reconcile::plan::node;
use crate::reconcile::plan::wait::Wait;

impl RestorePlanner<'_> {
    /// Begins to refresh the tables of a node.
    ///
    /// Icarus 1 fails on hard links that an earlier import left. A refresh makes Cassandra load them, table by table;
    /// the next `TRUNCATE` then removes them.
    pub(super) fn refresh(&mut self, host_id: &str) {
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

    /// Returns the tables that get rows, after the renaming. Empty if the restore does not name tables.
    fn imported_tables(&self) -> Vec<String> {
        let Some(source) = &self.status.source else {
            return Vec::new();
        };
        let entities = Entities::parse(source.entities.as_deref().unwrap_or_default());
        let Ok(Entities::Tables(tables)) = entities else {
            return Vec::new();
        };
        let renamed = |table: &Table| {
            let name = table.to_string();
            let target = source.rename.as_ref().and_then(|rename| rename.get(&name));
            target.cloned().unwrap_or(name)
        };
        tables.iter().map(renamed).collect()
    }
}
