//! The fields of a stored object that stay when its manifest is applied.
//!
//! An apply removes only fields that an earlier one has set: those in the annotation of `kubectl apply`, and those that a manager of
//! server-side apply owns, such as Flux. The fields of a default, of `kubectl patch` and of `kubectl edit` stay.

use serde_json::{Map, Value};

/// The annotation in which `kubectl apply` keeps the manifest.
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The fields that earlier applies of an object have set.
#[derive(Debug, Default)]
pub(super) struct LastApplied<'o> {
    /// The manifest of `kubectl apply`.
    manifest: Option<Value>,
    /// The fields of each manager of server-side apply.
    owned: Vec<&'o Value>,
}

impl<'o> LastApplied<'o> {
    /// Reads the metadata of a stored object.
    pub(super) fn of(stored: &'o Value) -> Self {
        let metadata = stored.get("metadata");
        let annotation = metadata.and_then(|metadata| metadata.get("annotations")?.get(ANNOTATION)?.as_str());
        let managers = metadata.and_then(|metadata| metadata.get("managedFields")?.as_array());
        let applies = |entry: &&Value| {
            entry.get("operation").and_then(Value::as_str) == Some("Apply")
                && entry.get("subresource").is_none()
        };
        Self {
            manifest: annotation.and_then(|text| serde_json::from_str(text).ok()),
            owned: managers
                .into_iter()
                .flatten()
                .filter(applies)
                .filter_map(|entry| entry.get("fieldsV1"))
                .collect(),
        }
    }

    /// Returns true if an apply has set a field, so that an apply without it removes it.
    pub(super) fn sets(&self, path: &[&str]) -> bool {
        let is_in_manifest = |manifest: &Value| {
            path.iter()
                .try_fold(manifest, |value, key| value.get(key))
                .is_some()
        };
        let is_owned = |fields: &Value| {
            let mut path = path.iter();
            path.try_fold(fields, |fields, key| fields.get(format!("f:{key}")))
                .is_some()
        };
        self.manifest.as_ref().is_some_and(is_in_manifest) || self.owned.iter().any(|fields| is_owned(fields))
    }

    /// Returns a field as it is stored after the apply of a manifest. `own` is its value in the manifest, in which null removes a
    /// field.
    pub(super) fn applied(&self, own: &Value, stored: Option<&Value>, path: &[&str]) -> Value {
        let Value::Object(own) = own else {
            return own.clone();
        };
        let stored = stored.and_then(Value::as_object);
        let mut fields = Map::new();
        let inner = |key| [path, &[key]].concat();
        for (key, value) in own.iter().filter(|(_, value)| !value.is_null()) {
            let before = stored.and_then(|stored| stored.get(key));
            fields.insert(key.clone(), self.applied(value, before, &inner(key)));
        }
        let others = stored
            .into_iter()
            .flatten()
            .filter(|(key, _)| !own.contains_key(*key));
        for (key, value) in others.filter(|(key, _)| !self.sets(&inner(key))) {
            fields.insert(key.clone(), value.clone());
        }
        Value::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::LastApplied;
    use serde_json::{Value, json};

    fn applied(own: &Value, stored: &Value) -> Value {
        LastApplied::of(stored).applied(own, stored.get("spec"), &["spec"])
    }

    #[test]
    fn a_field_that_no_apply_has_set_stays() {
        let manifest = json!({"spec": {"a": 1, "b": {"x": 1, "y": 2}}}).to_string();
        let stored = json!({
            "metadata": {
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": manifest},
                "managedFields": [
                    {"manager": "flux", "operation": "Apply", "fieldsV1": {"f:spec": {"f:c": {}, "f:d": {"f:x": {}}}}},
                    {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:e": {}}}},
                    {"manager": "cassgate", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:spec": {"f:e": {}}}},
                ],
            },
            "spec": {"a": 1, "b": {"x": 1, "y": 2, "z": 3}, "c": 1, "d": {"x": 1, "y": 2}, "e": 1, "f": [1], "g": 1},
        });
        let own = json!({"b": {"x": 5}, "d": {}, "f": [2], "g": null, "h": {"x": null}});
        let expected = json!({"b": {"x": 5, "z": 3}, "d": {"y": 2}, "e": 1, "f": [2], "h": {}});
        assert_eq!(applied(&own, &stored), expected);
    }

    #[test]
    fn without_a_record_of_an_apply_every_field_stays() {
        for metadata in [
            Value::Null,
            json!({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{"}, "managedFields": {}}),
        ] {
            let stored = json!({"metadata": metadata, "spec": {"a": 1, "b": 2}});
            assert_eq!(applied(&json!({"a": 2}), &stored), json!({"a": 2, "b": 2}));
        }
        assert_eq!(applied(&json!({"a": 2}), &json!({})), json!({"a": 2}));
        assert_eq!(applied(&json!("x"), &json!({"spec": {"a": 1}})), json!("x"));
    }
}
