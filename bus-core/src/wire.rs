//! How a command's arguments and answers travel: as JSON, an array of arguments, one answer.

use std::any::{Any, TypeId};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::binding::Binding;
use crate::bus::Bus;
use crate::call::{Errors, Spec, Task};
use crate::codec::{DecodeFn, EncodeFn, decode_any, encode_any};
use crate::error::CodecError;
use crate::execute_error::ExecuteError;
use crate::failure::Failure;
use crate::message::{Head, MessageRef};
use crate::promise::Promise;
use crate::remote::Arrival;
use crate::table::Command;

/// Executes a command with arguments in JSON, for an answer in JSON.
type ExecuteFn = fn(&Bus, Head, &Arc<Command>, &CommandWire, &[u8]) -> Promise<Vec<u8>, Failure>;

/// Makes the task that a transport brought.
type TaskFn = fn(Head, Arc<Binding>, Arrival, CommandWire) -> MessageRef;

/// How the arguments and answers of one command travel.
#[derive(Debug, Clone, Copy)]
pub struct CommandWire {
    pub(crate) types: &'static WireTypes,
    /// The names of the parameters that travel.
    parameters: &'static [&'static str],
    /// The `Errors` of the command's error.
    errors: &'static (dyn Any + Send + Sync),
}

/// How arguments and answers of some types travel, whatever the command. All commands of these
/// types have this in common, so that a further one is little more than its function.
#[derive(Debug)]
pub struct WireTypes {
    execute: ExecuteFn,
    task: TaskFn,
    pub(crate) encode_args: EncodeFn,
    pub(crate) decode_args: DecodeFn,
    encode_answer: EncodeFn,
    decode_answer: DecodeFn,
    types: fn() -> TypeId,
}

impl WireTypes {
    pub(crate) const fn of<A, T, E>() -> Self
    where
        A: Serialize + DeserializeOwned + Send + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Send + 'static,
    {
        Self {
            execute: execute::<A, T, E>,
            task: |head, binding, arrival, wire| {
                MessageRef::new(Task::<A>::arrived(head, binding, arrival, wire))
            },
            encode_args: encode_any::<A>,
            decode_args: decode_any::<A>,
            encode_answer: encode_any::<T>,
            decode_answer: decode_any::<T>,
            types: TypeId::of::<(A, T, E)>,
        }
    }
}

impl CommandWire {
    /// The wire of a command of the types that were probed.
    ///
    /// Generated code demands the traits at the types themselves, where the error is readable; so
    /// a program without them does not compile, and never comes to lack its wire.
    pub const fn new(
        types: Option<&'static WireTypes>,
        parameters: &'static [&'static str],
        errors: &'static (dyn Any + Send + Sync),
    ) -> Option<Self> {
        match types {
            Some(types) => Some(Self { types, parameters, errors }),
            None => None,
        }
    }

    /// Whether parameters, answer and error are of the same types.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        std::ptr::eq(self.types, other.types) || (self.types.types)() == (other.types.types)()
    }

    /// Reads the answer of command `C`, which somebody gave who has types of his own.
    pub(crate) fn read<C: Spec>(
        &self,
        answer: Result<Vec<u8>, ExecuteError<Failure>>,
    ) -> Result<C::Ok, ExecuteError<C::Err>> {
        let body =
            answer.map_err(|error| error.read_handler(|failure| C::ERRORS.read(&failure)))?;
        let value = (self.types.decode_answer)(&body)
            .map_err(|error| ExecuteError::Codec(error.in_answer()))?;
        let other = |_| CodecError::new("", "the answer became another type");
        value.downcast().map(|value| *value).map_err(other).map_err(ExecuteError::Codec)
    }

    /// Reads the arguments, and names the parameter that does not fit.
    pub(crate) fn read_args<A: 'static>(&self, body: &[u8]) -> Result<A, CodecError> {
        let args = self.read_any(body, TypeId::of::<A>() == TypeId::of::<()>())?;
        let args = args.downcast::<A>().map(|args| *args);
        args.map_err(|_| CodecError::new("", "the arguments became another type"))
    }

    /// A command without parameters takes `[]` as well as nothing at all.
    fn read_any(
        &self,
        body: &[u8],
        no_parameters: bool,
    ) -> Result<Box<dyn Any + Send>, CodecError> {
        if no_parameters && is_empty(body) {
            return Ok(Box::new(()));
        }
        (self.types.decode_args)(body).map_err(|error| {
            let names = self.parameters.iter().enumerate();
            names
                .fold(error, |error, (index, name)| error.in_parameter(name, &format!("[{index}]")))
        })
    }

    pub(crate) fn execute(
        &self,
        bus: &Bus,
        head: Head,
        command: &Arc<Command>,
        body: &[u8],
    ) -> Promise<Vec<u8>, Failure> {
        (self.types.execute)(bus, head, command, self, body)
    }

    pub(crate) fn task(&self, head: Head, binding: Arc<Binding>, arrival: Arrival) -> MessageRef {
        (self.types.task)(head, binding, arrival, *self)
    }
}

fn execute<A, T, E>(
    bus: &Bus,
    head: Head,
    command: &Arc<Command>,
    wire: &CommandWire,
    body: &[u8],
) -> Promise<Vec<u8>, Failure>
where
    A: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let args: A = match wire.read_args(body) {
        Ok(args) => args,
        Err(error) => return Promise::ready(Err(ExecuteError::Codec(error))),
    };
    let encode = wire.types.encode_answer;
    let errors = wire.errors.downcast_ref::<Errors<E>>();
    bus.call::<A, T, E>(head, command, args).map(move |answer| match answer {
        Ok(value) => encode(&value).map_err(ExecuteError::Codec),
        Err(error) => Err(error.map_handler(|error| match errors {
            Some(errors) => errors.failure(&error),
            None => Failure::internal("the error is of another type"),
        })),
    })
}

/// Whether a body stands for no arguments.
pub(crate) fn is_empty(body: &[u8]) -> bool {
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    matches!(&*text, b"" | b"null" | b"[]")
}
