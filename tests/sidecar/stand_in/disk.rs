//! One node's disk: SSTables, links that were never loaded, downloads, safety copies.

use std::collections::{BTreeMap, BTreeSet};

use cassgate::domain::entities::Table;

/// The key of a row.
pub(crate) type Key = u32;

/// The rows of an SSTable.
pub(crate) type Rows = BTreeMap<Key, Cell>;

/// The last write to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cell {
    /// The timestamp; the newest write wins.
    pub(crate) at: u64,
    /// True for a row, false for a deletion.
    pub(crate) alive: bool,
}

/// Merges SSTables: the newest write of each row.
pub(super) fn merged<'a>(all: impl Iterator<Item = &'a Rows>) -> Rows {
    let mut rows = Rows::new();
    for (key, cell) in all.flatten() {
        let kept = rows.entry(*key).or_insert(*cell);
        if cell.at > kept.at {
            *kept = *cell;
        }
    }
    rows
}

/// `nb-GENERATION-big-*`.
#[derive(Debug, Clone)]
pub(super) struct SsTable {
    pub(super) generation: u32,
    pub(super) rows: Rows,
    /// True if Cassandra has loaded it; a link that was never loaded is unknown to Cassandra.
    pub(super) live: bool,
    /// True if some of its components are missing.
    pub(super) half: bool,
}

#[derive(Debug, Clone, Default)]
struct TableDirectory {
    sstables: Vec<SsTable>,
    last_generation: u32,
    /// True after a refresh of half an SSTable: nothing can be loaded into this table any more.
    corrupted: bool,
    truncated: Vec<Truncated>,
}

#[derive(Debug, Clone)]
struct Truncated {
    /// The directory of the restore that truncated the table.
    by: String,
    rows: Rows,
}

/// A file of a download.
#[derive(Debug, Clone)]
pub(super) struct Download {
    pub(super) rows: Rows,
    pub(super) whole: bool,
}

/// Files by target table and generation.
pub(super) type Downloads = BTreeMap<(Table, u32), Download>;

#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    tables: BTreeMap<Table, TableDirectory>,
    pub(super) downloads: BTreeMap<String, Downloads>,
    /// Snapshots that a backup has taken and not cleared.
    pub(super) snapshots: BTreeSet<String>,
}

