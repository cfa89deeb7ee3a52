//! How a payload becomes a listener's parameter: borrowed, owned, or shared.

use std::any::TypeId;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{DecodeFn, EncodeFn, PayloadCodec, decode_any, encode_any};
use crate::context::Context;
use crate::event::PayloadDescriptor;
use crate::failure::Failure;
use crate::handler::{HandlerResult, Plain};
use crate::message::Held;

/// What an event that is not local must be.
#[diagnostic::on_unimplemented(
    message = "the event `{Self}` cannot travel",
    label = "does not implement `Serialize` and `DeserializeOwned`",
    note = "derive them, put `#[event(..)]` above the derives, or mark the event `local`"
)]
pub trait Travels: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Travels for T {}

impl PayloadDescriptor {
    /// A payload that travels.
    pub const fn of<T: Travels>() -> Self {
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

/// What a listener may take as its payload.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the payload of a listener",
    label = "must be `Send`, `Sync` and `'static`"
)]
pub trait Payload: Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Payload for T {}

/// Demands a payload, at the place of its type.
pub const fn heard<X: Payload>() {}

/// The payload of the message that is handled, as an `X`.
///
/// # Errors
///
/// If it neither is one nor becomes one.
pub fn payload<X: Payload>(ctx: &Context) -> Result<Held<X>, Failure> {
    ctx.payload()
}

/// Runs a listener that takes nothing but the payload.
///
/// # Errors
///
/// Its own, or why it did not run.
pub fn hear<X: Payload>(ctx: &Context, plain: Plain) -> HandlerResult {
    let held = ctx.payload::<X>()?;
    if let Some(listener) = plain.downcast_ref::<fn(&X)>() {
        listener(&held);
        return Ok(());
    }
    match plain.downcast_ref::<fn(&X) -> HandlerResult>() {
        Some(listener) => listener(&held),
        None => Err(Failure::internal("the listener takes another payload")),
    }
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

impl Lend for Path {
    type Owned = PathBuf;
    fn lend(owned: &PathBuf) -> &Path {
        owned
    }
}

impl Lend for OsStr {
    type Owned = OsString;
    fn lend(owned: &OsString) -> &OsStr {
        owned
    }
}

impl Lend for CStr {
    type Owned = CString;
    fn lend(owned: &CString) -> &CStr {
        owned
    }
}

/// A borrowed argument of a command, which is owned on its way.
#[diagnostic::on_unimplemented(
    message = "`&{Self}` cannot be an argument of a command",
    label = "does not implement `Clone`, and what is lent at the call is owned on its way",
    note = "derive `Clone`, or take it by value"
)]
pub trait Own: Lend {
    /// Copies it.
    fn own(&self) -> Self::Owned;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Own for T {
    fn own(&self) -> T {
        self.clone()
    }
}

impl Own for str {
    fn own(&self) -> String {
        self.to_owned()
    }
}

impl<T: Clone> Own for [T] {
    fn own(&self) -> Vec<T> {
        self.to_vec()
    }
}

impl Own for Path {
    fn own(&self) -> PathBuf {
        self.to_path_buf()
    }
}

impl Own for OsStr {
    fn own(&self) -> OsString {
        self.to_os_string()
    }
}

impl Own for CStr {
    fn own(&self) -> CString {
        self.to_owned()
    }
}

/// A payload that is taken by value; `SHARED` tells whether that is an `Arc`.
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

/// What a listener may take by value, unless that is an `Arc`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken by value, since every listener hears the same event",
    label = "does not implement `Clone`",
    note = "take `&{Self}` or `Arc<{Self}>`, or derive `Clone`"
)]
pub trait ByValue: Clone {}

#[diagnostic::do_not_recommend]
impl<T: Clone> ByValue for T {}

impl<T: ByValue + Send + Sync + 'static> Take<false> for T {
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
