//! Strict decoding of a spec, which reports every missing field and every field of a wrong type.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

use super::catalogue::SPEC_MALFORMED;
use super::finding::{Cause, Finding, Findings, field};
use super::json_size::{JsonLimits, TooLarge, longest_field};
use super::subject::{Backup, Metadata, Restore, Subject};
use super::type_mismatch::{cut, describe};
use crate::api::Kind;

/// Decodes a spec from the text of a review.
///
/// # Errors
/// Returns a finding for each field that is missing or has a wrong type.
pub fn subject(kind: Kind, spec: Option<&RawValue>, meta: Metadata) -> Result<Subject, Findings> {
    let spec = spec.ok_or_else(missing_spec)?;
    JsonLimits::SPEC
        .check(spec.get())
        .map_err(|error| too_large(error, spec.get()))?;
    match kind {
        Kind::Restore => decode(spec).map(|spec| Subject::Restore(Box::new(Restore::new(meta, spec)))),
        Kind::Backup => decode(spec).map(|spec| Subject::Backup(Box::new(Backup::new(meta, spec)))),
    }
}

/// Decodes a spec from a JSON value. As in a review, null counts as a missing spec.
///
/// # Errors
/// Returns the same findings as [`subject`].
pub fn subject_from_value(kind: Kind, spec: Option<&Value>, meta: Metadata) -> Result<Subject, Findings> {
    let spec = spec.filter(|spec| !spec.is_null()).ok_or_else(missing_spec)?;
    JsonLimits::SPEC
        .check_value(spec)
        .map_err(|error| too_large(error, &spec.to_string()))?;
    match kind {
        Kind::Restore => from_value(spec).map(|spec| Subject::Restore(Box::new(Restore::new(meta, spec)))),
        Kind::Backup => from_value(spec).map(|spec| Subject::Backup(Box::new(Backup::new(meta, spec)))),
    }
}

fn missing_spec() -> Findings {
    one(Finding::deny(
        &SPEC_MALFORMED,
        "spec",
        Cause::Required,
        "the spec is missing; write one",
    ))
}

/// Returns the finding of a spec over its limits, at its longest field.
fn too_large(error: TooLarge, spec: &str) -> Findings {
    let path = longest_field(spec).map_or_else(|| "spec".to_owned(), |name| field("spec", &name));
    let message = format!(
        "the spec {error}, and this is its longest field; name keyspaces instead of their tables, leave out what the object does not need, or spread the work over \
         several objects"
    );
    one(Finding::deny(&SPEC_MALFORMED, path, Cause::Invalid, message))
}

fn from_value<T: DeserializeOwned>(spec: &Value) -> Result<T, Findings> {
    T::deserialize(spec).map_err(|_| type_errors::<T>(spec))
}

fn decode<T: DeserializeOwned>(spec: &RawValue) -> Result<T, Findings> {
    if let Ok(decoded) = serde_json::from_str(spec.get()) {
        return Ok(decoded);
    }
    // Typed decoding fails on a duplicate field. A JSON value keeps the last one, as the API server does.
    match serde_json::from_str::<Value>(spec.get()) {
        Ok(value) => from_value(&value),
        Err(error) => {
            let message = format!("cannot be decoded: {}", cut(&error.to_string()));
            Err(one(Finding::deny(
                &SPEC_MALFORMED,
                "spec",
                Cause::Invalid,
                message,
            )))
        }
    }
}

/// Returns a finding for every field that does not decode.
///
/// serde stops at the first error, so each failing field is reported and removed until the rest decodes.
fn type_errors<T: DeserializeOwned>(spec: &Value) -> Findings {
    let mut rest = spec.clone();
    let mut findings = Findings::default();
    let fields = spec.as_object().map_or(0, serde_json::Map::len);
    // Each iteration removes a field or fills in a required one. No spec has more than 32 required fields.
    for _ in 0..fields + 32 {
        let Err(error) = serde_path_to_error::deserialize::<_, T>(&rest) else {
            break;
        };
        let field = error.path().iter().next().map(ToString::to_string);
        let reason = error.inner().to_string();
        match (field, missing_field(&reason), rest.as_object_mut()) {
            (Some(field), _, Some(fields)) => {
                let path = path_of(error.path().iter());
                let message = describe(value_at(spec, error.path().iter()), &reason);
                findings.push(Finding::deny(&SPEC_MALFORMED, path, Cause::Invalid, message));
                fields.remove(&field);
            }
            (None, Some(field), Some(fields)) => {
                if spec.get(field).is_none() {
                    let message = "this field is required";
                    findings.push(Finding::deny(
                        &SPEC_MALFORMED,
                        format!("spec.{field}"),
                        Cause::Required,
                        message,
                    ));
                }
                fields.insert(field.to_owned(), Value::String(String::new()));
            }
            _ => {
                let message = describe(Some(spec), &reason);
                findings.push(Finding::deny(&SPEC_MALFORMED, "spec", Cause::Invalid, message));
                break;
            }
        }
    }
    findings
}

fn one(finding: Finding) -> Findings {
    [finding].into_iter().collect()
}

/// Returns the field of serde's error "missing field `x`".
fn missing_field(reason: &str) -> Option<&str> {
    reason.strip_prefix("missing field `")?.split('`').next()
}

