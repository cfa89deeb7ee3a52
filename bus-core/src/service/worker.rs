//! What the own thread of a service does: it makes the state, runs handlers, tears the state down.
//!
//! Synchronous handlers run one after another in the order of arrival. Asynchronous ones run on the
//! thread as tasks, a listener's up to its `concurrency` at once. In a service with state,
//! holds keep `&mut self` away from everything else, across awaits too.
//!
//! While a handler waits, the service goes on. One without state leaves its mailbox to a substitute.
//! One with state, which never leaves this thread, runs other handlers on top of the waiting one.

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
use std::time::Instant;

use event_listener::Event;
use futures_lite::FutureExt as _;
use futures_lite::future::yield_now;

use super::backlog::{Holders, Next};
use super::tasks::Tasks;
use super::{Entry, Service, Started, stand, substitute, unharmed};
use crate::binding::{Binding, Counts};
use crate::bus::Bus;
use crate::context::Context;
use crate::current::{self, Current, GroupFrame, Home, Inline};
use crate::delivery::{Before, Delivery};
use crate::error::{Error, ErrorKind};
use crate::failure::{Failure, Reason};
use crate::handler::{Access, HandlerResult, Instance, OnPanic};
use crate::message::{CallFault, Head, Message, Ran};
use crate::park;

/// How many handlers may wait on the stack of a service with state before only those run on top that
/// they themselves have asked for.
const NESTED: usize = 16;

/// How many handlers may wait on the stack of a service's own thread.
const NESTED_MOST: usize = 128;

/// The stack of a service's own thread, in bytes; the system provides what is used of it.
const STACK: usize = 16 << 20;

