//! Random work on a bus from several threads, with random pauses, waits, failures, panics and
//! cancellations, and a shutdown in the middle of it. Nothing that was accepted is lost, every call
//! is answered, and no service runs two handlers at once.
//!
//! `AUTOBUS_SEED=… cargo test --test stress` repeats the choices of a run, which prints its seed;
//! `AUTOBUS_STRESS_SECONDS` says how long it goes on, 10 s by default.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bus::prelude::*;
use bus::{ErrorKind, Running};

/// What all handlers of one round share.
#[derive(Clone)]
struct Round(Arc<Shared>);

struct Shared {
    seed: u64,
    accepted: AtomicU64,
    heard: [AtomicU64; 3],
    inside: [AtomicBool; 3],
    wrong: Mutex<Vec<String>>,
}

impl Round {
    fn new(seed: u64) -> Self {
        Self(Arc::new(Shared {
            seed,
            accepted: AtomicU64::new(0),
            heard: Default::default(),
            inside: Default::default(),
            wrong: Mutex::default(),
        }))
    }

    /// A random number that depends on the seed and on what is done, not on the threads.
    fn dice(&self, id: u64, salt: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.0.seed ^ (id << 8) ^ salt)
    }

    fn wrong(&self, what: impl Into<String>) {
        self.0.wrong.lock().unwrap().push(what.into());
    }

    /// A stretch of work in which no other handler of the service may run.
    fn alone(&self, service: usize, rng: &mut fastrand::Rng) {
        if self.0.inside[service].swap(true, Ordering::SeqCst) {
            self.wrong(format!("two handlers of service {service} ran at once"));
        }
        pause(rng);
        self.0.inside[service].store(false, Ordering::SeqCst);
    }
}

/// A pause of random length, none of it asleep.
fn pause(rng: &mut fastrand::Rng) {
    for _ in 0..rng.u32(..200) {
        std::hint::spin_loop();
    }
    if rng.u8(..4) == 0 {
        std::thread::yield_now();
    }
}

#[event(exchange = "stress", key = "stress.happened")]
struct Happened {
    id: u64,
}

/// Without state, synchronous: calls the others and waits.
mod plain {
    use super::*;

    #[command]
    pub(crate) fn plain(id: u64, depth: u32, round: State<Round>) -> u64 {
        let mut rng = round.dice(id, 1);
        round.alone(0, &mut rng);
        if depth > 0 {
            let answer = match rng.u8(..4) {
                0 => plain::execute(id + 1, depth - 1).wait().ok(),
                1 => eager::execute(id + 1, depth - 1).wait().ok(),
                2 => shared::execute(id + 1).wait().ok(),
                _ => exclusive::execute(id + 1).wait().ok(),
            };
            if answer.is_none() {
                round.wrong(format!("the nested call {id} has no answer"));
            }
        }
        round.alone(0, &mut rng);
        id
    }

    #[listener(Happened::HAPPENED, retry = 3, backoff = "1ms")]
    fn heard_plainly(event: &Happened, ctx: &Context, round: State<Round>) -> Result<(), String> {
        let mut rng = round.dice(event.id, 2);
        round.alone(0, &mut rng);
        settle(&round, 0, rng.u32(..4), ctx)
    }

    use super::eager::eager;
    use super::held::{exclusive, shared};
}

/// Without state, asynchronous.
mod eager {
    use super::*;

    #[command]
    pub(crate) async fn eager(id: u64, depth: u32, round: State<Round>) -> u64 {
        let mut rng = round.dice(id, 3);
        round.alone(1, &mut rng);
        if depth > 0 {
            let answer = match rng.u8(..3) {
                0 => super::plain::plain::execute(id + 1, depth - 1).await.ok(),
                1 => eager::execute(id + 1, depth - 1).await.ok(),
                _ => super::held::shared_later::execute(id + 1).await.ok(),
            };
            if answer.is_none() {
                round.wrong(format!("the nested call {id} has no answer"));
            }
        }
        round.alone(1, &mut rng);
        id
    }

    #[listener(Happened::HAPPENED, retry = 3, backoff = "1ms", concurrency = 3)]
    async fn heard_eagerly(
        event: Happened,
        ctx: &Context,
        round: State<Round>,
    ) -> Result<(), String> {
        let mut rng = round.dice(event.id, 4);
        round.alone(1, &mut rng);
        smol::future::yield_now().await;
        round.alone(1, &mut rng);
        settle(&round, 1, rng.u32(..4), ctx)
    }
}

/// With state.
mod held {
    use super::*;

    #[derive(Default)]
    pub(crate) struct Held {
        calls: u64,
    }

    #[service("held", on_panic = keep)]
    impl Held {
        #[command]
        pub(crate) fn shared(&self, id: u64, round: State<Round>) -> u64 {
            round.alone(2, &mut round.dice(id, 5));
            id + self.calls - self.calls
        }

        #[command]
        pub(crate) async fn shared_later(&self, id: u64, round: State<Round>) -> u64 {
            let mut rng = round.dice(id, 6);
            round.alone(2, &mut rng);
            let inner = super::eager::eager::execute(id + 1, 0).await;
            round.alone(2, &mut rng);
            inner.map_or(0, |_| id)
        }

        #[command]
        pub(crate) async fn exclusive(&mut self, id: u64, round: State<Round>) -> u64 {
            let before = self.calls;
            round.alone(2, &mut round.dice(id, 7));
            smol::future::yield_now().await;
            self.calls += 1;
            if self.calls != before + 1 {
                round.wrong("`&mut self` was not alone");
            }
            id
        }

