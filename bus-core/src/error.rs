//! Errors that a user of the bus meets.
//!
//! [`Error`] is everything that is not the outcome of a command; [`ExecuteError`] is that.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;

use crate::handler::Place;

/// The result of most calls on a bus.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong on the bus, with the cause in [`kind`](Self::kind).
///
/// A failed firing hands the event back: see [`into_event`](Self::into_event).
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    event: Option<Box<dyn Any + Send + Sync>>,
    faults: Vec<Fault>,
}

/// The cause of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The program is wired wrongly; see [`Error::faults`].
    Wiring,
    /// The default bus was started before.
    AlreadyStarted,
    /// No default bus was started yet.
    NotStarted,
    /// A service's `#[init]` failed, or its thread could not be started.
    Init,
    /// A setting that cannot be used, from the code or the environment.
    Config,
    /// The transport is not compiled in, or failed.
    Transport,
    /// The bus is shutting down or was shut down.
    Closed,
    /// A mailbox is at its bound.
    Full,
    /// A name, key or pattern that is not one.
    Name,
    /// A name that is already taken.
    Duplicate,
    /// Nothing of this name is there.
    NotFound,
    /// Something could not be encoded or decoded.
    Codec,
    /// A handler failed.
    Handler,
    /// It took longer than allowed.
    Timeout,
    /// The transport does not offer this.
    Unsupported,
    /// Waiting would never end: services that hold their state wait for each other.
    Deadlock,
    /// So many handlers wait on their threads already that another must not.
    Exhausted,
    /// A layer refused it.
    Refused,
    /// A command failed; the error was an [`ExecuteError`].
    Execute,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, event: None, faults: Vec::new() }
    }

    pub(crate) fn wiring(faults: Vec<Fault>) -> Self {
        let mut message = match faults.len() {
            1 => "the bus is wired wrongly".to_owned(),
            n => format!("the bus is wired wrongly in {n} places"),
        };
        for fault in &faults {
            message.push_str("\n  ");
            message.push_str(&fault.to_string());
        }
        Self { faults, ..Self::new(ErrorKind::Wiring, message) }
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the bus is shut down and takes no new work")
    }

    pub(crate) fn not_started() -> Self {
        Self::new(
            ErrorKind::NotStarted,
            "no bus is started; call `bus::start()` in main, or name one: `handle::on(&bus)`",
        )
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn with_event(mut self, event: impl Any + Send + Sync) -> Self {
        self.event = Some(Box::new(event));
        self
    }

    /// The cause.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later, with nothing else changed.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Full | ErrorKind::Timeout | ErrorKind::Transport)
    }

    /// Every wiring fault, sorted by place; empty for any other kind.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The event that could not be fired, if it was a `T`.
    ///
    /// # Errors
    ///
    /// Gives the error back if it carries no event of this type.
    pub fn into_event<T: 'static>(mut self) -> Result<T, Self> {
        match self.event.take().map(Box::<dyn Any + Send + Sync>::downcast::<T>) {
            Some(Ok(event)) => Ok(*event),
            Some(Err(event)) => Err(Self { event: Some(event), ..self }),
            None => Err(self),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// `main` prints the `Debug` of the error that it returns, so this is what people read.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

impl From<crate::name::NameError> for Error {
    fn from(error: crate::name::NameError) -> Self {
        Self::new(ErrorKind::Name, error.to_string())
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
            ExecuteError::Cancelled | ExecuteError::Interrupted => ErrorKind::Execute,
        };
        Self::new(kind, error.to_string())
    }
}

/// One fault in the wiring of a program: what is wrong, where, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    place: Option<Place>,
    message: String,
}

impl Fault {
    pub(crate) fn at(place: Place, message: impl Into<String>) -> Self {
        Self { place: Some(place), message: message.into() }
    }

    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into() }
    }

    /// The file as the compiler names it, and the line counted from 1; `None` for a fault of the
    /// builder or the environment.
    pub fn place(&self) -> Option<(&'static str, u32)> {
        self.place.map(|place| (place.file, place.line))
    }

    /// What is wrong, and the remedy.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn sort(faults: &mut Vec<Self>) {
        faults.sort_by(|a, b| a.place.cmp(&b.place).then_with(|| a.message.cmp(&b.message)));
        faults.dedup();
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Why a command has no answer.
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
            Self::Exhausted => {
                f.write_str("1,024 handlers wait on their threads already; await instead")
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

/// What could not be encoded or decoded, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecError {
    path: String,
    message: String,
}

impl CodecError {
    pub(crate) fn new(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { path: path.into(), message: message.to_string() }
    }

    /// The path of the field, such as `order.lines[2].price`; empty for the whole.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn in_answer(mut self) -> Self {
        self.message = format!("the answer is of another type: {}", self.message);
        self
    }

    pub(crate) fn in_parameter(mut self, name: &str, index: &str) -> Self {
        if let Some(rest) = self.path.strip_prefix(index) {
            self.path = format!("{name}{rest}");
        }
        self
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for CodecError {}
