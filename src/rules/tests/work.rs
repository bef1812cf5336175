//! The work for a long list: it grows with the length of the list, and not with its square.

use serde_json::{Value, json};

use super::{acting, facts, restore, stored};
use crate::domain::steps;
use crate::rules::facts::{Facts, Reference};
use crate::rules::judge;
use crate::rules::policy::Executor;
use crate::rules::subject::Subject;

fn list(items: usize, item: fn(usize) -> String) -> String {
    (0..items).map(item).collect::<Vec<_>>().join(",")
}

/// Returns a restore and facts whose backup has these entities.
fn with(change: &Value, backup: &str) -> (Subject, Facts) {
    let facts = Facts {
        backup: Some(Reference::Found(stored(backup))),
        ..facts()
    };
    (restore(change), facts)
}

/// Returns the number of comparisons to judge an update that changes nothing of the lists.
fn work((subject, facts): (Subject, Facts)) -> u64 {
    steps::of(|| {
        let context = acting(Executor::None);
        let mut found = judge(&subject, &facts, &context);
        found.ratchet(&judge(&subject, &facts, &context), false);
        found.suppress(|_| false);
        found
    })
}

/// Returns an object and facts of a length.
type Case<'a> = &'a dyn Fn(usize) -> (Subject, Facts);

#[test]
fn the_work_grows_with_the_length_of_a_list() {
    let upper_case = |items| {
        let entities = list(items, |item| format!("K{item:07}"));
        with(
            &json!({"entities": entities}),
            &list(items, |item| format!("B{item:07}")),
        )
    };
    let outside = |items| {
        let entities = list(items, |item| format!("k1.t{item:05}"));
        with(
            &json!({"entities": entities}),
            &list(items, |item| format!("k2.t{item:05}")),
        )
    };
    let wider = |items| {
        let entities = list(items, |item| format!("k{item:07}"));
        with(
            &json!({"entities": entities}),
            &list(items, |item| format!("k{item:05}.t")),
        )
    };
    let malformed = |items| {
        let entities = list(items, |item| format!("a-{item:06}"));
        with(&json!({"entities": entities}), "")
    };
    let renamed = |items: usize| {
        let pairs: serde_json::Map<String, Value> = (0..items / 3)
            .map(|item| (format!("k1.t{item}"), json!("k2.T")))
            .collect();
        let entities = list(items / 3, |item| format!("k1.t{item}"));
        with(&json!({"entities": entities, "rename": pairs}), "k1")
    };
    let cases: [(&str, Case<'_>); 5] = [
        ("upper case", &upper_case),
        ("outside", &outside),
        ("wider", &wider),
        ("malformed", &malformed),
        ("renamed", &renamed),
    ];
    for (name, case) in cases {
        let [once, twice] = [1_500, 3_000].map(|items| work(case(items)));
        assert!(once > 500, "{name}: {once} comparisons are no measure");
        assert!(
            twice * 2 <= once * 5,
            "{name}: {once} comparisons, and {twice} for twice the length"
        );
    }
}
