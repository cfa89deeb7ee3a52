//! The port mapper of Erlang, which nodes and `rabbitmqctl` find each other by.
//!
//! Without one, the first node would start a daemon that outlives it.

use std::net::TcpStream;
use std::time::Duration;

use super::files;
use crate::error::{Error, ErrorKind};
use crate::poll::try_poll_until;
use crate::ports;
use crate::process::{Process, command};

const PATIENCE: Duration = Duration::from_secs(10);

/// A port mapper for the nodes of one test.
#[derive(Debug)]
pub(super) struct Epmd {
    port: u16,
    _process: Process,
}

impl Epmd {
    pub(super) fn start() -> Result<Self, Error> {
        let port = ports::free();
        let mut epmd = command(files::epmd()?);
        epmd.args(["-port", &port.to_string(), "-address", "127.0.0.1"]);
        let process = Process::spawn("epmd", epmd)?;
        try_poll_until("epmd listens", PATIENCE, || match process.status() {
            None => Ok(TcpStream::connect(ports::loopback(port)).ok()),
            Some(status) => {
                let message = format!("`epmd` ended ({status})\n{}", process.tail());
                Err(Error::new(ErrorKind::Exited, message))
            }
        })?;
        Ok(Self { port, _process: process })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}
