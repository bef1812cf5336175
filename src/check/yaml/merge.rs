//! Merge keys (`<<`) and keys that are written twice.

use std::collections::HashMap;

use super::error::YamlError;
use super::node::{Entry, NodeKind, SpannedNode};

/// Returns the entries of a map with the maps of its merge keys.
///
/// A key of the map itself takes precedence over a merged one, and an earlier merge over a later one. Of a key that is
/// written twice, the last value is kept.
///
/// # Errors
/// Returns an error if the value of a merge key is not a map or a list of maps.
pub(super) fn merge(own: Vec<Entry>, merged: &[SpannedNode]) -> Result<Vec<Entry>, YamlError> {
    let mut at: HashMap<Box<str>, usize> = HashMap::with_capacity(own.len());
    let mut entries: Vec<Entry> = Vec::with_capacity(own.len());
    for entry in own {
        if let Some(known) = at.get(&entry.key).and_then(|index| entries.get_mut(*index)) {
            *known = entry;
        } else {
            at.insert(entry.key.clone(), entries.len());
            entries.push(entry);
        }
    }
    for value in merged {
        let one = std::slice::from_ref(value);
        let sources = match &value.node.kind {
            NodeKind::Map(_) => one,
            NodeKind::List(items) => items,
            _ => &[],
        };
        if sources.is_empty()
            || !sources
                .iter()
                .all(|source| matches!(source.node.kind, NodeKind::Map(_)))
        {
            return Err(YamlError::at(
                value.span,
                "the value of << must be a map or a list of maps",
            ));
        }
        for entry in sources.iter().flat_map(|source| source.node.entries()) {
            if !at.contains_key(&entry.key) {
                at.insert(entry.key.clone(), entries.len());
                let mut entry = entry.clone();
                entry.key_span = value.span;
                entry.value.span = value.span;
                entries.push(entry);
            }
        }
    }
    Ok(entries)
}
