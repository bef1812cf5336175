//! What a backup or a restore covers: everything, keyspaces, or tables.

use std::collections::BTreeSet;
use std::fmt;

#[cfg(test)]
mod tests;

/// The longest keyspace or table name that Cassandra takes, in characters.
pub const LONGEST_NAME: usize = 48;

/// The longest list that is read, in bytes. It is some 1 600 tables; more is better said by keyspaces. A restore
/// inherits the list in an answer that the API server takes up to a few of these.
pub const LONGEST_LIST: usize = 32 * 1024;

/// Keyspaces that hold Cassandra's own tables.
///
/// Esop truncates a table of one when a restore names it and then filters its files out of the download: the data
/// is gone (seen). A keyspace of this list restores nothing at all.
pub const SYSTEM_KEYSPACES: [&str; 7] = [
    "system",
    "system_auth",
    "system_distributed",
    "system_schema",
    "system_traces",
    "system_views",
    "system_virtual_schema",
];

/// The name of a keyspace or a table: 1 to 48 of `A-Z a-z 0-9 _`, in the letter case of the directory on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    fn parse(text: &str) -> Result<Self, Flaw> {
        if text.is_empty() {
            return Err(Flaw::EmptyPart);
        }
        match text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
            Some(_) if text.contains(['"', '\'', '`']) => Err(Flaw::Quoted),
            Some(character) => Err(Flaw::Character(character)),
            None if text.len() > LONGEST_NAME => Err(Flaw::TooLong(text.len())),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is one of [`SYSTEM_KEYSPACES`].
    #[must_use]
    pub fn is_system(&self) -> bool {
        SYSTEM_KEYSPACES.contains(&self.as_str())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A table and the keyspace that it is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table {
    /// The keyspace.
    pub keyspace: Name,
    /// The table itself.
    pub table: Name,
}

impl Table {
    /// Parses `keyspace.table`.
    ///
    /// # Errors
    /// What is wrong with it; [`Flaw::Parts`] with 1 for a keyspace alone.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        match parse_item(text)? {
            Item::Table(table) => Ok(table),
            Item::Keyspace(_) => Err(Flaw::Parts(1)),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.keyspace, self.table)
    }
}

/// What a backup or a restore covers.
///
/// Keyspaces or tables, never a mixture: Esop refuses one. Esop drops in silence what it cannot parse, and covers
/// everything when nothing is left (`DatabaseEntities.parse`, seen on 1.1.3 to 3.0.0); so nothing is dropped here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entities {
    /// The field is empty. In a restore it means what the backup names.
    Everything,
    /// Whole keyspaces.
    Keyspaces(BTreeSet<Name>),
    /// Single tables.
    Tables(BTreeSet<Table>),
}

/// Why a text is no list of entities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntitiesError {
    /// An item is neither a keyspace nor a table.
    #[error("{flaw}")]
    Item {
        /// The item as it was written.
        item: String,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The text has separators only.
    #[error(
        "names nothing, and the sidecar would take everything; leave the field out to cover every keyspace"
    )]
    NamesNothing,
    /// Longer than [`LONGEST_LIST`].
    #[error(
        "has {0} bytes, and at most {LONGEST_LIST} are read; name whole keyspaces, or leave the field out"
    )]
    TooLong(usize),
    /// Keyspaces stand beside tables.
    #[error(
        "{keyspaces} names whole keyspaces and {tables} single tables; the sidecar takes one form or the other: \
         write only keyspaces or only keyspace.table"
    )]
    Mixed {
        /// The first items that are keyspaces, joined by commas.
        keyspaces: String,
        /// The first items that are tables, joined by commas.
        tables: String,
    },
}

/// What is wrong with one item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Nothing stands on one side of the dot.
    #[error("a name is missing at the dot; write keyspace or keyspace.table without blanks around the dot")]
    EmptyPart,
    /// More than one dot.
    #[error(
        "has {0} parts, and the sidecar would drop it and widen the operation; write keyspace or keyspace.table"
    )]
    Parts(usize),
    /// Quotes are compared with directory names as they stand.
    #[error(
        "has quotes, which the sidecar would look for on disk; write the bare name in its exact letter case"
    )]
    Quoted,
    /// A character that no Cassandra name has.
    #[error(
        "has {0:?}, and Cassandra's names have only letters, digits and _; separate items by commas or blanks"
    )]
    Character(char),
    /// Longer than Cassandra's limit.
    #[error("has a name of {0} characters, and Cassandra's names have at most {LONGEST_NAME}")]
    TooLong(usize),
}

enum Item {
    Keyspace(Name),
    Table(Table),
}

impl Entities {
    /// Parses `spec.entities`. Items are separated by commas and blanks, as CassKop does it (`[\s,]+`).
    ///
    /// # Errors
    /// Every item that is no keyspace and no `keyspace.table`, and the mixture, all at once.
    pub fn parse(text: &str) -> Result<Self, Vec<EntitiesError>> {
        if text.is_empty() {
            return Ok(Self::Everything);
        }
        if text.len() > LONGEST_LIST {
            return Err(vec![EntitiesError::TooLong(text.len())]);
        }
        let mut keyspaces = BTreeSet::new();
        let mut tables = BTreeSet::new();
        let mut errors = Vec::new();
        for item in text
            .split(|c: char| c == ',' || c.is_ascii_whitespace())
            .filter(|item| !item.is_empty())
        {
            match parse_item(item) {
                Ok(Item::Keyspace(name)) => drop(keyspaces.insert(name)),
                Ok(Item::Table(table)) => drop(tables.insert(table)),
                Err(flaw) => errors.push(EntitiesError::Item {
                    item: item.to_owned(),
                    flaw,
                }),
            }
        }
        if !keyspaces.is_empty() && !tables.is_empty() {
            errors.push(EntitiesError::Mixed {
                keyspaces: some(&keyspaces),
                tables: some(&tables),
            });
        }
        match (errors.is_empty(), keyspaces.is_empty(), tables.is_empty()) {
            (false, ..) => Err(errors),
            (true, true, true) => Err(vec![EntitiesError::NamesNothing]),
            (true, false, _) => Ok(Self::Keyspaces(keyspaces)),
            (true, true, false) => Ok(Self::Tables(tables)),
        }
    }

