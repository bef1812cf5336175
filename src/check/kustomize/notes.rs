//! Notes on what a kustomization includes that is not in the given files.

use std::collections::HashMap;

use crate::check::files::STDIN;
use crate::check::report::Note;

use super::kustomization::Kustomization;
use super::kustomizations::Kustomizations;
use super::paths::join;

impl Kustomizations {
    /// Returns a note for each chart, generator or path that the check cannot follow. `names` are the names of the
    /// given files.
    pub(in crate::check) fn notes(&self, names: &[String]) -> Vec<Note> {
        let numbered = names.iter().enumerate().rev();
        let given: HashMap<&str, usize> = numbered.map(|(index, name)| (name.as_str(), index)).collect();
        self.all
            .values()
            .flat_map(|kustomization| {
                let file = given.get(kustomization.file.as_str());
                file.map_or_else(Vec::new, |file| self.notes_of(kustomization, *file, &given))
            })
            .collect()
    }

    fn notes_of(
        &self,
        kustomization: &Kustomization,
        file: usize,
        given: &HashMap<&str, usize>,
    ) -> Vec<Note> {
        let folder = match kustomization.folder.as_str() {
            "" => ".",
            folder => folder,
        };
        let note = |line: u32, message: String| Note { file, line, message };
        let rendered = kustomization.external.iter().map(|(field, line)| {
            note(
                *line,
                format!(
                    "{field}: the objects that it adds are not judged; render it: kustomize build --enable-helm {folder} | \
                     cassgate check -"
                ),
            )
        });
        let included = kustomization
            .includes
            .iter()
            .filter(|_| kustomization.file != STDIN);
        let missing = included
            .filter(|(path, _)| !self.is_given(&join(&kustomization.folder, path), given))
            .map(|(path, line)| {
                note(
                    *line,
                    format!(
                        "{path} is not in the given files, so it is not judged; render it: kustomize build {folder} | \
                         cassgate check -"
                    ),
                )
            });
        rendered.chain(missing).collect()
    }

    /// Returns true if `path` is a given file, or the folder of a given kustomization.
    fn is_given(&self, path: &str, files: &HashMap<&str, usize>) -> bool {
        files.contains_key(path) || self.all.contains_key(path)
    }
}
