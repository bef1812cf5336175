use std::collections::BTreeSet;

use super::{PolicyRule, UNSUPPORTED, Unsupported, generate, policy_rules};
use crate::api::Kind;
use crate::domain::entities::SYSTEM_KEYSPACES;
use crate::rules::catalogue::{self, Severity};

const KINDS: [Kind; 2] = [Kind::Backup, Kind::Restore];

fn all() -> impl Iterator<Item = (Kind, &'static PolicyRule)> {
    KINDS.into_iter().flat_map(|kind| {
        policy_rules(kind)
            .iter()
            .map(move |policy_rule| (kind, policy_rule))
    })
}

#[test]
fn every_rule_has_either_a_policy_rule_or_a_reason_why_not() {
    let supported: BTreeSet<&str> = all().map(|(_, policy_rule)| policy_rule.rule.id).collect();
    let unsupported: BTreeSet<&str> = UNSUPPORTED.iter().map(|(rule, _)| rule.id).collect();
    assert_eq!(unsupported.len(), UNSUPPORTED.len());
    for rule in catalogue::all() {
        assert_ne!(
            supported.contains(rule.id),
            unsupported.contains(rule.id),
            "{} is supported and unsupported, or neither",
            rule.id
        );
    }
}

#[test]
fn a_rule_is_listed_as_only_warns_if_and_only_if_it_cannot_deny() {
    for (rule, reason) in UNSUPPORTED {
        let warns = !rule.severities.contains(&Severity::Deny);
        assert_eq!(*reason == Unsupported::OnlyWarns, warns, "{}", rule.id);
    }
}

#[test]
fn a_policy_rule_implements_a_rule_that_can_deny_its_kind() {
    for (kind, policy_rule) in all() {
        let rule = policy_rule.rule;
        assert!(rule.severities.contains(&Severity::Deny), "{}", rule.id);
        // A rule that depends on the backup of a restore cannot be a policy rule for restores.
        assert!(rule.kinds.includes(kind), "{}", rule.id);
    }
}

#[test]
fn a_rule_that_protects_data_is_tolerated_only_on_a_started_object() {
    for (_, policy_rule) in all().filter(|(_, policy_rule)| policy_rule.rule.destroys) {
        let tolerated = policy_rule.tolerated;
        assert!(
            tolerated.is_empty() || tolerated.starts_with("variables.started && "),
            "{}",
            policy_rule.rule.id
        );
    }
}

#[test]
fn a_message_starts_with_the_field_and_ends_with_the_rule_id() {
    for kind in KINDS {
        for validation in generate(kind).validations {
            let named = policy_rules(kind).iter().any(|policy_rule| {
                let start = format!("{}: ", policy_rule.path);
                let end = format!(" [cassgate {}]", policy_rule.rule.id);
                validation.message.starts_with(&start) && validation.message.ends_with(&end)
            });
            assert!(named, "{}", validation.message);
            // The API server discards a message that contains a line break.
            assert!(!validation.message.contains('\n'), "{}", validation.message);
        }
    }
}

#[test]
fn a_variable_comes_after_the_variables_that_it_uses() {
    for kind in KINDS {
        let policy = generate(kind);
        let mut known = BTreeSet::new();
        for (name, expression) in &policy.variables {
            for other in super::names(expression) {
                assert!(
                    known.contains(&other),
                    "{name} uses {other} before its definition"
                );
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
                assert!(known.contains(&other), "{other} is not a variable");
            }
        }
    }
}

#[test]
fn every_system_keyspace_is_in_the_expressions() {
    let expressions = policy_rules(Kind::Restore)
        .iter()
        .filter(|policy_rule| policy_rule.rule.id.ends_with("-system"));
    for policy_rule in expressions {
        for keyspace in SYSTEM_KEYSPACES {
            let named =
                |mark: &str, end: &str| policy_rule.violated.contains(&format!("{mark}{keyspace}{end}"));
            assert!(
                named("(", "|") || named("|", "|") || named("|", ")"),
                "{keyspace}"
            );
        }
    }
}
