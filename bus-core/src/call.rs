//! A command on its way: the call that somebody waits for, and the task that nobody does.

use std::any::Any;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use event_listener::{Event as Notify, EventListener};

use crate::binding::Binding;
use crate::codec::{DecodeFn, EncodeFn};
use crate::command::CommandDescriptor;
use crate::context::Context;
use crate::error::CodecError;
use crate::execute_error::ExecuteError;
use crate::failure::Failure;
use crate::handler::{HandlerResult, Plain};
use crate::message::{CallFault, Caller, Head, Message, Payload};
use crate::promise::{Answered, Slot};
use crate::remote::Arrival;
use crate::sync::Brief;
use crate::wire::CommandWire;

/// Copies a value.
pub type CloneFn<T> = fn(&T) -> T;

/// The types of one command; implemented by generated code, for a type that nobody can name.
pub trait Spec: 'static {
    /// The owned parameters that travel, as a tuple.
    type Args: Send + 'static;
    /// The answer.
    type Ok: Send + 'static;
    /// The handler's error.
    type Err: Send + 'static;
    /// What the macro says of the command.
    const DESCRIPTOR: &'static CommandDescriptor;
    /// Copies the arguments, if they can be copied.
    const CLONE: Option<CloneFn<Self::Args>>;
    /// What can be done with an error.
    const ERRORS: &'static Errors<Self::Err>;
}

/// What can be done with the error of a command.
#[derive(Debug)]
pub struct Errors<E> {
    /// Writes it for people.
    pub text: Option<fn(&E) -> String>,
    /// Writes it for the wire.
    pub encode: Option<EncodeFn>,
    /// Reads it from the wire.
    pub decode: Option<DecodeFn>,
    /// Whether a task that failed with it is tried again.
    pub retry_if: Option<fn(&E) -> bool>,
}

impl Errors<Infallible> {
    /// Of a command that cannot fail.
    pub const NEVER: &'static Self =
        &Self { text: None, encode: None, decode: None, retry_if: None };
}

impl<E: 'static> Errors<E> {
    /// The error as a failure: text for people, a value for who can read it.
    pub(crate) fn failure(&self, error: &E) -> Failure {
        let text = match self.text {
            Some(text) => text(error),
            None => format!("an error of type `{}`", std::any::type_name::<E>()),
        };
        let retry = self.retry_if.is_none_or(|retry_if| retry_if(error));
        let value = self.encode.and_then(|encode| encode(error).ok());
        Failure::error(text, retry).with_value(value)
    }

    /// The error that a failure was made of, if it can be read; else the text.
    pub(crate) fn read(&self, failure: &Failure) -> Result<E, String> {
        let value = self.decode.zip(failure.value()).and_then(|(decode, body)| decode(body).ok());
        let error = value.and_then(|value| value.downcast().ok());
        error.map(|error| *error).ok_or_else(|| failure.message().to_owned())
    }
}

/// A command that takes nothing but its arguments, as the function that it is.
#[derive(Debug)]
pub struct PlainCommand<A, T, E: 'static> {
    /// The function, of its arguments as a tuple.
    pub run: fn(A) -> Result<T, E>,
    /// What can be done with its errors.
    pub errors: &'static Errors<E>,
}

/// A call that somebody waits for; one allocation with its answer.
///
/// It knows the types of the command and not the command: a contract and its implementation are two.
pub(crate) struct Call<A, T, E> {
    head: Head,
    binding: Arc<Binding>,
    args: Brief<Option<A>>,
    answer: Slot<T, E>,
    cancelled: AtomicBool,
    cancel: Notify,
}

impl<A, T, E> Call<A, T, E> {
    pub(crate) fn new(head: Head, binding: Arc<Binding>, args: A) -> Self {
        Self {
            head,
            binding,
            args: Brief::new(Some(args)),
            answer: Slot::default(),
            cancelled: AtomicBool::new(false),
            cancel: Notify::new(),
        }
    }
}

impl<A, T, E> Call<A, T, E> {
    pub(crate) fn binding(&self) -> &Arc<Binding> {
        &self.binding
    }

    pub(crate) fn into_args(self) -> Option<A> {
        self.args.into_inner()
    }
}

