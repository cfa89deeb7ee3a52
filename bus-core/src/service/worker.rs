//! What the thread of a service does: it makes the state, runs handlers, and tears the state down.
//!
//! Synchronous handlers run one after another in the order of arrival. Asynchronous ones run on the
//! thread's local executor, a listener's up to its `concurrency` at once. In a service with state a
//! turn keeps `&mut self` away from everything else, across awaits too.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use async_executor::LocalExecutor;
use async_lock::{RwLock, RwLockReadGuardArc, RwLockWriteGuardArc};
use event_listener::Event;
use futures_lite::FutureExt as _;
use futures_lite::future::{block_on, yield_now};

use super::{Entry, Service};
use crate::binding::Binding;
use crate::bus::Bus;
use crate::context::Context;
use crate::current::Current;
use crate::delivery::Delivery;
use crate::error::{Error, ErrorKind};
use crate::failure::{Failure, Reason};
use crate::handler::{Access, HandlerResult, Instance, OnPanic};
use crate::message::CallFault;

/// How many synchronous deliveries run before asynchronous ones get their turn.
const FAIRNESS: usize = 32;

/// Starts the thread of `service`. It makes the state and reports on `ready`; once the bus opens
/// its gate, it serves.
///
/// # Errors
///
/// If the operating system has no thread to give.
pub(crate) fn spawn(
    bus: &Bus,
    service: &Arc<Service>,
    ready: Sender<Result<(), Error>>,
) -> Result<(), Error> {
    let (bus, shared) = (bus.clone(), service.clone());
    let handle = std::thread::Builder::new()
        .name(service.name.to_string())
        .spawn(move || serve(bus, &shared, &ready))
        .map_err(|error| {
            let text = format!("the thread of service `{}` cannot be started", service.name);
            Error::new(ErrorKind::Init, text).with_source(error)
        })?;
    service.keep_thread(handle);
    Ok(())
}

fn serve(bus: Bus, service: &Arc<Service>, ready: &Sender<Result<(), Error>>) {
    let runtime = bus.runtime();
    let _inside = runtime.enter();
    let _stopped = service.stopped_on_drop();
    // Tasks hold the worker, so the worker must not hold the executor that holds them.
    let executor = Rc::new(LocalExecutor::new());
    let worker = Rc::new(Worker {
        executor: Rc::downgrade(&executor),
        instance: RefCell::default(),
        broken: Cell::new(false),
        turn: Arc::default(),
        lanes: RefCell::default(),
        active: Cell::new(0),
        idle: Event::new(),
        bus,
        service: service.clone(),
    });
    block_on(executor.run(worker.live(ready)));
}

struct Worker {
    executor: Weak<LocalExecutor<'static>>,
    bus: Bus,
    service: Arc<Service>,
    instance: RefCell<Instance>,
    /// The state is to be made anew before anything else runs.
    broken: Cell<bool>,
    turn: Arc<RwLock<()>>,
    /// The asynchronous handlers that are limited in how many run at once.
    lanes: RefCell<HashMap<*const Binding, Lane>>,
    /// Tasks on the executor.
    active: Cell<usize>,
    idle: Event,
}

/// The running and the waiting deliveries of one asynchronous handler.
#[derive(Default)]
struct Lane {
    running: usize,
    waiting: VecDeque<Delivery>,
}

/// The turn that a handler holds while it runs.
enum Turn {
    Free,
    Shared { _guard: RwLockReadGuardArc<()> },
    Exclusive { _guard: RwLockWriteGuardArc<()> },
}

