//! Merge keys (`<<`) and keys that are written twice.

use std::collections::HashMap;

use smol_str::SmolStr;

use super::error::YamlError;
use super::node::{Entry, NodeKind, NodeRef, SpannedNode};

/// The number of keys up to which a comparison of each two is faster than a table.
const FEW: usize = 12;

/// Returns the entries of a map with the maps of its merge keys, each with the number of entries before it.
///
/// Of a key that is written twice, the last value is kept. A merge key replaces the entries before it in kubectl, and none in
/// kustomize, which reads YAML by its specification. Where the two differ, no reading is right.
///
/// # Errors
/// Returns an error if the value of a merge key is not a map or a list of maps, or if kubectl and kustomize differ.
pub(super) fn merge(own: Vec<Entry>, merged: &[(usize, SpannedNode)]) -> Result<Vec<Entry>, YamlError> {
    if merged.is_empty() && own.len() <= FEW && are_distinct(&own) {
        return Ok(own);
    }
    let mut read = Entries::with_capacity(own.len());
    if merged.is_empty() {
        for entry in own {
            read.replace(entry);
        }
        return Ok(read.all);
    }
    let written = in_order(&own, merged)?;
    for entry in own {
        read.replace(entry);
    }
    for (_, value) in merged {
        for entry in sources(value)?.iter().flat_map(|source| source.node.entries()) {
            read.add(entry, value);
        }
    }
    for entry in &read.all {
        let other = written.get(&entry.key).map(|node| node.to_json());
        if other.is_some_and(|other| other != entry.value.node.to_json()) {
            let span = merged.last().map_or(entry.key_span, |(_, value)| value.span);
            let message = format!(
                "<< is behind another value of {}: kubectl takes the merged one, and kustomize the other one; write << first, and \
                 only one of them",
                entry.key
            );
            return Err(YamlError::difference(span, message));
        }
    }
    Ok(read.all)
}

/// Returns true if no key is written twice.
fn are_distinct(entries: &[Entry]) -> bool {
    let mut rest = entries;
    while let [first, others @ ..] = rest {
        if others.iter().any(|other| other.key == first.key) {
            return false;
        }
        rest = others;
    }
    true
}

/// Returns the values by key as kubectl reads them: each value replaces the ones before it.
fn in_order(own: &[Entry], merged: &[(usize, SpannedNode)]) -> Result<HashMap<SmolStr, NodeRef>, YamlError> {
    let mut values = HashMap::new();
    let of = |entry: &Entry| (entry.key.clone(), entry.value.node.clone());
    let mut rest = merged.iter().peekable();
    for index in 0..=own.len() {
        while let Some((_, value)) = rest.next_if(|(before, _)| *before == index) {
            // In a list, the earlier map takes precedence.
            for source in sources(value)?.iter().rev() {
                values.extend(source.node.entries().iter().map(of));
            }
        }
        values.extend(own.get(index).map(of));
    }
    Ok(values)
}

/// Returns the maps of a merge key.
fn sources(value: &SpannedNode) -> Result<&[SpannedNode], YamlError> {
    let sources = match &value.node.kind {
        NodeKind::Map(_) => std::slice::from_ref(value),
        NodeKind::List(items) => items,
        _ => &[],
    };
    let is_map = |source: &SpannedNode| matches!(source.node.kind, NodeKind::Map(_));
    if sources.is_empty() || !sources.iter().all(is_map) {
        let message = "the value of << must be a map or a list of maps";
        return Err(YamlError::at(value.span, message));
    }
    Ok(sources)
}

/// The entries of a map, each key once.
struct Entries {
    at: HashMap<SmolStr, usize>,
    all: Vec<Entry>,
}

impl Entries {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            at: HashMap::with_capacity(capacity),
            all: Vec::with_capacity(capacity),
        }
    }

    /// Adds an entry in the place of an earlier one with the same key.
    fn replace(&mut self, mut entry: Entry) {
        if let Some(known) = self.at.get(&entry.key).and_then(|index| self.all.get_mut(*index)) {
            entry.earlier_line = known.key_span.line;
            *known = entry;
        } else {
            self.at.insert(entry.key.clone(), self.all.len());
            self.all.push(entry);
        }
    }

    /// Adds an entry of a merged map, unless there is one with the same key.
    fn add(&mut self, entry: &Entry, merged: &SpannedNode) {
        if !self.at.contains_key(&entry.key) {
            self.at.insert(entry.key.clone(), self.all.len());
            let mut entry = entry.clone();
            entry.key_span = merged.span;
            entry.value.span = merged.span;
            entry.earlier_line = 0;
            self.all.push(entry);
        }
    }
}