/// After how many deliveries in a row the thread lets others go first before it sleeps: they may be
/// about to send more, and waking costs more than handling.
const STREAK: u32 = 16;

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
        streak: Cell::new(0),
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
    /// The events that were handled since the thread last slept, answered, or let others go first.
    streak: Cell<u32>,
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
        while park::once(|cx| main.as_mut().poll(cx)).is_pending() {
            if self.run_tasks() || self.waited.take() {
                continue;
            }
            if self.streak.replace(0) >= STREAK {
                thread::yield_now();
                continue;
            }
            let substitutes = self.service.mailbox.has_substitutes();
            if substitutes {
                self.leave_turn();
            }
            park::park(None);
            if substitutes {
                self.take_turn();
            }
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
        while self.start_first() == Step::Went {
            *since_yield += 1;
            if self.service.mailbox.has_substitutes() {
                self.service.turn.pass();
            }
            if *since_yield >= FAIRNESS && self.active.get() > 0 {
                return Step::Went;
            }
        }
        Step::Stuck
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
        let Some(next) = self.next() else { return Step::Stuck };
        // Who waits for an answer is woken by it, and is not to be let go first as well.
        let calls = match &next {
            Next::Group(..) => false,
            Next::Call(_) => true,
            Next::One(delivery) => delivery.message.call().is_some(),
        };
        self.streak.set(if calls { 0 } else { self.streak.get().saturating_add(1) });
        match next {
            Next::Group(message, group, len) => self.run_group(&message, group, len),
            Next::Call(message) => self.run_call(&message),
            Next::One(delivery) if delivery.binding.code.is_async() => self.start(delivery),
            Next::One(delivery) => self.run_sync(delivery),
        }
        Step::Went
    }

    /// Runs plain listeners of one event, one after another: one start, one end, one settling.
    #[inline]
    fn run_group(self: &Rc<Self>, message: &Arc<dyn Message>, group: usize, len: usize) {
        let (head, progress) = (message.head(), self.service.progress());
        let mut started = Started::several(&*self.service, len as u64);
        let apart = match self.run_on(message, head, group) {
            Ran::All => 0,
            ran => self.run_apart(message, group, ran),
        };
        let done = progress.place() - apart;
        // Who has the only handle makes no further one meanwhile, and nobody is left who could look.
        if done > 0 && Arc::strong_count(message) > 1 {
            head.settle_all(done);
        }
        started.deliveries -= self.given_back.take();
        if progress.is_cut() {
            for delivery in self.service.take_cut_short() {
                self.bus.refuse(&self.service, Entry::one(delivery));
            }
        }
    }

    /// Runs the listeners of a group from where it is.
    #[inline]
    fn run_on(&self, message: &Arc<dyn Message>, head: &Head, group: usize) -> Ran {
        let progress = self.service.progress();
        let run = || {
            let ran = catch_unwind(AssertUnwindSafe(|| message.run_group(group, progress)));
            ran.unwrap_or_else(|panic| Ran::Failed(Box::new(Failure::panic(panic))))
        };
        if self.frame.enter(head) {
            let ran = run();
            self.frame.leave();
            return ran;
        }
        let _inside = Current::group(&self.home, message).enter();
        run()
    }

    /// Goes on with a group of which a listener failed, or is none of its functions. Says how many are
    /// settled by themselves.
    #[cold]
    fn run_apart(self: &Rc<Self>, message: &Arc<dyn Message>, group: usize, mut ran: Ran) -> usize {
        let progress = self.service.progress();
        let targets = message.route().and_then(|route| route.groups.get(group));
        let targets = targets.map_or(&[][..], |group| &group.targets);
        let mut apart = 0;
        loop {
            let failure = match ran {
                Ran::All => break,
                Ran::Failed(failure) => Some(*failure),
                Ran::Unfit => None,
            };
            let Some(target) = targets.get(progress.place()) else { break };
            let delivery = target.delivery(message, 1);
            apart += 1;
            unharmed(&self.service, || match failure {
                Some(failure) => self.conclude(delivery, Err(failure)),
                None => self.run_started(delivery),
            });
            progress.advance();
            if progress.at().is_none() {
                break;
            }
            ran = self.run_on(message, message.head(), group);
        }
        apart
    }

    /// Runs a plain command that is called for the first time.
    fn run_call(self: &Rc<Self>, call: &Arc<dyn Message>) {
        let Some(binding) = call.handler() else { return };
        let delivery = || Delivery::first(binding.clone(), call.clone());
        let plain = binding.plain.filter(|_| self.bus.is_bare());
        let is_wanted = call.call().is_some_and(|caller| !caller.is_cancelled());
        let head = call.head();
        let Some(plain) = plain.filter(|_| is_wanted && self.frame.enter(head)) else {
            return self.run_sync(delivery());
        };
        let _started = Started::new(&*self.service);
        self.service.progress().enter(0);
        let ran = catch_unwind(AssertUnwindSafe(|| call.run_plain(plain)));
        self.frame.leave();
        match ran {
            Ok(Some(Ok(()))) => {
                Counts::add_alone(&binding.counts.handled);
                head.settle_call();
            }
            Ok(Some(Err(failure))) => self.conclude(delivery(), Err(failure)),
            Ok(None) => self.run_started(delivery()),
            Err(panic) => self.conclude(delivery(), Err(Failure::panic(panic))),
        }
    }

    /// Takes the first delivery that can start.
    fn next(self: &Rc<Self>) -> Option<Next> {
        if self.service.state.is_none() {
            return self.service.next_entry();
        }
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
        self.service.backlog().next_with(&self.service, &holders).map(Next::One)
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

    async fn make_state(&self, ctx: Context) -> Result<(), Failure> {
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
    fn rebuild(self: &Rc<Self>) {
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
    fn fail_first(&self, failure: &Failure) {
        let first = self.service.backlog().next(&self.service);
        if let Some(delivery) = first {
            let _started = Started::new(&*self.service);
            self.conclude(delivery, Err(failure.clone()));
        }
        self.change();
    }

    async fn tear_down(&self) {
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

    /// Whether another handler may wait on this thread.
    pub(super) fn may_wait(&self) -> bool {
        self.nested.get() < NESTED_MOST
    }

    /// Waits in the middle of a handler, while the service goes on.
    pub(super) fn wait<T>(
        self: &Rc<Self>,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut TaskContext<'_>) -> Poll<T>,
    ) -> Option<T> {
        self.waited.set(true);
        if !self.serves.get() {
            return park::until(deadline, poll);
        }
        let _nested = Nested::new(self);
        if self.service.state.is_some() {
            return self.wait_with_state(deadline, poll);
        }
        // Those after it in its group are others, and go on.
        let mut rest: VecDeque<Entry> =
            self.service.take_rest_of_group().into_iter().map(Entry::one).collect();
        self.given_back.set(self.given_back.get() + rest.len() as u64);
        rest.append(&mut self.service.backlog().take());
        if self.service.mailbox.step_aside(rest) {
            substitute::spawn(&self.bus, &self.service);
        }
        let had_turn = self.has_turn.get();
        if had_turn {
            self.leave_turn();
        }
        let output = self.wait_with_tasks(deadline, poll);
        if had_turn {
            self.take_turn();
        }
        output
    }

    /// Asynchronous handlers go on; the mailbox is a substitute's, which hands asynchronous deliveries over.
    fn wait_with_tasks<T>(
        self: &Rc<Self>,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut TaskContext<'_>) -> Poll<T>,
    ) -> Option<T> {
        loop {
            let mut handed = pin!(self.service.handing.listen());
            // Among them is what a task that ended has made room for in its lane.
            while let Some(delivery) = self.next_own() {
                unharmed(&self.service, || self.start(delivery));
            }
            if let Poll::Ready(output) = park::once(&mut *poll) {
                return Some(output);
            }
            if self.run_tasks() || park::once(|cx| handed.as_mut().poll(cx)).is_ready() {
                continue;
            }
            if !park::park(deadline) {
                return None;
            }
        }
    }

    /// Nothing but this thread can touch the state, so it runs other handlers on top.
    fn wait_with_state<T>(
        self: &Rc<Self>,
        deadline: Option<Instant>,
        poll: &mut dyn FnMut(&mut TaskContext<'_>) -> Poll<T>,
    ) -> Option<T> {
        loop {
            if let Poll::Ready(output) = park::once(&mut *poll) {
                return Some(output);
            }
            while park::once(|cx| self.poll_news(cx)) == Poll::Ready(true) {}
            if self.step() == Step::Went || self.run_tasks() {
                continue;
            }
            if !park::park(deadline) {
                return None;
            }
        }
    }
}

/// Runs a handler's future and makes a panic its failure.
async fn caught<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let done = AssertUnwindSafe(future).catch_unwind().await;
    done.unwrap_or_else(|panic| Err(Failure::panic(panic)))
}

/// An asynchronous delivery that runs. If it is dropped instead, after a shutdown's deadline, whoever
/// waits for it is told.
struct Running {
    worker: Rc<Worker>,
    delivery: Option<Delivery>,
    hold: Hold,
}

impl Running {
    fn conclude(mut self, result: HandlerResult) {
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
struct Place(Rc<Worker>, Option<Arc<Binding>>);

impl Place {
    fn new(worker: &Rc<Worker>, delivery: &Delivery) -> Self {
        let lane = delivery.binding.limit(&*delivery.message).map(|_| delivery.binding.clone());
        if let Some(binding) = &lane {
            worker.service.backlog().enter(binding);
        }
        worker.active.set(worker.active.get() + 1);
        Self(worker.clone(), lane)
    }

    fn of_nobody(worker: &Rc<Worker>) -> Self {
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

/// That a handler waits on this thread's stack; over when dropped, also if what it waits for panics.
struct Nested<'a>(&'a Cell<usize>);

impl<'a> Nested<'a> {
    fn new(worker: &'a Worker) -> Self {
        worker.nested.set(worker.nested.get() + 1);
        Self(&worker.nested)
    }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// That a handler uses the state of its service; over when dropped.
struct Hold(Option<(Rc<Worker>, (u64, u32))>);

impl Hold {
    fn new(worker: &Rc<Worker>, delivery: &Delivery) -> Self {
        if worker.service.state.is_none() {
            return Self(None);
        }
        let me = (delivery.message.head().seq, delivery.slot);
        worker.service.lock_holders().push((me, delivery.binding.access));
        Self(Some((worker.clone(), me)))
    }
}

impl Hold {
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
