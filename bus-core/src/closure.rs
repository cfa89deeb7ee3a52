//! Closures as handlers: how their shapes are told apart and their types erased.

use std::any::TypeId;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::binding::Code;
use crate::codec::{self, PayloadCodec, decode_any};
use crate::context::Context;
use crate::dynamic::EncodedCall;
use crate::error::CodecError;
use crate::event::PayloadDescriptor;
use crate::execute_error::ExecuteError;
use crate::failure::Failure;
use crate::handler::{Body, HandlerResult};
use crate::outcome::IntoOutcome;
use crate::wire;

/// A closure that can be a command.
///
/// It takes up to six serde types and, last, perhaps `&Context`; it returns a serde type, a
/// `Result` of two, or, without `&Context`, a future of either. `M` tells the shapes apart and is
/// always inferred.
#[diagnostic::on_unimplemented(
    message = "this closure cannot be a command",
    note = "a command takes up to six serde types, and returns a serde type, a `Result` of two, \
            or a future of either; write the parameters' types"
)]
pub trait CommandFn<M>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_closure(self) -> Closure;
}

/// A closure that can be a listener.
///
/// It takes the payload, by value or by reference (a text as `String`), or `&Context`, or both; it
/// returns nothing, `Result<(), E>`, or, without `&Context`, a future of either. `M` tells the
/// shapes apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "this closure cannot be a listener",
    note = "a listener takes a payload that is a serde type, or `&Context`, or both, and returns \
            nothing, `Result<(), E>`, or a future of either; write the parameters' types"
)]
pub trait ListenerFn<M>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_closure(self) -> Closure;
}

/// The code of a closure, with its types erased.
#[derive(Clone)]
pub struct Closure {
    pub(crate) code: Code,
    pub(crate) payload: Option<PayloadDescriptor>,
}

impl Closure {
    /// The code of a macro's function.
    pub(crate) fn linked(body: Body, payload: Option<PayloadDescriptor>) -> Self {
        Self { code: Code::Linked(body), payload }
    }
}

impl std::fmt::Debug for Closure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Closure(..)")
    }
}

/// Marks one shape of closure: its parameters, and how it takes and answers them.
#[derive(Debug)]
pub struct Shape<P: ?Sized, K>(PhantomData<P>, PhantomData<K>);

macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $mark;
    )*};
}

marks! {
    /// Takes its parameters by value and answers when it returns.
    Now
    /// The same, and takes the context last.
    WithContext
    /// Takes its parameters by value and returns a future.
    Later
    /// Borrows the payload.
    Borrowing
    /// Borrows the payload and takes the context.
    BorrowingWithContext
    /// Takes the context alone.
    OnlyContext
}