impl Worker {
    async fn live(self: Rc<Self>, ready: &Sender<Result<(), Error>>) {
        let made = self.make_state().await;
        let failed = made.is_err();
        let report = made.map_err(|failure| {
            let text = format!("service `{}` did not start: {failure}", self.service.name);
            Error::new(ErrorKind::Init, text)
        });
        // Nobody listens any more once another service failed first.
        let _ = ready.send(report);
        if failed || !self.bus.gate().await {
            return self.tear_down().await;
        }
        let mut batch = VecDeque::new();
        let mut since_yield = 0;
        while poll_fn(|cx| self.service.mailbox.poll_take(&mut batch, cx)).await {
            for entry in batch.drain(..) {
                match entry {
                    Entry::One(delivery) => self.dispatch(delivery).await,
                    Entry::Group { message, group } => {
                        let Some(route) = message.route() else {
                            continue;
                        };
                        for target in &route.groups[group].targets {
                            let (binding, slot) = (target.binding.clone(), target.slot);
                            let message = message.clone();
                            self.dispatch(Delivery { binding, message, slot, attempt: 1 }).await;
                        }
                    }
                }
                since_yield += 1;
                if since_yield >= FAIRNESS && self.active.get() > 0 {
                    since_yield = 0;
                    yield_now().await;
                }
            }
        }
        while self.active.get() > 0 && !self.bus.is_aborting() {
            let idle = self.idle.listen();
            if self.active.get() > 0 {
                idle.await;
            }
        }
        self.tear_down().await;
    }

    async fn make_state(&self) -> Result<(), Failure> {
        let Some(descriptor) = self.service.state else {
            return Ok(());
        };
        let ctx = Context::of_service(self.bus.clone(), self.service.clone());
        let current = Current::of(&ctx);
        let init = current.scope((descriptor.init)(ctx));
        let made = AssertUnwindSafe(init).catch_unwind().await;
        let instance = made.unwrap_or_else(|panic| Err(Failure::panic(&*panic)))?;
        self.instance.replace(instance);
        self.broken.set(false);
        Ok(())
    }

    async fn tear_down(&self) {
        let instance = self.instance.take();
        let Some(descriptor) = self.service.state.filter(|_| instance.is_some()) else {
            return;
        };
        let Some(shutdown) = descriptor.shutdown else {
            return;
        };
        let ctx = Context::of_service(self.bus.clone(), self.service.clone());
        let current = Current::of(&ctx);
        let run = current.scope(shutdown(ctx, instance));
        let done = AssertUnwindSafe(run).catch_unwind().await;
        if let Err(failure) = done.unwrap_or_else(|panic| Err(Failure::panic(&*panic))) {
            tracing::error!(service = &*self.service.name, %failure, "the service's shutdown failed");
        }
    }

    async fn dispatch(self: &Rc<Self>, delivery: Delivery) {
        if delivery.is_cancelled() {
            self.service.mailbox.start();
            if let Some(caller) = delivery.message.call() {
                caller.fail(CallFault::Cancelled);
            }
            delivery.message.head().outcomes.settle(delivery.slot, 0, Ok(()));
            self.service.mailbox.finish();
            return;
        }
        if !delivery.binding.code.is_async() {
            let turn = self.turn(delivery.binding.access).await;
            let result = match turn {
                Ok(_) => {
                    self.service.mailbox.start();
                    let instance = self.instance.borrow().clone();
                    delivery.run(&self.bus, &instance, false)
                }
                Err(failure) => {
                    self.service.mailbox.start();
                    Err(failure)
                }
            };
            self.conclude(delivery, result);
            return;
        }
        if let Some(limit) = delivery.limit() {
            let mut lanes = self.lanes.borrow_mut();
            let lane = lanes.entry(Arc::as_ptr(&delivery.binding)).or_default();
            if lane.running >= limit {
                lane.waiting.push_back(delivery);
                return;
            }
            lane.running += 1;
        }
        let turn = self.turn(delivery.binding.access).await;
        self.active.set(self.active.get() + 1);
        if let Some(executor) = self.executor.upgrade() {
            executor.spawn(self.clone().run_lane(delivery, turn)).detach();
        }
    }

