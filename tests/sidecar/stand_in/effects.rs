//! The individual steps of operations, and the state after a step that was cut short.

use std::collections::{BTreeMap, VecDeque};

use cassgate::domain::entities::{Entities, Table};
use cassgate::icarus::{BackupRequest, OperationRequest, RestorePhase, RestoreRequest, Strategy};

use super::State;
use super::disk::{Download, Rows};
use super::jobs::Job;
use super::store::{File, checksum};

/// One step.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    TakeSnapshot,
    Upload(File, Rows),
    WriteManifest(Vec<File>),
    WriteTopology,
    ClearSnapshot,
    CheckHealth,
    FindManifest,
    PlanDownload,
    /// The file and its target table.
    Fetch(File, Table),
    JudgeDownload,
    PlanTruncate,
    Truncate(Table),
    CheckDownloads,
    PlanImport,
    Link(Table, u32),
    Load(Table),
    Take(Table),
    RemoveDownloads,
    RemoveTruncated,
    Refresh,
    List,
    Remove,
}

/// The sidecar's error when JMX does not answer.
const NO_JMX: &str = "Failed to retrieve RMIServer stub: javax.naming.ServiceUnavailableException [Root exception is \
                      java.rmi.ConnectException: Connection refused to host: 127.0.0.1]";

type Next = Result<Vec<Effect>, String>;

impl Effect {
    /// Returns the first steps of an operation.
    pub(super) fn beginning(request: &OperationRequest) -> VecDeque<Self> {
        match request {
            OperationRequest::Backup(_) => vec![Self::TakeSnapshot],
            OperationRequest::Restore(restore) => match restore.phase {
                RestorePhase::Init => vec![Self::FindManifest],
                RestorePhase::Download => vec![Self::CheckHealth, Self::FindManifest, Self::PlanDownload],
                RestorePhase::Truncate => vec![Self::CheckHealth, Self::PlanTruncate],
                RestorePhase::Import => vec![Self::CheckHealth, Self::CheckDownloads, Self::PlanImport],
                RestorePhase::Cleanup => vec![Self::RemoveDownloads, Self::RemoveTruncated],
            },
            OperationRequest::Refresh(_) => vec![Self::Refresh],
            OperationRequest::List(_) => vec![Self::List],
            OperationRequest::RemoveBackup(_) => vec![Self::Remove],
        }
        .into()
    }
}

impl State {
    /// Performs one step and returns the next ones.
    ///
    /// # Errors
    /// The message with which the operation fails.
    pub(super) fn perform(&mut self, node: usize, job: &mut Job, effect: Effect) -> Next {
        match job.request.clone() {
            Some(OperationRequest::Backup(backup)) => self.back_up(node, &backup, effect),
            Some(OperationRequest::Restore(restore)) => self.restore(node, &restore, job, effect),
            Some(OperationRequest::Refresh(table)) if !self.nodes[node].cassandra_up => {
                Err(format!("{NO_JMX}: {table}"))
            }
            Some(OperationRequest::Refresh(table)) => {
                self.nodes[node].disk.refresh(&table).map(|()| Vec::new())
            }
            Some(OperationRequest::List(list)) => {
                let location = list.store.location.as_str();
                job.public.listing = Some(self.store.list(location));
                let manifests = self.store.share(location).manifests.clone();
                let cache = cache(&OperationRequest::List(list.clone()));
                self.nodes[node].caches.insert(cache, manifests);
                Ok(Vec::new())
            }
            Some(OperationRequest::RemoveBackup(remove)) => {
                let (location, name) = (remove.store.location.as_str(), remove.snapshot.as_str());
                let cache = cache(&OperationRequest::RemoveBackup(remove.clone()));
                let cached = self.nodes[node].caches.entry(cache).or_default();
                self.store.remove(location, name, cached);
                Ok(Vec::new())
            }
            None => Ok(Vec::new()),
        }
    }

