//! A spec, strictly: every field that does not fit, by its path.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

use super::catalogue::SPEC_MALFORMED;
use super::finding::{Cause, Finding, Findings};
use super::misfit::{cut, misfit};
use super::subject::{Backup, Metadata, Restore, Subject};
use crate::api::Kind;

/// Reads the spec of a kind that we judge, out of a review's text.
///
/// # Errors
/// A finding for each field that has another type than it must have, or that is missing.
pub fn subject(kind: Kind, spec: Option<&RawValue>, meta: Metadata) -> Result<Subject, Findings> {
    let spec = spec.ok_or_else(without_spec)?;
    match kind {
        Kind::Restore => decode(spec).map(|spec| Subject::Restore(Box::new(Restore::new(meta, spec)))),
        Kind::Backup => decode(spec).map(|spec| Subject::Backup(Box::new(Backup::new(meta, spec)))),
    }
}

/// The same out of a tree; null counts as no spec, as in a review.
///
/// # Errors
/// As [`subject`].
pub fn subject_of_tree(kind: Kind, spec: Option<&Value>, meta: Metadata) -> Result<Subject, Findings> {
    let spec = spec.filter(|spec| !spec.is_null()).ok_or_else(without_spec)?;
    match kind {
        Kind::Restore => from_tree(spec).map(|spec| Subject::Restore(Box::new(Restore::new(meta, spec)))),
        Kind::Backup => from_tree(spec).map(|spec| Subject::Backup(Box::new(Backup::new(meta, spec)))),
    }
}

fn without_spec() -> Findings {
    one(Finding::deny(
        &SPEC_MALFORMED,
        "spec",
        Cause::Required,
        "an object without a spec says nothing",
    ))
}

fn from_tree<T: DeserializeOwned>(spec: &Value) -> Result<T, Findings> {
    T::deserialize(spec).map_err(|_| every_misfit::<T>(spec))
}

fn decode<T: DeserializeOwned>(spec: &RawValue) -> Result<T, Findings> {
    if let Ok(fits) = serde_json::from_str(spec.get()) {
        return Ok(fits);
    }
    // The tree takes of a field that is written twice the last one, as the API server does.
    match serde_json::from_str::<Value>(spec.get()) {
        Ok(tree) => from_tree(&tree),
        Err(error) => {
            let message = format!("does not fit: {}", cut(&error.to_string()));
            Err(one(Finding::deny(
                &SPEC_MALFORMED,
                "spec",
                Cause::Invalid,
                message,
            )))
        }
    }
}

/// serde stops at the first error: what it names is told and taken out, until the rest fits.
fn every_misfit<T: DeserializeOwned>(spec: &Value) -> Findings {
    let mut rest = spec.clone();
    let mut found = Findings::default();
    let fields = spec.as_object().map_or(0, serde_json::Map::len);
    // Each turn takes a field out or fills one in; a type has fewer fields than this.
    for _ in 0..fields + 32 {
        let Err(error) = serde_path_to_error::deserialize::<_, T>(&rest) else {
            break;
        };
        let field = error.path().iter().next().map(ToString::to_string);
        let reason = error.inner().to_string();
        match (field, missing_field(&reason), rest.as_object_mut()) {
            (Some(field), _, Some(fields)) => {
                let path = path_of(error.path().iter());
                let message = misfit(value_at(spec, error.path().iter()), &reason);
                found.push(Finding::deny(&SPEC_MALFORMED, path, Cause::Invalid, message));
                fields.remove(&field);
            }
            (None, Some(field), Some(fields)) => {
                if spec.get(field).is_none() {
                    let message = "this field must be written";
                    found.push(Finding::deny(
                        &SPEC_MALFORMED,
                        format!("spec.{field}"),
                        Cause::Required,
                        message,
                    ));
                }
                fields.insert(field.to_owned(), Value::String(String::new()));
            }
            _ => {
                let message = misfit(Some(spec), &reason);
                found.push(Finding::deny(&SPEC_MALFORMED, "spec", Cause::Invalid, message));
                break;
            }
        }
    }
    found
}

