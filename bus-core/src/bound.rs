//! What generated code demands of a user's types, worded so that the error is readable there.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::handler::ServiceDescriptor;

/// What may be an argument of a command that is not local.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a command",
    label = "does not implement `Serialize` and `DeserializeOwned`",
    note = "derive them with `#[bus::payload]` above the type, or mark the command `local`",
    note = "the context is taken as `&Context`, an injected state as `State<T>`"
)]
pub trait Argument {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Argument for T {}

/// Demands an argument, at the place of its type.
pub const fn argument<T: Argument>() {}

/// What may be the answer of a command that is not local.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the answer of a command",
    label = "does not implement `Serialize` and `DeserializeOwned`",
    note = "derive them with `#[bus::payload]` above the type, or mark the command `local`"
)]
pub trait Answer {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Answer for T {}

/// Demands an answer, at the place of its type.
pub const fn answer<T: Answer>() {}

/// std's `Result`, whatever it is called.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is called `Result` and is not `std::result::Result`",
    label = "not std's `Result`",
    note = "give the type another name, or return std's `Result`"
)]
pub trait Fallible {
    /// The value.
    type Ok;
    /// The error.
    type Err;
    /// The result itself.
    ///
    /// # Errors
    ///
    /// Its own.
    fn result(self) -> Result<Self::Ok, Self::Err>;
}

impl<T, E> Fallible for Result<T, E> {
    type Ok = T;
    type Err = E;
    fn result(self) -> Self {
        self
    }
}

/// The value of a `Result` under another name.
pub type OkOf<R> = <R as Fallible>::Ok;

/// The error of a `Result` under another name.
pub type ErrorOf<R> = <R as Fallible>::Err;

/// A type that is a service: it has one `#[service]` block.
pub trait Stateful {
    /// What the macro says of it.
    const SERVICE: &'static ServiceDescriptor;
}

/// The state of a service without `#[init]`.
#[diagnostic::on_unimplemented(
    message = "the service `{Self}` has neither `#[init]` nor `Default`",
    label = "does not implement `Default`",
    note = "write `#[init] fn new() -> Self`, or derive `Default`"
)]
pub trait Initial: Sized {
    /// Makes it.
    fn initial() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> Initial for T {
    fn initial() -> Self {
        T::default()
    }
}
