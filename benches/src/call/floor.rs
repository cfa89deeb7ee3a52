//! What the promises cost at the least: a queue of calls by hand that has a limit in time, may be cancelled,
//! tells who waits by a waker, and lets a shutdown answer what has not started.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(feature = "peers")]
use std::task::Poll;
use std::task::Waker;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use spin::mutex::SpinMutex;
use triomphe::Arc;

use super::{flights, price};
use crate::line::{Line, brief};
use crate::order::{Order, Tally};

/// A call and its answer.
struct Call {
    order: SpinMutex<Option<Order>>,
    answer: SpinMutex<(Option<u64>, Option<Waker>)>,
    is_cancelled: AtomicBool,
    is_settled: AtomicBool,
    /// Who serves it, whatever is registered meanwhile.
    _binding: Arc<()>,
}

#[derive(Default)]
struct Service {
    line: Line<Call>,
    accepted: AtomicU64,
    served: Served,
}

/// What the consumer writes, apart from what those write who call.
#[derive(Default)]
#[repr(align(64))]
struct Served {
    started: AtomicU64,
    done: AtomicU64,
}

impl Service {
    fn serve(&self) {
        loop {
            // Whoever waits for space passes by what is held meanwhile, so this needs no barrier.
            let begin = || {
                let started = self.served.started.load(Ordering::Relaxed) + 1;
                self.served.started.store(started, Ordering::Release);
                false
            };
            while let (Some(call), _) = self.line.next(begin) {
                if !call.is_cancelled.load(Ordering::Acquire) {
                    let order = brief(&call.order).take().expect("once");
                    let price = catch_unwind(AssertUnwindSafe(|| price(order))).expect("no panic");
                    let mut answer = brief(&call.answer);
                    answer.0 = Some(price);
                    let waker = answer.1.take();
                    drop(answer);
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
                call.is_settled.store(true, Ordering::Release);
                let done = self.served.done.load(Ordering::Relaxed) + 1;
                self.served.done.store(done, Ordering::Release);
            }
            if !self.line.take() {
                thread::park();
            }
        }
    }
}

/// What a thread that waits is woken by.
struct Unpark(Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

/// An answer that is waited for, until a deadline.
fn wait(call: &Call, deadline: Instant, waker: &Waker) -> u64 {
    loop {
        let mut answer = brief(&call.answer);
        if let Some(price) = answer.0.take() {
            return price;
        }
        answer.1 = Some(waker.clone());
        drop(answer);
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "an answer");
        thread::park_timeout(left);
    }
}

/// Calls a service, whose thread is started here; gives each call and when it has to be answered.
fn served() -> impl Fn(Order) -> (Arc<Call>, Instant) + Clone + Send + 'static {
    let service = std::sync::Arc::new(Service::default());
    let server = service.clone();
    thread::spawn(move || server.serve());
    let binding = Arc::new(());
    let epoch = std::sync::Arc::new(AtomicU64::new(1));
    move |order| {
        let deadline = Instant::now() + Duration::from_secs(30);
        let call = Arc::new(Call {
            order: SpinMutex::new(Some(order)),
            answer: SpinMutex::default(),
            is_cancelled: AtomicBool::new(false),
            is_settled: AtomicBool::new(false),
            _binding: binding.clone(),
        });
        let is_open = || epoch.load(Ordering::SeqCst) == 1;
        service.line.push(call.clone(), || {
            assert!(is_open(), "nobody stops it");
            let number = service.accepted.load(Ordering::Relaxed) + 1;
            service.accepted.store(number, Ordering::Release);
        });
        (call, deadline)
    }
}

/// Many, then each answer.
pub(super) fn in_flight() -> impl FnMut(u64, u64) -> Tally {
    let call = served();
    let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
    move |first, n| flights(first, n, &call, |(call, deadline)| wait(&call, deadline, &waker))
}

/// From a task of tokio, whose timer keeps the limit.
#[cfg(feature = "peers")]
pub(super) fn awaited() -> impl FnMut(u64, u64) -> Tally {
    let (runtime, call) = (crate::runtime::runtime(), served());
    move |first, n| {
        let call = call.clone();
        let answer = move |order| {
            let (call, deadline) = call(order);
            let answer = std::future::poll_fn(move |cx| {
                let mut answer = brief(&call.answer);
                if let Some(price) = answer.0.take() {
                    return Poll::Ready(price);
                }
                answer.1 = Some(cx.waker().clone());
                Poll::Pending
            });
            let answer = tokio::time::timeout_at(deadline.into(), answer);
            async { answer.await.expect("an answer") }
        };
        let task = runtime.spawn(super::answers_async(first, n, answer));
        runtime.block_on(task).expect("a task that ends")
    }
}
