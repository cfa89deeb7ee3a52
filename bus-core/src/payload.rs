//! How a payload becomes a listener's parameter: borrowed, owned, or shared.

use std::any::TypeId;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{DecodeFn, EncodeFn, PayloadCodec, decode_any, encode_any};
use crate::context::Context;
use crate::event::PayloadDescriptor;
use crate::failure::Failure;
use crate::message::Held;

impl PayloadDescriptor {
    /// A payload that travels.
    pub const fn of<T: Serialize + DeserializeOwned + Send + 'static>() -> Self {
        Self::probed::<T>(Some(encode_any::<T>), Some(decode_any::<T>))
    }

    /// A payload that never leaves the process.
    pub const fn local<T: 'static>() -> Self {
        Self::probed::<T>(None, None)
    }

    /// A payload that travels as far as its type allows.
    pub const fn probed<T: 'static>(encode: Option<EncodeFn>, decode: Option<DecodeFn>) -> Self {
        let codec = PayloadCodec { encode, decode };
        Self { type_id: TypeId::of::<T>, type_name: std::any::type_name::<T>, codec }
    }
}

/// The payload of the message that is handled, as an `X`.
///
/// # Errors
///
/// If it neither is one nor becomes one.
pub fn payload<X: Send + Sync + 'static>(ctx: &Context) -> Result<Held<X>, Failure> {
    ctx.payload()
}

/// A payload that is taken by reference.
pub trait Lend {
    /// What is kept.
    type Owned;
    /// Lends it.
    fn lend(owned: &Self::Owned) -> &Self;
}

impl<T> Lend for T {
    type Owned = T;
    fn lend(owned: &T) -> &T {
        owned
    }
}

impl Lend for str {
    type Owned = String;
    fn lend(owned: &String) -> &str {
        owned
    }
}

impl<T> Lend for [T] {
    type Owned = Vec<T>;
    fn lend(owned: &Vec<T>) -> &[T] {
        owned
    }
}

/// A payload that is taken by value; `SHARED` tells whether that is an `Arc`.
#[diagnostic::on_unimplemented(
    message = "the payload `{Self}` cannot be taken by value",
    label = "not `Clone`",
    note = "the bus keeps the payload for other listeners and attempts: take `&{Self}`, take an \
            `Arc` of it, or derive `Clone`"
)]
pub trait Take<const SHARED: bool>: Sized {
    /// What is kept.
    type Payload;
    /// Takes it.
    ///
    /// # Errors
    ///
    /// If it is not stored as it is to be taken, which the runtime rules out.
    fn take(held: Held<Self::Payload>) -> Result<Self, Failure>;
}

impl<T: Clone + Send + Sync + 'static> Take<false> for T {
    type Payload = T;
    fn take(held: Held<T>) -> Result<T, Failure> {
        Ok(held.into_value())
    }
}

impl<T: Send + Sync + 'static> Take<true> for Arc<T> {
    type Payload = T;
    fn take(held: Held<T>) -> Result<Self, Failure> {
        held.into_shared()
    }
}
