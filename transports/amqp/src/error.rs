//! What the broker and the client say, as errors of the bus: what failed, and the remedy. No text
//! here has a password in it.

use autobus_core::{Error, ErrorKind};
use lapin::types::ShortString;

/// Reply codes of AMQP 0-9-1, section 1.1.
pub(crate) mod code {
    pub(crate) const ACCESS_REFUSED: u16 = 403;
    pub(crate) const NOT_FOUND: u16 = 404;
    pub(crate) const PRECONDITION_FAILED: u16 = 406;
    pub(crate) const NOT_ALLOWED: u16 = 530;
}

/// The reply code, if the broker gave one.
pub(crate) fn reply_code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// Whether the broker closed the channel for what was asked on it, and not the connection.
pub(crate) fn is_refusal(error: &lapin::Error) -> bool {
    error.is_amqp_soft_error()
}

/// One line that says what happened.
pub(crate) fn text(error: &lapin::Error) -> String {
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        lapin::ErrorKind::IOError(error) => error.to_string(),
        _ => error.to_string(),
    }
}

/// `what` failed, as the broker or the client says.
pub(crate) fn failed(what: impl std::fmt::Display, error: &lapin::Error) -> Error {
    Error::transport(format!("{what}: {}", text(error))).with_source(error.clone())
}

/// `what`, such as ``queue `orders` ``, could not be declared.
pub(crate) fn undeclared(what: &str, error: &lapin::Error) -> Error {
    let remedy = match reply_code(error) {
        Some(code::PRECONDITION_FAILED) => {
            " exists with other properties; delete it at the broker, or use another name"
        }
        Some(code::ACCESS_REFUSED) => {
            " is refused to this user; give it the permission, or use another name"
        }
        Some(405) => " belongs to another connection; use another name",
        _ => " could not be declared",
    };
    Error::transport(format!("{what}{remedy}: {}", text(error))).with_source(error.clone())
}

/// After `close`.
pub(crate) fn closed() -> Error {
    Error::of_kind(ErrorKind::Closed, "the transport is closed and takes no more requests")
}

/// A text of at most 255 bytes: AMQP 0-9-1, section 4.2.5.3.
///
/// # Errors
///
/// `Transport`, for a longer one: names it by `what`.
pub(crate) fn short(what: &str, text: &str) -> Result<ShortString, Error> {
    ShortString::try_new(text).map_err(|_| {
        Error::transport(format!("{what} of {} bytes is too long; 255 is the most", text.len()))
    })
}
