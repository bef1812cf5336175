use std::collections::BTreeSet;

use super::{Statement, UNSAID, Unsaid, stated, statements};
use crate::api::Kind;
use crate::domain::entities::SYSTEM_KEYSPACES;
use crate::rules::catalogue::{self, Severity};

const KINDS: [Kind; 2] = [Kind::Backup, Kind::Restore];

fn all() -> impl Iterator<Item = (Kind, &'static Statement)> {
    KINDS
        .into_iter()
        .flat_map(|kind| statements(kind).iter().map(move |statement| (kind, statement)))
}

#[test]
fn every_rule_is_stated_or_listed_with_its_reason_and_never_both() {
    let said: BTreeSet<&str> = all().map(|(_, statement)| statement.rule.id).collect();
    let unsaid: BTreeSet<&str> = UNSAID.iter().map(|(rule, _)| rule.id).collect();
    assert_eq!(unsaid.len(), UNSAID.len());
    for rule in catalogue::all() {
        assert_ne!(
            said.contains(rule.id),
            unsaid.contains(rule.id),
            "{} is said and unsaid, or neither",
            rule.id
        );
    }
}

#[test]
fn what_is_left_out_since_it_only_warns_can_only_warn() {
    for (rule, why) in UNSAID {
        let warns = !rule.severities.contains(&Severity::Deny);
        assert_eq!(*why == Unsaid::OnlyWarns, warns, "{}", rule.id);
    }
}

#[test]
fn a_statement_is_of_a_rule_that_refuses_objects_of_its_kind() {
    for (kind, statement) in all() {
        let rule = statement.rule;
        assert!(rule.severities.contains(&Severity::Deny), "{}", rule.id);
        // What a rule refuses of a restore only by its backup is no statement about restores.
        assert!(rule.kinds.includes(kind), "{}", rule.id);
    }
}

#[test]
fn what_destroys_data_is_lowered_only_once_it_has_started() {
    for (_, statement) in all().filter(|(_, statement)| statement.rule.destroys) {
        let lowered = statement.lowered;
        assert!(
            lowered.is_empty() || lowered.starts_with("variables.started && "),
            "{}",
            statement.rule.id
        );
    }
}

#[test]
fn a_message_begins_with_the_field_and_ends_with_the_rule() {
    for kind in KINDS {
        for validation in stated(kind).validations {
            let named = statements(kind).iter().any(|statement| {
                let begin = format!("{}: ", statement.path);
                let end = format!(" [{}]", statement.rule.id);
                validation.message.starts_with(&begin) && validation.message.ends_with(&end)
            });
            assert!(named, "{}", validation.message);
            // The API server falls back on nothing when a message has one.
            assert!(!validation.message.contains('\n'), "{}", validation.message);
        }
    }
}

#[test]
fn a_variable_stands_behind_those_that_it_rests_on() {
    for kind in KINDS {
        let policy = stated(kind);
        let mut known = BTreeSet::new();
        for (name, expression) in &policy.variables {
            for other in super::names(expression) {
                assert!(known.contains(&other), "{name} rests on {other}");
            }
            assert!(known.insert(name.clone()), "{name} twice");
        }
        for validation in &policy.validations {
            let expressions = [
                Some(&validation.expression),
                validation.message_expression.as_ref(),
            ];
            for other in expressions
                .into_iter()
                .flatten()
                .flat_map(|text| super::names(text))
            {
                assert!(known.contains(&other), "{other} is no variable");
            }
        }
    }
}

#[test]
fn every_system_keyspace_is_in_the_expressions() {
    let expressions = statements(Kind::Restore)
        .iter()
        .filter(|statement| statement.rule.id.ends_with("-system"));
    for statement in expressions {
        for keyspace in SYSTEM_KEYSPACES {
            let named = |mark: &str, end: &str| statement.broken.contains(&format!("{mark}{keyspace}{end}"));
            assert!(
                named("(", "|") || named("|", "|") || named("|", ")"),
                "{keyspace}"
            );
        }
    }
}
