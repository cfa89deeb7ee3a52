//! What a listener may return.

use std::fmt::Display;

use crate::failure::Failure;
use crate::handler::HandlerResult;

/// What a listener may return: nothing, or `Result<(), E>` with an error that displays.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the outcome of a listener",
    label = "expected `()` or `Result<(), E>` with an `E` that displays",
    note = "a listener answers nobody: return nothing, or `Result<(), E>`"
)]
pub trait IntoOutcome {
    /// Success, or why not.
    ///
    /// # Errors
    ///
    /// The listener's own, as text.
    fn outcome(self) -> HandlerResult;
}

impl IntoOutcome for () {
    fn outcome(self) -> HandlerResult {
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl<E: Display> IntoOutcome for Result<(), E> {
    fn outcome(self) -> HandlerResult {
        self.map_err(|error| Failure::error(error.to_string(), true))
    }
}

/// The outcome of a listener with `retry_if`.
///
/// # Errors
///
/// The listener's own, as text.
pub fn outcome_if<E: Display>(
    result: Result<(), E>,
    retry_if: impl FnOnce(&E) -> bool,
) -> HandlerResult {
    result.map_err(|error| Failure::error(error.to_string(), retry_if(&error)))
}
