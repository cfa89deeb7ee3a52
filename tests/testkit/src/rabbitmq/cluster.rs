//! Several nodes that are one broker.

use std::sync::Arc;
use std::thread;

use super::epmd::Epmd;
use super::files;
use super::management::Verb;
use super::node::Rabbit;
use super::options::Options;
use super::vhost::Vhost;
use crate::error::{Error, ErrorKind, OrPanic as _};
use crate::poll::poll_until;

/// A cluster on one machine, its nodes counted from 0, all killed and removed on drop.
///
/// With two of three nodes down, the third closes its listener until another is back
/// (`pause_minority`), while its process lives.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Rabbit>,
}

impl Cluster {
    /// Starts a cluster of this many nodes, and returns when all are ready: about 12 s for three.
    ///
    /// # Panics
    ///
    /// If `rabbitmq-server` is not installed or does not start.
    #[track_caller]
    pub fn start(nodes: usize) -> Self {
        Self::try_start(nodes, &Options::default()).or_panic()
    }

    /// Starts a cluster of nodes with these options, and returns when all are ready.
    ///
    /// # Errors
    ///
    /// `MissingServer`, `Exited` or `TimedOut`.
    pub fn try_start(nodes: usize, options: &Options) -> Result<Self, Error> {
        files::script("rabbitmq-server")?;
        let epmd = Arc::new(Epmd::start()?);
        let name = |index: usize| format!("n{}@localhost", index + 1);
        let peers = (0..nodes).map(|index| {
            format!("cluster_formation.classic_config.nodes.{} = {}", index + 1, name(index))
        });
        let mut options = options.clone();
        options.config.extend(peers);
        let options = options
            .with_config("cluster_formation.peer_discovery_backend = classic_config")
            .with_config("cluster_partition_handling = pause_minority");
        let nodes: Vec<Rabbit> = (0..nodes)
            .map(|index| Rabbit::prepare(&name(index), Arc::clone(&epmd), &options))
            .collect::<Result<_, _>>()?;
        let cluster = Self { nodes };
        // Those that start together wait for each other longer than they need to start.
        if let Some((first, others)) = cluster.nodes.split_first() {
            first.launch()?;
            launch_all(others.iter())?;
        }
        Ok(cluster)
    }

    /// A node. Whatever may be done to one alone, may be done to it.
    ///
    /// # Panics
    ///
    /// If there is no node of that number.
    #[track_caller]
    pub fn node(&self, index: usize) -> &Rabbit {
        &self.nodes[index]
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Rabbit] {
        &self.nodes
    }

    /// The URLs of the virtual host `/`, one for each node.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.url()).collect()
    }

    /// The URLs of a virtual host, one for each node.
    pub fn urls_for(&self, vhost: &str) -> Vec<String> {
        self.nodes.iter().map(|node| node.url_for(vhost)).collect()
    }

    /// Makes a virtual host, by way of the first node, and returns when every node has it.
    ///
    /// # Panics
    ///
    /// If a node does not answer.
    #[track_caller]
    pub fn vhost(&self) -> Vhost {
        let vhost = self.nodes[0].vhost();
        for node in &self.nodes {
            poll_until("every node has the virtual host", || {
                let found = node.management().ask(Verb::Get, &["vhosts", vhost.name()], None);
                found
                    .ok()
                    .flatten()
                    .filter(|vhost| vhost["cluster_state"][node.name()] == "running")
            });
        }
        vhost
    }

    /// Kills a node with `SIGKILL`.
    ///
    /// # Panics
    ///
    /// If there is no node of that number.
    #[track_caller]
    pub fn kill(&self, index: usize) {
        self.node(index).kill();
    }

    /// Starts a node again with its data.
    ///
    /// # Panics
    ///
    /// If it does not start, or there is no node of that number.
    #[track_caller]
    pub fn restart(&self, index: usize) {
        self.node(index).restart();
    }

    /// Starts all nodes again that are down, together: each waits for the others.
    ///
    /// # Panics
    ///
    /// If one does not start.
    #[track_caller]
    pub fn restart_all(&self) {
        let down = self.nodes.iter().filter(|node| node.pid().is_none());
        launch_all(down).or_panic();
    }

    /// The number of the node that leads a quorum queue, or holds a classic one; asked until there is
    /// one that runs, for at most 30 s, because an election takes its time.
    ///
    /// # Panics
    ///
    /// If there is none in time.
    #[track_caller]
    pub fn leader_of(&self, vhost: &str, queue: &str) -> usize {
        poll_until(&format!("a leader of `{queue}`"), || {
            let running = || self.nodes.iter().filter(|node| node.pid().is_some());
            let info = running().find_map(|node| {
                node.management().ask(Verb::Get, &["queues", vhost, queue], None).ok().flatten()
            })?;
            let leader = info["leader"].as_str().or(info["node"].as_str())?;
            let running = |node: &Rabbit| node.name() == leader && node.pid().is_some();
            self.nodes.iter().position(running)
        })
    }
}

/// Starts nodes together. One that asks another for its feature flags before that one has them ends with an
/// error of its own (`badmap`), and comes up when it is started again.
fn launch_all<'a>(nodes: impl Iterator<Item = &'a Rabbit>) -> Result<(), Error> {
    let launch = |node: &Rabbit| match node.launch() {
        Err(error) if error.kind() == ErrorKind::Exited => node.launch(),
        done => done,
    };
    thread::scope(|scope| {
        let starts: Vec<_> = nodes.map(|node| scope.spawn(move || launch(node))).collect();
        let joined = starts.into_iter().map(|start| match start.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Vec<_>>().into_iter().collect()
    })
}