macro_rules! commands {
    ($($p:ident)*) => {
        impl<F, R, $($p),*> CommandFn<Shape<($($p,)*), Now>> for F
        where
            F: Fn($($p),*) -> R + Send + Sync + 'static,
            R: Serialize + 'static,
            $($p: DeserializeOwned + 'static,)*
        {
            fn into_closure(self) -> Closure {
                command(Code::Closure(Arc::new(move |ctx| {
                    #[allow(non_snake_case, reason = "a value is called like its type")]
                    serve(ctx, |($($p,)*)| self($($p),*))
                })))
            }
        }

        impl<F, R, $($p),*> CommandFn<Shape<($($p,)*), WithContext>> for F
        where
            F: Fn($($p,)* &Context) -> R + Send + Sync + 'static,
            R: Serialize + 'static,
            $($p: DeserializeOwned + 'static,)*
        {
            fn into_closure(self) -> Closure {
                command(Code::Closure(Arc::new(move |ctx| {
                    #[allow(non_snake_case, reason = "a value is called like its type")]
                    serve(ctx, |($($p,)*)| self($($p,)* ctx))
                })))
            }
        }

        impl<F, R, $($p),*> CommandFn<Shape<($($p,)*), Later>> for F
        where
            F: Fn($($p),*) -> R + Send + Sync + 'static,
            R: Future + 'static,
            R::Output: Serialize + 'static,
            $($p: DeserializeOwned + 'static,)*
        {
            fn into_closure(self) -> Closure {
                let this = Arc::new(self);
                command(Code::AsyncClosure(Arc::new(move |ctx| {
                    let this = this.clone();
                    Box::pin(async move {
                        #[allow(non_snake_case, reason = "a value is called like its type")]
                        let started = begin(&ctx, |($($p,)*)| this($($p),*));
                        match started {
                            Ok(running) => end(&ctx, &running.await),
                            Err(failure) => Err(failure),
                        }
                    })
                })))
            }
        }
    };
}

/// Arguments of a closure.
trait Arguments: Sized {
    fn read(body: &[u8]) -> Result<Self, CodecError>;
}

impl Arguments for () {
    fn read(body: &[u8]) -> Result<Self, CodecError> {
        if wire::is_empty(body) { Ok(()) } else { codec::decode(body) }
    }
}

impl<A: DeserializeOwned> Arguments for (A,) {
    fn read(body: &[u8]) -> Result<Self, CodecError> {
        // A closure of one parameter may take the arguments as the tuple that they are.
        codec::decode(body).or_else(|error| codec::decode(body).map(|a| (a,)).map_err(|_| error))
    }
}

macro_rules! arguments {
    ($($p:ident)*) => {
        impl<$($p: DeserializeOwned),*> Arguments for ($($p,)*) {
            fn read(body: &[u8]) -> Result<Self, CodecError> {
                codec::decode(body)
            }
        }
    };
}

arguments!(A B);
arguments!(A B C);
arguments!(A B C D);
arguments!(A B C D E);
arguments!(A B C D E G);

commands!();
commands!(A);
commands!(A B);
commands!(A B C);
commands!(A B C D);
commands!(A B C D E);
commands!(A B C D E G);

fn command(code: Code) -> Closure {
    Closure { code, payload: None }
}

fn call_of(ctx: &Context) -> Result<&EncodedCall, Failure> {
    let message: &dyn std::any::Any = &**ctx.message();
    let call = message.downcast_ref::<EncodedCall>();
    call.ok_or_else(|| Failure::internal("the message is not for a closure"))
}

fn serve<A: Arguments, R: Serialize + 'static>(
    ctx: &Context,
    run: impl FnOnce(A) -> R,
) -> HandlerResult {
    let answer = begin(ctx, run)?;
    end(ctx, &answer)
}

/// Reads the arguments and calls the closure.
fn begin<A: Arguments, R>(ctx: &Context, run: impl FnOnce(A) -> R) -> Result<R, Failure> {
    let call = call_of(ctx)?;
    match A::read(call.body()) {
        Ok(arguments) => Ok(run(arguments)),
        Err(error) => {
            call.answer(Err(ExecuteError::Codec(error.clone())));
            Err(Failure::undecodable(&error))
        }
    }
}

/// Writes the answer.
fn end<R: Serialize + 'static>(ctx: &Context, answer: &R) -> HandlerResult {
    let call = call_of(ctx)?;
    match split(answer) {
        Ok(Ok(body)) => {
            call.answer(Ok(body));
            Ok(())
        }
        Ok(Err(failure)) => {
            call.answer(Err(ExecuteError::Handler(failure.clone())));
            Err(failure)
        }
        Err(error) => {
            call.answer(Err(ExecuteError::Codec(error.clone())));
            Err(Failure::undecodable(&error))
        }
    }
}

/// Writes an answer; that of a `Result` is its value or its error.
///
/// Whether `R` is a `Result` is asked of its name. The compiler promises no form of it, so a test
/// pins it; were it to change, a `Result` would arrive as the enum that it is.
fn split<R: Serialize + 'static>(answer: &R) -> Result<Result<Vec<u8>, Failure>, CodecError> {
    let body = codec::encode(answer)?;
    if !std::any::type_name::<R>().starts_with("core::result::Result<") {
        return Ok(Ok(body));
    }
    let result: Result<Box<serde_json::value::RawValue>, serde_json::Value> = codec::decode(&body)?;
    Ok(match result {
        Ok(value) => Ok(value.get().as_bytes().to_vec()),
        Err(error) => {
            let text = match &error {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            Err(Failure::error(text, true).with_value(codec::encode(&error).ok()))
        }
    })
}

fn payload_of<T: DeserializeOwned + Send + 'static>() -> PayloadDescriptor {
    PayloadDescriptor {
        type_id: TypeId::of::<T>,
        type_name: std::any::type_name::<T>,
        codec: PayloadCodec { encode: None, decode: Some(decode_any::<T>) },
    }
}

