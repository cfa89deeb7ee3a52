//! What the own thread of a service does: it makes the state, runs handlers, tears the state down.
//!
//! Synchronous handlers run one after another in the order of arrival. Asynchronous ones run on the
//! thread as tasks, a listener's up to its `concurrency` at once. In a service with state,
//! holds keep `&mut self` away from everything else, across awaits too.
//!
//! While a handler waits, the service goes on. One without state leaves its mailbox to a substitute.
//! One with state, which never leaves this thread, runs other handlers on top of the waiting one.

mod pace;
mod plain;
mod running;
mod state;
mod waiting;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::{Context as TaskContext, Poll};
use std::thread;
use std::time::{Duration, Instant};

use event_listener::Event;
use futures_lite::FutureExt as _;
use futures_lite::future::yield_now;

use self::pace::Pace;
use self::running::{Hold, Place, Running};
use super::backlog::Holders;
use super::tasks::Tasks;
use super::{AT_ONCE, Entry, Service, Started, stand, substitute, unharmed};
use crate::bus::Bus;
use crate::clock::later;
use crate::context::Context;
use crate::current::{self, Current, GroupFrame, Home, Inline};
use crate::delivery::{Before, Delivery};
use crate::error::{Error, ErrorKind};
use crate::failure::{Failure, Reason};
use crate::handler::{Access, HandlerResult, Instance, OnPanic};
use crate::message::{MessageRef, Whole};
use crate::park;

/// How many handlers may wait on the stack of a service with state before only those run on top that
/// they themselves have asked for.
const NESTED: usize = 16;

/// How many handlers may wait on the stack of a service's own thread.
const NESTED_MOST: usize = 128;

/// The stack of a service's own thread, in bytes; the system provides what is used of it.
const STACK: usize = 16 << 20;

/// How many synchronous deliveries run before asynchronous ones get their turn.
const FAIRNESS: usize = 32;

/// How long a service keeps used messages that nobody needs, if it sleeps by then. Those who fire keep the few
/// that they have taken.
const KEPT_FOR: Duration = Duration::from_millis(100);

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
    let thread = thread::Builder::new().name(service.name.to_string()).stack_size(STACK);
    let awake = bus.awake();
    let body = move || {
        awake.iter().for_each(park::count);
        serve(bus, &shared, &ready);
    };
    let handle = thread.spawn(body).map_err(|error| {
        let text = format!("the thread of service `{}` cannot be started", service.name);
        Error::new(ErrorKind::Init, text).with_source(error)
    })?;
    service.keep_thread(handle);
    Ok(())
}

fn serve(bus: Bus, service: &Arc<Service>, ready: &Sender<Result<(), Error>>) {
    let runtime = bus.runtime();
    let _inside = runtime.enter();
    let _stopped = service.stopped_on_drop(&bus);
    let home = Home::new(&bus, service);
    let worker = Rc::new(Worker {
        tasks: Tasks::new(),
        frame: GroupFrame::new(&home),
        home,
        bus,
        service: service.clone(),
        instance: RefCell::default(),
        broken: Cell::new(false),
        active: Cell::new(0),
        changed: Event::new(),
        has_turn: Cell::new(true),
        serves: Cell::new(false),
        nested: Cell::new(0),
        given_back: Cell::new(0),
        waited: Cell::new(false),
        pace: Pace::default(),
        used: RefCell::default(),
        trims: Cell::new(None),
    });
    let _standing = stand::home(&worker);
    service.turn.acquire();
    worker.drive(worker.clone().live(ready));
    service.turn.release();
    GroupFrame::forget();
}

pub(super) struct Worker {
    tasks: Rc<Tasks>,
    bus: Bus,
    service: Arc<Service>,
    home: Rc<Home>,
    frame: Rc<GroupFrame>,
    instance: RefCell<Instance>,
    /// The state is to be made anew before anything else touches it.
    broken: Cell<bool>,
    /// Asynchronous handlers that run.
    active: Cell<usize>,
    /// Notified when a delivery may start that could not before.
    changed: Event,
    has_turn: Cell<bool>,
    /// The gate is open: handlers run.
    serves: Cell<bool>,
    /// Handlers that wait on this thread's stack.
    nested: Cell<usize>,
    /// Deliveries of the group that runs which went back to the mailbox.
    given_back: Cell<u64>,
    /// A handler waited on this thread, which may have used up a wake-up that was for others.
    waited: Cell<bool>,
    /// What was handled since the thread last had nothing to do.
    pace: Pace,
    /// Messages that were handled, until there are enough to be given to others.
    used: RefCell<Vec<MessageRef>>,
    /// When those that the service keeps and nobody has needed are freed.
    trims: Cell<Option<Instant>>,
}

