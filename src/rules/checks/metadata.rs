//! The metadata of an object, judged as the API server judges it before it calls a webhook.
//!
//! The API server decodes the metadata into `ObjectMeta` and then validates names, labels, annotations, finalizers and owners
//! (`ValidateObjectMeta` of `k8s.io/apimachinery`). kubectl decodes it in the same way, and stops at the first error.

use serde_json::{Map, Value};

use crate::domain::object_name::{
    is_label_value, is_name_prefix, is_namespace_name, is_object_name, is_qualified_name,
};
use crate::rules::catalogue::METADATA_MALFORMED;
use crate::rules::finding::{Cause, Finding, Findings, field};
use crate::rules::type_mismatch::FieldType;

/// The fields of `ObjectMeta`, each with its type.
pub(super) const FIELDS: [(&str, FieldType); 15] = [
    ("annotations", FieldType::Map),
    ("creationTimestamp", FieldType::String),
    ("deletionGracePeriodSeconds", FieldType::Integer),
    ("deletionTimestamp", FieldType::String),
    ("finalizers", FieldType::List),
    ("generateName", FieldType::String),
    ("generation", FieldType::Integer),
    ("labels", FieldType::Map),
    ("managedFields", FieldType::List),
    ("name", FieldType::String),
    ("namespace", FieldType::String),
    ("ownerReferences", FieldType::List),
    ("resourceVersion", FieldType::String),
    ("selfLink", FieldType::String),
    ("uid", FieldType::String),
];

/// The maximum size of all annotations, in bytes.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Denies metadata that the API server rejects: a missing or malformed name, a value of a wrong type, a malformed key.
///
/// Only manifests can have such metadata, because the API server rejects the request before it calls a webhook.
#[must_use]
pub fn check(metadata: Option<&Value>) -> Findings {
    let mut findings = Findings::default();
    match metadata {
        Some(Value::Object(fields)) => {
            for (name, field_type) in FIELDS {
                if let Some(value) = fields.get(name) {
                    expect_type(&format!("metadata.{name}"), value, field_type, &mut findings);
                }
            }
            findings.extend(name(fields));
            findings.extend(namespace(fields));
            labels(fields, &mut findings);
            annotations(fields, &mut findings);
            finalizers(fields, &mut findings);
            owners(fields, &mut findings);
        }
        Some(value) if !value.is_null() => {
            expect_type("metadata", value, FieldType::Map, &mut findings);
        }
        _ => findings.push(no_name()),
    }
    findings
}

/// Reports a value of another type. Returns true if the type is right.
fn expect_type(path: &str, value: &Value, field_type: FieldType, findings: &mut Findings) -> bool {
    let matches = field_type.matches(value);
    if !matches {
        findings.push(invalid(path, field_type.mismatch(value)));
    }
    matches
}

fn invalid(path: impl Into<String>, message: impl Into<String>) -> Finding {
    Finding::deny(&METADATA_MALFORMED, path, Cause::Invalid, message)
}

fn no_name() -> Finding {
    let message = "the object has no name, so the API server rejects it; write metadata.name";
    Finding::deny(&METADATA_MALFORMED, "metadata.name", Cause::Required, message)
}

fn name(fields: &Map<String, Value>) -> Option<Finding> {
    let is_empty = |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
    let written = |name: &str| fields.get(name).filter(|value| !is_empty(value));
    match (written("name"), written("generateName")) {
        (Some(name), _) => name.as_str().filter(|name| !is_object_name(name)).map(|name| {
            let message = "is not a valid name, so the API server rejects the object; write at most 253 lower-case \
                           letters, digits, - and ., with a letter or digit at both ends of each part";
            invalid("metadata.name", message).value(name)
        }),
        (None, Some(prefix)) => {
            prefix
                .as_str()
                .filter(|prefix| !is_name_prefix(prefix))
                .map(|prefix| {
                    let message = "is not a valid beginning of a name, so the API server rejects the object; write \
                               lower-case letters, digits, - and ., with a letter or digit first";
                    invalid("metadata.generateName", message).value(prefix)
                })
        }
        (None, None) => Some(no_name()),
    }
}

