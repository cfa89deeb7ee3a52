//! The macros of Autobus.

mod args;
mod attrs;
mod command;
mod derives;
mod errors;
mod event;
mod function;
mod link;
mod listener;
mod names;
mod near;
mod payload;
mod root;
mod service;

use proc_macro::TokenStream;

/// A command.
#[proc_macro_attribute]
pub fn command(arguments: TokenStream, item: TokenStream) -> TokenStream {
    command::attribute(arguments.into(), &item.into()).into()
}

/// A listener.
#[proc_macro_attribute]
pub fn listener(arguments: TokenStream, item: TokenStream) -> TokenStream {
    listener::attribute(arguments.into(), &item.into()).into()
}

/// An event.
#[proc_macro_attribute]
pub fn event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    event::attribute(arguments.into(), &item.into()).into()
}

/// An event.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(item: TokenStream) -> TokenStream {
    event::derive(&item.into()).into()
}

/// A payload.
#[proc_macro_attribute]
pub fn payload(arguments: TokenStream, item: TokenStream) -> TokenStream {
    payload::attribute(arguments.into(), &item.into()).into()
}

/// A service.
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    service::attribute(arguments.into(), &item.into()).into()
}

/// Links crates.
#[proc_macro]
pub fn link(crates: TokenStream) -> TokenStream {
    link::link(crates.into()).into()
}

/// Names a service.
#[proc_macro]
pub fn service_name(name: TokenStream) -> TokenStream {
    link::service_name(name.into()).into()
}