impl Disk {
    pub(super) fn new<'a>(tables: impl Iterator<Item = &'a Table>) -> Self {
        Self {
            tables: tables
                .map(|table| (table.clone(), TableDirectory::default()))
                .collect(),
            ..Self::default()
        }
    }

    fn table(&mut self, table: &Table) -> &mut TableDirectory {
        self.tables.entry(table.clone()).or_default()
    }

    /// Flushes a memtable to an SSTable.
    pub(super) fn flush(&mut self, table: &Table, rows: Rows) {
        let directory = self.table(table);
        directory.last_generation += 1;
        directory.sstables.push(SsTable {
            generation: directory.last_generation,
            rows,
            live: true,
            half: false,
        });
    }

    /// Merges the loaded SSTables of each table into one under a new name.
    pub(super) fn compact(&mut self) {
        for directory in self.tables.values_mut() {
            let live = directory.sstables.iter().filter(|sstable| sstable.live);
            let rows = merged(live.map(|sstable| &sstable.rows));
            directory.sstables.retain(|sstable| !sstable.live);
            directory.last_generation += 1;
            directory.sstables.push(SsTable {
                generation: directory.last_generation,
                rows,
                live: true,
                half: false,
            });
        }
    }

    /// Returns the rows that Cassandra reads.
    pub(super) fn live(&self, table: &Table) -> impl Iterator<Item = &Rows> {
        self.live_sstables(table).map(|sstable| &sstable.rows)
    }

    pub(super) fn live_sstables(&self, table: &Table) -> impl Iterator<Item = &SsTable> {
        self.tables
            .get(table)
            .into_iter()
            .flat_map(|directory| &directory.sstables)
            .filter(|sstable| sstable.live)
    }

    /// Truncates a table and keeps a safety copy. Links that were never loaded stay, since Cassandra does not know
    /// them.
    pub(super) fn truncate(&mut self, table: &Table, by: &str) {
        let directory = self.table(table);
        let rows = merged(
            directory
                .sstables
                .iter()
                .filter(|sstable| sstable.live)
                .map(|sstable| &sstable.rows),
        );
        directory.truncated.push(Truncated {
            by: by.to_owned(),
            rows,
        });
        directory.sstables.retain(|sstable| !sstable.live);
    }

    /// Removes every safety copy and returns the directories of their restores.
    pub(super) fn remove_truncated(&mut self) -> BTreeSet<String> {
        self.tables
            .values_mut()
            .flat_map(|directory| std::mem::take(&mut directory.truncated))
            .map(|truncated| truncated.by)
            .collect()
    }

    pub(super) fn truncated(&self, table: &Table) -> Vec<BTreeSet<Key>> {
        let alive = |rows: &Rows| {
            rows.iter()
                .filter(|(_, cell)| cell.alive)
                .map(|(key, _)| *key)
                .collect()
        };
        self.tables
            .get(table)
            .into_iter()
            .flat_map(|directory| &directory.truncated)
            .map(|truncated| alive(&truncated.rows))
            .collect()
    }

    /// Returns true if a table's directory has a file with this name, loaded or not.
    pub(super) fn has(&self, table: &Table, generation: u32) -> bool {
        self.sstable(table, generation).is_some()
    }

    /// Returns true if half of a file with this name is there.
    pub(super) fn has_half(&self, table: &Table, generation: u32) -> bool {
        self.sstable(table, generation)
            .is_some_and(|sstable| sstable.half)
    }

    fn sstable(&self, table: &Table, generation: u32) -> Option<&SsTable> {
        let mut sstables = self.tables.get(table)?.sstables.iter();
        sstables.find(|sstable| sstable.generation == generation)
    }

    /// Links a download into a table's directory. A file whose name is in use is skipped, whatever its content; a
    /// half one is completed.
    pub(super) fn link(&mut self, table: &Table, generation: u32, rows: &Rows, half: bool) {
        let directory = self.table(table);
        let there = directory
            .sstables
            .iter_mut()
            .find(|sstable| sstable.generation == generation);
        match there {
            Some(sstable) if sstable.half => {
                sstable.half = half;
                sstable.rows.clone_from(rows);
            }
            Some(_) => {}
            None => directory.sstables.push(SsTable {
                generation,
                rows: rows.clone(),
                live: false,
                half,
            }),
        }
    }

    /// Makes Cassandra load the files of a table's directory, each under a new name.
    ///
    /// # Errors
    /// Cassandra's error message.
    pub(super) fn load(&mut self, table: &Table) -> Result<(), String> {
        let directory = self.table(table);
        if directory.corrupted {
            return Err("Failed importing SSTables".to_owned());
        }
        for sstable in &mut directory.sstables {
            if !sstable.live && !sstable.half {
                // A loaded file never gets a name that is in use.
                directory.last_generation = directory.last_generation.max(sstable.generation) + 1;
                sstable.generation = directory.last_generation;
                sstable.live = true;
            }
        }
        Ok(())
    }

    /// Loads like [`load`](Self::load), by `refresh`: half an SSTable corrupts the table permanently.
    ///
    /// # Errors
    /// Cassandra's error message.
    pub(super) fn refresh(&mut self, table: &Table) -> Result<(), String> {
        let directory = self.table(table);
        if let Some(half) = directory.sstables.iter_mut().find(|sstable| sstable.half) {
            half.generation += 1;
            directory.corrupted = true;
            return Err(format!(
                "/var/lib/cassandra/data/{}/{}-1/nb-{}-big is corrupt, can't import",
                table.keyspace, table.table, half.generation
            ));
        }
        self.load(table)
    }

    /// Starts Cassandra: it loads whole links, and continues the generations of the directory.
    pub(super) fn restart(&mut self) {
        for directory in self.tables.values_mut() {
            for sstable in &mut directory.sstables {
                sstable.live |= !sstable.half;
            }
            directory.last_generation = directory
                .sstables
                .iter()
                .map(|sstable| sstable.generation)
                .max()
                .unwrap_or_default();
        }
    }

    pub(super) fn links(&self) -> usize {
        self.tables
            .values()
            .flat_map(|directory| &directory.sstables)
            .filter(|sstable| !sstable.live)
            .count()
    }

    pub(super) fn downloads_in(&self, directory: &str) -> (usize, usize) {
        let files = self.downloads.get(directory);
        let whole = files.map_or(0, |files| files.values().filter(|file| file.whole).count());
        (whole, files.map_or(0, BTreeMap::len) - whole)
    }
}