        #[listener(Happened::HAPPENED, retry = 3, backoff = "1ms")]
        fn heard_by_the_holder(
            &mut self,
            event: &Happened,
            ctx: &Context,
            round: State<Round>,
        ) -> Result<(), String> {
            let mut rng = round.dice(event.id, 8);
            round.alone(2, &mut rng);
            settle(&round, 2, rng.u32(..4), ctx)
        }
    }
}

/// Succeeds once, after `failures` attempts that err or panic.
fn settle(round: &Round, listener: usize, failures: u32, ctx: &Context) -> Result<(), String> {
    if ctx.attempt() <= failures {
        // `resume_unwind` panics without a message for each on standard error.
        if failures == 2 {
            std::panic::resume_unwind(Box::new("by chance"));
        }
        return Err("by chance".to_owned());
    }
    round.0.heard[listener].fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// What a round takes far less than.
const PATIENCE: Duration = Duration::from_secs(45);

#[test]
fn nothing_is_lost_and_everybody_is_answered_whatever_the_order() {
    let set = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = set("AUTOBUS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let seconds = Duration::from_secs(set("AUTOBUS_STRESS_SECONDS").unwrap_or(10));
    // Not by `println!`, which keeps it until the test has ended: a round may hang.
    writeln!(std::io::stderr(), "AUTOBUS_SEED={seed}").unwrap();
    let (done, rounds) = mpsc::channel();
    let running = std::thread::spawn(move || {
        let end = Instant::now() + seconds;
        for seed in (0..).map(|round| seed.wrapping_add(round)) {
            run(seed);
            done.send(seed).unwrap();
            if Instant::now() >= end {
                return;
            }
        }
    });
    let mut next = seed;
    loop {
        match rounds.recv_timeout(PATIENCE) {
            Ok(seed) => next = seed.wrapping_add(1),
            Err(RecvTimeoutError::Disconnected) => break running.join().unwrap(),
            Err(RecvTimeoutError::Timeout) => panic!("a round hangs: AUTOBUS_SEED={next}"),
        }
    }
}

fn run(seed: u64) {
    let round = Round::new(seed);
    let bus: Running = bus::builder().state(round.clone()).build().unwrap();
    let threads: Vec<_> = (0..3_u64)
        .map(|thread| {
            let (bus, round) = ((*bus).clone(), round.clone());
            std::thread::spawn(move || work(&bus, &round, thread))
        })
        .collect();
    // The rounds that stop in the middle refuse what comes later, and lose nothing of the rest.
    if seed.is_multiple_of(2) {
        bus.shutdown().unwrap();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    bus.shutdown().unwrap();
    let accepted = round.0.accepted.load(Ordering::SeqCst);
    for heard in &round.0.heard {
        assert_eq!(heard.load(Ordering::SeqCst), accepted, "AUTOBUS_SEED={seed}");
    }
    assert_eq!(*round.0.wrong.lock().unwrap(), [""; 0], "AUTOBUS_SEED={seed}");
    assert_eq!(bus.stats().dead_letters, 0, "AUTOBUS_SEED={seed}");
}

/// What one thread does from outside.
fn work(bus: &Bus, round: &Round, thread: u64) {
    let mut rng = round.dice(thread, 9);
    for step in 0..150 {
        let id = (thread << 32) | (step << 4);
        match rng.u8(..8) {
            0..=3 => {
                let receipt = bus.fire(Happened { id });
                let accepted = if rng.bool() {
                    receipt.wait().map(drop)
                } else {
                    receipt.handled().wait().map(|outcomes| assert_eq!(outcomes.len(), 3))
                };
                match accepted {
                    Ok(()) => drop(round.0.accepted.fetch_add(1, Ordering::SeqCst)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
                }
            }
            4 => {
                let promise = eager::eager::on(bus).execute(id, 3);
                promise.cancel();
                drop(promise);
            }
            5 => drop(plain::plain::on(bus).execute(id, 2)),
            6 => answered(round, id, eager::eager::on(bus).execute(id, 4)),
            _ => answered(round, id, plain::plain::on(bus).execute(id, 6)),
        }
        pause(&mut rng);
    }
}

fn answered(round: &Round, id: u64, promise: Promise<u64>) {
    match promise.wait() {
        Ok(answer) if answer == id => {}
        Err(ExecuteError::Closed) => {}
        other => round.wrong(format!("the call {id} has the answer {other:?}")),
    }
}

#[test]
fn an_event_that_is_accepted_while_the_bus_stops_is_heard_also_with_a_key_never_seen() {
    for _ in 0..200 {
        let bus = bus::builder().services(["plain", "held", "eager"]).state(Round::new(0));
        let bus = bus.build().unwrap();
        let heard = Arc::new(AtomicU64::new(0));
        let counter = heard.clone();
        bus.register_listener(("bus", "fresh.#"), move |_: u64| {
            counter.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap()
        .keep();
        let firing: Vec<_> = (0..2)
            .map(|thread| {
                let bus = (*bus).clone();
                std::thread::spawn(move || {
                    let fire = |id| bus.fire_event(&format!("fresh.{thread}.{id}"), id).wait();
                    (0..u64::MAX).find(|id| fire(*id).is_err()).unwrap()
                })
            })
            .collect();
        bus.shutdown().unwrap();
        let accepted: u64 = firing.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(heard.load(Ordering::SeqCst), accepted);
        assert_eq!(bus.stats().dead_letters, 0);
    }
}
