//! Commands: what a macro says of one, and the call that travels to it.

use crate::handler::{Body, Handler};
use crate::wire::CommandWire;

/// What a macro says of one command.
#[derive(Debug)]
pub struct CommandDescriptor {
    /// What it shares with listeners.
    pub handler: Handler,
    /// The name, where `#[command("…")]` gives one.
    pub name: Option<&'static str>,
    /// The signature, as written.
    pub signature: &'static str,
    /// The contract that it serves.
    pub serves: Option<fn() -> &'static CommandDescriptor>,
    /// The code; a contract has none.
    pub body: Option<Body>,
    /// How arguments and answers travel; a local command's do not.
    pub wire: Option<CommandWire>,
}

/// The handle of a command: the empty type that `#[command]` puts beside the function.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    note = "`#[command]` above a function makes its name a command's handle"
)]
pub trait Handle {
    /// What the macro says of it.
    #[doc(hidden)]
    const DESCRIPTOR: &'static CommandDescriptor;
}

/// The handle of a contract: a command without a body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a contract",
    label = "has a body, or is no command",
    note = "a contract is a signature without a body: `#[command] fn name(..) -> ..;`"
)]
pub trait Contract: Handle {
    /// The function pointer type that an implementation must have.
    #[doc(hidden)]
    type Signature;
}
