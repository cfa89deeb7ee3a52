//! The state of a service: made by its own thread, made anew after a panic, torn down.

use std::rc::Rc;

use super::running::Place;
use super::{Started, Worker, caught, unharmed};
use crate::context::Context;
use crate::current::Current;
use crate::failure::Failure;
use crate::handler::Access;

impl Worker {
    pub(super) async fn make_state(&self, ctx: Context) -> Result<(), Failure> {
        let Some(descriptor) = self.service.state else { return Ok(()) };
        let _underway = self.bus.underway(&ctx);
        let current = Current::of(&ctx);
        let instance = caught(current.scope((descriptor.init)(ctx))).await?;
        self.instance.replace(instance);
        self.broken.set(false);
        Ok(())
    }

    /// Makes the state anew after a panic, once nobody holds it. If that fails, the delivery that is
    /// first in line fails with it, and the next one tries again.
    pub(super) fn rebuild(self: &Rc<Self>) {
        let ctx = Context::of_service(self.bus.clone(), self.service.clone());
        let me = ctx.invocation();
        self.service.lock_holders().push((me, Access::Exclusive));
        let place = Place::of_nobody(self);
        let this = self.clone();
        self.tasks.spawn(async move {
            let _place = place;
            tracing::warn!(service = &*this.service.name, "the state is made anew after a panic");
            unharmed(&this.service, || drop(this.instance.take()));
            let made = this.make_state(ctx).await;
            this.service.lock_holders().retain(|(holder, _)| *holder != me);
            if let Err(failure) = made {
                this.fail_first(&Failure::unavailable(&failure));
            }
        });
    }

    /// Fails the delivery that is first in line.
    pub(super) fn fail_first(&self, failure: &Failure) {
        let first = self.service.backlog().next(&self.service);
        if let Some(delivery) = first {
            let _started = Started::new(&*self.service);
            self.conclude(delivery, Err(failure.clone()));
        }
        self.change();
    }

    pub(super) async fn tear_down(&self) {
        let instance = self.instance.take();
        let Some(descriptor) = self.service.state.filter(|_| instance.is_some()) else { return };
        if self.broken.get() {
            let service = &*self.service.name;
            tracing::warn!(service, "a panic left the state broken; its shutdown is not run");
            return unharmed(&self.service, || drop(instance));
        }
        let Some(shutdown) = descriptor.shutdown else { return };
        let ctx = Context::of_service(self.bus.clone(), self.service.clone());
        let current = Current::of(&ctx);
        if let Err(failure) = caught(current.scope(shutdown(ctx, instance))).await {
            let service = &*self.service.name;
            tracing::error!(service, %failure, "the service's shutdown failed");
        }
    }
}
