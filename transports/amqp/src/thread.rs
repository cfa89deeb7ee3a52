//! The thread of a transport: a runtime of its own, on which its tasks run until it is closed. Nobody
//! else has to have a runtime, and nothing of the transport outlives it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use autobus_core::transport::{
    Dead, Depth, Queue, QueueKind, Resolver, Sink, Subscription, Topology,
};
use autobus_core::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};

use crate::call::{self, Call};
use crate::config::{AmqpConfig, QueueType};
use crate::connection::{self, Dialer, Link, NoConnection, Open};
use crate::consume::{self, Source};
use crate::dead::{self, Graves, Verdict};
use crate::error;
use crate::gauge::Gauge;
use crate::health::{Health, Role};
use crate::publish::{self, Outgoing, Publisher};
use crate::settle::Order;
use crate::topology::{Known, declare_all};

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// What is asked of the thread.
pub(crate) enum Request {
    Declare(Topology, Resolver<()>),
    Consume { source: Source, prefetch: u16, sink: Sink, done: Resolver<Subscription> },
    DeadLetters(Queue, Resolver<Vec<Dead>>),
    Judge { queue: Queue, id: String, verdict: Verdict, done: Resolver<bool> },
    Depth(Queue, Resolver<Depth>),
    Close(Instant, Resolver<()>),
}

/// What the thread is started with.
pub(crate) struct Start {
    pub(crate) config: AmqpConfig,
    pub(crate) name: String,
    pub(crate) body_limit: usize,
    pub(crate) requests: mpsc::UnboundedReceiver<Request>,
    pub(crate) calls: mpsc::UnboundedReceiver<Call>,
    pub(crate) outgoing: mpsc::UnboundedReceiver<Outgoing>,
    pub(crate) publisher: Publisher,
    /// What is with the bus, or being settled.
    pub(crate) gauge: Gauge,
    pub(crate) health: Arc<Health>,
    pub(crate) connected: std_mpsc::SyncSender<Result<()>>,
}

impl Start {
    /// Runs until the transport is closed or dropped.
    pub(crate) fn run(self) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let error =
                    Error::transport("the thread `bus-amqp` has no runtime").with_source(error);
                // Whoever waited for it may be gone.
                let _ = self.connected.send(Err(error));
                return;
            }
        };
        let health = self.health.clone();
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, self.main());
        // The tasks end here, wherever they are, and whoever waits for them is told.
        drop(tasks);
        health.close();
        // Looking up a name may take longer than anybody wants to wait.
        runtime.shutdown_background();
    }

    async fn main(self) {
        let Self {
            config,
            name,
            body_limit,
            mut requests,
            calls,
            outgoing,
            publisher,
            gauge,
            health,
            connected,
        } = self;
        let queue_type = config.queue_type();
        let dialer = Rc::new(Dialer { config, name, health });
        let known = Rc::new(RefCell::new(Known::default()));
        let (refused, mut refusals) = mpsc::unbounded_channel();
        let publishing = keep(&dialer, Role::Publish, &known, &refused);
        let consuming = keep(&dialer, Role::Consume, &known, &refused);

        if let Err(error) = first(&mut refusals, publishing.clone(), consuming.clone()).await {
            let _ = connected.send(Err(error));
            return;
        }
        if connected.send(Ok(())).is_err() {
            return;
        }
        let main = Main {
            consumers: Rc::new(consume::Shared {
                link: consuming.clone(),
                publisher: publisher.clone(),
                gauge: gauge.clone(),
                consuming: Gauge::default(),
                queue_type,
                body_limit,
            }),
            graves: Graves {
                dialer: dialer.clone(),
                link: consuming,
                publisher: publisher.clone(),
                body_limit,
            },
            orders: RefCell::default(),
            known,
            queue_type,
        };
        spawn_local(publish::run(outgoing, publishing.clone(), queue_type));
        spawn_local(call::Caller::new(calls, body_limit).run(publishing.clone()));
        let main = Rc::new(main);
        while let Some(request) = requests.recv().await {
            match request {
                Request::Declare(topology, done) => {
                    let (main, links) =
                        (main.clone(), [publishing.clone(), main.graves.link.clone()]);
                    spawn_local(async move { done.resolve(main.declare(topology, links).await) });
                }
                Request::Consume { source, prefetch, sink, done } => {
                    let main = main.clone();
                    spawn_local(
                        async move { done.resolve(main.consume(source, prefetch, sink).await) },
                    );
                }
                Request::DeadLetters(queue, done) => {
                    let graves = main.graves.clone();
                    spawn_local(async move { done.resolve(graves.list(queue).await) });
                }
                Request::Judge { queue, id, verdict, done } => {
                    let graves = main.graves.clone();
                    spawn_local(
                        async move { done.resolve(graves.judge(queue, id, verdict).await) },
                    );
                }
                Request::Depth(queue, done) => {
                    let link = main.graves.link.clone();
                    spawn_local(async move { done.resolve(depth(link, queue).await) });
                }
                Request::Close(deadline, done) => {
                    let links = [publishing, main.graves.link.clone()];
                    let result = main.close(deadline, &publisher, &gauge, links).await;
                    dialer.health.close();
                    done.resolve(result);
                    // Whoever closed it as well meanwhile has what they want.
                    requests.close();
                    while let Ok(request) = requests.try_recv() {
                        if let Request::Close(_, done) = request {
                            done.resolve(Ok(()));
                        }
                    }
                    return;
                }
            }
        }
    }
}