    /// Runs an asynchronous delivery, and then those that wait behind it.
    async fn run_lane(self: Rc<Self>, first: Delivery, turn: Result<Turn, Failure>) {
        let mut next = Some((first, turn));
        while let Some((delivery, turn)) = next.take() {
            let (binding, limit) = (delivery.binding.clone(), delivery.limit());
            self.service.mailbox.start();
            let result = match turn {
                Ok(turn) => {
                    let result = self.run_async(&delivery).await;
                    drop(turn);
                    result
                }
                Err(failure) => Err(failure),
            };
            self.conclude(delivery, result);
            if limit.is_some() {
                let waiting = self.lane(&binding, |lane| {
                    let waiting = lane.waiting.pop_front();
                    lane.running -= usize::from(waiting.is_none());
                    waiting
                });
                if let Some(delivery) = waiting {
                    let turn = self.turn(binding.access).await;
                    next = Some((delivery, turn));
                }
            }
        }
        self.active.set(self.active.get() - 1);
        self.idle.notify(usize::MAX);
    }

    fn lane<R>(&self, binding: &Arc<Binding>, change: impl FnOnce(&mut Lane) -> R) -> R {
        let mut lanes = self.lanes.borrow_mut();
        let key = Arc::as_ptr(binding);
        let lane = lanes.entry(key).or_default();
        let result = change(lane);
        if lane.running == 0 {
            lanes.remove(&key);
        }
        result
    }

    async fn run_async(&self, delivery: &Delivery) -> HandlerResult {
        let ctx = delivery.context(&self.bus, false);
        let deadline = ctx.deadline().filter(|_| delivery.message.call().is_none());
        let limit = delivery.binding.policy.timeout.unwrap_or_default();
        let current = Current::of(&ctx);
        let instance = self.instance.borrow().clone();
        let code = &delivery.binding.code;
        let handler = current.scope(code.start(ctx, instance));
        let handler = async {
            let done = AssertUnwindSafe(handler).catch_unwind().await;
            done.unwrap_or_else(|panic| Err(Failure::panic(&*panic)))
        };
        let clock = self.bus.clock();
        let timeout = async {
            match deadline {
                Some(deadline) => clock.sleep_until(deadline).await,
                None => std::future::pending().await,
            }
            Err(Failure::timeout(limit))
        };
        let cancelled = async {
            match delivery.message.call() {
                Some(caller) if delivery.binding.access != Access::Exclusive => {
                    while !caller.is_cancelled() {
                        let cancelled = caller.listen_cancelled();
                        if !caller.is_cancelled() {
                            cancelled.await;
                        }
                    }
                }
                _ => std::future::pending().await,
            }
            Ok(())
        };
        handler.or(timeout).or(cancelled).await
    }

    /// Waits for the turn that `access` needs, with a state that is whole.
    async fn turn(&self, access: Access) -> Result<Turn, Failure> {
        if self.service.state.is_none() {
            return Ok(Turn::Free);
        }
        while self.broken.get() && access != Access::Stateless {
            let guard = self.turn.write_arc().await;
            if self.broken.get() {
                tracing::warn!(
                    service = &*self.service.name,
                    "the state is made anew after a panic"
                );
                self.instance.take();
                self.make_state().await?;
            }
            drop(guard);
        }
        Ok(match access {
            Access::Stateless | Access::Shared => {
                Turn::Shared { _guard: self.turn.read_arc().await }
            }
            Access::Exclusive => Turn::Exclusive { _guard: self.turn.write_arc().await },
        })
    }

    fn conclude(&self, delivery: Delivery, result: HandlerResult) {
        let panicked = result.as_ref().is_err_and(|failure| failure.reason() == Reason::Panic);
        let rebuild = |on_panic| on_panic == OnPanic::Rebuild;
        if panicked
            && delivery.binding.access != Access::Stateless
            && self.service.state.is_some_and(|state| rebuild(state.on_panic))
        {
            self.broken.set(true);
        }
        delivery.conclude(&self.bus, result);
        self.service.mailbox.finish();
    }
}
