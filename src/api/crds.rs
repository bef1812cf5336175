//! The CRDs of the two kinds that we judge, generated from their types.

use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::{CustomResourceExt, Resource};

use super::{CassandraBackup, CassandraRestore};

/// What stands above every generated file. The command is the one that writes the folder.
const HEADER: &str =
    "# Generated from src/api by `make crds` (cassgate crds --dir manifests/crds). Do not edit.\n";

/// Why the CRDs could not be printed or written.
#[derive(Debug, thiserror::Error)]
pub enum CrdsError {
    /// The serializer refused; the types in this module do not give it a reason to.
    #[error("CRD {name}: cannot be written as YAML")]
    Serialize {
        /// The CRD, `PLURAL.GROUP`.
        name: String,
        /// What the serializer said.
        source: serde_saphyr::ser::Error,
    },
    /// The folder or a file in it cannot be written.
    #[error("{path}: cannot be written")]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrdFile {
    /// Its name, without a folder. Example: `cassandrabackups.yaml`.
    pub name: String,
    /// What is in it: a comment that says where it comes from, and one YAML document.
    pub text: String,
}

/// The CRDs of `CassandraBackup` and `CassandraRestore`.
///
/// They are a superset of CassKop's: the same names, types and required lists, so every object that CassKop's
/// take, they take. What is added is optional. `CassandraCluster` is CassKop's own and not among them.
///
/// They have a status subresource, and CassKop's have none: installed under a CassKop that acts, they would
/// make the API server drop its status in silence. They are for installations where cassgate is the executor.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        finished(CassandraBackup::crd()),
        finished(CassandraRestore::crd()),
    ]
}

/// The files that `manifests/crds/` holds, one for each of [`crds`].
///
/// # Errors
/// The serializer refused.
pub fn crd_files() -> Result<Vec<CrdFile>, CrdsError> {
    crds().iter().map(file).collect()
}

/// The CRDs as one YAML stream, ready for `kubectl apply -f -`.
///
/// # Errors
/// The serializer refused.
pub fn crds_yaml() -> Result<String, CrdsError> {
    let texts: Vec<String> = crd_files()?.into_iter().map(|file| file.text).collect();
    Ok(texts.join("---\n"))
}

/// Writes [`crd_files`] into `dir`, which is made when it is absent, and returns the paths.
///
/// # Errors
/// The folder or a file cannot be written; files before it are.
pub fn write_crds(dir: &Path) -> Result<Vec<PathBuf>, CrdsError> {
    let failed = |path: &Path, source| CrdsError::Write {
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    let mut written = Vec::new();
    for file in crd_files()? {
        let path = dir.join(&file.name);
        std::fs::write(&path, file.text).map_err(|error| failed(&path, error))?;
        written.push(path);
    }
    Ok(written)
}

fn file(crd: &CustomResourceDefinition) -> Result<CrdFile, CrdsError> {
    let yaml = serde_saphyr::to_string(crd).map_err(|source| CrdsError::Serialize {
        name: format!("{}.{}", crd.spec.names.plural, crd.spec.group),
        source,
    })?;
    Ok(CrdFile {
        name: format!("{}.yaml", crd.spec.names.plural),
        text: format!("{HEADER}{yaml}"),
    })
}

/// Descriptions are broken at this width: `kubectl explain` indents them and breaks what is longer than about 76
/// columns; a line that is broken twice looks torn.
const DESCRIPTION_WIDTH: usize = 72;

/// Adds what kube's derive leaves out and takes away what it adds beyond CassKop's schema.
fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let names = &mut crd.spec.names;
    names.list_kind = Some(format!("{}List", names.kind));
    let requires_metadata = names.kind == CassandraRestore::kind(&());
    let roots = crd
        .spec
        .versions
        .iter_mut()
        .filter_map(|version| version.schema.as_mut());
    for root in roots.filter_map(|schema| schema.open_api_v3_schema.as_mut()) {
        tidy(root);
        add_object_fields(root, requires_metadata);
    }
    crd
}

/// The three fields that every object has. The API server describes `metadata` itself and refuses a schema that
/// does. CassKop's restores require it and its backups do not; every object on a server has it anyway.
fn add_object_fields(root: &mut JSONSchemaProps, requires_metadata: bool) {
    let field = |type_: &str, description: Option<&str>| JSONSchemaProps {
        type_: Some(type_.to_owned()),
        description: description.map(wrapped),
        ..JSONSchemaProps::default()
    };
    let version = "The group and the version of this object: `db.orange.com/v2`.";
    root.properties.get_or_insert_default().extend([
        ("apiVersion".to_owned(), field("string", Some(version))),
        (
            "kind".to_owned(),
            field("string", Some("The kind of this object.")),
        ),
        ("metadata".to_owned(), field("object", None)),
    ]);
    if requires_metadata {
        root.required
            .get_or_insert_default()
            .insert(0, "metadata".to_owned());
    }
}

/// Takes `nullable` and `title` from a schema and all schemas in it, and breaks their descriptions.
///
/// Without `nullable` the API server drops an explicit `null`, as it does under CassKop's schema; with it the
/// `null` would be stored, and would fight over the field with whoever applies an empty one.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    schema.description = schema.description.as_deref().map(wrapped);
    schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
        .for_each(tidy);
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

/// One paragraph, broken at [`DESCRIPTION_WIDTH`]. Text in backticks stays in one piece.
fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces(text) {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + piece.len() <= DESCRIPTION_WIDTH => {
                line.push(' ');
                line.push_str(&piece);
            }
            _ => lines.push(piece),
        }
    }
    lines.join("\n")
}

/// The words of a text; those between backticks count as one.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut quoted = false;
    for word in text.split_whitespace() {
        match pieces.last_mut() {
            Some(piece) if quoted => {
                piece.push(' ');
                piece.push_str(word);
            }
            _ => pieces.push(word.to_owned()),
        }
        quoted ^= word.matches('`').count() % 2 == 1;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_broken_between_words_and_never_inside_backticks() {
        let text = format!("{} `0 2 * * *` (every\nnight at two)", "word ".repeat(13).trim());
        let broken = format!("{}\n`0 2 * * *` (every night at two)", "word ".repeat(13).trim());
        assert_eq!(wrapped(&text), broken);
    }

    #[test]
    fn the_files_are_written_with_the_folder_and_an_unwritable_folder_is_named() {
        let dir = std::env::temp_dir().join(format!("cassgate-crds-{}", std::process::id()));
        let written = write_crds(&dir.join("deep")).unwrap();
        let names: Vec<_> = written.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["cassandrabackups.yaml", "cassandrarestores.yaml"]);
        for (path, file) in written.iter().zip(crd_files().unwrap()) {
            assert_eq!(std::fs::read_to_string(path).unwrap(), file.text);
        }
        let occupied = dir.join("file");
        std::fs::write(&occupied, "").unwrap();
        let error = write_crds(&occupied).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{}: cannot be written", occupied.display())
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
