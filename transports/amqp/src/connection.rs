//! One connection to the broker that comes back: with a growing, jittered wait, for as long as the
//! transport lives. The client's own recovery stays off, since it knows nothing of retries, of what
//! is to be published again, or of a queue that was deleted.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use autobus_core::Error;
use futures_util::StreamExt as _;
use lapin::options::ConfirmSelectOptions;
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties, Event};
use tokio::sync::watch;

use crate::config::AmqpConfig;
use crate::error::{self, code};
use crate::health::{Health, Role, State};
use crate::lane::{Lane, Lanes};
use crate::socket::{self, Cutter, Kit};

/// The longest that one attempt to connect may take, so that a node that accepts connections and
/// says nothing does not keep us from the next one.
const ATTEMPT: Duration = Duration::from_secs(10);

/// A connection that is open now.
pub(crate) struct Open {
    connection: Connection,
    lanes: Rc<Lanes>,
    cutter: Cutter,
    blocked: watch::Sender<bool>,
    gone: watch::Sender<bool>,
}

impl Open {
    pub(crate) async fn channel(&self) -> lapin::Result<Channel> {
        self.connection.create_channel().await
    }

    /// A channel whose publishings are confirmed, and its messages.
    pub(crate) async fn confirming(&self) -> lapin::Result<(Channel, Lane)> {
        let channel = self.channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let lane = self.lane(&channel);
        Ok((channel, lane))
    }

    /// Takes the messages of a channel, instead of the client.
    pub(crate) fn lane(&self, channel: &Channel) -> Lane {
        Lane::new(&self.lanes, channel.id(), self.connection.configuration().frame_max())
    }

    /// Does something with the connection; `None`, if it is lost meanwhile.
    ///
    /// What is asked of the client while a connection ends may never be answered.
    pub(crate) async fn alive<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut gone = self.gone.subscribe();
        tokio::select! {
            biased;
            done = work => Some(done),
            // Both are the end of it.
            _ = gone.wait_for(|gone| *gone) => None,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.connection.status().connected()
    }

    /// Whether the broker takes nothing for now.
    pub(crate) fn blocked(&self) -> watch::Receiver<bool> {
        self.blocked.subscribe()
    }

    /// Says goodbye, for this long at most.
    pub(crate) async fn close(&self, patience: Duration) {
        let goodbye = self.connection.close(200, "OK".into());
        // The socket is cut in any case.
        let _ = tokio::time::timeout(patience, goodbye).await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.cutter.cut();
    }
}

/// Where those who need the connection wait for it.
#[derive(Clone)]
pub(crate) struct Link(watch::Receiver<Option<Rc<Open>>>);

impl Link {
    /// The connection, once there is one; `None` if there never will be.
    pub(crate) async fn open(&mut self) -> Option<Rc<Open>> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// The connection, if it is there.
    pub(crate) fn now(&self) -> Option<Rc<Open>> {
        self.0.borrow().clone()
    }

    /// Waits until `open` is no longer the connection.
    pub(crate) async fn lost(&mut self, open: &Rc<Open>) {
        let other = |now: &Option<Rc<Open>>| !now.as_ref().is_some_and(|now| Rc::ptr_eq(now, open));
        // An error is that there is no connection any more either.
        let _ = self.0.wait_for(other).await;
    }
}

/// How long it takes until a channel is opened anew, if nothing else is wrong.
const PAUSE: Duration = Duration::from_millis(200);

impl Link {
    /// After something failed on `open`: waits until it is lost, or for a moment, since it may have
    /// been a channel alone.
    pub(crate) async fn recover(&mut self, open: &Rc<Open>) {
        // Either will do.
        let _ = tokio::time::timeout(PAUSE, self.lost(open)).await;
    }
}

/// What the connections of a transport are made from.
pub(crate) struct Dialer {
    pub(crate) config: AmqpConfig,
    pub(crate) name: String,
    pub(crate) health: Arc<Health>,
}

/// Why there is no connection.
pub(crate) struct NoConnection {
    pub(crate) error: Error,
    /// Whether trying again cannot help: the broker is there, and refuses.
    pub(crate) fatal: bool,
}

