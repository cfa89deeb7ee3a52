//! What commands and listeners have in common: they are functions.

pub(crate) mod expand;
pub(crate) mod item;
pub(crate) mod options;
pub(crate) mod output;
pub(crate) mod parameter;
pub(crate) mod signature;
pub(crate) mod source;
pub(crate) mod types;

use proc_macro2::{Ident, Span};
use syn::Type;

pub(crate) use item::{Body, Function};
pub(crate) use options::Options;
pub(crate) use output::Output;
pub(crate) use parameter::{Parameter, Passing};

/// The word for a handler in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    Listener,
    Init,
    Shutdown,
}

impl Kind {
    /// The attribute that makes it one.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Listener => "listener",
            Self::Init => "init",
            Self::Shutdown => "shutdown",
        }
    }

    /// The word, with its article.
    pub(crate) fn a(self) -> &'static str {
        match self {
            Self::Command => "a command",
            Self::Listener => "a listener",
            Self::Init => "`#[init]`",
            Self::Shutdown => "`#[shutdown]`",
        }
    }
}

/// Where a function stands.
#[derive(Debug, Clone)]
pub(crate) enum Home {
    /// In a module, or in another function.
    Module,
    /// In the impl block of a service.
    Service {
        /// The type that is implemented.
        ty: Box<Type>,
    },
}

impl Home {
    pub(crate) fn is_service(&self) -> bool {
        matches!(self, Self::Service { .. })
    }
}

/// How a method takes the state of its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Not at all.
    Stateless,
    /// `&self`
    Shared,
    /// `&mut self`
    Exclusive,
}

/// A function, as far as it holds for every handler.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) home: Home,
    pub(crate) name: Ident,
    pub(crate) is_async: bool,
    pub(crate) access: Access,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) output: Output,
    /// The place of the list of parameters.
    pub(crate) list: Span,
    /// The signature, as text.
    pub(crate) text: String,
}
