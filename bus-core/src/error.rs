//! Errors that a user of the bus meets.
//!
//! [`Error`] is everything that is not the outcome of a command;
//! [`ExecuteError`](crate::ExecuteError) is that.

use std::any::Any;
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
    /// A command failed; the error was an [`ExecuteError`](crate::ExecuteError).
    Execute,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, event: None, faults: Vec::new() }
    }

    pub(crate) fn wiring(faults: Vec<Fault>) -> Self {
        let kind = match faults.as_slice() {
            [first, rest @ ..] if rest.iter().all(|fault| fault.kind == first.kind) => first.kind,
            _ => ErrorKind::Wiring,
        };
        let mut message = match faults.as_slice() {
            [only] if kind != ErrorKind::Wiring => only.to_string(),
            _ => {
                let places = match faults.len() {
                    1 => String::new(),
                    n => format!(" in {n} places"),
                };
                format!("the bus is wired wrongly{places}")
            }
        };
        if kind == ErrorKind::Wiring || faults.len() > 1 {
            for fault in &faults {
                message.push_str("\n  ");
                message.push_str(&fault.to_string());
            }
        }
        Self { faults, ..Self::new(kind, message) }
    }

    /// The failure of a transport, for those who write one: what failed, without secrets.
    pub fn transport(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transport, message)
    }

    /// An error of another kind, for those who write a transport.
    pub fn of_kind(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::new(kind, message)
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

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(
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

    /// Every fault of a bus that did not start, sorted by place; empty for any other error.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The event that could not be fired, if it was a `T`.
    ///
    /// # Errors
    ///
    /// Gives the error back if it carries no event of this type.
    ///
    /// # Examples
    ///
    /// ```
    /// # use autobus_core as bus;
    /// # #[derive(Debug, PartialEq)]
    /// struct Order(u64); // an event
    /// # static SUBMIT: bus::private::EventDescriptor = bus::private::EventDescriptor {
    /// #     place: bus::private::place!(),
    /// #     exchange: "order",
    /// #     key: "order.submit",
    /// #     payload: bus::private::PayloadDescriptor::local::<Order>(),
    /// #     upcasts: &[],
    /// #     local: true,
    /// # };
    /// # impl bus::Event for Order {
    /// #     const EVENT: bus::Topic<Self> = bus::Topic::new(&SUBMIT);
    /// # }
    ///
    /// let bus = bus::Builder::new().build()?;
    /// bus.shutdown()?;
    /// let error = bus.fire(Order(7)).wait().unwrap_err();
    /// assert_eq!(error.kind(), bus::ErrorKind::Closed);
    /// assert_eq!(error.into_event::<Order>()?, Order(7));
    /// # Ok::<(), bus::Error>(())
    /// ```
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

/// One fault in the wiring of a program: what is wrong, where, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    place: Option<Place>,
    kind: ErrorKind,
    message: String,
}

impl Fault {
    pub(crate) fn at(place: Place, message: impl Into<String>) -> Self {
        Self { place: Some(place), kind: ErrorKind::Wiring, message: message.into() }
    }

    /// A fault of the builder or the environment.
    pub(crate) fn outside(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { place: None, kind, message: message.into() }
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

    /// What is wrong there.
    pub fn message(&self) -> &str {
        &self.message
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