    fn back_up(&mut self, node: usize, backup: &BackupRequest, effect: Effect) -> Next {
        let location = backup.store.location.as_str();
        let name = backup.snapshot.to_string();
        match effect {
            Effect::TakeSnapshot => return self.take_snapshot(node, backup),
            Effect::Upload(file, rows) => {
                // The sidecar checks only whether the file exists.
                self.store
                    .share(location)
                    .files
                    .entry(file)
                    .or_insert(Download { rows, whole: true });
            }
            Effect::WriteManifest(files) => {
                let manifests = &mut self.store.share(location).manifests;
                if self.version.major >= 3 {
                    manifests.insert(name, files);
                } else {
                    manifests.entry(name).or_insert(files);
                }
            }
            Effect::WriteTopology => drop(self.store.topologies.insert(name)),
            Effect::ClearSnapshot => drop(self.nodes[node].disk.snapshots.remove(&name)),
            other => unreachable!("{other:?} is no part of a backup"),
        }
        Ok(Vec::new())
    }

    fn take_snapshot(&mut self, node: usize, backup: &BackupRequest) -> Next {
        let tables = self.tables(&backup.entities);
        if let Entities::Tables(asked) = &backup.entities
            && let Some(absent) = asked.iter().find(|table| !tables.contains(table))
        {
            return Err(format!(
                "Tables [{absent}] to process are not present in Cassandra."
            ));
        }
        let node = &mut self.nodes[node];
        if !node.cassandra_up {
            return Err(NO_JMX.to_owned());
        }
        let name = backup.snapshot.to_string();
        if !node.disk.snapshots.insert(name.clone()) {
            // The failure clears the snapshot, whichever operation made it.
            node.disk.snapshots.remove(&name);
            return Err(format!("Snapshot {name} already exists."));
        }
        let files: Vec<(File, Rows)> = tables
            .iter()
            .flat_map(|table| node.disk.live_sstables(table).map(move |found| (table, found)))
            .map(|(table, found)| {
                let file = (table.clone(), found.generation, checksum(&found.rows));
                (file, found.rows.clone())
            })
            .collect();
        let manifest = files.iter().map(|(file, _)| file.clone()).collect();
        let mut next: Vec<Effect> = files
            .into_iter()
            .map(|(file, rows)| Effect::Upload(file, rows))
            .collect();
        let before_last = next.len().saturating_sub(1);
        let place = if self.early_manifests {
            before_last
        } else {
            next.len()
        };
        next.insert(place, Effect::WriteManifest(manifest));
        if backup.upload_topology {
            next.push(Effect::WriteTopology);
        }
        next.push(Effect::ClearSnapshot);
        Ok(next)
    }

    fn restore(&mut self, node: usize, restore: &RestoreRequest, job: &mut Job, effect: Effect) -> Next {
        let source = restore.source.to_string();
        match effect {
            Effect::CheckHealth => return self.check_health(node),
            Effect::FindManifest => return self.wanted(node, restore).map(|_| Vec::new()),
            Effect::PlanDownload => {
                let wanted = self.wanted(node, restore)?;
                let fetches = wanted.into_iter().map(|(file, into)| Effect::Fetch(file, into));
                return Ok(fetches.chain([Effect::JudgeDownload]).collect());
            }
            Effect::Fetch(file, into) => self.fetch(node, restore, job, &file, into),
            Effect::JudgeDownload if job.corrupt.is_empty() => {}
            Effect::JudgeDownload => {
                return Err(format!(
                    "Unable to download files successfully: {}",
                    job.corrupt.join(",")
                ));
            }
            Effect::PlanTruncate => {
                return Ok(self.targets(restore).into_iter().map(Effect::Truncate).collect());
            }
            Effect::Truncate(table) => {
                if self.nodes.iter().any(|node| node.in_ring && !node.cassandra_up) {
                    return Err(
                        "There are nodes with different schemas: {22c6=[], UNREACHABLE=[]}".to_owned(),
                    );
                }
                for node in self.nodes.iter_mut().filter(|node| node.in_ring) {
                    node.disk.truncate(&table, &source);
                }
            }
            Effect::CheckDownloads => return self.check_downloads(node, restore),
            Effect::PlanImport => return self.plan_import(node, restore),
            Effect::Link(table, generation) => self.link(node, &source, &table, generation, false),
            Effect::Load(table) => return self.load(node, &table),
            Effect::Take(table) => self.take(node, &source, &table),
            Effect::RemoveDownloads => drop(self.nodes[node].disk.downloads.remove(&source)),
            Effect::RemoveTruncated if restore.keep_truncates => {}
            Effect::RemoveTruncated => self.remove_truncated(node, &source),
            other => unreachable!("{other:?} is no part of a restore"),
        }
        Ok(Vec::new())
    }

