//! Restores when the world is not as it was at the backup.

mod oldest;
mod ring;
mod tables;
mod twin;
mod upload;

use crate::lab::Lab;
use crate::support::ring::{RingSettings, even_tokens};

/// Returns the settings of a ring with known tokens.
fn even(nodes: u8) -> RingSettings {
    RingSettings {
        size: nodes,
        tokens: even_tokens(nodes.into()),
        ..RingSettings::default()
    }
}

/// Starts a ring with known tokens, and backs up the keys 0 to 99 of all tables.
fn backed_up(nodes: u8) -> Lab {
    let lab = Lab::with(even(nodes));
    lab.create_tables();
    lab.backup("nightly", "  entities: k1,k2\n");
    lab.is("cassandrabackup", "nightly", "COMPLETED");
    lab
}
