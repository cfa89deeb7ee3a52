//! What an asynchronous handler holds while it runs; given back however it ends.

use std::rc::Rc;
use std::sync::Arc;

use super::{Worker, unharmed};
use crate::binding::Binding;
use crate::delivery::Delivery;
use crate::failure::Failure;
use crate::handler::HandlerResult;
use crate::message::CallFault;

/// An asynchronous delivery that runs. If it is dropped instead, after a shutdown's deadline, whoever
/// waits for it is told.
pub(super) struct Running {
    pub(super) worker: Rc<Worker>,
    pub(super) delivery: Option<Delivery>,
    pub(super) hold: Hold,
}

impl Running {
    pub(super) fn conclude(mut self, result: HandlerResult) {
        self.hold.let_go();
        if let Some(delivery) = self.delivery.take() {
            self.worker.conclude(delivery, result);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(delivery) = self.delivery.take() else { return };
        unharmed(&self.worker.service, || match delivery.message.call() {
            // It ran in part, so whoever called must not take it for refused.
            Some(caller) => caller.fail(CallFault::Interrupted),
            None => delivery.abandon(&self.worker.bus, Failure::abandoned()),
        });
    }
}

/// The place of a task among those that run, and in its lane; free again when dropped.
pub(super) struct Place(Rc<Worker>, Option<Arc<Binding>>);

impl Place {
    pub(super) fn new(worker: &Rc<Worker>, delivery: &Delivery) -> Self {
        let lane = delivery.binding.limit(&*delivery.message).map(|_| delivery.binding.clone());
        if let Some(binding) = &lane {
            worker.service.backlog().enter(binding);
        }
        worker.active.set(worker.active.get() + 1);
        Self(worker.clone(), lane)
    }

    pub(super) fn of_nobody(worker: &Rc<Worker>) -> Self {
        worker.active.set(worker.active.get() + 1);
        Self(worker.clone(), None)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(binding) = &self.1 {
            self.0.service.backlog().leave(binding);
        }
        self.0.active.set(self.0.active.get() - 1);
        self.0.change();
    }
}

/// That a handler uses the state of its service; over when dropped.
pub(super) struct Hold(Option<(Rc<Worker>, (u64, u32))>);

impl Hold {
    pub(super) fn new(worker: &Rc<Worker>, delivery: &Delivery) -> Self {
        if worker.service.state.is_none() {
            return Self(None);
        }
        let me = (delivery.message.head().seq, delivery.slot);
        worker.service.lock_holders().push((me, delivery.binding.access));
        Self(Some((worker.clone(), me)))
    }

    fn let_go(&mut self) {
        if let Some((worker, me)) = self.0.take() {
            worker.service.lock_holders().retain(|(holder, _)| *holder != me);
            worker.change();
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.let_go();
    }
}