/// Starts to keep a connection.
fn keep(
    dialer: &Rc<Dialer>,
    role: Role,
    known: &Rc<RefCell<Known>>,
    refused: &mpsc::UnboundedSender<NoConnection>,
) -> Link {
    let (current, link) = connection::link();
    let (dialer, known, refused) = (dialer.clone(), known.clone(), refused.clone());
    spawn_local(async move {
        let kind = dialer.config.queue_type();
        let prepare = async |open: &Open| {
            let (exchanges, queues) = known.borrow().of(role == Role::Consume);
            if exchanges.is_empty() && queues.is_empty() {
                return Ok(());
            }
            if let Some(error) = declare_all(open, &exchanges, &queues, kind).await? {
                tracing::error!(target: "autobus::amqp", %error, "not everything could be declared again");
            }
            Ok(())
        };
        // Nobody waits for it after the first connection.
        let _ = refused.send(connection::keep(dialer.clone(), role, current, prepare).await);
    });
    link
}

/// Waits for both connections, or for a refusal.
async fn first(
    refusals: &mut mpsc::UnboundedReceiver<NoConnection>,
    mut publishing: Link,
    mut consuming: Link,
) -> Result<()> {
    let both = async {
        publishing.open().await;
        consuming.open().await;
    };
    tokio::select! {
        biased;
        Some(refused) = refusals.recv() => Err(refused.error),
        () = both => Ok(()),
    }
}

struct Main {
    consumers: Rc<consume::Shared>,
    graves: Graves,
    /// Where each consumer is told to stop.
    orders: RefCell<Vec<mpsc::UnboundedSender<Order>>>,
    known: Rc<RefCell<Known>>,
    queue_type: QueueType,
}

impl Main {
    async fn declare(&self, topology: Topology, links: [Link; 2]) -> Result<()> {
        let mut fresh = Known::default();
        fresh.add(topology.clone());
        for (mut link, broadcast) in links.into_iter().zip([false, true]) {
            let (exchanges, queues) = fresh.of(broadcast);
            loop {
                let open = link.open().await.ok_or_else(error::closed)?;
                let declared = declare_all(&open, &exchanges, &queues, self.queue_type);
                match open.alive(declared).await {
                    Some(Ok(None)) => break,
                    Some(Ok(Some(error))) => return Err(error),
                    _ => link.recover(&open).await,
                }
            }
        }
        self.known.borrow_mut().add(topology);
        Ok(())
    }

    async fn consume(&self, source: Source, prefetch: u16, sink: Sink) -> Result<Subscription> {
        let mut orders = vec![self.start(source.clone(), prefetch, sink.clone()).await?];
        if let Source::Queue(queue) = source
            && !matches!(queue.kind, QueueKind::Broadcast)
        {
            orders.push(self.start(Source::Suspects(queue), 1, sink).await?);
        }
        Ok(Subscription::new(move || {
            for orders in &orders {
                // A consumer that is gone has ended.
                let _ = orders.send(Order::End);
            }
        }))
    }

    async fn start(
        &self,
        source: Source,
        prefetch: u16,
        sink: Sink,
    ) -> Result<mpsc::UnboundedSender<Order>> {
        let (ready, accepted) = oneshot::channel();
        let (task, orders) =
            consume::Task::new(self.consumers.clone(), source, prefetch, sink, ready);
        spawn_local(task.run());
        {
            let mut all = self.orders.borrow_mut();
            all.retain(|orders| !orders.is_closed());
            all.push(orders.clone());
        }
        accepted.await.unwrap_or_else(|_| Err(error::closed()))?;
        Ok(orders)
    }

    async fn close(
        &self,
        deadline: Instant,
        publisher: &Publisher,
        gauge: &Gauge,
        links: [Link; 2],
    ) -> Result<()> {
        for orders in self.orders.take() {
            // A consumer that is gone has ended.
            let _ = orders.send(Order::End);
        }
        let deadline = tokio::time::Instant::from_std(deadline);
        // What is delivered until then is known only once its consumer has ended.
        let ended = deadline.min(tokio::time::Instant::now() + GOODBYE);
        let _ = tokio::time::timeout_at(ended, self.consumers.consuming.idle()).await;
        let idle = async {
            // Settling publishes, and what is published settles.
            while publisher.gauge().count() + gauge.count() > 0 {
                publisher.gauge().idle().await;
                gauge.idle().await;
            }
        };
        let result = tokio::time::timeout_at(deadline, idle).await.map_err(|_| {
            let (messages, deliveries) = (publisher.gauge().count(), gauge.count());
            let message = format!(
                "closed with {messages} messages unconfirmed, and {deliveries} deliveries unsettled"
            );
            Error::of_kind(ErrorKind::Timeout, message)
        });
        let patience = deadline.saturating_duration_since(tokio::time::Instant::now()).min(GOODBYE);
        for open in links.iter().filter_map(Link::now) {
            open.close(patience).await;
        }
        result
    }
}

async fn depth(mut link: Link, queue: Queue) -> Result<Depth> {
    loop {
        let open = link.open().await.ok_or_else(error::closed)?;
        let asked = async {
            let channel = open.channel().await?;
            let answer = dead::refusal(&queue.name, dead::declared(&channel, &queue.name).await);
            // The channel is of no more use to anybody.
            let _ = channel.close(200, lapin::types::ShortString::default()).await;
            answer
        };
        match open.alive(asked).await {
            Some(Ok(answer)) => {
                return answer.map(|(messages, consumers)| Depth::new(messages, consumers));
            }
            _ => link.recover(&open).await,
        }
    }
}