    fn check_health(&self, node: usize) -> Next {
        if !self.nodes[node].cassandra_up {
            return Err(NO_JMX.to_owned());
        }
        let down = self
            .nodes
            .iter()
            .filter(|node| node.in_ring && !node.cassandra_up)
            .count();
        if down > 0 {
            return Err(format!(
                "Failure detector of this node reports that {down} node(s) in a cluster are down!"
            ));
        }
        Ok(Vec::new())
    }

    /// Returns the files of the manifest that the restore needs, each with its target table.
    pub(super) fn wanted(&self, node: usize, restore: &RestoreRequest) -> Result<Vec<(File, Table)>, String> {
        let location = self.location_of(node, restore);
        let manifest = self
            .store
            .manifest(&location, &restore.snapshot, self.schema.as_str())
            .ok_or("There is no manifest requested found.")?;
        let rename: BTreeMap<&Table, &Table> = restore.rename.pairs().collect();
        let tables = self.tables(&restore.entities);
        let wanted: Vec<(File, Table)> = manifest
            .iter()
            .filter(|(table, ..)| tables.contains(table))
            .map(|file| {
                let into = rename.get(&file.0).copied().unwrap_or(&file.0);
                (file.clone(), into.clone())
            })
            .collect();
        Ok(wanted)
    }

    /// Returns the location of a node's share in the bucket of the request, whose own location names the receiving
    /// node.
    fn location_of(&self, node: usize, restore: &RestoreRequest) -> String {
        let location = restore.store.location.as_str();
        let (bucket, _) = location.rsplit_once('/').unwrap();
        format!("{bucket}/{}", self.nodes[node].host)
    }

    fn fetch(&mut self, node: usize, restore: &RestoreRequest, job: &mut Job, file: &File, into: Table) {
        let stored = self
            .store
            .share(restore.store.location.as_str())
            .files
            .get(file)
            .cloned();
        let name = format!(
            "data/{}/{}-1/nb-{}-big-Data.db",
            file.0.keyspace, file.0.table, file.1
        );
        let downloads = self.nodes[node]
            .disk
            .downloads
            .entry(restore.source.to_string())
            .or_default();
        match (downloads.get(&(into.clone(), file.1)), stored) {
            (Some(there), _) if there.whole && checksum(&there.rows) == file.2 => {}
            // A wrong file is never downloaded again.
            (Some(_), _) | (None, None) => job.corrupt.push(name),
            (None, Some(stored)) => {
                if !stored.whole {
                    job.corrupt.push(name);
                }
                downloads.insert((into, file.1), stored);
            }
        }
    }

    /// Returns the tables that the restore truncates and fills.
    fn targets(&self, restore: &RestoreRequest) -> Vec<Table> {
        let rename: BTreeMap<&Table, &Table> = restore.rename.pairs().collect();
        self.tables(&restore.entities)
            .into_iter()
            .map(|table| {
                rename
                    .get(&table)
                    .map_or_else(|| table.clone(), |into| (*into).clone())
            })
            .collect()
    }

    fn check_downloads(&self, node: usize, restore: &RestoreRequest) -> Next {
        if self.has_downloads(node, restore)? {
            return Ok(Vec::new());
        }
        Err("Some local files were corrupted or they are missing, please consult the logs to see the details.".to_owned())
    }

    /// Returns true if the source directory holds every file that a node needs, whole.
    pub(super) fn has_downloads(&self, node: usize, restore: &RestoreRequest) -> Result<bool, String> {
        let downloads = self.nodes[node].disk.downloads.get(restore.source.as_str());
        Ok(self.wanted(node, restore)?.iter().all(|(file, into)| {
            downloads
                .and_then(|files| files.get(&(into.clone(), file.1)))
                .is_some_and(|found| found.whole && checksum(&found.rows) == file.2)
        }))
    }

