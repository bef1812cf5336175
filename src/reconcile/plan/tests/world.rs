//! A ring with its sidecars, small enough for thousands of restores in a second, and as treacherous as the real ones.
//!
//! What it does on a request is what Icarus 2.0.4 did on real rings: a restore operation excludes another one in the
//! same sidecar only; `TRUNCATE` looks at nothing and empties all nodes; a restarted sidecar has forgotten everything;
//! an import over links that another content left loads nothing.

use std::cell::Cell;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::api::NodeContainers;
use crate::reconcile::plan::{
    Answer, Answers, Observation, OperationReport, Outcome, Phase, PodMember, Question, Request, Ring,
    RingNode, State, Task,
};

/// What the tables of a node hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// What the users wrote.
    Users,
    /// Nothing.
    None,
    /// What the backup held.
    Backup,
}

/// What a node has fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetched {
    Nothing,
    /// Some files, one of them cut.
    Cut,
    All,
}

#[derive(Debug, Clone)]
struct Operation {
    said: OperationReport,
    task: Task,
    /// When it is over, if nothing happens to it.
    ends: Timestamp,
}

/// Whether a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    There,
    /// Its pod is away for good.
    Gone,
    /// The ring has forgotten it, too.
    Left,
}

/// A Cassandra node with its sidecar.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) rows: Rows,
    pub(super) fetched: Fetched,
    /// Whether the copies of what the users wrote are still there.
    pub(super) copies: bool,
    /// Whether its part of the backup is in the bucket.
    pub(super) uploaded: bool,
    /// What others sent to its sidecar.
    pub(super) others: Vec<OperationReport>,
    pub(super) presence: Presence,
    restarts: u32,
    away_until: Timestamp,
    operations: Vec<Operation>,
}

/// What shall go wrong with the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mishap {
    /// Nothing.
    None,
    /// The connection is refused.
    Refused,
    /// It arrives and its answer does not.
    AnswerLost,
    /// It does not arrive, and nobody knows.
    RequestLost,
    /// It arrives so many seconds later, and nobody knows.
    Late(i64),
    /// The sidecar takes it for no request, in these words.
    Denied(&'static str),
    /// The operation fails in these words.
    Fails(&'static str),
}

pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) nodes: Vec<Node>,
    pub(super) mishaps: Vec<Mishap>,
    /// The operations of this phase fail in these words, so many times.
    pub(super) failing: Option<(Phase, &'static str, usize)>,
    /// Until when no sidecar gets an answer of the bucket.
    pub(super) unlisted_until: Timestamp,
    pub(super) cluster_name: String,
    /// What must never happen and did.
    pub(super) wrongs: Vec<String>,
    /// How often a share was listed for a removal.
    pub(super) listings: Cell<usize>,
    /// Every request that arrived.
    pub(super) arrived: Vec<(usize, Task)>,
    late: Vec<(Timestamp, usize, Task)>,
    next: u32,
}

impl World {
    pub(super) fn new(nodes: usize) -> Self {
        let node = Node {
            rows: Rows::Users,
            fetched: Fetched::Nothing,
            copies: false,
            uploaded: false,
            others: Vec::new(),
            presence: Presence::There,
            restarts: 0,
            away_until: Timestamp::MIN,
            operations: Vec::new(),
        };
        Self {
            now: "2028-02-29T10:00:00.123456Z".parse().unwrap(),
            nodes: vec![node; nodes],
            mishaps: Vec::new(),
            failing: None,
            unlisted_until: Timestamp::MIN,
            cluster_name: "lab A".to_owned(),
            wrongs: Vec::new(),
            listings: Cell::new(0),
            arrived: Vec::new(),
            late: Vec::new(),
            next: 0,
        }
    }

    /// A look at it in which everything is there and it is everybody's turn.
    pub(super) fn look<'a>(&self, members: &'a [PodMember], answers: &'a Answers) -> Observation<'a> {
        Observation {
            now: self.now,
            members,
            missing: None,
            wait: None,
            needs: None,
            stop: None,
            cluster_gone: false,
            answers,
        }
    }

