//! `actix`: an actor on an arbiter's thread, sent to without waiting for room: `do_send` has no bound.

use actix::{Actor, Addr, Arbiter, Context, Handler, Message, System};

use super::{SINK, produce};
use crate::order::{Order, Tally};

struct Listener;

impl Actor for Listener {
    type Context = Context<Self>;
}

struct Submitted(Order);

impl Message for Submitted {
    type Result = ();
}

impl Handler<Submitted> for Listener {
    type Result = ();

    fn handle(&mut self, submitted: Submitted, _: &mut Self::Context) {
        SINK.add(&submitted.0);
    }
}

/// Starts an actor on a thread of its own.
pub(crate) fn start<A: Actor<Context = Context<A>> + Send>(actor: fn() -> A) -> Addr<A> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let system = System::new();
        system.block_on(async {
            let _ = sender.send(A::start_in_arbiter(&Arbiter::current(), move |_| actor()));
        });
        let _ = system.run();
    });
    receiver.recv().expect("an actor")
}

/// `do_send`.
pub(super) fn do_send<const P: u64>() -> impl FnMut(u64, u64) -> Tally {
    let actor = start(|| Listener);
    move |first, n| produce::<P>(first, n, |order| actor.do_send(Submitted(order)))
}
