//! A field's path to its place.

use super::{Kind, Node, Place};

/// A part of a path: `spec`, `rename`, `[k1.t1]`.
fn parts(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            // A key may hold a bracket itself; the last one of the path closes it.
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
    /// Where the value of `path` stands: `spec.entities`, `spec.rename[k1.t1]`, `spec.items[2]`. Of a field that is
    /// not there it is the key of what should hold it; `None` when there is not even that.
    ///
    /// The values of a map that `{}` or a line end leaves empty stand at their key.
    #[must_use]
    pub fn place_of(&self, path: &str) -> Option<Place> {
        let mut node = self;
        let mut last = None;
        for part in parts(path) {
            let child = if let Kind::List(items) = &node.kind {
                let Some(item) = part.parse::<usize>().ok().and_then(|index| items.get(index)) else {
                    return last;
                };
                last = Some(item.place);
                item
            } else {
                let Some(entry) = node.entry(part) else {
                    return last;
                };
                last = Some(entry.key_place);
                &entry.value
            };
            node = &child.node;
            if !matches!(node.kind, Kind::Map(_) | Kind::List(_) | Kind::Null) {
                last = Some(child.place);
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
