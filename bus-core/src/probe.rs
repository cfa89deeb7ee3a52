//! Asking a type, in generated code, for what it can do, without demanding it.
//!
//! An inherent constant wins over a trait's of the same name. So `Probe::<T>::TEXT` is `Some` where
//! `T: Display` makes the inherent one exist, and otherwise the `None` of the trait that generated
//! code has in scope. This needs a concrete `T`, which generated code always has.

use std::convert::Infallible;
use std::fmt::Display;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{DecodeFn, EncodeFn, decode_any, encode_any};
use crate::wire::WireTypes;

/// Asks `T` what it can do.
#[derive(Debug)]
pub struct Probe<T: ?Sized>(PhantomData<T>);

impl<T: Display> Probe<T> {
    /// Writes it for people.
    pub const TEXT: Option<fn(&T) -> String> = Some(T::to_string);
}

impl<T: Serialize + 'static> Probe<T> {
    /// Writes it for the wire.
    pub const ENCODE: Option<EncodeFn> = Some(encode_any::<T>);
}

impl<T: DeserializeOwned + Send + 'static> Probe<T> {
    /// Reads it from the wire.
    pub const DECODE: Option<DecodeFn> = Some(decode_any::<T>);
}

impl<A, T, E> Probe<(A, T, E)>
where
    A: Serialize + DeserializeOwned + Send + 'static,
    T: Serialize + DeserializeOwned + Send + 'static,
    E: Send + 'static,
{
    /// How a command of these arguments, this answer and this error travels.
    pub const WIRE: Option<&'static WireTypes> = Some(&WireTypes::of::<A, T, E>());
}

impl<T: Clone> Probe<T> {
    /// Copies it.
    pub const CLONE: Option<fn(&T) -> T> = Some(T::clone);
}

impl<T, E> Probe<Result<T, E>> {
    /// It is a `std::result::Result`.
    pub const FALLIBLE: bool = true;
}

impl<T> Probe<Arc<T>> {
    /// It is an `Arc`.
    pub const SHARED: bool = true;
}

macro_rules! fallbacks {
    ($($(#[$doc:meta])* $name:ident { $constant:ident: $ty:ty = $value:expr })*) => {$(
        $(#[$doc])*
        pub trait $name<T: ?Sized> {
            #[doc(hidden)]
            const $constant: $ty = $value;
        }
        impl<T: ?Sized> $name<T> for Probe<T> {}
    )*};
}

fallbacks! {
    /// Without `Display`.
    NoText { TEXT: Option<fn(&T) -> String> = None }
    /// Without `Serialize`.
    NoEncode { ENCODE: Option<EncodeFn> = None }
    /// Without `Deserialize`.
    NoDecode { DECODE: Option<DecodeFn> = None }
    /// Arguments or an answer without a codec.
    NoWire { WIRE: Option<&'static WireTypes> = None }
    /// Not a `Result`.
    NotFallible { FALLIBLE: bool = false }
    /// Not an `Arc`.
    NotShared { SHARED: bool = false }
}

/// Without `Clone`.
pub trait NoClone<T> {
    #[doc(hidden)]
    const CLONE: Option<fn(&T) -> T> = None;
}

impl<T> NoClone<T> for Probe<T> {}

/// Chooses by a probe's constant how a returned value splits into value and error.
#[derive(Debug)]
pub struct Kind<const FALLIBLE: bool>;

/// A returned value, split into value and error.
pub trait Split<R> {
    /// The value.
    type Ok;
    /// The error.
    type Err;
    /// Splits it.
    ///
    /// # Errors
    ///
    /// The returned one.
    fn split(returned: R) -> Result<Self::Ok, Self::Err>;
}

impl<T> Split<T> for Kind<false> {
    type Ok = T;
    type Err = Infallible;
    fn split(returned: T) -> Result<T, Infallible> {
        Ok(returned)
    }
}

impl<T, E> Split<Result<T, E>> for Kind<true> {
    type Ok = T;
    type Err = E;
    fn split(returned: Result<T, E>) -> Result<T, E> {
        returned
    }
}