/// What became of the first delivery in line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It ran, or has its place.
    Went,
    /// There is none, or it cannot start yet.
    Stuck,
}

impl Worker {
    pub(super) fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Runs `main` to its end. While this thread sleeps, substitutes have the turn.
    fn drive(&self, main: impl Future<Output = ()>) {
        let mut main = pin!(main);
        let mailbox = &self.service.mailbox;
        loop {
            let accepted = mailbox.accepted();
            if park::once(|cx| main.as_mut().poll(cx)).is_ready() {
                return;
            }
            if self.run_tasks() || self.waited.take() {
                continue;
            }
            if self.pace.expects_more(mailbox, accepted) {
                continue;
            }
            let substitutes = mailbox.has_substitutes();
            if substitutes {
                self.leave_turn();
            }
            self.sleep();
            if substitutes {
                self.take_turn();
            }
        }
    }

    /// Sleeps until there is something to do, or to free what was kept for that and not needed.
    fn sleep(&self) {
        if self.service.used.is_empty() {
            // Too few are left to be worth a look later.
            self.used.borrow_mut().clear();
            self.trims.set(None);
            park::park(None);
            return;
        }
        let trims = self.trims.get().unwrap_or_else(|| later(Instant::now(), KEPT_FOR));
        park::park(Some(trims));
        let is_due = trims <= Instant::now();
        self.trims.set(Some(trims).filter(|_| !is_due));
        if is_due {
            self.service.used.trim();
        }
    }

    /// Runs the asynchronous handlers that are ready, each in the service's turn.
    fn run_tasks(&self) -> bool {
        self.tasks.run(|task| {
            let without = !self.has_turn.get();
            if without {
                self.take_turn();
            } else if self.service.mailbox.has_substitutes() {
                self.service.turn.pass();
            }
            unharmed(&self.service, task);
            if without {
                self.leave_turn();
            }
        })
    }

    fn take_turn(&self) {
        self.service.turn.acquire();
        self.has_turn.set(true);
    }

    fn leave_turn(&self) {
        self.has_turn.set(false);
        self.service.turn.release();
    }

    async fn live(self: Rc<Self>, ready: &Sender<Result<(), Error>>) {
        let ctx = Context::of_service(self.bus.clone(), self.service.clone());
        let made = self.make_state(ctx).await;
        let failed = made.is_err();
        let report = made.map_err(|failure| {
            let text = format!("service `{}` did not start: {failure}", self.service.name);
            Error::new(ErrorKind::Init, text)
        });
        // Nobody listens any more once another service failed first.
        let _ = ready.send(report);
        if !failed && self.bus.gate().await {
            self.serves.set(true);
            self.run().await;
        }
        // What a missed deadline leaves of them would still hold the state.
        self.tasks.clear();
        self.tear_down().await;
    }

    /// Handles deliveries until the mailbox is closed and all is done.
    async fn run(self: &Rc<Self>) {
        let mut closed = false;
        let mut since_yield = 0;
        loop {
            // After a panic there may be more that can start.
            let mut step = Step::Went;
            unharmed(&self.service, || step = self.steps(&mut since_yield));
            if step == Step::Went {
                if since_yield >= FAIRNESS {
                    since_yield = 0;
                    yield_now().await;
                }
                continue;
            }
            if closed && (self.is_done() || self.bus.is_aborting()) {
                return;
            }
            if !closed && self.active.get() == 0 && !self.service.mailbox.has_substitutes() {
                // Only the mailbox can bring anything.
                closed = !poll_fn(|cx| self.poll_news(cx)).await;
                continue;
            }
            let (changed, handed) = (self.changed.listen(), self.service.handing.listen());
            if self.step() == Step::Went {
                continue;
            }
            let news = poll_fn(|cx| if closed { Poll::Pending } else { self.poll_news(cx) });
            let nothing_new = async {
                changed.or(handed).await;
                true
            };
            closed = !news.or(nothing_new).await || closed;
        }
    }

