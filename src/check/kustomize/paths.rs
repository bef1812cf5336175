//! Paths of a kustomization, relative to its folder.

/// Joins a folder and a path in it, with `.` and `..` resolved.
pub(in crate::check) fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    let root = if folder.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn a_path_is_relative_to_its_folder() {
        assert_eq!(join("a/overlays/prod", "../../base"), "a/base");
        assert_eq!(join("", "./x.yaml"), "x.yaml");
        assert_eq!(join("a", "../../x"), "../x");
        assert_eq!(join("/abs/a", "../b"), "/abs/b");
    }
}
