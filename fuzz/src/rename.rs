//! The target for `spec.rename`.

use std::collections::{BTreeMap, BTreeSet};

use cassgate::domain::entities::{Entities, Table};
use cassgate::domain::rename::{MAX_PAIRS, Rename};

/// Parses one pair from each line, `FROM=INTO`.
pub fn rename(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let map: BTreeMap<String, String> = text
        .lines()
        .map(|line| line.split_once('=').unwrap_or((line, "")))
        .map(|(from, into)| (from.to_owned(), into.to_owned()))
        .collect();
    match Rename::parse(&map) {
        Ok(rename) => check_valid(&map, &rename),
        Err(errors) => {
            assert!(!errors.is_empty());
            // At most three for each pair: a chain, a shared target, a repeated source.
            assert!(errors.len() <= 3 * map.len());
            for error in errors {
                let text = error.to_string();
                assert!(!text.is_empty() && text.len() < 800, "{text:?}");
                assert!(!text.contains(char::is_control), "{text:?}");
                match error.key() {
                    Some(key) => assert!(map.contains_key(key)),
                    None => assert!(map.len() > MAX_PAIRS),
                }
            }
        }
    }
}

fn check_valid(map: &BTreeMap<String, String>, rename: &Rename) {
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
        "no chain, no swap, no table renamed to itself"
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
