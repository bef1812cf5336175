//! The entities of a backup or a restore: everything, keyspaces, or tables.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

#[cfg(test)]
mod tests;

/// The maximum length of the name of a keyspace in Cassandra, in characters (`SchemaConstants.NAME_LENGTH`).
pub const MAX_KEYSPACE_LENGTH: usize = 48;

/// The maximum length of the name of a table in Cassandra 4.0, 4.1 and 5.0, in characters
/// (`SchemaConstants.TABLE_NAME_LENGTH`).
pub const MAX_TABLE_LENGTH: usize = 222;

/// The maximum length of a list, in bytes. It holds about 1 600 tables; for more, keyspaces are the better choice.
/// A restore inherits the list of its backup in a patch, whose size the API server limits to a few times this length.
pub const MAX_LIST_LENGTH: usize = 32 * 1024;

/// The keyspaces that hold Cassandra's own tables.
///
/// If a restore names a table of one, Esop truncates it and then filters its files out of the download, so the data is
/// lost (observed). If a restore names one of these keyspaces, nothing is restored.
pub const SYSTEM_KEYSPACES: [&str; 7] = [
    "system",
    "system_auth",
    "system_distributed",
    "system_schema",
    "system_traces",
    "system_views",
    "system_virtual_schema",
];

/// The name of a keyspace or a table: characters of `A-Z a-z 0-9 _`, in the case of the directory on disk. A keyspace has
/// 1 to 48 of them, and a table 1 to 222.
#[derive(Debug, Clone, Eq)]
pub struct Name(String);

// Comparisons are counted in tests, which limit the work for a long list.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        #[cfg(test)]
        super::steps::count();
        self.0.cmp(&other.0)
    }
}

impl Name {
    fn keyspace(text: &str) -> Result<Self, Flaw> {
        let name = Self::parse(text)?;
        match text.len() {
            ..=MAX_KEYSPACE_LENGTH => Ok(name),
            length => Err(Flaw::LongKeyspace(length)),
        }
    }

    fn table(text: &str) -> Result<Self, Flaw> {
        let name = Self::parse(text)?;
        match text.len() {
            ..=MAX_TABLE_LENGTH => Ok(name),
            length => Err(Flaw::LongTable(length)),
        }
    }

    fn parse(text: &str) -> Result<Self, Flaw> {
        if text.is_empty() {
            return Err(Flaw::EmptyPart);
        }
        match text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
            Some(_) if text.contains(['"', '\'', '`']) => Err(Flaw::Quoted),
            Some(character) => Err(Flaw::Character(character)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// Returns the name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true for one of [`SYSTEM_KEYSPACES`].
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

/// A table in its keyspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table {
    /// The keyspace.
    pub keyspace: Name,
    /// The table.
    pub table: Name,
}

impl Table {
    /// Parses `keyspace.table`.
    ///
    /// # Errors
    /// Returns the reason why the text is malformed; for a keyspace without a table it is [`Flaw::Parts`] with 1.
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

/// The keyspaces or tables that a backup or a restore covers.
///
/// Holds either keyspaces or tables, never both: Esop rejects a mixture. Esop silently ignores items that it cannot
/// parse, and covers everything if none is left (`DatabaseEntities.parse`, observed on 1.1.3 to 3.0.0), so
/// [`parse`](Self::parse) rejects them instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entities {
    /// The field is empty: every keyspace, or in a restore the entities of its backup.
    Everything,
    /// Whole keyspaces.
    Keyspaces(BTreeSet<Name>),
    /// Single tables.
    Tables(BTreeSet<Table>),
}

/// An error in a list of entities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntitiesError {
    /// An item is neither a keyspace nor a table.
    #[error("{flaw}")]
    Item {
        /// The item as it was written.
        item: String,
        /// The error in the item.
        flaw: Flaw,
    },
    /// The text has only separators.
    #[error(
        "has only separators, and the sidecar would cover every keyspace; leave the field out to cover every keyspace"
    )]
    NamesNothing,
    /// The text is longer than [`MAX_LIST_LENGTH`].
    #[error(
        "has {0} bytes, and at most {MAX_LIST_LENGTH} are read; name whole keyspaces, or leave the field out"
    )]
    TooLong(usize),
    /// The list has keyspaces and tables.
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

/// An error in one item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// One side of the dot is empty.
    #[error("a name is missing at the dot; write keyspace or keyspace.table without blanks around the dot")]
    EmptyPart,
    /// The item has more than one dot.
    #[error(
        "has {0} parts, and the sidecar would ignore it and could cover everything; write keyspace or keyspace.table"
    )]
    Parts(usize),
    /// The item has quotes, which the sidecar compares with the names of directories.
    #[error(
        "has quotes, which the sidecar would look for on disk; write the bare name in its exact letter case"
    )]
    Quoted,
    /// The item has a character that is invalid in names of Cassandra.
    #[error(
        "has {0:?}, and Cassandra's names have only letters, digits and _; separate items by commas or blanks"
    )]
    Character(char),
    /// The name of a keyspace exceeds Cassandra's limit.
    #[error("has a name of {0} characters, and Cassandra's keyspaces have at most {MAX_KEYSPACE_LENGTH}")]
    LongKeyspace(usize),
    /// The name of a table exceeds Cassandra's limit.
    #[error("has a name of {0} characters, and Cassandra's tables have at most {MAX_TABLE_LENGTH}")]
    LongTable(usize),
}

