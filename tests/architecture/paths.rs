//! Finds the paths in the text of a module: those of `use` declarations and those inside expressions.

/// A path, segment by segment, such as `["crate", "api", "Kind"]`.
pub(crate) type ModulePath = Vec<String>;

/// A `use` declaration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Use {
    /// True for `pub use` and `pub(…) use`.
    pub(crate) is_reexport: bool,
    /// The imported path.
    pub(crate) path: ModulePath,
    /// The name under which it is imported; `None` for a glob or `_`.
    pub(crate) name: Option<String>,
}

/// Returns the `use` declarations of a text, with groups expanded.
pub(crate) fn uses(code: &str) -> Vec<Use> {
    let mut found = Vec::new();
    for declaration in code.split_inclusive(';') {
        let Some((before, tree)) = split_use(declaration) else {
            continue;
        };
        let is_reexport = before
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start()
            .starts_with("pub");
        let tree = tree.trim_end_matches(';');
        for (path, name) in expand(tree) {
            found.push(Use {
                is_reexport,
                path,
                name,
            });
        }
    }
    found
}

/// Splits a declaration at its keyword `use`, which only visibility may precede on its line.
fn split_use(declaration: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    for line in declaration.split_inclusive('\n') {
        let start = line.trim_start();
        let indent = line.len() - start.len();
        let keyword = if start.starts_with("use ") {
            Some(0)
        } else if start.starts_with("pub") {
            start.find(" use ").map(|before| before + 1)
        } else {
            None
        };
        if let Some(keyword) = keyword {
            let at = at + indent + keyword;
            return Some((&declaration[..at], &declaration[at + "use ".len()..]));
        }
        at += line.len();
    }
    None
}

/// Expands a `use` tree into full paths and their names.
fn expand(tree: &str) -> Vec<(ModulePath, Option<String>)> {
    let tree = tree.trim();
    if let Some((prefix, group)) = tree.split_once('{') {
        let group = group.trim_end().strip_suffix('}').unwrap_or(group);
        let prefix = segments(prefix);
        let mut all = Vec::new();
        for item in split_top_level(group) {
            for (path, name) in expand(item) {
                let is_self = path.len() == 1 && path[0] == "self";
                let mut full = prefix.clone();
                let name = if is_self {
                    name.filter(|name| name != "self")
                        .or_else(|| full.last().cloned())
                } else {
                    full.extend(path);
                    name
                };
                all.push((full, name));
            }
        }
        return all;
    }
    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias.trim().to_owned())),
        None => (tree, None),
    };
    let mut path = segments(path);
    if path.last().is_some_and(|last| last == "*") {
        path.pop();
        return vec![(path, None)];
    }
    let name = alias.or_else(|| path.last().cloned()).filter(|name| name != "_");
    vec![(path, name)]
}

/// Splits the items of a group at the commas that are not inside a nested group.
fn split_top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut items) = (0_u32, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                items.push(&group[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    items.push(&group[begin..]);
    items.retain(|item| !item.trim().is_empty());
    items
}

/// Returns the paths of at least two segments that are not part of a `use` declaration.
pub(crate) fn inline_paths(code: &str) -> Vec<ModulePath> {
    let mut paths = Vec::new();
    for declaration in code.split_inclusive(';') {
        let code = split_use(declaration).map_or(declaration, |(before, _)| before);
        let mut rest = code;
        while let Some(at) = rest.find(is_identifier) {
            let end = rest[at..]
                .find(|character| !is_identifier(character) && character != ':')
                .map_or(rest.len(), |length| at + length);
            let path = segments(rest[at..end].trim_end_matches(':'));
            let is_continued = rest[..at].ends_with("::");
            if path.len() > 1 && !is_continued {
                paths.push(path);
            }
            rest = &rest[end..];
        }
    }
    paths
}

/// Returns the names of the modules that a text declares.
pub(crate) fn declared_modules(code: &str) -> Vec<String> {
    code.lines()
        .filter_map(|line| {
            let line = line.trim().strip_suffix(';')?;
            let (visibility, name) = line.rsplit_once("mod ")?;
            let is_declaration = visibility.is_empty() || visibility.starts_with("pub");
            is_declaration.then(|| name.to_owned())
        })
        .collect()
}

fn segments(path: &str) -> ModulePath {
    let segments = path.split("::").map(str::trim);
    segments
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect()
}

fn is_identifier(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
