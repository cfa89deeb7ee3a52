//! A substitute: it consumes the mailbox of a service without state while a handler on the service's
//! own thread waits.
//!
//! It runs synchronous handlers, under the service's turn, and hands asynchronous ones to the
//! service's own thread, whose executor goes on. Its work is over once the mailbox is empty or the
//! own thread is back. If one of its handlers waits in its turn, the next substitute takes over.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::{Service, stand};
use crate::bus::Bus;
use crate::current::Home;
use crate::park;

pub(super) struct Substitute {
    bus: Bus,
    service: Arc<Service>,
    home: Rc<Home>,
    consumes: Cell<bool>,
}

/// Starts the substitute that the mailbox of `service` has appointed.
pub(crate) fn spawn(bus: &Bus, service: &Arc<Service>) {
    let (own_bus, own_service) = (bus.clone(), service.clone());
    let awake = bus.awake();
    let spawned = std::thread::Builder::new().name(service.name.to_string()).spawn(move || {
        awake.iter().for_each(park::count);
        serve(own_bus, own_service);
    });
    if let Err(error) = spawned {
        let service_name = &*service.name;
        tracing::error!(service = service_name, %error, "no thread for a substitute; work waits");
        service.mailbox.dismiss();
    }
}

fn serve(bus: Bus, service: Arc<Service>) {
    let runtime = bus.runtime();
    let _inside = runtime.enter();
    let home = Home::new(&bus, &service);
    let substitute = Rc::new(Substitute { bus, service, home, consumes: Cell::new(true) });
    let _standing = stand::substitute(&substitute);
    substitute.run();
    substitute.service.mailbox.leave();
}

impl Substitute {
    pub(super) fn service(&self) -> &Arc<Service> {
        &self.service
    }

    fn run(&self) {
        while self.consumes.get() {
            let batch = self.service.mailbox.take_as_substitute();
            if batch.is_empty() {
                self.consumes.set(false);
                return;
            }
            self.service.backlog().extend(batch, &self.service, self.bus.is_bare());
            while self.serve_next() {}
        }
    }

    /// Serves the next delivery; `false` if there is none, or the service's own thread is back.
    fn serve_next(&self) -> bool {
        // Whoever has the turn takes the next one, so they start in the order of the line.
        self.service.turn.acquire();
        if self.consumes.get() && self.service.mailbox.is_recalled() {
            self.give_up();
        }
        let delivery = self
            .consumes
            .get()
            .then(|| self.service.backlog().next_of_any(&self.service))
            .flatten();
        let served = delivery.is_some();
        match delivery {
            Some(delivery) if delivery.binding.code.is_async() => self.service.hand_over(delivery),
            Some(delivery) => super::serve_one(&self.home, delivery),
            None => {}
        }
        self.service.turn.release();
        served
    }

    fn give_up(&self) {
        self.consumes.set(false);
        let rest = self.service.backlog().take();
        if self.service.mailbox.give_up(rest) {
            spawn(&self.bus, &self.service);
        }
    }

    /// Waits in the middle of a handler: the turn and the mailbox are for others meanwhile.
    pub(super) fn wait<T>(
        &self,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        if self.consumes.get() {
            self.give_up();
        }
        self.service.turn.release();
        let output = park::until(deadline, poll);
        self.service.turn.acquire();
        output
    }
}