impl<A, T, E> Message for Call<A, T, E>
where
    A: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    fn head(&self) -> &Head {
        &self.head
    }

    fn subject(&self) -> (&str, &str) {
        ("", &self.binding.name)
    }

    fn handler(&self) -> Option<&Arc<Binding>> {
        Some(&self.binding)
    }

    fn plain_call(&self) -> Option<&Arc<Binding>> {
        Some(&self.binding).filter(|binding| binding.plain.is_some())
    }

    fn payload(&self) -> Payload<'_> {
        Payload::Encoded(b"null")
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::new("", "a call that somebody waits for is not kept"))
    }

    fn call(&self) -> Option<&dyn Caller> {
        Some(self)
    }

    fn run_plain(&self, plain: Plain) -> Option<HandlerResult> {
        let command = plain.downcast_ref::<PlainCommand<A, T, E>>()?;
        Some(match self.take_args() {
            Ok(args) => self.close((command.run)(args), command.errors),
            Err(failure) => Err(failure),
        })
    }
}

impl<A, T, E: 'static> Call<A, T, E> {
    fn take_args(&self) -> Result<A, Failure> {
        let args = self.args.lock().take();
        args.ok_or_else(|| Failure::internal("the arguments were taken before"))
    }

    /// Gives what the handler returned to whoever waits for it.
    fn close(&self, result: Result<T, E>, errors: &Errors<E>) -> HandlerResult {
        match result {
            Ok(answer) => {
                self.answer.fill(Ok(answer));
                Ok(())
            }
            Err(error) => {
                let failure = errors.failure(&error);
                self.answer.fill(Err(ExecuteError::Handler(error)));
                Err(failure)
            }
        }
    }
}

impl<A, T, E> Caller for Call<A, T, E> {
    fn fail(&self, why: CallFault) {
        self.answer.fill(Err(why.into()));
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.cancel.notify(usize::MAX);
        self.answer.fill(Err(ExecuteError::Cancelled));
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    fn listen_cancelled(&self) -> EventListener {
        self.cancel.listen()
    }
}

impl<A, T, E> Answered<T, E> for Call<A, T, E>
where
    A: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    fn slot(&self) -> &Slot<T, E> {
        &self.answer
    }
}

impl<E> From<CallFault> for ExecuteError<E> {
    fn from(why: CallFault) -> Self {
        match why {
            CallFault::Panicked => Self::Panicked,
            CallFault::Refused(text) => Self::Refused(text),
            CallFault::Cancelled => Self::Cancelled,
            CallFault::Closed => Self::Closed,
            CallFault::Interrupted => Self::Interrupted,
            CallFault::Failed(text) => Self::Remote(text),
            CallFault::Unavailable(text) => Self::Transport(text),
        }
    }
}

/// A command that runs without anybody waiting; it keeps its arguments for further attempts.
pub(crate) struct Task<A> {
    head: Head,
    binding: Arc<Binding>,
    args: Kept<A>,
    encode: Option<EncodeFn>,
    /// A transport brought it.
    arrival: Option<Arrival>,
}

/// Arguments that more than one attempt may need.
enum Kept<A> {
    Copied(Mutex<A>, fn(&A) -> A),
    Encoded(Vec<u8>, DecodeFn),
    Once(Mutex<Option<A>>),
    /// In the envelope that it came in.
    Arrived(CommandWire),
}

impl<A: Send + 'static> Task<A> {
    pub(crate) fn new<C: Spec<Args = A>>(
        head: Head,
        binding: Arc<Binding>,
        args: A,
    ) -> Result<Self, CodecError> {
        let wire = C::DESCRIPTOR.wire.as_ref();
        let args = match (C::CLONE, wire) {
            (Some(copy), _) => Kept::Copied(Mutex::new(args), copy),
            (None, Some(wire)) => {
                Kept::Encoded((wire.types.encode_args)(&args)?, wire.types.decode_args)
            }
            (None, None) => Kept::Once(Mutex::new(Some(args))),
        };
        let encode = wire.map(|wire| wire.types.encode_args);
        Ok(Self { head, binding, args, encode, arrival: None })
    }
}

