//! What a test wants different about a node.

/// The plugins, configuration and environment of a node, beside what every node has.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(super) plugins: Vec<String>,
    pub(super) config: Vec<String>,
    pub(super) env: Vec<(String, String)>,
}

impl Options {
    /// Enables a plugin, such as `rabbitmq_consistent_hash_exchange`, beside `rabbitmq_management`.
    #[must_use]
    pub fn with_plugin(mut self, name: &str) -> Self {
        self.plugins.push(name.to_owned());
        self
    }

    /// Adds a line to `rabbitmq.conf`, such as `heartbeat = 2`; the last one of a key counts.
    #[must_use]
    pub fn with_config(mut self, line: &str) -> Self {
        self.config.push(line.to_owned());
        self
    }

    /// Sets a variable of the server's environment; the last one of a name counts.
    ///
    /// A measurement wants `RABBITMQ_SCHEDULER_BUSY_WAIT_THRESHOLD=none`, the default of RabbitMQ,
    /// which takes twice as long to start.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}
