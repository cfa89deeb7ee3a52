//! A node of RabbitMQ: its files, its process, and the ways to end it.

use std::ops::Deref;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::broker::Broker;
use super::epmd::Epmd;
use super::files;
use super::management::Verb;
use super::options::Options;
use crate::error::{Error, ErrorKind, OrPanic as _};
use crate::folder::Folder;
use crate::poll::try_poll_until;
use crate::ports;
use crate::process::{Process, command};
use crate::server::Server;

/// A start takes 2 to 5 s alone, and 17 s if it waits for others of its cluster; six times that on a
/// busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a start is tried, if another process has taken a port meanwhile.
const ATTEMPTS: usize = 3;

/// A RabbitMQ node of one's own, killed and removed on drop.
///
/// It is a [`Broker`], and may be ended and started again besides.
#[derive(Debug)]
pub struct Rabbit {
    broker: Broker,
    name: String,
    server: Server,
    env: Vec<(String, String)>,
    folder: Folder,
    // Dropped after the process, which is registered there.
    _epmd: Arc<Epmd>,
}

impl Deref for Rabbit {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        &self.broker
    }
}

impl Rabbit {
    /// Starts a node, and returns when it is ready.
    ///
    /// # Panics
    ///
    /// If `rabbitmq-server` is not installed or does not start; the message has the end of its log.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&Options::default())
    }

    /// Starts a node with plugins, configuration or environment beside the usual.
    ///
    /// # Panics
    ///
    /// Like [`start`](Rabbit::start).
    #[track_caller]
    pub fn start_with(options: &Options) -> Self {
        Self::try_start(options).or_panic()
    }

    /// Starts a node, and returns when it is ready.
    ///
    /// # Errors
    ///
    /// `MissingServer`, `Exited` or `TimedOut`, the latter with the end of its log.
    pub fn try_start(options: &Options) -> Result<Self, Error> {
        let mut attempt = 1;
        loop {
            match Self::attempt(options) {
                Err(error) if attempt < ATTEMPTS && is_port_taken(&error) => attempt += 1,
                done => return done,
            }
        }
    }

    fn attempt(options: &Options) -> Result<Self, Error> {
        files::script("rabbitmq-server")?;
        let node = Self::prepare("rabbit@localhost", Arc::new(Epmd::start()?), options)?;
        node.launch()?;
        Ok(node)
    }

    /// The node of this run: the one that the environment names ([`Broker::ENV`]), which
    /// `cargo xtask test` starts, or else one that the first caller starts for this process.
    ///
    /// Nobody may end it; use a virtual host of it, or [`start`](Rabbit::start).
    ///
    /// # Panics
    ///
    /// Like [`start`](Rabbit::start), and if the variable has another form.
    #[track_caller]
    pub fn shared() -> &'static Broker {
        static SHARED: OnceLock<Result<(Broker, Option<Rabbit>), Error>> = OnceLock::new();
        // Of all who wait for it, each is told the error.
        let shared = SHARED.get_or_init(|| match Broker::from_env()? {
            Some(broker) => Ok((broker, None)),
            None => Self::try_start(&Options::default()).map(|node| (*node, Some(node))),
        });
        match shared {
            Ok((broker, _)) => broker,
            Err(error) => panic!("the RabbitMQ node of this run: {error}"),
        }
    }

    /// The files of a node that is yet to be launched.
    pub(super) fn prepare(name: &str, epmd: Arc<Epmd>, options: &Options) -> Result<Self, Error> {
        let broker = Broker::new(ports::free(), ports::free());
        let folder = Folder::new(name)?;
        let mut config = vec![
            format!("listeners.tcp.default = 127.0.0.1:{}", broker.port()),
            "management.tcp.ip = 127.0.0.1".to_owned(),
            format!("management.tcp.port = {}", broker.management_port()),
            "log.console = false".to_owned(),
            "disk_free_limit.absolute = 50MB".to_owned(),
        ];
        config.extend_from_slice(&options.config);
        folder.write("rabbitmq.conf", &(config.join("\n") + "\n"))?;
        let mut plugins = vec!["rabbitmq_management".to_owned()];
        plugins.extend_from_slice(&options.plugins);
        folder.write("enabled_plugins", &format!("[{}].\n", plugins.join(",")))?;
        folder.write("env.conf", "")?;
        let cookie = folder.write("home/.erlang.cookie", "autobus-testkit")?;
        private(&cookie)?;

        let at = |file: &str| folder.path().join(file).to_string_lossy().into_owned();
        let mut env: Vec<(String, String)> = [
            ("LANG", "C.UTF-8".to_owned()),
            ("HOME", at("home")),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            // The script then becomes the VM instead of starting it: signals reach the broker.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
            // Instead of the one in /etc.
            ("RABBITMQ_CONF_ENV_FILE", at("env.conf")),
            ("RABBITMQ_NODENAME", name.to_owned()),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODE_PORT", broker.port().to_string()),
            ("RABBITMQ_DIST_PORT", ports::free().to_string()),
            ("ERL_EPMD_PORT", epmd.port().to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_MNESIA_BASE", at("mnesia")),
            ("RABBITMQ_LOG_BASE", at("log")),
            ("RABBITMQ_SCHEMA_DIR", at("schema")),
            ("RABBITMQ_GENERATED_CONFIG_DIR", at("schema")),
            ("RABBITMQ_PLUGINS_EXPAND_DIR", at("plugins-expand")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")),
            ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config")),
            ("RABBITMQ_PID_FILE", at("pid")),
            // Halves the time of a start.
            ("RABBITMQ_SCHEDULER_BUSY_WAIT_THRESHOLD", "very_short".to_owned()),
            // Distribution listens on every interface unless told otherwise.
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}".to_owned(),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        env.extend_from_slice(&options.env);
        let (name, server) = (name.to_owned(), Server::default());
        Ok(Self { broker, name, server, env, folder, _epmd: epmd })
    }

    /// Starts the process, after stopping the one that runs, and waits until it is ready.
    pub(super) fn launch(&self) -> Result<(), Error> {
        self.server.restart(|| {
            // The death signal is inherited by what a process becomes, and `env` becomes the server.
            let mut server = command("env");
            server
                .arg("-i")
                .args(self.env.iter().map(|(name, value)| format!("{name}={value}")))
                .arg(files::script("rabbitmq-server")?)
                // A node that cannot start writes its dump there.
                .current_dir(self.folder.path());
            let starts = self.starts();
            let process = Process::spawn(&self.name, server)?;
            let ready = try_poll_until("the node is ready", PATIENCE, || match process.status() {
                None => Ok((self.answers() && self.starts() > starts).then_some(())),
                Some(status) => {
                    Err(Error::new(ErrorKind::Exited, format!("`{}` ended ({status})", self.name)))
                }
            });
            ready.map_err(|error| {
                Error::new(error.kind(), format!("{error}\n{}", self.complaints(&process)))
            })?;
            Ok(process)
        })
    }

    /// AMQP and the management API both answer.
    fn answers(&self) -> bool {
        self.is_ready() && self.management().ask(Verb::Get, &["whoami"], None).is_ok()
    }

    /// How often it has started, by its log.
    ///
    /// It answers some 0.1 s before it calls itself started, and a virtual host that another node of
    /// its cluster makes within that time never starts on this one (3.10.8).
    fn starts(&self) -> usize {
        self.log().matches("Server startup complete").count()
    }

    /// The process number of the broker, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// The name of the node, such as `rabbit@localhost`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Kills the broker with `SIGKILL` and returns when it is gone.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Ends the broker with `SIGTERM`, which closes its connections properly, and returns when it is
    /// gone.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Stops the broker with `SIGSTOP`: connections stay and are accepted, and nothing is answered.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// Lets the broker go on after [`pause`](Rabbit::pause).
    pub fn resume(&self) {
        self.server.resume();
    }

    /// Starts the broker again, with the same data and ports, and returns when it is ready. One that
    /// still runs is stopped before.
    ///
    /// # Panics
    ///
    /// Like [`start`](Rabbit::start).
    #[track_caller]
    pub fn restart(&self) {
        self.launch().or_panic();
    }

    /// Runs `rabbitmqctl` on this node, such as `["set_vm_memory_high_watermark", "0.000001"]`, and
    /// gives what it prints.
    ///
    /// # Panics
    ///
    /// If it fails.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> String {
        self.try_ctl(args).or_panic()
    }

    /// Like [`ctl`](Rabbit::ctl).
    ///
    /// # Errors
    ///
    /// `Refused` if it fails, with what it prints.
    pub fn try_ctl(&self, args: &[&str]) -> Result<String, Error> {
        let script = files::script("rabbitmqctl")?;
        let what = format!("rabbitmqctl {}", args.join(" "));
        let output = Command::new(script)
            .args(args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::because(ErrorKind::Io, &what, error))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        let said = text(&output.stdout) + &text(&output.stderr);
        Err(Error::new(ErrorKind::Refused, format!("{what}: {}\n{said}", output.status)))
    }

    /// Has the node write down which quorum queues it has.
    ///
    /// RabbitMQ 3.10 does so by itself about a second after a queue was declared. A node that is
    /// killed before that has lost the queue when it starts again, with the messages that it had
    /// confirmed: a test that kills a node calls this after its queues are declared.
    ///
    /// # Panics
    ///
    /// If the node does not answer.
    #[track_caller]
    pub fn flush(&self) {
        self.ctl(&["eval", "[ok = dets:sync(Table) || Table <- dets:all()]."]);
    }

    /// The log of the node so far.
    pub fn log(&self) -> String {
        let file = self.folder.path().join("log").join(format!("{}.log", self.name));
        String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned()
    }

    /// The first errors that it printed or logged, which are the cause of the others.
    fn complaints(&self, process: &Process) -> String {
        let log = self.log();
        let printed = process.lines();
        let said: Vec<&str> = printed.iter().map(String::as_str).chain(log.lines()).collect();
        let first = |word| said.iter().copied().filter(move |line: &&str| line.contains(word));
        // A port in use is named late in a long report.
        let shown: Vec<&str> =
            first("eaddrinuse").take(1).chain(first("[error]").take(15)).collect();
        if shown.is_empty() { process.tail() } else { shown.join("\n") }
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        // Before its folder is removed.
        self.kill();
    }
}

fn is_port_taken(error: &Error) -> bool {
    let message = error.to_string();
    let taken = ["eaddrinuse", "dist_port_already_used"].iter().any(|word| message.contains(word));
    error.kind() == ErrorKind::Exited && taken
}

/// Erlang refuses a cookie that others may read.
fn private(file: &std::path::Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o400)).map_err(|error| {
        let message = format!("the permissions of `{}`", file.display());
        Error::because(ErrorKind::Io, message, error)
    })
}
