//! How a command's arguments and answers travel: as JSON, an array of arguments, one answer.

use std::any::{Any, TypeId};
use std::sync::Arc;

use crate::binding::Binding;
use crate::bus::Bus;
use crate::call::{Spec, Task};
use crate::codec::{DecodeFn, EncodeFn};
use crate::error::CodecError;
use crate::execute_error::ExecuteError;
use crate::failure::Failure;
use crate::message::{Head, Message};
use crate::promise::Promise;
use crate::remote::Arrival;
use crate::table::Command;

/// Executes a command with arguments in JSON, for an answer in JSON.
type ExecuteFn = fn(&Bus, Head, &Arc<Command>, &CommandWire, &[u8]) -> Promise<Vec<u8>, Failure>;

/// Makes the task that a transport brought.
type TaskFn = fn(Head, Arc<Binding>, Arrival) -> Arc<dyn Message>;

/// How the arguments and answers of one command travel.
#[derive(Debug, Clone, Copy)]
pub struct CommandWire {
    execute: ExecuteFn,
    task: TaskFn,
    pub(crate) encode_args: EncodeFn,
    pub(crate) decode_args: DecodeFn,
    encode_answer: EncodeFn,
    decode_answer: DecodeFn,
    types: fn() -> TypeId,
}

impl CommandWire {
    /// The wire of command `C`, from what its types can do.
    ///
    /// Generated code demands the traits at the types themselves, where the error is readable. So
    /// a missing half never runs; it answers that it is missing all the same.
    pub const fn probed<C: Spec>(
        encode_args: Option<EncodeFn>,
        decode_args: Option<DecodeFn>,
        encode_answer: Option<EncodeFn>,
        decode_answer: Option<DecodeFn>,
    ) -> Self {
        Self {
            execute: execute::<C>,
            task: |head, binding, arrival| {
                Arc::new(Task::<C::Args>::arrived::<C>(head, binding, arrival))
            },
            encode_args: encoder(encode_args),
            decode_args: decoder(decode_args),
            encode_answer: encoder(encode_answer),
            decode_answer: decoder(decode_answer),
            types: TypeId::of::<(C::Args, C::Ok, C::Err)>,
        }
    }

    /// Whether parameters, answer and error are of the same types.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        (self.types)() == (other.types)()
    }

    /// Reads the answer of command `C`, which somebody gave who has types of his own.
    pub(crate) fn read<C: Spec>(
        &self,
        answer: Result<Vec<u8>, ExecuteError<Failure>>,
    ) -> Result<C::Ok, ExecuteError<C::Err>> {
        let body =
            answer.map_err(|error| error.read_handler(|failure| C::ERRORS.read(&failure)))?;
        let value =
            (self.decode_answer)(&body).map_err(|error| ExecuteError::Codec(error.in_answer()))?;
        let other = |_| CodecError::new("", "the answer became another type");
        value.downcast().map(|value| *value).map_err(other).map_err(ExecuteError::Codec)
    }

    pub(crate) fn execute(
        &self,
        bus: &Bus,
        head: Head,
        command: &Arc<Command>,
        body: &[u8],
    ) -> Promise<Vec<u8>, Failure> {
        (self.execute)(bus, head, command, self, body)
    }

    pub(crate) fn task(
        &self,
        head: Head,
        binding: Arc<Binding>,
        arrival: Arrival,
    ) -> Arc<dyn Message> {
        (self.task)(head, binding, arrival)
    }
}

const fn encoder(encode: Option<EncodeFn>) -> EncodeFn {
    match encode {
        Some(encode) => encode,
        None => |_| Err(missing()),
    }
}

const fn decoder(decode: Option<DecodeFn>) -> DecodeFn {
    match decode {
        Some(decode) => decode,
        None => |_| Err(missing()),
    }
}

fn missing() -> CodecError {
    CodecError::new("", "the type has no codec; derive `Serialize` and `Deserialize` for it")
}

fn execute<C: Spec>(
    bus: &Bus,
    head: Head,
    command: &Arc<Command>,
    wire: &CommandWire,
    body: &[u8],
) -> Promise<Vec<u8>, Failure> {
    let args = match decode_args::<C>(wire.decode_args, body) {
        Ok(args) => args,
        Err(error) => return Promise::ready(Err(ExecuteError::Codec(error))),
    };
    let encode = wire.encode_answer;
    bus.call::<C>(head, command, args).map(move |answer| match answer {
        Ok(value) => encode(&value).map_err(ExecuteError::Codec),
        Err(error) => Err(error.map_handler(|error| C::ERRORS.failure(&error))),
    })
}

/// Reads a command's arguments, and names the parameter that does not fit.
pub(crate) fn decode_args<C: Spec>(decode: DecodeFn, body: &[u8]) -> Result<C::Args, CodecError> {
    let none: Box<dyn Any + Send> = Box::new(());
    // A command without parameters takes `[]` as well as nothing at all.
    let no_parameters = TypeId::of::<C::Args>() == TypeId::of::<()>();
    let args = if no_parameters && is_empty(body) { Ok(none) } else { decode(body) };
    let args = args.map_err(|error| {
        let names = C::DESCRIPTOR.parameters.iter().enumerate();
        names.fold(error, |error, (index, name)| error.in_parameter(name, &format!("[{index}]")))
    })?;
    let args = args.downcast::<C::Args>().map(|args| *args);
    args.map_err(|_| CodecError::new("", "the arguments became another type"))
}

/// Whether a body stands for no arguments.
pub(crate) fn is_empty(body: &[u8]) -> bool {
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    matches!(&*text, b"" | b"null" | b"[]")
}