enum Item {
    Keyspace(Name),
    Table(Table),
}

impl Entities {
    /// Parses `spec.entities`. Commas and white space separate items, as in CassKop (`[\s,]+`).
    ///
    /// # Errors
    /// Returns every malformed item, and an error if keyspaces and tables are mixed.
    pub fn parse(text: &str) -> Result<Self, Vec<EntitiesError>> {
        if text.is_empty() {
            return Ok(Self::Everything);
        }
        if text.len() > MAX_LIST_LENGTH {
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
                keyspaces: abbreviate(&keyspaces),
                tables: abbreviate(&tables),
            });
        }
        match (errors.is_empty(), keyspaces.is_empty(), tables.is_empty()) {
            (false, ..) => Err(errors),
            (true, true, true) => Err(vec![EntitiesError::NamesNothing]),
            (true, false, _) => Ok(Self::Keyspaces(keyspaces)),
            (true, true, false) => Ok(Self::Tables(tables)),
        }
    }

    /// Returns the items of `self` that `backup` does not contain.
    ///
    /// A backup of everything contains every name. A keyspace contains its tables. Case matters, because the sidecar
    /// compares names with directories.
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

    /// Returns the first few items and the total, for messages.
    #[must_use]
    pub fn abbreviated(&self) -> String {
        match self {
            Self::Everything => "everything".to_owned(),
            Self::Keyspaces(names) => abbreviate(names),
            Self::Tables(tables) => abbreviate(tables),
        }
    }

    /// Returns true if the list contains this table itself; a keyspace in the list does not count.
    #[must_use]
    pub fn names_table(&self, table: &Table) -> bool {
        matches!(self, Self::Tables(tables) if tables.contains(table))
    }

    /// Returns the items with an upper-case letter, as text.
    ///
    /// CQL changes names without quotes to lower case, so `MyKs` usually means `myks`.
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

    /// Returns the items with an upper-case letter that `known` does not list itself, as text.
    #[must_use]
    pub fn with_upper_case_outside(&self, known: &Self) -> Vec<String> {
        match (self, known) {
            (Self::Keyspaces(own), Self::Keyspaces(known)) => {
                Self::Keyspaces(own.difference(known).cloned().collect()).with_upper_case()
            }
            (Self::Tables(own), Self::Tables(known)) => {
                Self::Tables(own.difference(known).cloned().collect()).with_upper_case()
            }
            _ => self.with_upper_case(),
        }
    }

    /// Returns the items that are a system keyspace or a table of one, as text.
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
    /// Writes the canonical form: sorted, without duplicates, joined by commas; empty for everything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => Ok(()),
            Self::Keyspaces(names) => f.write_str(&join(names)),
            Self::Tables(tables) => f.write_str(&join(tables)),
        }
    }
}

/// An item of a restore that its backup does not contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outside<'a> {
    /// The backup contains nothing of this keyspace.
    Keyspace(&'a Name),
    /// The backup does not contain this table.
    Table(&'a Table),
    /// The backup contains only some tables of the keyspace; a restore would empty the others.
    Wider {
        /// The keyspace that the restore names.
        keyspace: &'a Name,
        /// The tables of the keyspace in the backup; never empty.
        held: Vec<&'a Table>,
    },
}

fn keyspace_of_tables<'a>(keyspace: &'a Name, held: &'a BTreeSet<Table>) -> Outside<'a> {
    let first = Table {
        keyspace: keyspace.clone(),
        table: Name(String::new()),
    };
    let held: Vec<&Table> = held
        .range(first..)
        .take_while(|table| table.keyspace == *keyspace)
        .collect();
    if held.is_empty() {
        Outside::Keyspace(keyspace)
    } else {
        Outside::Wider { keyspace, held }
    }
}

fn parse_item(item: &str) -> Result<Item, Flaw> {
    match item.split('.').collect::<Vec<_>>().as_slice() {
        [keyspace] => Name::keyspace(keyspace).map(Item::Keyspace),
        [keyspace, table] => Ok(Item::Table(Table {
            keyspace: Name::keyspace(keyspace)?,
            table: Name::table(table)?,
        })),
        parts => Err(Flaw::Parts(parts.len())),
    }
}

/// The maximum number of items that a message lists.
const MAX_LISTED_ITEMS: usize = 6;

/// Returns the first few items and, if there are more, the total.
fn abbreviate<T: fmt::Display>(items: &BTreeSet<T>) -> String {
    let mut named: Vec<String> = items
        .iter()
        .take(MAX_LISTED_ITEMS)
        .map(ToString::to_string)
        .collect();
    if items.len() > MAX_LISTED_ITEMS {
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
