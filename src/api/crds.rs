//! The CRDs of the two judged kinds, generated from their types.

use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::{CustomResourceExt, Resource};

use super::{CassandraBackup, CassandraRestore};

/// The comment at the top of every generated file. It names the command that writes the folder.
const HEADER: &str =
    "# Generated from src/api by `make crds` (cassgate crds --dir manifests/crds). Do not edit.\n";

/// The error for CRDs that cannot be printed or written.
#[derive(Debug, thiserror::Error)]
pub enum CrdsError {
    /// The serializer failed. The types in this module should never cause that.
    #[error("CRD {name}: cannot be written as YAML")]
    Serialize {
        /// The CRD, `PLURAL.GROUP`.
        name: String,
        /// The error of the serializer.
        source: serde_saphyr::ser::Error,
    },
    /// The folder or a file in it cannot be written.
    #[error("{path}: cannot be written")]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// The error of the file system.
        source: std::io::Error,
    },
}

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrdFile {
    /// The name of the file, without its folder. Example: `cassandrabackups.yaml`.
    pub name: String,
    /// The content: a comment on its origin, and one YAML document.
    pub text: String,
}

/// Returns the CRDs of `CassandraBackup` and `CassandraRestore`.
///
/// They are a superset of CassKop's: names, types and required fields are the same, so they accept every object that
/// CassKop's CRDs accept. Additional fields are optional. The CRD of `CassandraCluster` is CassKop's own.
///
/// They have a status subresource, and CassKop's have none. If CassKop acts on objects of these CRDs, the API server
/// silently drops the status that it writes. They are for installations in which cassgate is the executor.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        complete(CassandraBackup::crd()),
        complete(CassandraRestore::crd()),
    ]
}

/// Returns the files of `manifests/crds/`, one for each of [`crds`].
///
/// # Errors
/// Returns an error if the serializer fails.
pub fn crd_files() -> Result<Vec<CrdFile>, CrdsError> {
    crds().iter().map(file).collect()
}

/// Returns the CRDs as one YAML stream for `kubectl apply -f -`.
///
/// # Errors
/// Returns an error if the serializer fails.
pub fn crds_yaml() -> Result<String, CrdsError> {
    let texts: Vec<String> = crd_files()?.into_iter().map(|file| file.text).collect();
    Ok(texts.join("---\n"))
}

/// Writes [`crd_files`] into `dir`, which it creates if it is absent. Returns the paths.
///
/// # Errors
/// Returns an error if the folder or a file cannot be written. Files before it are then already written.
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

/// The width at which descriptions are wrapped, in columns.
///
/// `kubectl explain` indents descriptions and wraps lines longer than about 76 columns. Shorter lines are not wrapped a
/// second time.
const DESCRIPTION_WIDTH: usize = 72;

/// Adds the fields that kube's derive omits, and removes the keywords that it adds to CassKop's schema.
fn complete(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
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

/// Adds the three fields that every object has.
///
/// The API server describes `metadata` itself and rejects a schema that does. CassKop requires it in restores and not in
/// backups, which makes no difference, because every stored object has it.
fn add_object_fields(root: &mut JSONSchemaProps, requires_metadata: bool) {
    let field = |type_: &str, description: Option<&str>| JSONSchemaProps {
        type_: Some(type_.to_owned()),
        description: description.map(wrap),
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

/// Removes `nullable` and `title` from a schema and its subschemas, and wraps their descriptions.
///
/// Without `nullable` the API server drops an explicit `null`, as with CassKop's schema. With it, the `null` would be
/// stored, and would conflict with a client that applies an empty value.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    schema.description = schema.description.as_deref().map(wrap);
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

/// Wraps a text at [`DESCRIPTION_WIDTH`]. Text in backticks is not divided.
fn wrap(text: &str) -> String {
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

/// Returns the words of a text. Words between backticks count as one.
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
    fn a_description_is_wrapped_between_words_and_never_inside_backticks() {
        let text = format!("{} `0 2 * * *` (every\nnight at two)", "word ".repeat(13).trim());
        let broken = format!("{}\n`0 2 * * *` (every night at two)", "word ".repeat(13).trim());
        assert_eq!(wrap(&text), broken);
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
