//! The errors of one item, gathered so that all of them are reported at once.
//!
//! One [`Errors`] accompanies an item through every phase. Who makes one has to read it: dropping
//! it unread is a fault of the macro and panics, so that no error is ever lost.

use std::cell::RefCell;
use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// Gathers the errors of one item.
#[derive(Debug)]
pub(crate) struct Errors {
    /// `None` once read.
    gathered: RefCell<Option<Vec<syn::Error>>>,
}

impl Errors {
    pub(crate) fn new() -> Self {
        Self { gathered: RefCell::new(Some(Vec::new())) }
    }

    /// Reports `message` at `tokens`, from the first of them to the last.
    pub(crate) fn at(&self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Reports `message` at `span`.
    pub(crate) fn at_span(&self, span: Span, message: impl Display) {
        self.push(syn::Error::new(span, message));
    }

    /// Reports an error that is worded already; one that combines several counts as several.
    pub(crate) fn push(&self, error: syn::Error) {
        if let Some(gathered) = &mut *self.gathered.borrow_mut() {
            gathered.extend(error);
        }
    }

    /// Unwraps `result`, reporting its error.
    pub(crate) fn ok<T>(&self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// How many errors there are by now: two counts tell whether what ran between them was right.
    pub(crate) fn count(&self) -> usize {
        self.gathered.borrow().as_ref().map_or(0, Vec::len)
    }

    /// Reads the errors: one `compile_error!` each, or nothing.
    pub(crate) fn into_compile_errors(self) -> TokenStream {
        self.read().iter().map(syn::Error::to_compile_error).collect()
    }

    /// Reads the errors.
    pub(crate) fn read(&self) -> Vec<syn::Error> {
        self.gathered.borrow_mut().take().unwrap_or_default()
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        let read = self.gathered.get_mut().is_none();
        assert!(read || std::thread::panicking(), "the errors of an item were dropped unread");
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! What unit tests say of gathered errors.

    use proc_macro2::{TokenStream, TokenTree};

    use super::Errors;

    /// Runs `check` and gives what it returned, with the messages it reported, in order.
    pub(crate) fn gather<T>(check: impl FnOnce(&Errors) -> T) -> (T, Vec<String>) {
        let errors = Errors::new();
        let value = check(&errors);
        let messages = errors.read().iter().map(ToString::to_string).collect();
        (value, messages)
    }

    /// Generated code, compared without regard to spaces.
    #[derive(Debug)]
    pub(crate) struct Code(String);

    impl Code {
        pub(crate) fn new(tokens: &TokenStream) -> Self {
            Self(squeeze(&tokens.to_string()))
        }

        pub(crate) fn has(&self, code: &str) -> bool {
            self.0.contains(&squeeze(code))
        }

        pub(crate) fn count(&self, code: &str) -> usize {
            self.0.matches(&squeeze(code)).count()
        }
    }

    fn squeeze(code: &str) -> String {
        code.split_whitespace().collect()
    }

    /// The messages of the `compile_error!`s among `tokens`.
    pub(crate) fn messages(tokens: &TokenStream) -> Vec<String> {
        let tokens: Vec<_> = tokens.clone().into_iter().collect();
        let errors = tokens.windows(3).filter_map(|window| match window {
            [TokenTree::Ident(name), TokenTree::Punct(_), TokenTree::Group(group)]
                if name == "compile_error" =>
            {
                syn::parse2::<syn::LitStr>(group.stream()).ok()
            }
            _ => None,
        });
        errors.map(|message| message.value()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_becomes_a_compile_error() {
        let errors = Errors::new();
        errors.at_span(Span::call_site(), "one");
        errors.at(quote::quote!(a b), "two");
        assert_eq!(errors.count(), 2);
        let tokens = errors.into_compile_errors().to_string();
        assert!(tokens.contains("\"one\"") && tokens.contains("\"two\""), "{tokens}");
    }

    #[test]
    #[should_panic(expected = "dropped unread")]
    fn dropping_errors_unread_is_a_fault() {
        drop(Errors::new());
    }
}