    /// Starts what can start, until asynchronous handlers are to have their turn.
    fn steps(self: &Rc<Self>, since_yield: &mut usize) -> Step {
        loop {
            // Before it starts, so that one that panics has had its turn like any other.
            *since_yield += 1;
            if self.service.mailbox.has_substitutes() {
                self.service.turn.pass();
            }
            if self.start_first() == Step::Stuck {
                return Step::Stuck;
            }
            if *since_yield >= FAIRNESS && self.active.get() > 0 {
                return Step::Went;
            }
        }
    }

    fn is_done(&self) -> bool {
        self.active.get() == 0 && self.service.backlog().is_empty()
    }

    /// Brings what is new into the queue; ready with `false` once there will be nothing any more.
    fn poll_news(&self, cx: &mut TaskContext<'_>) -> Poll<bool> {
        let whole = self.runs_groups();
        let mut backlog = self.service.backlog();
        if let Some(room) = backlog.room().filter(|_| whole) {
            return self.service.mailbox.poll_take(room, cx);
        }
        let mut batch = VecDeque::new();
        let open = self.service.mailbox.poll_take(&mut batch, cx);
        backlog.extend(batch, &self.service, whole);
        open
    }

    /// Whether the plain listeners of an event run as a whole.
    fn runs_groups(&self) -> bool {
        self.service.state.is_none() && self.bus.is_bare()
    }

    /// Starts the first delivery that can. Whatever panics around a handler, such as a payload that
    /// is dropped, ends neither this thread nor the count of what is done.
    fn step(self: &Rc<Self>) -> Step {
        let mut step = Step::Went;
        unharmed(&self.service, || step = self.start_first());
        step
    }

    /// The same, where the caller contains what panics.
    fn start_first(self: &Rc<Self>) -> Step {
        if self.service.state.is_some() {
            return self.start_one(self.next_with_state());
        }
        let mut backlog = self.service.backlog();
        let over = backlog.take_running();
        let Some((message, whole)) = backlog.begin(&self.service) else {
            let one = backlog.next(&self.service);
            drop(backlog);
            if let Some(over) = over {
                self.drop_over(over);
            }
            return self.start_one(one);
        };
        drop(backlog);
        if let Some(over) = over {
            self.drop_over(over);
        }
        let started = Started::begun(&*self.service, whole.len());
        match whole {
            Whole::Group { place, .. } => {
                self.pace.heard();
                self.run_group(&message, place.into(), started);
                self.reuse(message);
            }
            Whole::Call => {
                self.pace.called();
                self.run_call(&message, started);
            }
        }
        Step::Went
    }

    /// Drops the message of the group that ran before.
    fn drop_over(&self, message: MessageRef) {
        // It may be the last handle on a payload, and the next message has been taken already.
        unharmed(&self.service, || self.reuse(message));
    }

    /// Keeps a message that is handled for others, if nobody else has a handle on it.
    #[inline]
    fn reuse(&self, mut message: MessageRef) {
        if let Some(last) = message.get_mut()
            && last.spend()
        {
            let mut used = self.used.borrow_mut();
            used.push(message);
            if used.len() >= AT_ONCE {
                self.service.used.give(&mut used, self.service.mailbox.bound);
            }
        }
    }

    /// Starts a delivery on its own.
    #[inline(never)]
    fn start_one(self: &Rc<Self>, next: Option<Delivery>) -> Step {
        let Some(delivery) = next else { return Step::Stuck };
        if delivery.message.call().is_some() {
            self.pace.called();
        } else {
            self.pace.heard();
        }
        if delivery.binding.code.is_async() {
            self.start(delivery);
        } else {
            self.run_sync(delivery);
        }
        Step::Went
    }

    /// Takes the first delivery that can start in a service with state.
    fn next_with_state(self: &Rc<Self>) -> Option<Delivery> {
        let holders = self.service.holders();
        let all_wait = holders.iter().all(|(holder, _)| self.bus.0.waits.is_waiting(*holder));
        if self.broken.get() && !self.service.backlog().is_empty() {
            if holders.is_empty() {
                self.rebuild();
            } else if all_wait {
                self.fail_first(&Failure::internal(
                    "a panic left the state broken, and handlers that hold it wait for this one",
                ));
            }
            return None;
        }
        // Deep in the stack, only what those below have asked for may come on top of them.
        let chain = (self.nested.get() >= NESTED).then(current::correlation).flatten();
        let holders = Holders { access: &holders, all_wait, chain };
        self.service.backlog().next_with(&self.service, &holders)
    }

    fn next_own(&self) -> Option<Delivery> {
        self.service.backlog().next_own()
    }

