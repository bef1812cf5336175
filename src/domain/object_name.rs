//! Names of Kubernetes objects.

/// Returns true if a Kubernetes object can have this name: a DNS subdomain of at most 253 characters.
///
/// Other names are never looked up, because the name becomes part of the path of a request.
/// Source: RFC 1123 as Kubernetes applies it to the names of most kinds.
#[must_use]
pub fn is_object_name(name: &str) -> bool {
    name.len() <= 253 && name.as_bytes().split(|byte| *byte == b'.').all(is_label)
}

/// Returns true if a label can have this value and a selector can name it: 1 to 63 letters, digits, `-`, `_` and `.`,
/// with a letter or digit at both ends. Source: the validation of labels in Kubernetes.
#[must_use]
pub fn is_label_value(value: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let bytes = value.as_bytes();
    bytes.len() <= 63 && is_end(bytes.first()) && is_end(bytes.last()) && bytes.iter().all(inner)
}

/// Returns true if a namespace can have this name: a DNS label of at most 63 characters.
#[must_use]
pub fn is_namespace_name(name: &str) -> bool {
    name.len() <= 63 && is_label(name.as_bytes())
}

/// Returns true if the API server can generate names from this prefix. It may end with `-`, before the random letters.
#[must_use]
pub fn is_name_prefix(prefix: &str) -> bool {
    if prefix.ends_with('-') {
        is_object_name(&format!("{prefix}x"))
    } else {
        is_object_name(prefix)
    }
}

/// Returns true if a label, an annotation or a finalizer can have this key: `name` or `prefix/name`, where the prefix is a
/// DNS subdomain and the name has the form of a label's value. Source: `IsQualifiedName` of Kubernetes.
#[must_use]
pub fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_object_name(prefix) && is_label_value(name),
        None => is_label_value(key),
    }
}

fn is_label(label: &[u8]) -> bool {
    let inner = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let (Some(first), Some(last)) = (label.first(), label.last()) else {
        return false;
    };
    *first != b'-' && *last != b'-' && label.iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::{is_label_value, is_name_prefix, is_namespace_name, is_object_name, is_qualified_name};

    #[test]
    fn a_namespace_is_a_single_label() {
        for name in ["a", "prod-1", "1", &"x".repeat(63)] {
            assert!(is_namespace_name(name), "{name}");
        }
        for name in ["", "a.b", "A", "a_b", "-a", "a-", &"x".repeat(64)] {
            assert!(!is_namespace_name(name), "{name}");
        }
    }

    #[test]
    fn names_are_generated_from_a_prefix_with_or_without_a_hyphen() {
        for prefix in ["nightly-", "nightly", "a.b-"] {
            assert!(is_name_prefix(prefix), "{prefix}");
        }
        for prefix in ["", "-", "-a", "A-", "a_", "a b", "a."] {
            assert!(!is_name_prefix(prefix), "{prefix}");
        }
    }

    #[test]
    fn a_key_has_at_most_one_prefix() {
        for key in ["tier", "argocd.argoproj.io/sync-wave", "a/B_c.d", "A"] {
            assert!(is_qualified_name(key), "{key}");
        }
        for key in [
            "",
            "a/b/c",
            "/a",
            "a/",
            "A_b/c",
            "-a",
            "a b",
            &format!("a/{}", "x".repeat(64)),
        ] {
            assert!(!is_qualified_name(key), "{key}");
        }
    }

    #[test]
    fn names_that_kubernetes_accepts_are_object_names() {
        for name in ["a", "c1", "cassandra-demo", "a.b-c.d", &"x".repeat(253)] {
            assert!(is_object_name(name), "{name}");
        }
    }

    #[test]
    fn the_value_of_a_label_is_short_and_has_an_end_on_both_sides() {
        for value in ["c1", "a", "A.b_c-d", &"x".repeat(63)] {
            assert!(is_label_value(value), "{value}");
        }
        for value in ["", "-a", "a.", "a,b", "a b", "a/b", "ä", &"x".repeat(64)] {
            assert!(!is_label_value(value), "{value}");
        }
    }

    #[test]
    fn text_that_would_change_the_path_of_a_request_is_not_an_object_name() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a?b",
            "a b",
            "A",
            "-a",
            "a-",
            "a..b",
            "ä",
            "a%2fb",
            &"x".repeat(254),
        ] {
            assert!(!is_object_name(name), "{name}");
        }
    }
}
