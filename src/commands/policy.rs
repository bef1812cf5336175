//! `cassgate policy`: prints or writes the static rules as `ValidatingAdmissionPolicy` objects.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec,
    Validation, Variable,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};

use super::output::{exit, print};
use crate::api::{GROUP, Kind, VERSION};
use crate::rules::cel;

/// The comment at the top of the generated file, with the command that writes it.
const HEADER: &str = "\
# Generated from src/rules/cel by `make policy` (cassgate policy --dir manifests/overlays/static-policy). Do not edit.
#
# The rules that one object alone can violate, judged by the API server itself (Kubernetes 1.30 and later), for
# Kubernetes clusters that run the webhook with failurePolicy: Ignore, or not at all. docs/static-policy.md lists the
# rules that are in it and those that are not. An expression that exceeds the cost limit denies nothing
# (failurePolicy: Ignore), so the policies deny only what cassgate denies too.
";

/// The name of the generated file.
const FILE: &str = "policy.yaml";

/// The flags of `cassgate policy`.
#[derive(Debug, Args)]
pub(super) struct StaticPolicyArgs {
    /// Write policy.yaml into this folder, instead of printing it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &StaticPolicyArgs) -> ExitCode {
    match &args.dir {
        Some(dir) => exit(write(dir)),
        None => match yaml() {
            Ok(yaml) => print(&yaml),
            Err(error) => exit(Err(error)),
        },
    }
}

/// An error while printing or writing the policies.
#[derive(Debug, thiserror::Error)]
enum StaticPolicyError {
    /// The serializer failed, which is a bug.
    #[error("the policy cannot be written as YAML")]
    Serialize(#[from] serde_saphyr::ser::Error),
    /// The folder or the file in it cannot be written.
    #[error("{path}: cannot be written")]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// Returns a policy and its binding for each kind, as one YAML stream.
fn yaml() -> Result<String, StaticPolicyError> {
    let mut documents = Vec::new();
    for (kind, plural) in [
        (Kind::Backup, "cassandrabackups"),
        (Kind::Restore, "cassandrarestores"),
    ] {
        documents.push(serde_saphyr::to_string(&policy(kind, plural))?);
        documents.push(serde_saphyr::to_string(&binding(plural))?);
    }
    Ok(format!("{HEADER}{}", documents.join("---\n")))
}

/// Writes [`yaml`] into a file in `dir`, which is created if it does not exist.
fn write(dir: &Path) -> Result<(), StaticPolicyError> {
    let text = yaml()?;
    let failed = |path: &Path, source| StaticPolicyError::Write {
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    let path = dir.join(FILE);
    std::fs::write(&path, text).map_err(|error| failed(&path, error))
}

fn metadata(plural: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(format!("cassgate-{plural}")),
        labels: Some(BTreeMap::from([(
            "app.kubernetes.io/name".to_owned(),
            "cassgate".to_owned(),
        )])),
        ..ObjectMeta::default()
    }
}

fn policy(kind: Kind, plural: &str) -> ValidatingAdmissionPolicy {
    let generated = cel::generate(kind);
    let conditions = cel::match_conditions().map(|(name, expression)| MatchCondition {
        name: name.to_owned(),
        expression,
    });
    let variables = generated
        .variables
        .into_iter()
        .map(|(name, expression)| Variable { name, expression });
    let validations = generated.validations.into_iter().map(|validation| Validation {
        expression: validation.expression,
        message: Some(validation.message),
        message_expression: validation.message_expression,
        reason: Some(
            if validation.forbidden {
                "Forbidden"
            } else {
                "Invalid"
            }
            .to_owned(),
        ),
    });
    ValidatingAdmissionPolicy {
        metadata: metadata(plural),
        spec: Some(ValidatingAdmissionPolicySpec {
            failure_policy: Some("Ignore".to_owned()),
            match_constraints: Some(MatchResources {
                match_policy: Some("Equivalent".to_owned()),
                resource_rules: Some(vec![NamedRuleWithOperations {
                    api_groups: Some(vec![GROUP.to_owned()]),
                    api_versions: Some(vec![VERSION.to_owned()]),
                    operations: Some(vec!["CREATE".to_owned(), "UPDATE".to_owned()]),
                    resources: Some(vec![plural.to_owned()]),
                    scope: Some("Namespaced".to_owned()),
                    ..NamedRuleWithOperations::default()
                }]),
                ..MatchResources::default()
            }),
            match_conditions: Some(conditions.into()),
            variables: Some(variables.collect()),
            validations: Some(validations.collect()),
            ..ValidatingAdmissionPolicySpec::default()
        }),
        ..ValidatingAdmissionPolicy::default()
    }
}

/// Returns the binding of a policy. It exempts the namespaces that the webhook configurations exempt.
fn binding(plural: &str) -> ValidatingAdmissionPolicyBinding {
    let unless_disabled = LabelSelectorRequirement {
        key: "cassgate.db.orange.com/admission".to_owned(),
        operator: "NotIn".to_owned(),
        values: Some(vec!["disabled".to_owned()]),
    };
    ValidatingAdmissionPolicyBinding {
        metadata: metadata(plural),
        spec: Some(ValidatingAdmissionPolicyBindingSpec {
            policy_name: Some(format!("cassgate-{plural}")),
            validation_actions: Some(vec!["Deny".to_owned()]),
            match_resources: Some(MatchResources {
                namespace_selector: Some(LabelSelector {
                    match_expressions: Some(vec![unless_disabled]),
                    ..LabelSelector::default()
                }),
                ..MatchResources::default()
            }),
            ..ValidatingAdmissionPolicyBindingSpec::default()
        }),
    }
}
