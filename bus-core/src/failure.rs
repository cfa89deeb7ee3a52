//! [`Failure`]: why one attempt of a handler did not succeed, and whether another may.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::error::CodecError;

/// Why one attempt of a handler did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    reason: Reason,
    message: String,
    retry: bool,
    value: Option<Arc<[u8]>>,
}

/// The kind of a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The handler returned an error.
    Error,
    /// The handler panicked.
    Panic,
    /// The payload does not decode as the listener's type.
    Decode,
    /// The handler took longer than its timeout.
    Timeout,
    /// The service could not be made ready: its `#[init]` failed.
    Service,
    /// The mailbox was 64 times over its bound.
    Full,
    /// A layer refused it before the handler ran.
    Refused,
    /// It was cut short: its caller cancelled it, or the bus had to stop.
    Cancelled,
    /// Its consumer died, or lost its connection to the broker, too often while it handled it.
    Lost,
}

impl Reason {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Error, "error"),
        (Self::Panic, "panic"),
        (Self::Decode, "decode"),
        (Self::Timeout, "timeout"),
        (Self::Service, "service"),
        (Self::Full, "full"),
        (Self::Refused, "refused"),
        (Self::Cancelled, "cancelled"),
        (Self::Lost, "lost"),
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(reason, _)| *reason == self).map_or("error", |(_, name)| name)
    }

    /// The kind of this name; `None` if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use autobus_core as bus;
    /// use bus::Reason;
    ///
    /// assert_eq!(Reason::from_name(Reason::Panic.name()), Some(Reason::Panic));
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(reason, _)| *reason)
    }
}

impl Failure {
    /// Of this kind, for good: for those who write a transport.
    pub fn of(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry: false, value: None }
    }

    /// The handler's own error.
    pub fn error(message: impl Into<String>, retry: bool) -> Self {
        Self { reason: Reason::Error, message: message.into(), retry, value: None }
    }

    /// The refusal of a [`Layer`](crate::Layer), for good: a delivery becomes a dead letter at once.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { reason: Reason::Refused, message: message.into(), retry: false, value: None }
    }

    /// The refusal of a [`Layer`](crate::Layer), for now: a delivery is tried again as its listener's
    /// `retry` and `backoff` say.
    pub fn postponed(message: impl Into<String>) -> Self {
        Self { retry: true, ..Self::refused(message) }
    }

    /// What a layer answered before the handler ran, whatever it called it.
    pub(crate) fn into_refusal(self) -> Self {
        match self.reason {
            Reason::Panic => self,
            _ => Self { reason: Reason::Refused, ..self },
        }
    }

    /// The mailbox was too full, and nobody took the event back.
    pub(crate) fn full() -> Self {
        let message = "the mailbox was 64 times over its bound".to_owned();
        Self { reason: Reason::Full, message, retry: true, value: None }
    }

    /// The caller gave up while the handler ran.
    pub(crate) fn cancelled() -> Self {
        let message = "the caller cancelled it".to_owned();
        Self { reason: Reason::Cancelled, message, retry: false, value: None }
    }

    /// The bus gave up while the handler ran.
    pub(crate) fn abandoned() -> Self {
        let message = "the bus stopped before the handler was done".to_owned();
        Self { reason: Reason::Cancelled, message, retry: false, value: None }
    }

    /// A fault of the runtime or of generated code.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { reason: Reason::Service, message: message.into(), retry: true, value: None }
    }

    /// The state of the service could not be made anew.
    pub(crate) fn unavailable(cause: &Self) -> Self {
        Self::internal(cause.message.clone())
    }

    /// A panic, with its text. The payload may panic in its turn when it is dropped; what that
    /// leaves is not dropped again.
    pub(crate) fn panic(payload: Box<dyn std::any::Any + Send>) -> Self {
        let text = payload
            .downcast_ref::<&'static str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a panic without a text");
        let message = text.to_owned();
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        Self { reason: Reason::Panic, message, retry: true, value: None }
    }

    pub(crate) fn undecodable(error: &CodecError) -> Self {
        Self { reason: Reason::Decode, message: error.to_string(), retry: false, value: None }
    }

    pub(crate) fn timeout(limit: std::time::Duration) -> Self {
        let message = format!("the handler took longer than {limit:?}");
        Self { reason: Reason::Timeout, message, retry: true, value: None }
    }

    /// The kind.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The text of the error or panic.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The handler's error as a value, if it is a serde type and decodes as `E`.
    pub fn decode<E: serde::de::DeserializeOwned>(&self) -> Option<E> {
        serde_json::from_slice(self.value.as_deref()?).ok()
    }

    /// The handler's error as it was written.
    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    pub(crate) fn with_value(mut self, value: Option<Vec<u8>>) -> Self {
        self.value = value.map(Arc::from);
        self
    }

    /// Whether another attempt may succeed.
    pub(crate) fn is_retryable(&self) -> bool {
        self.retry
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Panic => write!(f, "panicked: {}", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Failure {}