impl<A: 'static> Task<A> {
    /// Of what a transport brought.
    pub(crate) fn arrived(
        head: Head,
        binding: Arc<Binding>,
        arrival: Arrival,
        wire: CommandWire,
    ) -> Self {
        Self { head, binding, args: Kept::Arrived(wire), encode: None, arrival: Some(arrival) }
    }

    fn body(&self) -> &[u8] {
        self.arrival.as_ref().map_or(b"null", |arrival| &arrival.envelope.body)
    }

    fn args(&self) -> Result<A, Failure> {
        match &self.args {
            Kept::Copied(args, copy) => {
                Ok(copy(&args.lock().unwrap_or_else(PoisonError::into_inner)))
            }
            Kept::Encoded(body, decode) => decode(body)
                .and_then(|args| {
                    let args = args.downcast::<A>().map(|args| *args);
                    args.map_err(|_| CodecError::new("", "the arguments became another type"))
                })
                .map_err(|error| Failure::undecodable(&error)),
            Kept::Arrived(wire) => {
                wire.read_args(self.body()).map_err(|error| Failure::undecodable(&error))
            }
            Kept::Once(args) => {
                args.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(|| {
                    let text = "the arguments are neither `Clone` nor serde types, \
                                so there is one attempt only";
                    Failure::error(text, false)
                })
            }
        }
    }
}

impl<A: Send + 'static> Message for Task<A> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn subject(&self) -> (&str, &str) {
        ("", &self.binding.name)
    }

    fn handler(&self) -> Option<&Arc<Binding>> {
        Some(&self.binding)
    }

    fn payload(&self) -> Payload<'_> {
        match &self.args {
            Kept::Encoded(body, _) => Payload::Encoded(body),
            Kept::Arrived(_) => Payload::Encoded(self.body()),
            Kept::Copied(..) | Kept::Once(_) => Payload::Encoded(b"null"),
        }
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        if let Kept::Arrived(_) = &self.args {
            return Ok(self.body().to_vec());
        }
        let missing = || CodecError::new("", "the command is local; its arguments have no codec");
        let encode = self.encode.ok_or_else(missing)?;
        match &self.args {
            Kept::Encoded(body, _) => Ok(body.clone()),
            Kept::Copied(args, _) => encode(&*args.lock().unwrap_or_else(PoisonError::into_inner)),
            Kept::Once(_) | Kept::Arrived(_) => Err(missing()),
        }
    }

    fn arrival(&self) -> Option<&Arrival> {
        self.arrival.as_ref()
    }
}

/// Runs a command that takes nothing but its arguments.
///
/// # Errors
///
/// Its own, or why it did not run.
pub fn run_plain<A: 'static, T: 'static, E: 'static>(ctx: &Context, plain: Plain) -> HandlerResult {
    let Some(command) = plain.downcast_ref::<PlainCommand<A, T, E>>() else {
        return Err(Failure::internal("the command is of other types"));
    };
    let args = open::<A, T, E>(ctx)?;
    close::<A, T, E>(ctx, (command.run)(args), command.errors)
}

/// Takes the arguments of a command out of the message that is handled.
///
/// # Errors
///
/// If the message is not for a command of these types, which the runtime rules out, or if a task's
/// arguments do not decode.
pub fn open<A: 'static, T: 'static, E: 'static>(ctx: &Context) -> Result<A, Failure> {
    let message: &dyn Any = &**ctx.message();
    if let Some(call) = message.downcast_ref::<Call<A, T, E>>() {
        return call.take_args();
    }
    match message.downcast_ref::<Task<A>>() {
        Some(task) => task.args(),
        None => Err(Failure::internal("the message is not for this command")),
    }
}

/// Gives what a command returned to whoever waits for it.
///
/// # Errors
///
/// The command's own, as the outcome of the attempt.
pub fn close<A: 'static, T: 'static, E: 'static>(
    ctx: &Context,
    result: Result<T, E>,
    errors: &Errors<E>,
) -> HandlerResult {
    let message: &dyn Any = &**ctx.message();
    match message.downcast_ref::<Call<A, T, E>>() {
        Some(call) => call.close(result, errors),
        None => result.map(drop).map_err(|error| errors.failure(&error)),
    }
}
