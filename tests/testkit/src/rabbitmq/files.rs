//! Where the scripts of RabbitMQ and Erlang are.
//!
//! Debian's `/usr/sbin/rabbitmq-server` changes to the user `rabbitmq` and refuses others; the scripts
//! that it wraps run as any user.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::process::find;

const DEBIAN: &str = "/usr/lib/rabbitmq/bin";

/// A script of RabbitMQ.
pub(super) fn script(name: &str) -> Result<PathBuf, Error> {
    let unwrapped = Path::new(DEBIAN).join(name);
    if unwrapped.is_file() {
        return Ok(unwrapped);
    }
    find(name).ok_or_else(|| Error::missing("rabbitmq-server"))
}

/// The port mapper of Erlang.
pub(super) fn epmd() -> Result<PathBuf, Error> {
    find("epmd").ok_or_else(|| Error::missing("rabbitmq-server"))
}
