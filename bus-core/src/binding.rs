//! A handler as it is bound on one bus: named, with its service, its code and its policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::context::Context;
use crate::event::PayloadDescriptor;
use crate::failure::{Failure, Reason};
use crate::handler::{Access, Body, HandlerResult, Instance, LocalFuture, Options, Place, Plain};
use crate::message::Message;
use crate::service::Service;

/// A handler on a bus.
pub(crate) struct Binding {
    /// `service.function`, or the queue's name.
    pub(crate) name: Arc<str>,
    pub(crate) service: Arc<Service>,
    pub(crate) place: Option<Place>,
    pub(crate) code: Code,
    /// The function itself, if it takes nothing but what travels.
    pub(crate) plain: Option<Plain>,
    pub(crate) access: Access,
    pub(crate) inline: bool,
    pub(crate) policy: Policy,
    /// The payload of a listener that takes one.
    pub(crate) payload: Option<PayloadDescriptor>,
    pub(crate) shared: bool,
    pub(crate) wants_context: bool,
    pub(crate) counts: Counts,
}

impl Binding {
    /// How many may run at once of those that handle such a message: a listener's and a task's is 1
    /// unless it says more, a call that somebody waits for has no limit unless it says one.
    pub(crate) fn limit(&self, message: &dyn Message) -> Option<usize> {
        let default = message.call().is_none().then_some(1);
        self.policy.concurrency.or(default)
    }

    /// Counts a failed attempt.
    pub(crate) fn count_failure(&self, failure: &Failure) {
        Counts::add(&self.counts.failed);
        if failure.reason() == Reason::Panic {
            Counts::add(&self.counts.panicked);
        }
    }
}

/// The code of a handler.
#[derive(Clone)]
pub(crate) enum Code {
    Linked(Body),
    Closure(Arc<dyn Fn(&Context) -> HandlerResult + Send + Sync>),
    AsyncClosure(Arc<dyn Fn(Context) -> LocalFuture<HandlerResult> + Send + Sync>),
}

impl Code {
    pub(crate) fn is_async(&self) -> bool {
        matches!(self, Self::Linked(Body::Async(_)) | Self::AsyncClosure(_))
    }

    /// The function itself, of a handler that takes nothing but what travels.
    pub(crate) fn plain(&self) -> Option<Plain> {
        match self {
            Self::Linked(Body::Plain(_, plain)) => Some(*plain),
            _ => None,
        }
    }

    /// Runs synchronous code; an asynchronous one answers `None`.
    pub(crate) fn run(&self, ctx: &Context, instance: &Instance) -> Option<HandlerResult> {
        match self {
            Self::Linked(Body::Sync(run)) => Some(run(ctx, instance)),
            Self::Linked(Body::Plain(run, plain)) => Some(run(ctx, *plain)),
            Self::Closure(run) => Some(run(ctx)),
            Self::Linked(Body::Async(_)) | Self::AsyncClosure(_) => None,
        }
    }

    /// Makes the future of asynchronous code; a synchronous one runs at once.
    pub(crate) fn start(&self, ctx: Context, instance: Instance) -> LocalFuture<HandlerResult> {
        match self {
            Self::Linked(Body::Async(start)) => start(ctx, instance),
            Self::AsyncClosure(start) => start(ctx),
            Self::Linked(Body::Sync(run)) => Box::pin(std::future::ready(run(&ctx, &instance))),
            Self::Linked(Body::Plain(run, plain)) => {
                Box::pin(std::future::ready(run(&ctx, *plain)))
            }
            Self::Closure(run) => Box::pin(std::future::ready(run(&ctx))),
        }
    }
}

/// The options of a handler, with the bus's defaults filled in.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// Further attempts after a failed one.
    pub(crate) retry: u32,
    /// The wait before each further attempt; the last one repeats.
    pub(crate) backoff: Arc<[Duration]>,
    /// How long one attempt may take; for a command, how long its caller waits.
    pub(crate) timeout: Option<Duration>,
    /// How many run at once, if asynchronous; `None` for a command without a limit.
    pub(crate) concurrency: Option<usize>,
}

impl Policy {
    pub(crate) fn new(options: &Options, defaults: &Defaults) -> Self {
        Self {
            retry: options.retry.unwrap_or(defaults.retry),
            backoff: if options.backoff.is_empty() {
                defaults.backoff.clone()
            } else {
                options.backoff.into()
            },
            timeout: options.timeout,
            concurrency: options.concurrency,
        }
    }

    /// The wait before the attempt that follows attempt number `attempt`; `None` if it was the last.
    pub(crate) fn wait_after(&self, attempt: u32) -> Option<Duration> {
        if attempt > self.retry {
            return None;
        }
        let last = self.backoff.len().saturating_sub(1);
        let index = usize::try_from(attempt - 1).unwrap_or(last).min(last);
        Some(self.backoff.get(index).copied().unwrap_or(Duration::ZERO))
    }
}

/// What holds where a handler sets nothing.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    pub(crate) mailbox: usize,
    pub(crate) retry: u32,
    pub(crate) backoff: Arc<[Duration]>,
    pub(crate) command_timeout: Duration,
    pub(crate) shutdown: Duration,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            mailbox: 1_024,
            retry: 4,
            backoff: [1, 5, 30, 120].map(Duration::from_secs).into(),
            command_timeout: Duration::from_secs(30),
            shutdown: Duration::from_secs(30),
        }
    }
}

/// What became of a handler's deliveries.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) handled: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) panicked: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) dead: AtomicU64,
}

impl Counts {
    /// As [`add`](Self::add), where nobody else adds at the same time: in the turn of a service.
    #[inline]
    pub(crate) fn add_alone(counter: &AtomicU64) {
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(crate) fn add_many(counter: &AtomicU64, many: u64) {
        counter.fetch_add(many, Ordering::Relaxed);
    }

    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
impl Binding {
    /// A listener of `service` that takes nothing but the payload.
    pub(crate) fn plain(service: &Arc<Service>, plain: Plain) -> Arc<Self> {
        Arc::new(Self {
            name: "listener".into(),
            service: service.clone(),
            place: None,
            code: Code::Linked(Body::Plain(|_, _| Ok(()), plain)),
            plain: Some(plain),
            access: Access::Stateless,
            inline: false,
            policy: Policy::new(&Options::DEFAULT, &Defaults::default()),
            payload: None,
            shared: false,
            wants_context: false,
            counts: Counts::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_retries_wait_as_the_defaults_say() {
        let policy = Policy::new(&Options::DEFAULT, &Defaults::default());
        let waits: Vec<_> = (1..).map_while(|attempt| policy.wait_after(attempt)).collect();
        assert_eq!(waits, [1, 5, 30, 120].map(Duration::from_secs));
    }

    #[test]
    fn the_last_wait_repeats() {
        const WAITS: &[Duration] = &[Duration::from_secs(1), Duration::from_secs(2)];
        let options = Options { retry: Some(3), backoff: WAITS, ..Options::DEFAULT };
        let policy = Policy::new(&options, &Defaults::default());
        let waits: Vec<_> = (1..).map_while(|attempt| policy.wait_after(attempt)).collect();
        assert_eq!(waits, [1, 2, 2].map(Duration::from_secs));
    }
}
