//! From the path of a field to its span.

use super::node::{Node, NodeKind, Span};

/// Splits a path into its keys: `spec.rename[k1.t1]` into `spec`, `rename` and `k1.t1`.
fn parts(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            // A key may contain a bracket itself. The last bracket of the path closes it.
            let (key, behind) = inside
                .split_once("].")
                .or_else(|| inside.rsplit_once(']'))
                .unwrap_or((inside, ""));
            parts.push(key);
            rest = behind.trim_start_matches('.');
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            parts.push(name);
            rest = behind.strip_prefix('.').unwrap_or(behind);
        }
    }
    parts
}

impl Node {
    /// Returns the span of the value at `path`: `spec.entities`, `spec.rename[k1.t1]`, `spec.items[2]`.
    ///
    /// A map and a value that is left empty have the span of their key. For a field that is missing, the span is that of
    /// the innermost key that should contain it, and `None` if there is no such key.
    #[must_use]
    pub fn span_of(&self, path: &str) -> Option<Span> {
        let mut node = self;
        let mut last = None;
        for part in parts(path) {
            let child = if let NodeKind::List(items) = &node.kind {
                let Some(item) = part.parse::<usize>().ok().and_then(|index| items.get(index)) else {
                    return last;
                };
                last = Some(item.span);
                item
            } else {
                let Some(entry) = node.entry(part) else {
                    return last;
                };
                last = Some(entry.key_span);
                &entry.value
            };
            node = &child.node;
            if !matches!(node.kind, NodeKind::Map(_) | NodeKind::List(_) | NodeKind::Null) {
                last = Some(child.span);
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_path_is_split_at_dots_outside_of_brackets() {
        assert_eq!(parts("spec.rename[k1.t1]"), ["spec", "rename", "k1.t1"]);
        assert_eq!(parts("spec.list[2].name"), ["spec", "list", "2", "name"]);
        assert_eq!(parts("spec.rename[a]b]"), ["spec", "rename", "a]b"]);
        assert_eq!(parts("status"), ["status"]);
        assert_eq!(parts("spec.rename[open"), ["spec", "rename", "open"]);
        assert!(parts("").is_empty());
    }
}