/// Returns a path such as `spec.rename[k1.t1]` or `spec.retention.keepLast`.
fn path_of<'a>(segments: impl Iterator<Item = &'a Segment>) -> String {
    segments.fold("spec".to_owned(), |path, segment| match segment {
        Segment::Map { key } if key.contains(['.', '/', ' ']) => format!("{path}[{key}]"),
        Segment::Map { key } => format!("{path}.{key}"),
        Segment::Seq { index } => format!("{path}[{index}]"),
        Segment::Enum { .. } | Segment::Unknown => path,
    })
}

/// Returns the value at a path, or `None` if the path does not consist of keys and indexes only.
fn value_at<'a, 'b>(spec: &'a Value, segments: impl Iterator<Item = &'b Segment>) -> Option<&'a Value> {
    let mut value = spec;
    for segment in segments {
        value = match segment {
            Segment::Map { key } => value.get(key)?,
            Segment::Seq { index } => value.get(index)?,
            Segment::Enum { .. } | Segment::Unknown => return None,
        };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::{Metadata, subject};
    use crate::api::Kind;
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    fn errors_of(kind: Kind, spec: &Value) -> Vec<String> {
        errors_of_text(kind, &spec.to_string())
    }

    fn errors_of_text(kind: Kind, spec: &str) -> Vec<String> {
        let spec: Option<&RawValue> = serde_json::from_str(spec).unwrap();
        subject(kind, spec, Metadata::default())
            .unwrap_err()
            .iter()
            .map(|f| format!("{}: {}", f.path, f.text()))
            .collect()
    }

    #[test]
    fn every_field_of_a_wrong_type_is_reported_with_its_path() {
        let spec = json!({"cassandraCluster": 5, "storageLocation": "s3://b", "concurrentConnections": "ten",
                          "retention": {"keepLast": "x"}});
        assert_eq!(
            errors_of(Kind::Backup, &spec),
            [
                "spec.cassandraCluster: the number 5 is not a string; put the value in quotes \
                 [cassgate spec-malformed]",
                "spec.concurrentConnections: the string \"ten\" is not an integer; write an integer, for \
                 example 10 [cassgate spec-malformed]",
                "spec.retention.keepLast: the string \"x\" is not an integer; write an integer, for \
                 example 10 [cassgate spec-malformed]",
            ]
        );
    }

    #[test]
    fn every_missing_field_is_reported() {
        let errors = errors_of(Kind::Restore, &json!({}));
        assert_eq!(
            errors,
            [
                "spec.cassandraBackup: Required value: this field is required [cassgate spec-malformed]",
                "spec.cassandraCluster: Required value: this field is required [cassgate spec-malformed]",
            ]
        );
    }

    #[test]
    fn the_path_of_a_rename_entry_contains_the_table() {
        let spec = json!({"cassandraCluster": "c", "cassandraBackup": "b", "rename": {"k1.t1": 7}});
        assert!(errors_of(Kind::Restore, &spec)[0].starts_with("spec.rename[k1.t1]: "));
    }

    #[test]
    fn a_spec_of_a_wrong_type_is_reported_once() {
        for spec in [json!("text"), json!([1]), json!(7), json!(true)] {
            let errors = errors_of(Kind::Backup, &spec);
            assert!(
                errors.len() == 1 && errors[0].starts_with("spec: "),
                "{spec}: {errors:?}"
            );
        }
        assert!(errors_of(Kind::Backup, &Value::Null)[0].starts_with("spec: Required value: "));
    }

    #[test]
    fn the_last_of_two_duplicate_fields_counts() {
        let spec = r#"{"cassandraCluster": 5, "storageLocation": "s3://b", "cassandraCluster": "c"}"#;
        let spec: &RawValue = serde_json::from_str(spec).unwrap();
        let decoded = subject(Kind::Backup, Some(spec), Metadata::default()).unwrap();
        assert_eq!(decoded.cluster(), "c");
    }

    #[test]
    fn a_spec_that_is_too_large_is_reported_alike_from_a_text_and_from_a_tree() {
        let nodes = json!([{"hostId": "9da86270-7a5c-4a0b-9e9b-0f6d3f0c2a11", "datacenter": "dc1"}]);
        let many = vec![nodes[0].clone(); 3_000];
        for (field, value, excess) in [
            (
                "entities",
                json!("k".repeat(300_000)),
                "has 300065 bytes, and at most 262144 are read",
            ),
            ("nodes", json!(many), "has 9004 values, and at most 8192 are read"),
            (
                "x",
                json!(vec![Value::Null; 9_000]),
                "has 9004 values, and at most 8192 are read",
            ),
        ] {
            let mut spec = json!({"cassandraCluster": "c", "storageLocation": "s3://b"});
            spec[field] = value;
            let expected = format!(
                "spec.{field}: the spec {excess}, and this is its longest field; name keyspaces instead of their tables, leave out what the object does not \
                 need, or spread the work over several objects [cassgate spec-malformed]"
            );
            let of_tree =
                super::subject_from_value(Kind::Backup, Some(&spec), Metadata::default()).unwrap_err();
            let of_tree: Vec<String> = of_tree
                .iter()
                .map(|f| format!("{}: {}", f.path, f.text()))
                .collect();
            assert_eq!(errors_of(Kind::Backup, &spec), of_tree);
            assert_eq!(of_tree, [expected]);
        }
    }

    #[test]
    fn a_text_that_is_not_valid_json_is_reported() {
        for spec in [r#"{"suspend": 1e999}"#, r#"{"entities": "\ud800"}"#] {
            let errors = errors_of_text(Kind::Backup, spec);
            assert!(
                errors.len() == 1 && errors[0].starts_with("spec: cannot be decoded: "),
                "{spec}: {errors:?}"
            );
        }
    }
}