    fn plan_import(&mut self, node: usize, restore: &RestoreRequest) -> Next {
        let targets = self.targets(restore);
        if restore.strategy == Strategy::Import {
            if self.version.major < 3 {
                return Err(
                    "Underlying version of Cassandra is not supported to import SSTables: 5.0.9. Use this \
                            method only if you run Cassandra 4 and above"
                        .to_owned(),
                );
            }
            return Ok(targets.into_iter().map(Effect::Take).collect());
        }
        let node = &self.nodes[node];
        // Includes files of earlier restores.
        let files: Vec<(Table, u32)> = node
            .disk
            .downloads
            .get(restore.source.as_str())
            .map(|files| files.keys().cloned().collect())
            .unwrap_or_default();
        let taken = |(table, generation): &&(Table, u32)| node.disk.has(table, *generation);
        let some = files.iter().any(|file| taken(&file));
        let all = files.iter().all(|file| taken(&file));
        let half = files
            .iter()
            .any(|(table, generation)| node.disk.has_half(table, *generation));
        if self.version.major < 2 && (half || (some && !all)) {
            return Err(
                "Hardlinking phase finished with errors, the linking of downloaded SSTables to Cassandra \
                        directory has failed."
                    .to_owned(),
            );
        }
        let links = files
            .into_iter()
            .map(|(table, generation)| Effect::Link(table, generation));
        Ok(links.chain(targets.into_iter().map(Effect::Load)).collect())
    }

    fn link(&mut self, node: usize, source: &str, table: &Table, generation: u32, half: bool) {
        let disk = &mut self.nodes[node].disk;
        let file = disk
            .downloads
            .get(source)
            .and_then(|files| files.get(&(table.clone(), generation)))
            .cloned();
        if let Some(file) = file {
            disk.link(table, generation, &file.rows, half);
        }
    }

    fn load(&mut self, node: usize, table: &Table) -> Next {
        let node = &mut self.nodes[node];
        let loaded = if node.cassandra_up {
            node.disk.load(table)
        } else {
            Err(NO_JMX.to_owned())
        };
        loaded
            .map(|()| Vec::new())
            .map_err(|error| format!("Failed tables to refresh: {{{table}={error}}}"))
    }

    /// Cassandra loads the files itself; they stay in place.
    fn take(&mut self, node: usize, source: &str, table: &Table) {
        let disk = &mut self.nodes[node].disk;
        let files: Vec<Rows> = disk
            .downloads
            .get(source)
            .into_iter()
            .flatten()
            .filter(|((into, _), _)| into == table)
            .map(|(_, file)| file.rows.clone())
            .collect();
        for rows in files {
            disk.flush(table, rows);
        }
    }

    fn remove_truncated(&mut self, node: usize, source: &str) {
        for by in self.nodes[node].disk.remove_truncated() {
            if by != source {
                self.violations
                    .push(format!("CLEANUP of {source} has taken the safety copies of {by}"));
            }
        }
    }

    /// Applies the state that a kill leaves in the middle of this step.
    pub(super) fn tear(&mut self, node: usize, job: &Job, effect: &Effect) {
        match (effect, &job.request) {
            (Effect::Upload(file, rows), Some(OperationRequest::Backup(backup))) => {
                let torn = Download {
                    rows: rows.clone(),
                    whole: false,
                };
                let files = &mut self.store.share(backup.store.location.as_str()).files;
                files.entry(file.clone()).or_insert(torn);
            }
            (Effect::Fetch(file, into), Some(OperationRequest::Restore(restore))) => {
                let torn = Download {
                    rows: Rows::new(),
                    whole: false,
                };
                let downloads = self.nodes[node]
                    .disk
                    .downloads
                    .entry(restore.source.to_string())
                    .or_default();
                downloads.entry((into.clone(), file.1)).or_insert(torn);
            }
            (Effect::Link(table, generation), Some(OperationRequest::Restore(restore))) => {
                let is_there = self.nodes[node].disk.has(table, *generation);
                if !is_there {
                    self.link(node, restore.source.as_str(), table, *generation, true);
                }
            }
            _ => {}
        }
    }
}

/// Returns the directory of the manifests that a request names.
fn cache(request: &OperationRequest) -> String {
    request.to_json()["cacheDir"].as_str().unwrap().to_owned()
}