/// Keeps a connection, and never returns but for a first attempt that is refused for good.
///
/// `prepare` is done with each new connection before anybody else has it.
pub(crate) async fn keep(
    dialer: Rc<Dialer>,
    role: Role,
    current: watch::Sender<Option<Rc<Open>>>,
    prepare: impl AsyncFn(&Open) -> lapin::Result<()>,
) -> NoConnection {
    let (mut failures, mut was_up) = (0_u32, false);
    let turn = Cell::new(0);
    loop {
        let reason = match dial(&dialer, role, &turn).await {
            Ok(open) => {
                let born = Instant::now();
                let open = Rc::new(open);
                let events = open.connection.events_listener();
                let mut watching = std::pin::pin!(watch(&dialer, role, &open, events));
                let prepared = tokio::select! {
                    biased;
                    prepared = prepare(&open) => prepared.map_err(|error| error::text(&error)),
                    reason = &mut watching => Err(reason),
                };
                let lost = match prepared {
                    Ok(()) => {
                        was_up = true;
                        dialer.health.set(role, State::Up);
                        tracing::info!(target: "autobus::amqp", to = %dialer.config, role = role.name(), "connected");
                        current.send_replace(Some(open.clone()));
                        let reason = watching.await;
                        current.send_replace(None);
                        reason
                    }
                    Err(reason) => reason,
                };
                open.gone.send_replace(true);
                open.cutter.cut();
                // What falls at once is not tried again at once.
                if born.elapsed() > Duration::from_secs(5) {
                    failures = 0;
                }
                lost
            }
            Err(refused) if refused.fatal && !was_up => return refused,
            Err(refused) => {
                let error = refused.error;
                match std::error::Error::source(&error) {
                    Some(source) => format!("{error}: {source}"),
                    None => error.to_string(),
                }
            }
        };
        let wait = backoff(failures);
        tracing::warn!(target: "autobus::amqp", to = %dialer.config, role = role.name(), %reason, ?wait, "not connected; trying again");
        dialer.health.down(role, reason);
        failures = failures.saturating_add(1);
        tokio::time::sleep(wait).await;
    }
}

/// A connection for once, with whichever node takes it.
pub(crate) async fn visit(dialer: &Dialer) -> Result<Open, Error> {
    let turn = Cell::new(0);
    loop {
        match dial(dialer, Role::Look, &turn).await {
            Ok(open) => return Ok(open),
            Err(none) if turn.get() >= dialer.config.hosts().len() => return Err(none.error),
            Err(_) => {}
        }
    }
}

impl Open {
    /// Does something with a connection that nobody keeps; `None`, if it is lost meanwhile.
    pub(crate) async fn once<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut events = std::pin::pin!(self.connection.events_listener());
        let lost = async { while self.is_up() && events.next().await.is_some() {} };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = lost => None,
        }
    }
}

/// Watches a connection until it is gone; returns why.
async fn watch(
    dialer: &Dialer,
    role: Role,
    open: &Open,
    events: impl futures_util::Stream<Item = Event>,
) -> String {
    let mut events = std::pin::pin!(events);
    let mut reason = None;
    while open.is_up() {
        let Some(event) = events.next().await else { break };
        match event {
            Event::ConnectionBlocked(reason) => {
                tracing::warn!(target: "autobus::amqp", to = %dialer.config, role = role.name(), %reason, "the broker takes nothing for now; what is published waits");
                dialer.health.set(role, State::Blocked(reason));
                open.blocked.send_replace(true);
            }
            Event::ConnectionUnblocked => {
                tracing::info!(target: "autobus::amqp", to = %dialer.config, role = role.name(), "the broker takes everything again");
                dialer.health.set(role, State::Up);
                open.blocked.send_replace(false);
            }
            Event::Error(error) => reason = Some(error::text(&error)),
            _ => {}
        }
        // Errors of channels are told here as well, so the connection is asked.
    }
    reason.unwrap_or_else(|| "the connection ended".to_owned())
}

