//! The RabbitMQ node of a run: one for all its steps, each test with a virtual host of its own.
//!
//! `autobus-testkit` starts it; as a program of its own, so that this one keeps its promise to have no
//! dependencies.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// The name of the variable by which tests find the node.
pub(crate) const ENV: &str = "AUTOBUS_RABBITMQ";

/// The node, which ends when this is dropped, or when this process ends.
pub(crate) struct Node {
    keeper: Child,
    /// What the variable says.
    pub(crate) address: String,
}

impl Node {
    /// Builds the program that keeps the node, starts it, and waits until the node is ready.
    ///
    /// # Errors
    ///
    /// If it does not start; it has printed why.
    pub(crate) fn start(mut cargo: Command) -> Result<Self, String> {
        let failed = |error| format!("the RabbitMQ node of the run: {error}");
        let args = ["run", "--quiet", "--package=autobus-testkit", "--bin=shared-rabbitmq"];
        let mut keeper = cargo
            .args(args)
            // It keeps the node until its input ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut address = String::new();
        if let Some(stdout) = keeper.stdout.take() {
            BufReader::new(stdout).read_line(&mut address).map_err(failed)?;
        }
        let node = Self { keeper, address: address.trim().to_owned() };
        if node.address.is_empty() {
            return Err("the RabbitMQ node of the run did not start".to_owned());
        }
        Ok(node)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