fn namespace(fields: &Map<String, Value>) -> Option<Finding> {
    let name = fields.get("namespace")?.as_str()?;
    (!name.is_empty() && !is_namespace_name(name)).then(|| {
        let message = "is not a valid name of a namespace, so the API server rejects the object; write at most 63 \
                       lower-case letters, digits and -, with a letter or digit at both ends";
        invalid("metadata.namespace", message).value(name)
    })
}

fn labels(fields: &Map<String, Value>, findings: &mut Findings) {
    let labels = fields.get("labels").and_then(Value::as_object);
    for (key, value) in labels.into_iter().flatten() {
        let path = field("metadata.labels", key);
        if !is_qualified_name(key) {
            findings.push(malformed_key(&path, key, "label"));
        }
        if expect_type(&path, value, FieldType::String, findings)
            && let Some(text) = value.as_str()
            && !text.is_empty()
            && !is_label_value(text)
        {
            let message = "is not a valid value of a label, so the API server rejects the object; write at most 63 \
                           letters, digits, -, _ and ., with a letter or digit at both ends, or use an annotation";
            findings.push(invalid(path, message).value(text));
        }
    }
}

fn annotations(fields: &Map<String, Value>, findings: &mut Findings) {
    let annotations = fields.get("annotations").and_then(Value::as_object);
    let mut size = 0;
    for (key, value) in annotations.into_iter().flatten() {
        let path = field("metadata.annotations", key);
        // The API server compares the key in lower case.
        if !is_qualified_name(&key.to_ascii_lowercase()) {
            findings.push(malformed_key(&path, key, "annotation"));
        }
        expect_type(&path, value, FieldType::String, findings);
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_ANNOTATIONS {
        let message = format!(
            "all annotations together have {size} bytes, and the API server rejects more than {MAX_ANNOTATIONS}; remove some"
        );
        findings.push(invalid("metadata.annotations", message));
    }
}

fn malformed_key(path: &str, key: &str, noun: &str) -> Finding {
    let message = format!(
        "is not a valid key of {} {noun}, so the API server rejects the object; write name or prefix/name: the prefix is a DNS \
         name, the name has at most 63 letters, digits, -, _ and .",
        if noun == "annotation" { "an" } else { "a" }
    );
    invalid(path, message).value(key)
}

fn finalizers(fields: &Map<String, Value>, findings: &mut Findings) {
    let finalizers = fields.get("finalizers").and_then(Value::as_array);
    for (index, value) in finalizers.into_iter().flatten().enumerate() {
        let path = format!("metadata.finalizers[{index}]");
        if expect_type(&path, value, FieldType::String, findings)
            && let text = value.as_str().unwrap_or_default()
            && !is_qualified_name(text)
        {
            findings.push(malformed_key(&path, text, "finalizer"));
        }
    }
}

/// Reports owners that are not complete: the API server requires all four fields.
fn owners(fields: &Map<String, Value>, findings: &mut Findings) {
    let owners = fields.get("ownerReferences").and_then(Value::as_array);
    for (index, owner) in owners.into_iter().flatten().enumerate() {
        let path = format!("metadata.ownerReferences[{index}]");
        if !expect_type(&path, owner, FieldType::Map, findings) {
            continue;
        }
        for name in ["apiVersion", "kind", "name", "uid"] {
            let path = format!("{path}.{name}");
            match owner.get(name) {
                Some(value) if !value.is_null() && value.as_str() != Some("") => {
                    expect_type(&path, value, FieldType::String, findings);
                }
                _ => {
                    let message = "the owner is not complete, so the API server rejects the object; write apiVersion, kind, \
                                   name and uid, or remove the owner";
                    findings.push(Finding::deny(&METADATA_MALFORMED, path, Cause::Required, message));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::{Value, json};

    fn found(metadata: &Value) -> Vec<String> {
        check(Some(metadata))
            .iter()
            .map(|finding| {
                assert_eq!(finding.rule.id, "metadata-malformed");
                format!("{}: {}", finding.path, finding.text())
            })
            .collect()
    }

    fn paths(metadata: &Value) -> Vec<String> {
        let texts = found(metadata);
        let path = |text: &String| text.split(": ").next().unwrap_or_default().to_owned();
        texts.iter().map(path).collect()
    }

    #[test]
    fn metadata_that_the_api_server_accepts_has_no_finding() {
        for metadata in [
            json!({"name": "b1"}),
            json!({"name": "b.1-x", "generateName": "-"}),
            json!({"generateName": "nightly-"}),
            json!({"name": "b1", "namespace": "", "labels": null, "annotations": null, "finalizers": null}),
            json!({"name": "b1", "namespace": "prod", "labels": {"tier": "", "a.b/C_d": "x.y", "n": null},
                   "annotations": {"A.b/c": "any text\n", "n": null}, "creationTimestamp": null,
                   "finalizers": ["a.b/c"], "generation": 1, "resourceVersion": "5",
                   "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}]}),
        ] {
            assert_eq!(found(&metadata), [""; 0], "{metadata}");
        }
    }

    #[test]
    fn every_value_of_a_wrong_type_is_reported() {
        let metadata = json!({
            "name": 5, "namespace": true, "labels": {"tier": 1, "b": [], "argocd.argoproj.io/x": false},
            "annotations": {"cassgate.db.orange.com/allow": true, "w": 1.5}, "finalizers": [1], "uid": {},
            "generation": "1", "ownerReferences": "x"
        });
        assert_eq!(
            paths(&metadata),
            [
                "metadata.generation",
                "metadata.name",
                "metadata.namespace",
                "metadata.ownerReferences",
                "metadata.uid",
                "metadata.labels[argocd.argoproj.io/x]",
                "metadata.labels.b",
                "metadata.labels.tier",
                "metadata.annotations[cassgate.db.orange.com/allow]",
                "metadata.annotations.w",
                "metadata.finalizers[0]",
            ]
        );
        for (metadata, path) in [
            (json!({"name": "b", "labels": ["a"]}), "metadata.labels"),
            (json!({"name": "b", "annotations": "a"}), "metadata.annotations"),
            (json!([]), "metadata"),
            (json!("b"), "metadata"),
        ] {
            assert_eq!(paths(&metadata), [path], "{metadata}");
        }
        assert_eq!(
            found(&json!({"name": "b", "labels": {"tier": 1}})),
            [
                "metadata.labels.tier: the number 1 is not a string; put the value in quotes \
                 [cassgate metadata-malformed]"
            ]
        );
    }

    #[test]
    fn a_malformed_or_missing_name_is_reported() {
        for name in ["B1", "b_1", "-b", "b..c", "b c", &"x".repeat(254)] {
            assert_eq!(paths(&json!({"name": name})), ["metadata.name"], "{name}");
        }
        for metadata in [
            json!({}),
            json!({"name": ""}),
            json!({"name": null, "generateName": ""}),
            Value::Null,
        ] {
            assert_eq!(
                found(&metadata),
                [
                    "metadata.name: Required value: the object has no name, so the API server rejects it; write metadata.name \
                     [cassgate metadata-malformed]"
                ],
                "{metadata}"
            );
        }
        assert_eq!(check(None), check(Some(&Value::Null)));
        assert_eq!(paths(&json!({"generateName": "B-"})), ["metadata.generateName"]);
        assert_eq!(
            paths(&json!({"name": "b", "namespace": "a.b"})),
            ["metadata.namespace"]
        );
    }

    #[test]
    fn malformed_keys_and_values_are_reported() {
        let metadata = json!({
            "name": "b", "labels": {"a/b/c": "x", "v": "x y", "long": "x".repeat(64)},
            "annotations": {"a b": "", "/x": ""}, "finalizers": ["", "a/b/c"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "", "name": "p"}, 5]
        });
        assert_eq!(
            paths(&metadata),
            [
                "metadata.labels[a/b/c]",
                "metadata.labels.long",
                "metadata.labels.v",
                "metadata.annotations[/x]",
                "metadata.annotations[a b]",
                "metadata.finalizers[0]",
                "metadata.finalizers[1]",
                "metadata.ownerReferences[0].kind",
                "metadata.ownerReferences[0].uid",
                "metadata.ownerReferences[1]",
            ]
        );
        let large = json!({"name": "b", "annotations": {"a": "x".repeat(256 * 1024)}});
        assert_eq!(paths(&large), ["metadata.annotations"]);
    }
}
