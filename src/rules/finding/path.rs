//! The paths of fields in findings.

use super::MAX_VALUE_CHARS;

/// Returns the path of a map entry: `spec.rename[k1.t1]`.
///
/// The key comes from the user, so it is cut to 100 characters and its control characters are replaced.
#[must_use]
pub fn entry(map: &str, key: &str) -> String {
    let key: String = key
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(MAX_VALUE_CHARS)
        .collect();
    format!("{map}[{key}]")
}

/// Returns the path of a field in a map with any keys: `metadata.labels.tier`, or [`entry`] for a key with a dot, slash or
/// blank.
#[must_use]
pub fn field(map: &str, key: &str) -> String {
    if key.is_empty() || key.contains(['.', '/', ' ', '[', ']']) || key.contains(char::is_control) {
        entry(map, key)
    } else {
        let key: String = key.chars().take(MAX_VALUE_CHARS).collect();
        format!("{map}.{key}")
    }
}