    pub(super) fn members(&self) -> Vec<PodMember> {
        let member = |(place, node): (usize, &Node)| PodMember {
            pod: format!("c1-dc1-rack1-{place}"),
            address: Some(format!("10.0.0.{place}")),
            containers: (self.now >= node.away_until).then(|| NodeContainers {
                cassandra: format!("containerd://c{place}#0"),
                sidecar: format!("containerd://s{place}#{}", node.restarts),
            }),
        };
        let there = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.presence == Presence::There);
        there.map(member).collect()
    }

    pub(super) fn pass(&mut self, time: SignedDuration) {
        let until = self.now.checked_add(time).unwrap();
        let mut moments: Vec<Timestamp> = self.late.iter().map(|late| late.0).collect();
        moments.extend(
            self.nodes
                .iter()
                .flat_map(|node| node.operations.iter().map(|op| op.ends)),
        );
        moments.retain(|moment| *moment > self.now && *moment <= until);
        moments.push(until);
        moments.sort();
        for moment in moments {
            self.now = moment;
            self.settle();
        }
    }

    fn settle(&mut self) {
        for place in 0..self.nodes.len() {
            for index in 0..self.nodes[place].operations.len() {
                let operation = &self.nodes[place].operations[index];
                if operation.said.state == State::Running && operation.ends <= self.now {
                    self.complete(place, index);
                }
            }
        }
        let (due, rest) = self.late.drain(..).partition(|late| late.0 <= self.now);
        self.late = rest;
        let due: Vec<(Timestamp, usize, Task)> = due;
        for (_, place, task) in due {
            self.arrive(place, task, None);
        }
    }

    fn complete(&mut self, place: usize, index: usize) {
        let task = self.nodes[place].operations[index].task.clone();
        let mut words = None;
        match task {
            Task::Phase(Phase::Download) => self.nodes[place].fetched = Fetched::All,
            Task::Phase(Phase::Truncate) => {
                if self.nodes.iter().any(|node| node.fetched != Fetched::All) {
                    self.wrongs.push("emptied before every file was there".to_owned());
                }
                for node in &mut self.nodes {
                    node.copies |= node.rows == Rows::Users;
                    node.rows = Rows::None;
                }
            }
            Task::Phase(Phase::Import) if self.nodes[place].fetched == Fetched::All => {
                self.nodes[place].rows = Rows::Backup;
            }
            Task::Phase(Phase::Import) => {
                words = Some("Some local files were corrupted or they are missing, please consult the logs");
            }
            Task::Cleanup { keep_truncated } => {
                self.nodes[place].fetched = Fetched::Nothing;
                if !keep_truncated {
                    self.nodes[place].copies = false;
                }
            }
            Task::Backup { .. } => self.nodes[place].uploaded = true,
            Task::Remove => self.nodes[place].uploaded = false,
            _ => {}
        }
        let said = &mut self.nodes[place].operations[index].said;
        said.progress = 1.0;
        said.state = if words.is_none() {
            State::Completed
        } else {
            State::Failed
        };
        said.errors = words
            .into_iter()
            .map(|words| (None, Some(words.to_owned())))
            .collect();
    }

    /// Kills a sidecar; it is back after so many seconds and knows nothing.
    pub(super) fn restart(&mut self, place: usize, seconds: i64) {
        let node = &mut self.nodes[place];
        let cut = node.operations.iter().any(|operation| {
            operation.said.state == State::Running && operation.task == Task::Phase(Phase::Download)
        });
        if cut {
            node.fetched = Fetched::Cut;
        }
        node.operations.clear();
        node.others.clear();
        node.restarts += 1;
        node.away_until = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    /// Somebody stops what a sidecar is doing.
    pub(super) fn cancel(&mut self, place: usize) {
        for operation in &mut self.nodes[place].operations {
            if operation.said.state == State::Running {
                operation.said.state = State::Cancelled;
            }
        }
    }

    pub(super) fn send(&mut self, request: &Request) -> Outcome {
        let place = place(&request.pod);
        let mishap = if self.mishaps.is_empty() {
            Mishap::None
        } else {
            self.mishaps.remove(0)
        };
        if self.now < self.nodes[place].away_until || mishap == Mishap::Refused {
            return Outcome::NotSent("connection refused".to_owned());
        }
        match mishap {
            Mishap::AnswerLost => {
                self.arrive(place, request.task.clone(), None);
                Outcome::Unknown("no answer".to_owned())
            }
            Mishap::RequestLost => Outcome::Unknown("no answer".to_owned()),
            Mishap::Late(seconds) => {
                let when = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
                self.late.push((when, place, request.task.clone()));
                Outcome::Unknown("no answer".to_owned())
            }
            Mishap::Denied(words) => Outcome::Refused(words.to_owned()),
            Mishap::Fails(words) => Outcome::Taken(self.arrive(place, request.task.clone(), Some(words))),
            Mishap::None | Mishap::Refused => Outcome::Taken(self.arrive(place, request.task.clone(), None)),
        }
    }

    fn arrive(&mut self, place: usize, task: Task, fails: Option<&str>) -> OperationReport {
        self.arrived.push((place, task.clone()));
        let is_backup = matches!(task, Task::Backup { .. });
        let node = &self.nodes[place];
        let running = |operation: &Operation| {
            operation.said.state == State::Running
                && matches!(operation.task, Task::Backup { .. }) == is_backup
        };
        let busy = node.operations.iter().any(running);
        let removes =
            |operation: &Operation| operation.said.state == State::Running && operation.task == Task::Remove;
        let mut others = self.nodes.iter().enumerate().filter(|(other, _)| *other != place);
        if task == Task::Remove && others.any(|(_, node)| node.operations.iter().any(removes)) {
            self.wrongs.push("removed on two nodes at once".to_owned());
        }
        if busy && is_backup {
            self.wrongs
                .push(format!("two backups of one tag at once on node {place}"));
        }
        let words = if busy {
            Some("We can not run two normal restoration requests simultaneously.")
        } else if task == Task::Phase(Phase::Download) && node.fetched == Fetched::Cut {
            Some("Unable to download files successfully: data/k1/t1/nb-5-big-Data.db")
        } else if let Some((phase, words, times)) = self.failing.as_mut()
            && *phase == task.phase()
            && *times > 0
        {
            *times -= 1;
            Some(*words)
        } else {
            fails
        };
        self.next += 1;
        let said = OperationReport {
            id: format!("op{}", self.next),
            state: if words.is_some() {
                State::Failed
            } else {
                State::Running
            },
            progress: 0.0,
            created: self.now,
            errors: words
                .into_iter()
                .map(|words| (None, Some(words.to_owned())))
                .collect(),
        };
        let seconds = match task {
            Task::Backup { .. } | Task::Phase(Phase::Download) => 17,
            Task::Phase(Phase::Truncate | Phase::Import) => 10,
            _ => 1,
        };
        self.nodes[place].operations.push(Operation {
            said: said.clone(),
            task,
            ends: self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap(),
        });
        said
    }

    pub(super) fn answer(&self, question: &Question) -> Answer {
        if *question == Question::Ring {
            return Answer::Ring(self.ring());
        }
        let (Question::Busy { pod }
        | Question::Operation { pod, .. }
        | Question::Sent { pod, .. }
        | Question::Stored { pod, .. }
        | Question::Others { pod }
        | Question::Files { pod, .. }) = question
        else {
            unreachable!()
        };
        let node = &self.nodes[place(pod)];
        if self.now < node.away_until || node.presence != Presence::There {
            return Answer::Silence("connection refused".to_owned());
        }
        let wanted = |operation: &&Operation| match question {
            Question::Operation { id, .. } => operation.said.id == *id,
            Question::Sent { phase, .. } => operation.task.phase() == *phase,
            _ => operation.said.state == State::Running,
        };
        if matches!(question, Question::Stored { .. }) {
            self.listings.set(self.listings.get() + 1);
            return Answer::Stored(node.uploaded);
        }
        if matches!(question, Question::Files { .. }) {
            if self.now < self.unlisted_until {
                return Answer::Silence("Access Denied".to_owned());
            }
            return Answer::Files {
                count: u64::from(node.uploaded) * 8,
                bytes: u64::from(node.uploaded) * 4096,
            };
        }
        if matches!(question, Question::Others { .. }) {
            return Answer::Operations(node.others.clone());
        }
        let known = node.operations.iter().filter(wanted);
        Answer::Operations(known.map(|operation| operation.said.clone()).collect())
    }

    pub(super) fn ring(&self) -> Ring {
        let node = |place: usize| RingNode {
            host_id: format!("host-{place}"),
            datacenter: "dc1".to_owned(),
            address: format!("10.0.0.{place}"),
        };
        Ring {
            cluster_name: self.cluster_name.clone(),
            schema_version: "168d568b-d346-3f61-968f-a2716307a6e4".to_owned(),
            nodes: (0..self.nodes.len())
                .filter(|place| self.nodes[*place].presence != Presence::Left)
                .map(node)
                .collect(),
        }
    }

    /// How many requests of each phase arrived.
    pub(super) fn counts(&self) -> BTreeMap<Phase, usize> {
        let mut counts = BTreeMap::new();
        for (_, task) in &self.arrived {
            *counts.entry(task.phase()).or_default() += 1;
        }
        counts
    }
}

fn place(pod: &str) -> usize {
    pod.rsplit('-').next().unwrap().parse().unwrap()
}
