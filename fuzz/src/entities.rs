//! The target for `spec.entities`.

use std::collections::BTreeSet;

use cassgate::domain::entities::{
    Entities, EntitiesError, MAX_KEYSPACE_LENGTH, MAX_LIST_LENGTH, MAX_TABLE_LENGTH, Outside,
};

/// Parses two lists separated by a zero byte: the entities of a restore and of its backup.
pub fn entities(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let (own, others) = text.split_once('\0').unwrap_or((text, ""));
    let (own, others) = (list(own), list(others));
    if let (Some(own), Some(others)) = (own, others) {
        check_outside(&own, &others);
    }
}

/// Parses a list and compares the result with the text.
fn list(text: &str) -> Option<Entities> {
    let items = || {
        text.split(|c: char| c == ',' || c.is_ascii_whitespace())
            .filter(|item| !item.is_empty())
    };
    let reversed: Vec<&str> = items().collect::<Vec<_>>().into_iter().rev().collect();
    match Entities::parse(text) {
        Ok(parsed) => {
            assert!(text.len() <= MAX_LIST_LENGTH);
            let named: BTreeSet<String> = names(&parsed).into_iter().collect();
            let written: BTreeSet<String> = items().map(ToOwned::to_owned).collect();
            assert_eq!(named, written, "no item is dropped and none is added");
            assert_eq!(parsed == Entities::Everything, text.is_empty());
            assert_eq!(Entities::parse(&parsed.to_string()).as_ref(), Ok(&parsed));
            if !reversed.is_empty() {
                assert_eq!(
                    Entities::parse(&reversed.join(" \t,")).as_ref(),
                    Ok(&parsed),
                    "the order makes no difference"
                );
            }
            for part in parsed.with_upper_case().iter().chain(&parsed.system()) {
                assert!(named.contains(part));
            }
            for item in &named {
                let (keyspace, table) = item.split_once('.').unwrap_or((item, "t"));
                assert!((1..=MAX_KEYSPACE_LENGTH).contains(&keyspace.len()));
                assert!((1..=MAX_TABLE_LENGTH).contains(&table.len()));
            }
            Some(parsed)
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in &errors {
                check_error(text, error);
            }
            None
        }
    }
}

fn check_error(text: &str, error: &EntitiesError) {
    let words = error.to_string();
    assert!(
        !words.is_empty() && !words.contains(char::is_control),
        "{words:?}"
    );
    if let EntitiesError::Item { item, .. } = error {
        assert!(text.contains(item.as_str()) && words.len() < 300, "{words:?}");
    }
}

fn names(entities: &Entities) -> Vec<String> {
    match entities {
        Entities::Everything => Vec::new(),
        Entities::Keyspaces(names) => names.iter().map(ToString::to_string).collect(),
        Entities::Tables(tables) => tables.iter().map(ToString::to_string).collect(),
    }
}

fn check_outside(own: &Entities, others: &Entities) {
    assert!(own.outside(own).is_empty(), "a list contains itself");
    assert!(own.outside(&Entities::Everything).is_empty());
    let outside = own.outside(others);
    // Each name on its own has the same result.
    let single = |name: &String| {
        let alone = Entities::parse(name).expect("a name that was parsed");
        !alone.outside(others).is_empty()
    };
    assert_eq!(
        names(own).iter().filter(|name| single(name)).count(),
        outside.len()
    );
    for part in outside {
        let (name, held) = match part {
            Outside::Keyspace(keyspace) => (keyspace.to_string(), Vec::new()),
            Outside::Table(table) => (table.to_string(), Vec::new()),
            Outside::Wider { keyspace, held } => {
                assert!(!held.is_empty() && held.iter().all(|table| table.keyspace == *keyspace));
                (
                    keyspace.to_string(),
                    held.into_iter().map(ToString::to_string).collect(),
                )
            }
        };
        assert!(names(own).contains(&name) && !names(others).contains(&name));
        assert!(held.iter().all(|table| names(others).contains(table)));
    }
}