    fn run_sync(self: &Rc<Self>, delivery: Delivery) {
        let _started = Started::new(&*self.service);
        self.run_started(delivery);
    }

    fn run_started(self: &Rc<Self>, delivery: Delivery) {
        if let Some(result) = self.run_plain(&delivery) {
            return self.conclude(delivery, result);
        }
        let hold = Hold::new(self, &delivery);
        let instance = self.instance.borrow().clone();
        if let Some(result) = delivery.attempt(&self.home, &instance, Inline::No) {
            drop(hold);
            self.conclude(delivery, result);
        }
    }

    /// Runs the first attempt of a plain handler, where nothing surrounds it.
    fn run_plain(&self, delivery: &Delivery) -> Option<HandlerResult> {
        let plain = delivery.binding.plain.filter(|_| self.runs_groups())?;
        let fits = delivery.attempt == 1 && !delivery.is_cancelled();
        if !fits || !self.frame.enter(delivery.message.head()) {
            return None;
        }
        self.service.progress().enter(delivery.slot);
        let ran = catch_unwind(AssertUnwindSafe(|| delivery.message.run_plain(plain)));
        self.frame.leave();
        ran.unwrap_or_else(|panic| Some(Err(Failure::panic(panic))))
    }

    /// Starts an asynchronous delivery.
    fn start(self: &Rc<Self>, delivery: Delivery) {
        let place = Place::new(self, &delivery);
        let hold = Hold::new(self, &delivery);
        let started = Started::new(self.service.clone());
        match delivery.before(&self.bus) {
            Before::Run => {}
            Before::Skip => return,
            Before::Fail(failure) => {
                drop(hold);
                self.conclude(delivery, Err(failure));
                return;
            }
        }
        let this = self.clone();
        self.tasks.spawn(async move {
            // Each of these gives back what it stands for, also if something below panics.
            let (_place, _started) = (place, started);
            let running = Running { worker: this.clone(), delivery: Some(delivery), hold };
            let result = match &running.delivery {
                Some(delivery) => caught(this.run_async(delivery)).await,
                None => Ok(()),
            };
            running.conclude(result);
        });
    }

    /// Something may start now that could not before.
    fn change(&self) {
        self.changed.notify(usize::MAX);
    }

    async fn run_async(&self, delivery: &Delivery) -> HandlerResult {
        let ctx = delivery.context(&self.bus, false);
        let underway = self.bus.underway(&ctx);
        let deadline = ctx.deadline().filter(|_| delivery.message.call().is_none());
        let limit = delivery.binding.policy.timeout.unwrap_or_default();
        let layers = self.bus.layers();
        let seen = (!layers.is_empty()).then(|| ctx.clone());
        // What layers do, they do as part of the handler.
        let inside = || seen.as_ref().map(|ctx| Current::of(ctx).enter());
        let mut attempt = {
            let _inside = inside();
            seen.as_ref().map(|ctx| layers.begin(ctx)).transpose()?
        };
        let current = Current::of(&ctx);
        let instance = self.instance.borrow().clone();
        let handler = delivery.binding.code.start(ctx, instance);
        let handler = match &mut attempt {
            Some(attempt) => attempt.surround(handler),
            None => handler,
        };
        let handler = caught(current.scope(handler));
        let underway = &underway;
        let handler = async move {
            let mut handler = pin!(handler);
            let watched = poll_fn(|cx| match underway {
                Some(underway) => underway.watch(cx, |cx| handler.as_mut().poll(cx)),
                None => handler.as_mut().poll(cx),
            });
            watched.await
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
            Err(Failure::cancelled())
        };
        let result = handler.or(timeout).or(cancelled).await;
        if let Some(mut attempt) = attempt {
            let _inside = inside();
            attempt.end(&result);
        }
        result
    }

    fn conclude(&self, delivery: Delivery, result: HandlerResult) {
        let panicked = result.as_ref().is_err_and(|failure| failure.reason() == Reason::Panic);
        let rebuilds = self.service.state.is_some_and(|state| state.on_panic == OnPanic::Rebuild);
        if panicked && rebuilds && delivery.binding.access != Access::Stateless {
            self.broken.set(true);
        }
        delivery.conclude(&self.bus, result);
    }
}

/// Runs a handler's future and makes a panic its failure.
async fn caught<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let done = AssertUnwindSafe(future).catch_unwind().await;
    done.unwrap_or_else(|panic| Err(Failure::panic(panic)))
}
