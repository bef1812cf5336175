//! The graph of imports between the files of `src`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::paths::{ModulePath, declared_modules, inline_paths, uses};
use crate::source::Source;

/// The limit of re-exports that are followed one after the other.
const MAX_REEXPORTS: usize = 8;

/// One file as the graph sees it.
#[derive(Debug, Default)]
struct Module {
    file: String,
    /// The paths behind the names that the module re-exports.
    reexports: BTreeMap<String, ModulePath>,
    /// The paths of its own code.
    paths: Vec<ModulePath>,
    /// The modules that its code calls by a short name: its children and the imported modules.
    names: BTreeMap<String, ModulePath>,
}

/// The imports of all modules, each resolved to the file that defines the imported item.
#[derive(Debug)]
pub(crate) struct Imports {
    modules: BTreeMap<String, Module>,
    /// For each module the modules that its own code uses.
    pub(crate) used: BTreeMap<String, BTreeSet<String>>,
    /// For each module the modules that it only re-exports.
    pub(crate) reexported: BTreeMap<String, BTreeSet<String>>,
}

impl Imports {
    pub(crate) fn new(sources: &[Source]) -> Self {
        let modules: BTreeMap<_, _> = sources
            .iter()
            .map(|source| (source.module.clone(), Module::read(source)))
            .collect();
        let mut imports = Self {
            modules,
            used: BTreeMap::new(),
            reexported: BTreeMap::new(),
        };
        for (name, module) in &imports.modules {
            let resolve = |path: &ModulePath| imports.resolve(name, path, MAX_REEXPORTS);
            let used = module.paths.iter().filter_map(resolve);
            let used: BTreeSet<_> = used.filter(|target| target != name).collect();
            let reexported = module.reexports.values().filter_map(resolve);
            let reexported: BTreeSet<_> = reexported.filter(|target| target != name).collect();
            imports.used.insert(name.clone(), used);
            imports.reexported.insert(name.clone(), reexported);
        }
        imports
    }

    pub(crate) fn file<'a>(&'a self, module: &'a str) -> &'a str {
        self.modules.get(module).map_or(module, |module| &module.file)
    }

    /// Returns true if no folder contains both modules. The root file of a folder counts as a file of that folder and as
    /// a file of its parent.
    fn are_in_different_folders(&self, one: &str, other: &str) -> bool {
        let (one, other) = (self.folders(one), self.folders(other));
        !one.iter().any(|folder| other.contains(folder))
    }

    fn folders<'a>(&self, module: &'a str) -> Vec<&'a str> {
        let prefix = format!("{module}/");
        let has_children = self.modules.keys().any(|other| other.starts_with(&prefix));
        let own = has_children.then_some(module);
        std::iter::once(parent(module)).chain(own).collect()
    }

    /// Returns the import cycles in which a file imports a file of another folder.
    pub(crate) fn cycles_across_folders(&self) -> Vec<String> {
        let mut cycles = Vec::new();
        let mut reported = BTreeSet::new();
        for (from, targets) in &self.used {
            for to in targets {
                if reported.contains(from) || !self.are_in_different_folders(from, to) {
                    continue;
                }
                let Some(back) = shortest_path(&self.used, to, from) else {
                    continue;
                };
                let files = std::iter::once(from.as_str()).chain(back.iter().map(String::as_str));
                let files: Vec<_> = files.map(|module| self.file(module)).collect();
                cycles.push(files.join(" -> "));
                reported.extend(back);
            }
        }
        cycles
    }

    /// Returns the module that defines the item at the end of a path, seen from `module`.
    fn resolve(&self, module: &str, path: &ModulePath, reexports: usize) -> Option<String> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => String::new(),
            "self" => module.to_owned(),
            "super" => parent(module).to_owned(),
            name => {
                let known = self.modules.get(module)?.names.get(name)?;
                self.resolve(module, known, reexports.checked_sub(1)?)?
            }
        };
        while let Some((segment, others)) = rest.split_first() {
            if segment == "super" {
                at.truncate(parent(&at).len());
            } else if self.modules.contains_key(&child(&at, segment)) {
                at = child(&at, segment);
            } else if let Some(target) = self.modules.get(&at).and_then(|at| at.reexports.get(segment)) {
                let mut full = target.clone();
                full.extend(others.iter().cloned());
                return self.resolve(&at, &full, reexports.checked_sub(1)?);
            } else {
                break;
            }
            rest = others;
        }
        self.modules.contains_key(&at).then_some(at)
    }
}

impl Module {
    fn read(source: &Source) -> Self {
        let code = source.production();
        let mut module = Self {
            file: source.file.clone(),
            ..Self::default()
        };
        for name in declared_modules(&code) {
            let path = vec!["self".to_owned(), name.clone()];
            module.names.insert(name, path);
        }
        for import in uses(&code) {
            let mut path = import.path;
            if module.names.contains_key(&path[0]) {
                path.insert(0, "self".to_owned());
            }
            if !matches!(path[0].as_str(), "crate" | "self" | "super") {
                continue;
            }
            match import.name {
                Some(name) if import.is_reexport => {
                    module.reexports.insert(name, path);
                }
                Some(name) => {
                    let is_lower_case = name.chars().next().is_some_and(char::is_lowercase);
                    if is_lower_case {
                        module.names.entry(name).or_insert_with(|| path.clone());
                    }
                    module.paths.push(path);
                }
                None => module.paths.push(path),
            }
        }
        let inline = inline_paths(&code).into_iter().filter(|path| {
            matches!(path[0].as_str(), "crate" | "self" | "super") || module.names.contains_key(&path[0])
        });
        let inline: Vec<_> = inline.collect();
        module.paths.extend(inline);
        module
    }
}

fn parent(module: &str) -> &str {
    module.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn child(module: &str, name: &str) -> String {
    if module.is_empty() {
        name.to_owned()
    } else {
        format!("{module}/{name}")
    }
}

/// Returns the modules of a shortest path, both ends included.
fn shortest_path(graph: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> Option<Vec<String>> {
    let mut previous = BTreeMap::from([(from.to_owned(), None)]);
    let mut queue = VecDeque::from([from.to_owned()]);
    while let Some(module) = queue.pop_front() {
        if module == to {
            let mut path = vec![module.clone()];
            let mut step = &previous[&module];
            while let Some(earlier) = step {
                path.push(String::clone(earlier));
                step = &previous[earlier];
            }
            path.reverse();
            return Some(path);
        }
        for next in graph.get(&module).into_iter().flatten() {
            if !previous.contains_key(next) {
                previous.insert(next.clone(), Some(module.clone()));
                queue.push_back(next.clone());
            }
        }
    }
    None
}
