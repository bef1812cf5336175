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

fn is_label(label: &[u8]) -> bool {
    let inner = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let (Some(first), Some(last)) = (label.first(), label.last()) else {
        return false;
    };
    *first != b'-' && *last != b'-' && label.iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::{is_label_value, is_object_name};

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