    /// What of `self` the backup does not hold; empty when `self` is a part of it.
    ///
    /// A backup of everything holds every name. A keyspace holds its tables. Letter case matters: names are
    /// compared with directories.
    #[must_use]
    pub fn outside<'a>(&'a self, backup: &'a Self) -> Vec<Outside<'a>> {
        match (self, backup) {
            (Self::Everything, _) | (_, Self::Everything) => Vec::new(),
            (Self::Keyspaces(asked), Self::Keyspaces(held)) => {
                asked.difference(held).map(Outside::Keyspace).collect()
            }
            (Self::Keyspaces(asked), Self::Tables(held)) => asked
                .iter()
                .map(|keyspace| keyspace_of_tables(keyspace, held))
                .collect(),
            (Self::Tables(asked), Self::Keyspaces(held)) => asked
                .iter()
                .filter(|table| !held.contains(&table.keyspace))
                .map(Outside::Table)
                .collect(),
            (Self::Tables(asked), Self::Tables(held)) => asked.difference(held).map(Outside::Table).collect(),
        }
    }

    /// The first few items, and how many there are: for messages.
    #[must_use]
    pub fn abbreviated(&self) -> String {
        match self {
            Self::Everything => "everything".to_owned(),
            Self::Keyspaces(names) => some(names),
            Self::Tables(tables) => some(tables),
        }
    }

    /// Whether this very table stands in the list.
    #[must_use]
    pub fn names_table(&self, table: &Table) -> bool {
        matches!(self, Self::Tables(tables) if tables.contains(table))
    }

    /// The items in which a name has an upper-case letter, as text.
    ///
    /// CQL makes every name lower case that stands without quotes, so `MyKs` usually means `myks`.
    #[must_use]
    pub fn with_upper_case(&self) -> Vec<String> {
        let upper = |name: &Name| name.0.bytes().any(|b| b.is_ascii_uppercase());
        match self {
            Self::Everything => Vec::new(),
            Self::Keyspaces(names) => names.iter().filter(|n| upper(n)).map(Name::to_string).collect(),
            Self::Tables(tables) => tables
                .iter()
                .filter(|t| upper(&t.keyspace) || upper(&t.table))
                .map(Table::to_string)
                .collect(),
        }
    }

    /// The names that lie in a system keyspace, each once, as text.
    #[must_use]
    pub fn system(&self) -> Vec<String> {
        match self {
            Self::Everything => Vec::new(),
            Self::Keyspaces(names) => names
                .iter()
                .filter(|n| n.is_system())
                .map(Name::to_string)
                .collect(),
            Self::Tables(tables) => tables
                .iter()
                .filter(|t| t.keyspace.is_system())
                .map(Table::to_string)
                .collect(),
        }
    }
}

impl fmt::Display for Entities {
    /// The canonical form: sorted, each item once, joined by commas; nothing for everything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => Ok(()),
            Self::Keyspaces(names) => f.write_str(&join(names)),
            Self::Tables(tables) => f.write_str(&join(tables)),
        }
    }
}

/// A part of a restore that its backup does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outside<'a> {
    /// The backup has nothing of this keyspace.
    Keyspace(&'a Name),
    /// The backup has not this table.
    Table(&'a Table),
    /// The backup has only these tables of the keyspace; the others would be emptied.
    Wider {
        /// The keyspace that the restore names.
        keyspace: &'a Name,
        /// What the backup has of it; never empty.
        held: Vec<&'a Table>,
    },
}

fn keyspace_of_tables<'a>(keyspace: &'a Name, held: &'a BTreeSet<Table>) -> Outside<'a> {
    let held: Vec<&Table> = held.iter().filter(|table| table.keyspace == *keyspace).collect();
    if held.is_empty() {
        Outside::Keyspace(keyspace)
    } else {
        Outside::Wider { keyspace, held }
    }
}

fn parse_item(item: &str) -> Result<Item, Flaw> {
    match item.split('.').collect::<Vec<_>>().as_slice() {
        [keyspace] => Name::parse(keyspace).map(Item::Keyspace),
        [keyspace, table] => Ok(Item::Table(Table {
            keyspace: Name::parse(keyspace)?,
            table: Name::parse(table)?,
        })),
        parts => Err(Flaw::Parts(parts.len())),
    }
}

/// How many items a message names.
const NAMED_ITEMS: usize = 6;

/// The first few items, and how many more there are: for messages.
fn some<T: fmt::Display>(items: &BTreeSet<T>) -> String {
    let mut named: Vec<String> = items.iter().take(NAMED_ITEMS).map(ToString::to_string).collect();
    if items.len() > NAMED_ITEMS {
        named.push(format!("… ({} in all)", items.len()));
    }
    named.join(",")
}

fn join<T: fmt::Display>(items: &BTreeSet<T>) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}
