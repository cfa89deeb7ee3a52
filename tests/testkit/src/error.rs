//! Why a server, a process or a proxy did not do what a test asked of it.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, with the remedy where there is one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The cause of an [`Error`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A server is not installed.
    MissingServer,
    /// A process ended before it did what was awaited.
    Exited,
    /// What was awaited did not happen in time.
    TimedOut,
    /// The operating system refused something.
    Io,
    /// A server refused something, or answered with something else than was asked.
    Refused,
}

impl Error {
    /// The cause.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn because(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    /// `server` is not installed.
    pub(crate) fn missing(server: &str) -> Self {
        let message =
            format!("`{server}` is not installed; `cargo xtask test --setup` installs it");
        Self::new(ErrorKind::MissingServer, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// Ends a test with an error and its source, at the line of the test that called.
pub(crate) trait OrPanic<T> {
    /// The value, if it is one.
    fn or_panic(self) -> T;
}

impl<T> OrPanic<T> for Result<T, Error> {
    // A closure given to `unwrap_or_else` would have the panic point here.
    #[track_caller]
    fn or_panic(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => match &error.source {
                Some(source) => panic!("{error}: {source}"),
                None => panic!("{error}"),
            },
        }
    }
}