fn one(finding: Finding) -> Findings {
    [finding].into_iter().collect()
}

/// The field of serde's "missing field `x`".
fn missing_field(reason: &str) -> Option<&str> {
    reason.strip_prefix("missing field `")?.split('`').next()
}

/// `spec.rename[k1.t1]`, `spec.retention.keepLast`.
fn path_of<'a>(segments: impl Iterator<Item = &'a Segment>) -> String {
    segments.fold("spec".to_owned(), |path, segment| match segment {
        Segment::Map { key } if key.contains(['.', '/', ' ']) => format!("{path}[{key}]"),
        Segment::Map { key } => format!("{path}.{key}"),
        Segment::Seq { index } => format!("{path}[{index}]"),
        Segment::Enum { .. } | Segment::Unknown => path,
    })
}

/// What was written there; nothing where the way is none of names and numbers.
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

    fn misfits(kind: Kind, spec: &Value) -> Vec<String> {
        written(kind, &spec.to_string())
    }

    fn written(kind: Kind, spec: &str) -> Vec<String> {
        let spec: Option<&RawValue> = serde_json::from_str(spec).unwrap();
        subject(kind, spec, Metadata::default())
            .unwrap_err()
            .iter()
            .map(|f| format!("{}: {}", f.path, f.text()))
            .collect()
    }

    #[test]
    fn every_field_that_does_not_fit_is_named_by_its_path() {
        let spec = json!({"cassandraCluster": 5, "storageLocation": "s3://b", "concurrentConnections": "ten",
                          "retention": {"keepLast": "x"}});
        assert_eq!(
            misfits(Kind::Backup, &spec),
            [
                "spec.cassandraCluster: Invalid value: the number 5 stands where a text belongs; put what you wrote \
                 in quotes [spec-malformed]",
                "spec.concurrentConnections: Invalid value: the text \"ten\" stands where a whole number belongs; write \
                 one, as in 10 [spec-malformed]",
                "spec.retention.keepLast: Invalid value: the text \"x\" stands where a whole number belongs; write one, as \
                 in 10 [spec-malformed]",
            ]
        );
    }

    #[test]
    fn every_missing_field_is_named() {
        let told = misfits(Kind::Restore, &json!({}));
        assert_eq!(
            told,
            [
                "spec.cassandraBackup: Required value: this field must be written [spec-malformed]",
                "spec.cassandraCluster: Required value: this field must be written [spec-malformed]",
            ]
        );
    }

    #[test]
    fn a_table_in_a_rename_is_named_whole() {
        let spec = json!({"cassandraCluster": "c", "cassandraBackup": "b", "rename": {"k1.t1": 7}});
        assert!(misfits(Kind::Restore, &spec)[0].starts_with("spec.rename[k1.t1]: "));
    }

    #[test]
    fn a_spec_of_another_type_is_told_once() {
        for spec in [json!("text"), json!([1]), json!(7), json!(true)] {
            let told = misfits(Kind::Backup, &spec);
            assert!(
                told.len() == 1 && told[0].starts_with("spec: "),
                "{spec}: {told:?}"
            );
        }
        assert!(misfits(Kind::Backup, &Value::Null)[0].starts_with("spec: Required value: "));
    }

    #[test]
    fn of_a_field_that_is_written_twice_the_last_one_counts() {
        let spec = r#"{"cassandraCluster": 5, "storageLocation": "s3://b", "cassandraCluster": "c"}"#;
        let spec: &RawValue = serde_json::from_str(spec).unwrap();
        let read = subject(Kind::Backup, Some(spec), Metadata::default()).unwrap();
        assert_eq!(read.cluster(), "c");
    }

    #[test]
    fn what_no_tree_can_hold_is_told() {
        for spec in [r#"{"suspend": 1e999}"#, r#"{"entities": "\ud800"}"#] {
            let told = written(Kind::Backup, spec);
            assert!(
                told.len() == 1 && told[0].starts_with("spec: Invalid value: does not fit: "),
                "{spec}: {told:?}"
            );
        }
    }
}
