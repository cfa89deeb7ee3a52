//! [`ExecuteError`]: why a command has no answer.

use std::convert::Infallible;
use std::fmt;

use crate::error::{CodecError, Error, ErrorKind};

/// Why a command has no answer.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// use bus::{ExecuteError, Failure};
///
/// let bus = bus::Builder::new()
///     .register_command("double", |number: u32| 2 * number)
///     .register_command("fail", || -> u32 { panic!("on purpose") })
///     .build()?;
/// let execute = |name: &str| -> Result<u32, ExecuteError<Failure>> {
///     bus.execute_command(name, (4,)).wait()
/// };
/// match execute("doubel") {
///     Err(ExecuteError::NotFound(name)) => println!("{name}"), // names `double` as well
///     other => panic!("{other:?}"),
/// }
/// let Err(error) = bus.execute_command::<_, u32>("double", ("four",)).wait() else { panic!() };
/// assert!(matches!(error, ExecuteError::Codec(_)) && !error.outcome_unknown());
/// let Err(error) = bus.execute_command::<_, u32>("fail", ()).wait() else { panic!() };
/// assert!(matches!(error, ExecuteError::Panicked) && error.outcome_unknown());
/// bus.shutdown()?;
/// # Ok::<(), bus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecuteError<E = Infallible> {
    /// The handler ran and returned this error.
    Handler(E),
    /// The handler ran in another process and failed with an error that cannot travel as itself;
    /// this is its text.
    Remote(String),
    /// Nobody serves this command.
    NotFound(NotFound),
    /// No answer within the command's timeout.
    Timeout,
    /// The handler panicked; the text of the panic is in the log of its process.
    Panicked,
    /// A [`Layer`](crate::Layer) refused it before the handler ran; this is its reason.
    Refused(String),
    /// Waiting would have closed this cycle of services that hold their state.
    Deadlock(Cycle),
    /// It was cancelled.
    Cancelled,
    /// Its [`Gather`](crate::Gather) ended before it was sent, so it did not run.
    NotSent,
    /// So many handlers wait on their threads already that another must not.
    Exhausted,
    /// The way back was lost: the command may or may not have run.
    Interrupted,
    /// No default bus was started.
    NotStarted,
    /// The bus is shutting down or was shut down.
    Closed,
    /// Arguments or answer could not be encoded or decoded.
    Codec(CodecError),
    /// The transport failed before the command was sent.
    Transport(String),
}

impl<E> ExecuteError<E> {
    /// Whether the command may have run, wholly or in part, although it has no answer.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Timeout | Self::Panicked | Self::Cancelled | Self::Interrupted)
    }

    /// The same error with the handler's own error converted.
    pub fn map_handler<F>(self, convert: impl FnOnce(E) -> F) -> ExecuteError<F> {
        self.read_handler(|error| Ok(convert(error)))
    }

    /// The same error with the handler's own error read; where that fails, its text remains.
    pub(crate) fn read_handler<F>(
        self,
        read: impl FnOnce(E) -> Result<F, String>,
    ) -> ExecuteError<F> {
        match self {
            Self::Handler(error) => match read(error) {
                Ok(error) => ExecuteError::Handler(error),
                Err(text) => ExecuteError::Remote(text),
            },
            Self::Remote(text) => ExecuteError::Remote(text),
            Self::NotFound(name) => ExecuteError::NotFound(name),
            Self::Timeout => ExecuteError::Timeout,
            Self::Panicked => ExecuteError::Panicked,
            Self::Refused(text) => ExecuteError::Refused(text),
            Self::Deadlock(cycle) => ExecuteError::Deadlock(cycle),
            Self::Cancelled => ExecuteError::Cancelled,
            Self::NotSent => ExecuteError::NotSent,
            Self::Exhausted => ExecuteError::Exhausted,
            Self::Interrupted => ExecuteError::Interrupted,
            Self::NotStarted => ExecuteError::NotStarted,
            Self::Closed => ExecuteError::Closed,
            Self::Codec(error) => ExecuteError::Codec(error),
            Self::Transport(text) => ExecuteError::Transport(text),
        }
    }
}

impl<E: fmt::Display> fmt::Display for ExecuteError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handler(error) => error.fmt(f),
            Self::Remote(text) | Self::Refused(text) | Self::Transport(text) => f.write_str(text),
            Self::NotFound(name) => name.fmt(f),
            Self::Timeout => f.write_str("the command did not answer in time"),
            Self::Panicked => f.write_str("the command's handler panicked; its log has the text"),
            Self::Deadlock(cycle) => cycle.fmt(f),
            Self::Cancelled => f.write_str("the command was cancelled"),
            Self::NotSent => f.write_str("the gather ended before the command was sent"),
            Self::Exhausted => {
                f.write_str("too many handlers wait on their threads already; await instead")
            }
            Self::Interrupted => f.write_str("the way back was lost; the command may have run"),
            Self::NotStarted => f.write_str("no bus is started; call `bus::start()` first"),
            Self::Closed => f.write_str("the bus is shut down and takes no new work"),
            Self::Codec(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for ExecuteError<E> {}

/// The name of a command that nobody serves, with the served ones that resemble it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    pub(crate) command: String,
    pub(crate) near: Vec<String>,
}

impl NotFound {
    /// The name that was asked for.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The served commands whose names resemble it most, best first.
    pub fn near(&self) -> &[String] {
        &self.near
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nobody serves the command `{}`", self.command)?;
        if !self.near.is_empty() {
            write!(f, "; did you mean {}", crate::name::list(&self.near))?;
        }
        Ok(())
    }
}

/// The services of a deadlock, in the order in which they wait for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle(pub(crate) Vec<String>);

impl Cycle {
    /// The names, from the service that was about to wait.
    pub fn services(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waiting would never end: {}", self.0.join(" waits for "))
    }
}

impl<E: fmt::Display> From<ExecuteError<E>> for Error {
    fn from(error: ExecuteError<E>) -> Self {
        let kind = match &error {
            ExecuteError::Handler(_) | ExecuteError::Remote(_) | ExecuteError::Panicked => {
                ErrorKind::Handler
            }
            ExecuteError::NotFound(_) => ErrorKind::NotFound,
            ExecuteError::Timeout => ErrorKind::Timeout,
            ExecuteError::NotStarted => ErrorKind::NotStarted,
            ExecuteError::Closed => ErrorKind::Closed,
            ExecuteError::Codec(_) => ErrorKind::Codec,
            ExecuteError::Transport(_) => ErrorKind::Transport,
            ExecuteError::Deadlock(_) => ErrorKind::Deadlock,
            ExecuteError::Exhausted => ErrorKind::Exhausted,
            ExecuteError::Refused(_) => ErrorKind::Refused,
            ExecuteError::Cancelled | ExecuteError::NotSent | ExecuteError::Interrupted => {
                ErrorKind::Execute
            }
        };
        Self::new(kind, error.to_string())
    }
}
