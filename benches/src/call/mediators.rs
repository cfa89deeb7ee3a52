//! Crates that dispatch a request on the caller's thread.

use hexeract_core::{Command, CommandHandler, HandlerContext, HexeractError};
use hexeract_mediator::MediatorBuilder;
use mediator::{DefaultMediator, Mediator as _, Request};

use super::{answers, answers_async, price};
use crate::order::{Order, Tally};
use crate::runtime::runtime;

struct Priced(Order);

impl Request<u64> for Priced {}

/// `mediator`.
pub(super) fn mediator() -> impl FnMut(u64, u64) -> Tally {
    let mut mediator =
        DefaultMediator::builder().add_handler_fn(|priced: Priced| price(priced.0)).build();
    move |first, n| {
        answers(first, n, |order| mediator.send::<_, u64>(Priced(order)).expect("an answer"))
    }
}

impl Command for Priced {
    type Output = u64;
}

struct Server;

impl CommandHandler<Priced> for Server {
    type Error = HexeractError;

    async fn handle(&self, priced: Priced, _: &HandlerContext) -> Result<u64, HexeractError> {
        Ok(price(priced.0))
    }
}

/// `hexeract-mediator`.
pub(super) fn hexeract() -> impl FnMut(u64, u64) -> Tally {
    let runtime = runtime();
    let mediator = MediatorBuilder::new()
        .register_command_handler::<Priced, _>(Server)
        .build()
        .expect("a mediator");
    move |first, n| {
        runtime.block_on(answers_async(first, n, |order| {
            let answer = mediator.send(Priced(order));
            async { answer.await.expect("an answer") }
        }))
    }
}
