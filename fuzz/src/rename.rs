//! Tables that go into other tables.

use std::collections::{BTreeMap, BTreeSet};

use cassgate::domain::entities::{Entities, Table};
use cassgate::domain::rename::{MOST_PAIRS, Rename};

/// A pair in each line, `FROM=INTO`.
pub fn rename(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let map: BTreeMap<String, String> = text
        .lines()
        .map(|line| line.split_once('=').unwrap_or((line, "")))
        .map(|(from, into)| (from.to_owned(), into.to_owned()))
        .collect();
    match Rename::parse(&map) {
        Ok(rename) => taken(&map, &rename),
        Err(errors) => {
            assert!(!errors.is_empty());
            // Three for each pair at most: a chain, a target that is shared, a source that stands twice.
            assert!(errors.len() <= 3 * map.len());
            for error in errors {
                let words = error.to_string();
                assert!(!words.is_empty() && words.len() < 800, "{words:?}");
                assert!(!words.contains(char::is_control), "{words:?}");
                match error.key() {
                    Some(key) => assert!(map.contains_key(key)),
                    None => assert!(map.len() > MOST_PAIRS),
                }
            }
        }
    }
}

fn taken(map: &BTreeMap<String, String>, rename: &Rename) {
    assert_eq!(rename.is_empty(), map.is_empty());
    assert_eq!(rename.pairs().count(), map.len(), "no pair is dropped");
    let sources: BTreeSet<&Table> = rename.pairs().map(|(from, _)| from).collect();
    let targets: BTreeSet<&Table> = rename.pairs().map(|(_, into)| into).collect();
    assert_eq!(
        (sources.len(), targets.len()),
        (map.len(), map.len()),
        "each table once"
    );
    assert!(
        sources.is_disjoint(&targets),
        "no chain, no swap, nothing into itself"
    );
    let written = |(from, into): (&String, &String)| {
        (
            from.trim_matches(' ').to_owned(),
            into.trim_matches(' ').to_owned(),
        )
    };
    let read = |(from, into): (&Table, &Table)| (from.to_string(), into.to_string());
    let expected: BTreeSet<_> = map.iter().map(written).collect();
    assert_eq!(rename.pairs().map(read).collect::<BTreeSet<_>>(), expected);
    if map.is_empty() {
        return;
    }
    let restored = Entities::Tables(sources.iter().map(|table| (*table).clone()).collect());
    assert!(rename.sources_outside(&restored).is_empty());
    assert!(rename.targets_inside(&restored).is_empty());
    let filled = Entities::Tables(targets.iter().map(|table| (*table).clone()).collect());
    assert_eq!(rename.sources_outside(&filled).len(), map.len());
    assert_eq!(rename.targets_inside(&filled).len(), map.len());
}
