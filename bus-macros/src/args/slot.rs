//! A place for one argument, filled at most once.

use proc_macro2::{Ident, TokenStream};
use syn::Expr;

use super::Argument;
use crate::errors::Errors;

/// What stands behind the name of an argument.
#[derive(Debug)]
pub(crate) enum Value {
    /// Nothing: `inline`.
    None,
    /// Nothing, although a `=` stands there.
    Missing,
    /// `= expression`.
    Assigned(Expr),
    /// `(tokens)`.
    List(TokenStream),
}

/// The form that the value of an argument has.
pub(crate) trait FromValue: Sized {
    /// Reads the value of the argument `name`; the error is worded with its remedy.
    fn from_value(name: &Ident, value: Value) -> syn::Result<Self>;
}

/// A place for one argument.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    name: Option<Ident>,
    value: Option<T>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { name: None, value: None }
    }
}

impl<T: FromValue> Slot<T> {
    /// Fills the slot; refuses a second filling and a value of another form.
    pub(crate) fn set(&mut self, argument: Argument, errors: &Errors) {
        let Argument { name, value } = argument;
        if self.name.is_some() {
            errors.at(&name, format!("duplicate argument `{name}`; keep one"));
            return;
        }
        self.value = errors.ok(T::from_value(&name, value));
        self.name = Some(name);
    }
}

impl<T> Slot<T> {
    /// Whether the argument is there at all, even with a wrong value.
    pub(crate) fn is_given(&self) -> bool {
        self.name.is_some()
    }

    /// The name, as the place for errors.
    pub(crate) fn name(&self) -> Option<&Ident> {
        self.name.as_ref()
    }

    /// The value, if the argument is there and right.
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Refuses the argument, if it is there.
    pub(crate) fn refuse(&self, message: &str, errors: &Errors) {
        if let Some(name) = &self.name {
            errors.at(name, message);
        }
    }
}
