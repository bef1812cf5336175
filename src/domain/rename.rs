//! The tables whose data a restore writes to other tables.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::entities::{Entities, Flaw, Table};

/// The maximum number of pairs. A cluster with more tables than that has other problems, and a review has a deadline.
pub const MAX_PAIRS: usize = 1_000;

/// A map from source tables to target tables. Both sides are `keyspace.table`, and no table appears more than once.
///
/// Source: `RenamedEntities` of Esop (the same in 1.1.4, 2.0.4 and 3.0.1; its errors were observed). Esop compares the
/// texts before it removes spaces from them; this type compares the parsed tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rename(BTreeMap<Table, Table>);

/// An error in a map of tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// The map has more than [`MAX_PAIRS`] pairs.
    #[error("has {0} pairs, and at most {MAX_PAIRS} are read; spread them over several restores")]
    TooMany(usize),
    /// One side of a pair is not a table.
    #[error("{flaw}")]
    Side {
        /// The key of the pair as it was written.
        key: String,
        /// The side as it was written.
        side: String,
        /// The error in this side.
        flaw: SideFlaw,
    },
    /// Two keys are the same table and differ only in spaces.
    #[error("{table} is renamed twice, once with spaces around the name; keep one")]
    Twice {
        /// The key of the second as it was written.
        key: String,
        /// The table.
        table: Table,
    },
    /// A table is renamed to itself.
    #[error("is renamed into itself; leave the pair out: a table that is not renamed gets its own data")]
    Itself {
        /// The key as it was written.
        key: String,
        /// The table.
        table: Table,
    },
    /// Two tables have the same target.
    #[error("{target} is also the target of {}; give each table a target of its own", .others.join(", "))]
    SharedTarget {
        /// The key as it was written.
        key: String,
        /// The target.
        target: Table,
        /// The other tables with this target.
        others: Vec<String>,
    },
    /// A table is both a source and a target: a swap or a chain.
    #[error(
        "{target} is renamed itself, to {next}, and the sidecar supports no swaps or chains; use a target that is not \
         renamed"
    )]
    Chain {
        /// The key as it was written.
        key: String,
        /// The target, which is also a source.
        target: Table,
        /// The target of that source.
        next: Table,
    },
}

/// An error in one side of a pair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SideFlaw {
    /// A keyspace without a table.
    #[error("names a keyspace, and only tables can be renamed; write keyspace.table on both sides")]
    Keyspace,
    /// A malformed name.
    #[error("{0}")]
    Name(#[from] Flaw),
}

impl RenameError {
    /// Returns the key of the pair as it was written, or `None` if the error is about the whole map.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::TooMany(_) => None,
            Self::Side { key, .. }
            | Self::Twice { key, .. }
            | Self::Itself { key, .. }
            | Self::SharedTarget { key, .. }
            | Self::Chain { key, .. } => Some(key),
        }
    }
}

/// A pair in which both sides are tables.
struct Pair<'a> {
    key: &'a str,
    from: Table,
    into: Table,
}

impl Rename {
    /// Parses `spec.rename`.
    ///
    /// # Errors
    /// Returns every error of the single pairs and of the pairs together.
    pub fn parse(map: &BTreeMap<String, String>) -> Result<Self, Vec<RenameError>> {
        if map.len() > MAX_PAIRS {
            return Err(vec![RenameError::TooMany(map.len())]);
        }
        let (mut errors, mut pairs) = (Vec::new(), Vec::new());
        for (key, value) in map {
            match (side(key, key), side(key, value)) {
                (Ok(from), Ok(into)) => pairs.push(Pair { key, from, into }),
                (from, into) => errors.extend(from.err().into_iter().chain(into.err())),
            }
        }
        errors.extend(collisions(&pairs));
        if errors.is_empty() {
            Ok(Self(
                pairs.into_iter().map(|pair| (pair.from, pair.into)).collect(),
            ))
        } else {
            Err(errors)
        }
    }

    /// Returns true if no table is renamed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the pairs of source and target.
    pub fn pairs(&self) -> impl Iterator<Item = (&Table, &Table)> {
        self.0.iter()
    }

    /// Returns the sources that `entities` does not list as tables. Without a list of tables, these are all sources.
    #[must_use]
    pub fn sources_outside<'a>(&'a self, entities: &Entities) -> Vec<&'a Table> {
        self.0
            .keys()
            .filter(|table| !entities.names_table(table))
            .collect()
    }

    /// Returns the pairs whose target is a table of `entities`, which would receive the data of two tables.
    #[must_use]
    pub fn targets_inside<'a>(&'a self, entities: &Entities) -> Vec<(&'a Table, &'a Table)> {
        self.0
            .iter()
            .filter(|(_, into)| entities.names_table(into))
            .collect()
    }
}

fn side(key: &str, text: &str) -> Result<Table, RenameError> {
    // Esop removes spaces, and no other white space (observed with `RenamedEntities.parse` of 1.1.4 and 2.0.4), so CassKop,
    // which sends the pairs as they are, renames the same tables.
    let bare = text.trim_matches(' ');
    let flaw = match Table::parse(bare) {
        Ok(table) => return Ok(table),
        Err(Flaw::Parts(1)) => SideFlaw::Keyspace,
        Err(flaw) => SideFlaw::Name(flaw),
    };
    Err(RenameError::Side {
        key: key.to_owned(),
        side: text.to_owned(),
        flaw,
    })
}