/// Full jitter: anything up to a bound that doubles from 100 ms to 5 s, so that the processes that
/// lost one broker do not come back to it together.
fn backoff(failures: u32) -> Duration {
    let bound = 100_u64.saturating_mul(1 << failures.min(6)).min(5_000);
    Duration::from_millis(fastrand::u64(1..=bound))
}

/// Connects to one of the nodes.
async fn dial(dialer: &Dialer, role: Role, turn: &Cell<usize>) -> Result<Open, NoConnection> {
    let config = &dialer.config;
    let hosts = config.hosts();
    let host = &hosts[turn.replace(turn.get().wrapping_add(1)) % hosts.len()];
    let deadline = tokio::time::Instant::now() + ATTEMPT;
    let unreachable = |error: io::Error| {
        let fatal = matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::Unsupported);
        let what = socket::distrust(&error, host);
        let what = what.unwrap_or_else(|| format!("no connection to {config}"));
        NoConnection { error: Error::transport(what).with_source(error), fatal }
    };
    let (socket, lanes, cutter) = tokio::time::timeout_at(deadline, socket::connect(config, host))
        .await
        .map_err(|_| unreachable(io::ErrorKind::TimedOut.into()))?
        .map_err(unreachable)?;

    let name = format!("{} ({})", dialer.name, role.name());
    let properties = ConnectionProperties::default()
        .with_client_property("product".into(), "autobus".into())
        .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into())
        .with_connection_name(name.into());
    let socket = Mutex::new(Some(socket));
    let hand_over = async move |_, _| {
        let socket = socket.lock().unwrap_or_else(PoisonError::into_inner).take();
        let gone = || lapin::Error::from(io::Error::from(io::ErrorKind::NotConnected));
        socket.map(AsyncTcpStream::Plain).ok_or_else(gone)
    };
    let greeting = Connection::connector(config.uri(), Kit::runtime(), hand_over, properties);
    match tokio::time::timeout_at(deadline, greeting).await {
        Ok(Ok(connection)) => Ok(Open {
            connection,
            lanes,
            cutter,
            blocked: watch::Sender::new(false),
            gone: watch::Sender::new(false),
        }),
        Ok(Err(error)) => {
            cutter.cut();
            Err(refused(config, &error))
        }
        Err(_) => {
            cutter.cut();
            Err(unreachable(io::Error::new(
                io::ErrorKind::TimedOut,
                "the broker accepted the connection and said nothing",
            )))
        }
    }
}

/// Tells a wrong password from a wrong virtual host from a broker that is not there.
fn refused(config: &AmqpConfig, error: &lapin::Error) -> NoConnection {
    let (what, fatal) = match error::reply_code(error) {
        Some(code::ACCESS_REFUSED) => (
            format!(
                "the broker refuses the user `{}` or its password; correct them in the URL, or add the user at the broker",
                config.user()
            ),
            true,
        ),
        Some(code::NOT_ALLOWED | code::NOT_FOUND) => (
            format!(
                "the virtual host `{}` does not exist, or the user `{}` may not use it; correct the end of the URL, or add it at the broker",
                config.vhost(),
                config.user()
            ),
            true,
        ),
        _ => (format!("no connection to {config}"), false),
    };
    NoConnection { error: Error::transport(what).with_source(error.clone()), fatal }
}

/// A connection that nobody keeps yet, and who will keep it.
pub(crate) fn link() -> (watch::Sender<Option<Rc<Open>>>, Link) {
    let (sender, receiver) = watch::channel(None);
    (sender, Link(receiver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        for (failures, bound) in [(0, 100), (1, 200), (5, 3_200), (6, 5_000), (u32::MAX, 5_000)] {
            let waits: Vec<u128> = (0..1_000).map(|_| backoff(failures).as_millis()).collect();
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(*least >= 1 && *most <= bound, "{least} to {most} of {bound} ms");
            // Not all at once, and not all of them long.
            assert!(*least < bound / 4 && *most > bound / 4 * 3, "{least} to {most} of {bound} ms");
        }
    }
}
