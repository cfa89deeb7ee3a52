//! Where a node is: what one may do with it without ending it.

use std::net::SocketAddr;

use super::amqp;
use super::management::{Management, Verb, escape};
use super::vhost::Vhost;
use crate::error::{Error, ErrorKind, OrPanic as _};
use crate::ports;

/// Seconds until the management API is given up.
const PATIENCE: u64 = 30;

/// A RabbitMQ node on loopback that lets `guest` in and has the management plugin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Broker {
    port: u16,
    management_port: u16,
}

impl Broker {
    /// The environment variable that names the node of a run, in the form of
    /// [`to_env`](Broker::to_env).
    pub const ENV: &'static str = "AUTOBUS_RABBITMQ";

    pub(super) fn new(port: u16, management_port: u16) -> Self {
        Self { port, management_port }
    }

    /// The node that the environment names, if it names one.
    ///
    /// # Errors
    ///
    /// `Refused` if the variable has another form than [`to_env`](Broker::to_env) gives.
    pub fn from_env() -> Result<Option<Self>, Error> {
        let Some(value) = std::env::var_os(Self::ENV) else {
            return Ok(None);
        };
        let value = value.to_string_lossy();
        let broker = parse(&value).ok_or_else(|| {
            let message = format!(
                "`{}={value}` is no node of a run; expected `{}`",
                Self::ENV,
                Self::new(5672, 15672).to_env()
            );
            Error::new(ErrorKind::Refused, message)
        })?;
        Ok(Some(broker))
    }

    /// The value of the environment variable [`ENV`](Broker::ENV):
    /// `amqp://127.0.0.1:5672?management=15672`.
    pub fn to_env(&self) -> String {
        format!("amqp://127.0.0.1:{}?management={}", self.port, self.management_port)
    }

    /// The port of AMQP.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of AMQP.
    pub fn addr(&self) -> SocketAddr {
        ports::loopback(self.port)
    }

    /// The port of the management API.
    pub fn management_port(&self) -> u16 {
        self.management_port
    }

    /// The URL of the virtual host `/`.
    pub fn url(&self) -> String {
        self.url_for("/")
    }

    /// The URL of a virtual host.
    pub fn url_for(&self, vhost: &str) -> String {
        format!("amqp://guest:guest@{}/{}", self.addr(), escape(vhost))
    }

    /// Whether it answers: TCP alone tells nothing, since the kernel accepts connections for a process
    /// that is stopped.
    pub fn is_ready(&self) -> bool {
        amqp::is_ready(self.addr())
    }

    /// Makes a virtual host for a test, named after its thread, which is deleted on drop.
    ///
    /// # Panics
    ///
    /// If the node does not answer.
    #[track_caller]
    pub fn vhost(&self) -> Vhost {
        Vhost::create(*self).or_panic()
    }

    /// The names of its virtual hosts.
    ///
    /// # Panics
    ///
    /// If the node does not answer.
    #[track_caller]
    pub fn vhosts(&self) -> Vec<String> {
        let vhosts = self.management().ask(Verb::Get, &["vhosts"], None);
        let vhosts = vhosts.or_panic().unwrap_or_default();
        let names = vhosts.as_array().into_iter().flatten();
        names.filter_map(|vhost| vhost["name"].as_str()).map(str::to_owned).collect()
    }

    pub(super) fn management(self) -> Management {
        Management { port: self.management_port, patience: PATIENCE }
    }
}

fn parse(value: &str) -> Option<Broker> {
    let (port, management) = value.strip_prefix("amqp://127.0.0.1:")?.split_once("?management=")?;
    Some(Broker::new(port.parse().ok()?, management.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_what_was_put_there() {
        let broker = Broker::new(4001, 4002);
        assert_eq!(parse(&broker.to_env()), Some(broker));
        for other in ["", "amqp://127.0.0.1:1", "amqp://broker:1?management=2"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_name_of_a_virtual_host_is_escaped_in_its_url() {
        let broker = Broker::new(4001, 4002);
        assert_eq!(broker.url(), "amqp://guest:guest@127.0.0.1:4001/%2F");
        assert_eq!(broker.url_for("a b"), "amqp://guest:guest@127.0.0.1:4001/a%20b");
    }
}