fn collisions(pairs: &[Pair<'_>]) -> Vec<RenameError> {
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    let mut sources: BTreeMap<&Table, &Table> = BTreeMap::new();
    let mut targets: BTreeMap<&Table, Vec<&Table>> = BTreeMap::new();
    for pair in pairs {
        if !seen.insert(&pair.from) {
            errors.push(RenameError::Twice {
                key: pair.key.to_owned(),
                table: pair.from.clone(),
            });
        }
        sources.insert(&pair.from, &pair.into);
        targets.entry(&pair.into).or_default().push(&pair.from);
    }
    for Pair { key, from, into } in pairs {
        let key = (*key).to_owned();
        if from == into {
            errors.push(RenameError::Itself {
                key,
                table: from.clone(),
            });
            continue;
        }
        if let Some(next) = sources.get(into) {
            errors.push(RenameError::Chain {
                key: key.clone(),
                target: into.clone(),
                next: (*next).clone(),
            });
        }
        errors.extend(shared_target(key, from, into, &targets));
    }
    errors
}

/// The maximum number of other tables with the same target that a message lists.
const MAX_LISTED_TABLES: usize = 3;

fn shared_target(
    key: String,
    from: &Table,
    into: &Table,
    targets: &BTreeMap<&Table, Vec<&Table>>,
) -> Option<RenameError> {
    let all = targets.get(into)?;
    let others: Vec<String> = all
        .iter()
        .filter(|other| **other != from)
        .take(MAX_LISTED_TABLES)
        .map(ToString::to_string)
        .collect();
    (!others.is_empty()).then(|| RenameError::SharedTarget {
        key,
        target: into.clone(),
        others,
    })
}

#[cfg(test)]
mod tests {
    use super::{MAX_PAIRS, Rename};
    use crate::domain::entities::Entities;
    use std::collections::BTreeMap;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(from, into)| ((*from).to_owned(), (*into).to_owned()))
            .collect()
    }

    fn errors(pairs: &[(&str, &str)]) -> Vec<String> {
        Rename::parse(&map(pairs))
            .unwrap_err()
            .iter()
            .map(|error| format!("{}: {error}", error.key().unwrap_or_default()))
            .collect()
    }

    #[test]
    fn tables_are_renamed_to_tables_of_the_same_and_of_other_keyspaces() {
        let rename = Rename::parse(&map(&[("k1.t1", "k1.t2"), (" k1.t3 ", "k2.t1 ")])).unwrap();
        let pairs: Vec<String> = rename
            .pairs()
            .map(|(from, into)| format!("{from}>{into}"))
            .collect();
        assert_eq!(pairs, ["k1.t1>k1.t2", "k1.t3>k2.t1"]);
        assert!(Rename::parse(&BTreeMap::new()).unwrap().is_empty());
    }

    #[test]
    fn a_side_that_is_not_a_table_is_an_error() {
        for (from, into, expected) in [
            (
                "k1",
                "k2",
                "k1: names a keyspace, and only tables can be renamed; write keyspace.table on both sides",
            ),
            ("a.b.c", "k1.t1", "a.b.c: has 3 parts"),
            ("k1.t1", "\"K\".t", "k1.t1: has quotes"),
            ("k1.t1", "k1.t2\t", "k1.t1: has '\\t'"),
            ("k1.t1", "k1.", "k1.t1: a name is missing at the dot"),
        ] {
            let found = errors(&[(from, into)]);
            assert!(found[0].starts_with(expected), "{found:?}");
        }
        assert_eq!(errors(&[("k1", "k2")]).len(), 2, "both sides");
    }

    #[test]
    fn a_table_is_the_source_or_the_target_of_one_pair() {
        for (pairs, expected) in [
            (&[("k1.t1", "k1.t1")][..], &["k1.t1: is renamed into itself"][..]),
            (&[("k1.t1", "k1.t1 ")], &["k1.t1: is renamed into itself"]),
            (
                &[("k1.t1", "k.x"), ("k1.t2", "k.x")],
                &[
                    "k1.t1: k.x is also the target of k1.t2",
                    "k1.t2: k.x is also the target of k1.t1",
                ],
            ),
            (
                &[("k1.t1", "k1.t2"), ("k1.t2", "k1.t1")],
                &[
                    "k1.t1: k1.t2 is renamed itself, to k1.t1",
                    "k1.t2: k1.t1 is renamed itself, to k1.t2",
                ],
            ),
            (
                &[("k1.t1", "k1.t2"), ("k1.t2", "k1.t3")],
                &["k1.t1: k1.t2 is renamed itself, to k1.t3"],
            ),
            (
                &[("k1.t1", "k.x"), ("k1.t1 ", "k.y")],
                &["k1.t1 : k1.t1 is renamed twice"],
            ),
        ] {
            let found = errors(pairs);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (text, begin) in found.iter().zip(expected) {
                assert!(text.starts_with(begin), "{text}");
            }
        }
    }

    #[test]
    fn a_map_with_too_many_pairs_is_rejected() {
        let pairs: BTreeMap<String, String> =
            (0..=MAX_PAIRS).map(|n| (format!("k.{n}"), "k".into())).collect();
        let errors = Rename::parse(&pairs).unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "has 1001 pairs, and at most 1000 are read; spread them over several restores"
        );
    }

    #[test]
    fn sources_are_restored_tables_and_targets_are_other_tables() {
        let rename = Rename::parse(&map(&[("k1.t1", "k1.t2"), ("k3.t", "k4.t")])).unwrap();
        let entities = Entities::parse("k1.t1,k1.t2").unwrap();
        assert_eq!(rename.sources_outside(&entities)[0].to_string(), "k3.t");
        assert_eq!(rename.targets_inside(&entities)[0].1.to_string(), "k1.t2");
        assert_eq!(rename.sources_outside(&Entities::Everything).len(), 2);
    }
}
