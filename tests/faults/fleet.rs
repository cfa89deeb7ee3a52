//! The processes of the shop, and what each writes down.

use std::path::{Path, PathBuf};
use std::time::Duration;

use autobus_testkit::process::command;
use autobus_testkit::{Process, Vhost, try_poll_until};

/// How long a consumer may take before it handles something.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Order,
    Billing,
    Logistic,
    Audit,
}

impl Role {
    fn service(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Billing => "billing",
            Self::Logistic => "logistic",
            Self::Audit => "audit",
        }
    }
}

/// The consumers of the shop: billing twice, logistic, audit.
pub(crate) struct Fleet {
    url: String,
    folder: PathBuf,
    consumers: Vec<Consumer>,
}

struct Consumer {
    role: Role,
    process: Process,
    /// How long its journal was when it started.
    before: u64,
    journal: PathBuf,
}

impl Fleet {
    /// Starts the consumers with a folder of their own.
    pub(crate) fn start(url: &str, name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{name}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("the folder for the files of tests");
        let mut fleet = Self { url: url.to_owned(), folder, consumers: Vec::new() };
        let roles = [Role::Billing, Role::Billing, Role::Logistic, Role::Audit];
        for (number, role) in roles.into_iter().enumerate() {
            let journal = fleet.folder.join(format!("{}-{number}.journal", role.service()));
            let process = fleet.process(role, &journal);
            fleet.consumers.push(Consumer { role, process, before: 0, journal });
        }
        fleet
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder.join("ledger.db")
    }

    /// Starts a process that is none of the consumers.
    pub(crate) fn spawn(&self, role: Role) -> Process {
        self.process(role, &self.folder.join("order.journal"))
    }

    fn process(&self, role: Role, journal: &Path) -> Process {
        let mut command = command(shop());
        command
            .env("BUS_URL", &self.url)
            .env("BUS_SERVICES", role.service())
            .env("LEDGER_URL", format!("sqlite:{}", self.ledger().display()))
            .env("SHOP_DRILL", journal);
        if role == Role::Order {
            command.arg("-");
        }
        Process::spawn(role.service(), command).expect("the shop starts")
    }

    /// Waits until something was handled since it was asked for, by whomever.
    pub(crate) fn wait_for_work(&mut self) {
        let before = self.length();
        let worked = try_poll_until("work after a fault", PATIENCE, || {
            self.revive();
            Ok((self.length() > before).then_some(()))
        });
        if let Err(error) = worked {
            panic!("{error}{}", self.tails());
        }
    }

    /// How long the journals are.
    fn length(&self) -> u64 {
        self.consumers.iter().map(|consumer| length(&consumer.journal)).sum()
    }

    /// Kills one that has handled something since it started.
    pub(crate) fn kill_one(&mut self, random: &mut fastrand::Rng) {
        let chosen = random.usize(..self.consumers.len());
        let number = try_poll_until("a consumer that handles something", PATIENCE, || {
            // The message that kills its process may take all of them meanwhile.
            self.revive();
            let is_busy = |number: &usize| {
                let consumer = &self.consumers[*number];
                consumer.process.status().is_none() && length(&consumer.journal) > consumer.before
            };
            let count = self.consumers.len();
            Ok((0..count).map(|step| (chosen + step) % count).find(is_busy))
        });
        let number = number.unwrap_or_else(|error| panic!("{error}{}", self.tails()));
        self.consumers[number].process.kill();
        self.consumers[number].process.wait();
    }

    /// The last that each consumer said.
    fn tails(&self) -> String {
        let tail = |consumer: &Consumer| {
            let status = consumer.process.status();
            format!("\n{:?} {status:?}:\n{}", consumer.role, consumer.process.tail())
        };
        self.consumers.iter().map(tail).collect()
    }

    /// Starts those again that are dead.
    pub(crate) fn revive(&mut self) {
        for number in 0..self.consumers.len() {
            if self.consumers[number].process.status().is_some() {
                let Consumer { role, journal, .. } = &self.consumers[number];
                let (role, journal) = (*role, journal.clone());
                let before = length(&journal);
                let process = self.process(role, &journal);
                self.consumers[number] = Consumer { role, process, before, journal };
            }
        }
    }

    /// Waits until every queue but those of dead letters is empty, and nothing is with a consumer.
    pub(crate) fn settle(&mut self, vhost: &Vhost, patience: Duration) {
        let what = "the queues to be empty";
        let settled = try_poll_until(what, patience, || {
            self.revive();
            Ok(vhost.queues().iter().all(|queue| is_done(&queue.name, &queue.raw)).then_some(()))
        });
        if let Err(error) = settled {
            let left: Vec<String> = vhost
                .queues()
                .iter()
                .filter(|queue| !is_done(&queue.name, &queue.raw))
                .map(|queue| {
                    let count = |what: &str| queue.raw[what].to_string();
                    let (ready, unacked) =
                        (count("messages_ready"), count("messages_unacknowledged"));
                    format!("{}: {ready} ready, {unacked} unacknowledged", queue.name)
                })
                .collect();
            panic!("{error}; {}{}", left.join("; "), self.tails());
        }
    }

    /// Ends every consumer as an operator does, and sees it end well.
    pub(crate) fn stop(&self) {
        for Consumer { process, role, .. } in &self.consumers {
            process.terminate();
            let ended = process.wait_within(Duration::from_secs(40)).expect("a consumer stops");
            assert!(ended.success(), "{} failed:\n{}", role.service(), process.tail());
        }
    }

    /// Every line of every journal of the consumers.
    pub(crate) fn journals(&self) -> Vec<String> {
        let read = |consumer: &Consumer| std::fs::read_to_string(&consumer.journal);
        let journals = self.consumers.iter().filter_map(|consumer| read(consumer).ok());
        journals.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

/// The API's counts are some seconds old, so a queue is done only if it says how much it holds.
fn is_done(name: &str, raw: &serde_json::Value) -> bool {
    name.strip_suffix(".dead").is_some() || raw["messages"].as_u64() == Some(0)
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |data| data.len())
}

/// The shop, built with RabbitMQ.
fn shop() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let profile = test.parent().and_then(Path::parent).expect("tests run in `deps`");
    let path = profile.join("examples/shop").with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "the shop is not built; run `cargo build --features amqp --example shop`"
    );
    path
}
