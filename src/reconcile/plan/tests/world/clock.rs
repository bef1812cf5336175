//! The time of the world, and the operations that end in it.

use jiff::{SignedDuration, Timestamp};

use super::World;
use crate::icarus::OperationState;
use crate::reconcile::plan::Task;

impl World {
    /// Advances the clock, and everything that happens meanwhile.
    pub(in super::super) fn advance(&mut self, time: SignedDuration) {
        let until = self.now.checked_add(time).unwrap();
        let mut times: Vec<Timestamp> = self.delayed.iter().map(|delayed| delayed.0).collect();
        let operations = self.nodes.iter().flat_map(|node| &node.operations);
        times.extend(operations.map(|operation| operation.ends));
        times.retain(|time| *time > self.now && *time <= until);
        times.push(until);
        times.sort();
        for time in times {
            self.now = time;
            self.settle();
        }
    }

    fn settle(&mut self) {
        for index in 0..self.nodes.len() {
            for place in 0..self.nodes[index].operations.len() {
                let operation = &self.nodes[index].operations[place];
                if operation.is_running() && operation.ends <= self.now && !self.nodes[index].hangs {
                    self.complete(index, place);
                }
            }
        }
        let (due, rest) = self.delayed.drain(..).partition(|delayed| delayed.0 <= self.now);
        self.delayed = rest;
        let due: Vec<(Timestamp, usize, Task)> = due;
        for (_, index, task) in due {
            self.arrive(index, task, None);
        }
    }

    /// Cancels the operations of a sidecar, as another client may.
    pub(in super::super) fn cancel(&mut self, index: usize) {
        for operation in &mut self.nodes[index].operations {
            if operation.is_running() {
                operation.report.state = OperationState::Cancelled;
            }
        }
    }
}
