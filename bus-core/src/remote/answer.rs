//! How the answer of a command travels: its kind as a header, its value or error as the body.
//!
//! The text of a panic stays in the log of its process.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::codec;
use crate::envelope::Envelope;
use crate::error::CodecError;
use crate::execute_error::{Cycle, ExecuteError, NotFound};
use crate::failure::Failure;

/// The header that tells the kind of an answer; where it is missing, the body is the value.
const KIND: &str = "bus-answer";

/// The body of an answer that is an error.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Fault {
    message: String,
    /// The handler's own error, if it is a serde type.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    /// The path of what does not decode.
    #[serde(skip_serializing_if = "String::is_empty")]
    path: String,
    /// The services of a deadlock.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    services: Vec<String>,
}

impl Fault {
    fn text(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    fn of(failure: &Failure) -> Self {
        let value = failure.value().and_then(|value| serde_json::from_slice(value).ok());
        Self { value, ..Self::text(failure.message()) }
    }

    fn failure(self) -> Failure {
        let value = self.value.map(|value| value.get().as_bytes().to_vec());
        Failure::error(self.message, false).with_value(value)
    }
}

/// Writes what a command came to.
pub(crate) fn write(answer: Result<Vec<u8>, ExecuteError<Failure>>) -> Envelope {
    let (kind, fault) = match answer {
        Ok(body) => return envelope(None, body),
        Err(ExecuteError::Handler(failure)) => ("error", Fault::of(&failure)),
        Err(ExecuteError::Remote(text)) => ("remote", Fault::text(text)),
        Err(ExecuteError::NotFound(name)) => ("not-found", Fault::text(name.command())),
        Err(ExecuteError::Timeout) => ("timeout", Fault::default()),
        Err(ExecuteError::Panicked) => ("panicked", Fault::default()),
        Err(ExecuteError::Refused(text)) => ("refused", Fault::text(text)),
        Err(ExecuteError::Deadlock(Cycle(services))) => {
            ("deadlock", Fault { services, ..Fault::default() })
        }
        Err(ExecuteError::Cancelled) => ("cancelled", Fault::default()),
        Err(ExecuteError::NotSent) => ("not-sent", Fault::default()),
        Err(ExecuteError::Exhausted) => ("exhausted", Fault::default()),
        Err(ExecuteError::Interrupted) => ("interrupted", Fault::default()),
        Err(ExecuteError::Codec(error)) => {
            ("codec", Fault { path: error.path().to_owned(), ..Fault::text(error.message()) })
        }
        // It did not run: its process was about to stop.
        Err(ExecuteError::NotStarted | ExecuteError::Closed) => {
            ("transport", Fault::text("the process that serves the command is stopping"))
        }
        Err(ExecuteError::Transport(text)) => ("transport", Fault::text(text)),
    };
    // These types always can be written.
    envelope(Some(kind), codec::encode(&fault).unwrap_or_default())
}

fn envelope(kind: Option<&str>, body: Vec<u8>) -> Envelope {
    let mut envelope = Envelope::new("", "", body);
    envelope.content_type = Some(Envelope::JSON.to_owned());
    if let Some(kind) = kind {
        envelope.headers.insert(KIND, kind);
    }
    envelope
}

/// Reads what a command came to.
pub(crate) fn read(answer: Envelope) -> Result<Vec<u8>, ExecuteError<Failure>> {
    let kind = answer.headers.get(KIND).unwrap_or("ok");
    if kind == "ok" {
        return Ok(answer.body);
    }
    let fault: Fault = codec::decode(&answer.body).unwrap_or_default();
    Err(match kind {
        "error" => ExecuteError::Handler(fault.failure()),
        "not-found" => {
            ExecuteError::NotFound(NotFound { command: fault.message, near: Vec::new() })
        }
        "timeout" => ExecuteError::Timeout,
        "panicked" => ExecuteError::Panicked,
        "refused" => ExecuteError::Refused(fault.message),
        "deadlock" => ExecuteError::Deadlock(Cycle(fault.services)),
        "cancelled" => ExecuteError::Cancelled,
        "not-sent" => ExecuteError::NotSent,
        "exhausted" => ExecuteError::Exhausted,
        "interrupted" => ExecuteError::Interrupted,
        "codec" => ExecuteError::Codec(CodecError::new(fault.path, fault.message)),
        "transport" => ExecuteError::Transport(fault.message),
        // `remote`, and what a later version may answer.
        _ => ExecuteError::Remote(fault.message),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_arrives_as_it_was_given() {
        let value = Some(br#"{"code":7}"#.to_vec());
        let answers = [
            Ok(b"{\"id\":1}".to_vec()),
            Err(ExecuteError::Handler(Failure::error("no", false).with_value(value))),
            Err(ExecuteError::Remote("text".to_owned())),
            Err(ExecuteError::Timeout),
            Err(ExecuteError::Panicked),
            Err(ExecuteError::Refused("why".to_owned())),
            Err(ExecuteError::Deadlock(Cycle(vec!["a".to_owned(), "b".to_owned()]))),
            Err(ExecuteError::Cancelled),
            Err(ExecuteError::NotSent),
            Err(ExecuteError::Exhausted),
            Err(ExecuteError::Interrupted),
            Err(ExecuteError::Codec(CodecError::new("order.id", "is missing"))),
            Err(ExecuteError::Transport("down".to_owned())),
        ];
        for answer in answers {
            assert_eq!(read(write(answer.clone())), answer);
        }
    }

    #[test]
    fn an_answer_without_a_kind_is_a_value() {
        assert_eq!(read(Envelope::new("", "", b"7".to_vec())), Ok(b"7".to_vec()));
    }

    #[test]
    fn an_answer_that_is_no_answer_is_an_error() {
        let mut odd = Envelope::new("", "", b"\xff".to_vec());
        odd.headers.insert(KIND, "of tomorrow");
        assert!(matches!(read(odd), Err(ExecuteError::Remote(_))));
    }
}
