//! How a command's arguments and answers travel: as JSON, an array of arguments, one answer.

use std::any::{Any, TypeId};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bus::Bus;
use crate::call::Spec;
use crate::codec::{DecodeFn, EncodeFn, decode, encode, encode_any};
use crate::error::{CodecError, ExecuteError};
use crate::failure::Failure;
use crate::promise::Promise;
use crate::table::Command;

/// How the arguments and answers of one command travel.
#[derive(Debug, Clone, Copy)]
pub struct CommandWire {
    /// Executes it with arguments in JSON and answers in JSON.
    pub(crate) execute: fn(&Bus, &Arc<Command>, &[u8]) -> Promise<Vec<u8>, Failure>,
    pub(crate) encode_args: EncodeFn,
    pub(crate) decode_args: DecodeFn,
}

impl CommandWire {
    /// The wire of command `C`.
    pub const fn new<C: Spec>() -> Self
    where
        C::Args: Serialize + DeserializeOwned,
        C::Ok: Serialize + DeserializeOwned,
    {
        Self {
            execute: execute::<C>,
            encode_args: encode_any::<C::Args>,
            decode_args: |body| Ok(Box::new(decode_args::<C>(body)?)),
        }
    }
}

fn execute<C: Spec>(bus: &Bus, command: &Arc<Command>, body: &[u8]) -> Promise<Vec<u8>, Failure>
where
    C::Args: DeserializeOwned,
    C::Ok: Serialize,
{
    let args = match decode_args::<C>(body) {
        Ok(args) => args,
        Err(error) => return Promise::ready(Err(ExecuteError::Codec(error))),
    };
    bus.call::<C>(command, args).map(|answer| match answer {
        Ok(value) => encode(&value).map_err(ExecuteError::Codec),
        Err(error) => Err(error.map_handler(|error| C::ERRORS.failure(&error))),
    })
}

/// Reads a command's arguments, and names the parameter that does not fit.
fn decode_args<C: Spec>(body: &[u8]) -> Result<C::Args, CodecError>
where
    C::Args: DeserializeOwned,
{
    let none: Box<dyn Any> = Box::new(());
    if TypeId::of::<C::Args>() == TypeId::of::<()>() && is_empty(body) {
        // A command without parameters takes `[]` as well as nothing at all.
        if let Ok(none) = none.downcast::<C::Args>() {
            return Ok(*none);
        }
    }
    decode(body).map_err(|error| {
        let names = C::DESCRIPTOR.parameters.iter().enumerate();
        names.fold(error, |error, (index, name)| error.in_parameter(name, &format!("[{index}]")))
    })
}

/// Whether a body stands for no arguments.
pub(crate) fn is_empty(body: &[u8]) -> bool {
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    matches!(&*text, b"" | b"null" | b"[]")
}