/// The payload, owned: the closure's type need not be `Clone`, so a fired value takes the codec.
fn owned<T: DeserializeOwned + Send + Sync + 'static>(ctx: &Context) -> Result<T, Failure> {
    match ctx.payload::<T>()?.into_own() {
        Ok(value) => Ok(value),
        Err(_fired) => ctx
            .message()
            .encode()
            .and_then(|body| codec::decode(&body))
            .map_err(|error| Failure::undecodable(&error)),
    }
}

fn listener<T: DeserializeOwned + Send + 'static>(
    run: impl Fn(&Context) -> HandlerResult + Send + Sync + 'static,
) -> Closure {
    Closure { code: Code::Closure(Arc::new(run)), payload: Some(payload_of::<T>()) }
}

impl<F, T, R> ListenerFn<Shape<T, Now>> for F
where
    F: Fn(T) -> R + Send + Sync + 'static,
    T: DeserializeOwned + Send + Sync + 'static,
    R: IntoOutcome,
{
    fn into_closure(self) -> Closure {
        listener::<T>(move |ctx| self(owned(ctx)?).outcome())
    }
}

impl<F, T, R> ListenerFn<Shape<T, WithContext>> for F
where
    F: Fn(T, &Context) -> R + Send + Sync + 'static,
    T: DeserializeOwned + Send + Sync + 'static,
    R: IntoOutcome,
{
    fn into_closure(self) -> Closure {
        listener::<T>(move |ctx| self(owned(ctx)?, ctx).outcome())
    }
}

impl<F, T, R> ListenerFn<Shape<T, Borrowing>> for F
where
    F: Fn(&T) -> R + Send + Sync + 'static,
    T: DeserializeOwned + Send + Sync + 'static,
    R: IntoOutcome,
{
    fn into_closure(self) -> Closure {
        listener::<T>(move |ctx| self(&*ctx.payload::<T>()?).outcome())
    }
}

impl<F, T, R> ListenerFn<Shape<T, BorrowingWithContext>> for F
where
    F: Fn(&T, &Context) -> R + Send + Sync + 'static,
    T: DeserializeOwned + Send + Sync + 'static,
    R: IntoOutcome,
{
    fn into_closure(self) -> Closure {
        listener::<T>(move |ctx| self(&*ctx.payload::<T>()?, ctx).outcome())
    }
}

impl<F, R> ListenerFn<Shape<(), OnlyContext>> for F
where
    F: Fn(&Context) -> R + Send + Sync + 'static,
    R: IntoOutcome,
{
    fn into_closure(self) -> Closure {
        let code = Code::Closure(Arc::new(move |ctx: &Context| self(ctx).outcome()));
        Closure { code, payload: None }
    }
}

impl<F, T, R> ListenerFn<Shape<T, Later>> for F
where
    F: Fn(T) -> R + Send + Sync + 'static,
    T: DeserializeOwned + Send + Sync + 'static,
    R: Future + 'static,
    R::Output: IntoOutcome,
{
    fn into_closure(self) -> Closure {
        let this = Arc::new(self);
        let code = Code::AsyncClosure(Arc::new(move |ctx: Context| {
            let this = this.clone();
            Box::pin(async move { this(owned(&ctx)?).await.outcome() })
        }));
        Closure { code, payload: Some(payload_of::<T>()) }
    }
}
