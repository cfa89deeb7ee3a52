//! The macros of Autobus.

mod args;
mod attrs;
mod command;
mod errors;
mod function;
mod names;
mod near;
mod root;

use proc_macro::TokenStream;

/// A command.
#[proc_macro_attribute]
pub fn command(arguments: TokenStream, item: TokenStream) -> TokenStream {
    command::macro_(arguments.into(), item.into()).into()
}
