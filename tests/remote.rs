//! Two buses over one broker, each like a process of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bus::prelude::*;
use bus::{Builder, ErrorKind, Failure, Reason, Running};

#[event(exchange = "shop", key = "shop.v1.paid")]
struct Paid {
    id: u64,
}

#[event(local, exchange = "shop", key = "shop.v1.looked_at")]
struct LookedAt(u64);

mod till {
    use super::Failure;
    use bus::prelude::*;

    #[payload]
    #[derive(Debug, PartialEq)]
    pub(crate) struct Empty {
        pub(crate) missing: u64,
    }

    #[derive(Debug)]
    pub(crate) struct Silent;

    impl std::fmt::Display for Silent {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the till is locked")
        }
    }

    #[command]
    pub(crate) fn change(cents: u64, ctx: &Context) -> Result<(u64, String), Empty> {
        if cents > 100 {
            return Err(Empty { missing: cents - 100 });
        }
        Ok((100 - cents, ctx.correlation_id()))
    }

    #[command]
    pub(crate) fn open() -> Result<(), Silent> {
        Err(Silent)
    }

    #[command]
    pub(crate) fn explode() -> u64 {
        panic!("a secret of the till")
    }

    #[command(retry = 1, backoff = "1ms")]
    pub(crate) fn count(coins: u64) -> Result<(), String> {
        super::tell(&format!("count {coins}"));
        if coins == 13 { Err("unlucky".to_owned()) } else { Ok(()) }
    }

    #[command(local)]
    pub(crate) fn whisper() -> u64 {
        1
    }

    // Keeps the module's other errors in use where a test reads failures by hand.
    pub(crate) fn text(failure: &Failure) -> &str {
        failure.message()
    }
}

/// What handlers tell to the test that listens, by the name of the test's broker.
static TOLD: Mutex<Option<std::sync::mpsc::Sender<String>>> = Mutex::new(None);

/// Tests that are told something run one after another.
static ONE: Mutex<()> = Mutex::new(());

fn tell(text: &str) {
    if let Some(told) = &*TOLD.lock().unwrap_or_else(PoisonError::into_inner) {
        let _ = told.send(text.to_owned());
    }
}

fn listen() -> (std::sync::MutexGuard<'static, ()>, Receiver<String>) {
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (sender, receiver) = channel();
    *TOLD.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
    (one, receiver)
}

fn next(told: &Receiver<String>) -> String {
    told.recv_timeout(Duration::from_secs(20)).expect("a handler tells something")
}

#[listener(Paid::EVENT, service = "books", retry = 2, backoff = "1ms")]
fn write_down(paid: &Paid, ctx: &Context) -> Result<(), String> {
    tell(&format!("paid {} attempt {} {}", paid.id, ctx.attempt(), ctx.idempotency_key()));
    if paid.id == 13 { Err("unlucky".to_owned()) } else { Ok(()) }
}

#[listener(LookedAt::EVENT, service = "books")]
fn notice(looked: &LookedAt) {
    tell(&format!("looked at {}", looked.0));
}

/// A broker of its own for each test.
fn broker() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("memory:remote-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn process(broker: &str, services: &[&str]) -> Running {
    let builder = Builder::new().transport(broker).services(services.iter().copied());
    builder.build().expect("the bus starts")
}

#[test]
fn an_event_reaches_a_listener_of_another_process() -> bus::Result<()> {
    let (_one, told) = listen();
    let broker = broker();
    let shop = process(&broker, &["till"]);
    let books = process(&broker, &["books"]);
    assert!(shop.fire(Paid { id: 7 }).wait()?.routed);
    assert!(next(&told).starts_with("paid 7 attempt 1 "));
    shop.shutdown()?;
    books.shutdown()
}

#[test]
fn what_was_fired_before_a_services_first_start_waits_for_it() -> bus::Result<()> {
    let (_one, told) = listen();
    let broker = broker();
    let shop = process(&broker, &["till"]);
    for id in 0..100 {
        shop.fire(Paid { id: 100 + id }).wait()?;
    }
    let books = process(&broker, &["books"]);
    for id in 0..100 {
        assert!(next(&told).starts_with(&format!("paid {} attempt 1 ", 100 + id)));
    }
    shop.shutdown()?;
    books.shutdown()
}

#[test]
fn a_failed_delivery_is_retried_counted_and_kept_at_the_broker() -> bus::Result<()> {
    let (_one, told) = listen();
    let broker = broker();
    let shop = process(&broker, &["till"]);
    let books = process(&broker, &["books"]);
    shop.fire(Paid { id: 13 }).wait()?;
    let attempts: Vec<String> = (0..3).map(|_| next(&told)).collect();
    for (number, attempt) in (1..).zip(&attempts) {
        assert!(attempt.starts_with(&format!("paid 13 attempt {number} ")), "{attempt}");
    }
    let keys: Vec<&str> = attempts.iter().filter_map(|told| told.rsplit(' ').next()).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    books.shutdown()?;
    let letters = shop.dead_letters().list()?;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.listener(), letter.attempts()), ("books.write_down", 3));
    assert_eq!((letter.exchange(), letter.key()), ("shop", "shop.v1.paid"));
    assert_eq!((letter.reason().reason(), letter.reason().message()), (Reason::Error, "unlucky"));
    assert_eq!(letter.id(), keys[0]);
    shop.dead_letters().replay(letter.id())?;
    let books = process(&broker, &["books"]);
    let again = next(&told);
    assert!(again.starts_with("paid 13 attempt 1 ") && again.ends_with(keys[0]), "{again}");
    shop.shutdown()?;
    books.shutdown()
}

#[test]
fn a_command_is_answered_across_processes() -> bus::Result<()> {
    let broker = broker();
    let shop = process(&broker, &["till"]);
    let books = process(&broker, &["books"]);
    let answer = till::change::on(&books).execute(40).wait();
    assert_eq!(answer.map(|(rest, _)| rest), Ok(60));
    let error = till::change::on(&books).execute(140).wait().unwrap_err();
    assert_eq!(error, ExecuteError::Handler(till::Empty { missing: 40 }));
    match till::open::on(&books).execute().wait() {
        Err(ExecuteError::Remote(text)) => assert_eq!(text, "the till is locked"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(till::open::on(&shop).execute().wait(), Err(ExecuteError::Handler(_))));
    match till::explode::on(&books).execute().wait() {
        Err(error @ ExecuteError::Panicked) => assert!(!error.to_string().contains("secret")),
        other => panic!("{other:?}"),
    }
    let by_name = books.execute_command::<_, (u64, String)>("till.change", (40,)).wait();
    assert_eq!(by_name.map(|(rest, _)| rest), Ok(60));
    let by_name = books.execute_command::<_, (u64, String)>("till.change", ("x",)).wait();
    assert!(matches!(by_name, Err(ExecuteError::Codec(_))), "{by_name:?}");
    let by_name = books.execute_command::<_, (u64, String)>("till.change", (140,)).wait();
    match by_name {
        Err(ExecuteError::Handler(failure)) => {
            assert_eq!(failure.decode(), Some(till::Empty { missing: 40 }));
            assert!(!till::text(&failure).is_empty());
        }
        other => panic!("{other:?}"),
    }
    books.shutdown()?;
    shop.shutdown()
}

#[test]
fn a_command_that_nobody_serves_is_not_found() -> bus::Result<()> {
    let broker = broker();
    let books = process(&broker, &["books"]);
    let answer = till::change::on(&books).execute(40).wait();
    assert!(matches!(answer, Err(ExecuteError::NotFound(_))), "{answer:?}");
    let answer = till::whisper::on(&books).execute().wait();
    assert!(matches!(answer, Err(ExecuteError::NotFound(_))), "{answer:?}");
    books.shutdown()
}

#[test]
fn a_local_command_is_not_served_to_others() -> bus::Result<()> {
    let broker = broker();
    let shop = process(&broker, &["till"]);
    let books = process(&broker, &["books"]);
    assert_eq!(till::whisper::on(&shop).execute().wait(), Ok(1));
    assert!(matches!(till::whisper::on(&books).execute().wait(), Err(ExecuteError::NotFound(_))));
    let by_name = books.execute_command::<_, u64>("till.whisper", ()).wait();
    assert!(matches!(by_name, Err(ExecuteError::NotFound(_))), "{by_name:?}");
    shop.shutdown()?;
    books.shutdown()
}

#[test]
fn a_task_waits_for_a_worker_and_is_retried() -> bus::Result<()> {
    let (_one, told) = listen();
    let broker = broker();
    let books = process(&broker, &["books"]);
    till::count::on(&books).dispatch(13).wait()?;
    till::count::on(&books).dispatch(7).wait()?;
    let shop = process(&broker, &["till"]);
    let mut seen: Vec<String> = (0..3).map(|_| next(&told)).collect();
    seen.sort_unstable();
    assert_eq!(seen, ["count 13", "count 13", "count 7"]);
    shop.shutdown()?;
    let letters = {
        let shop = process(&broker, &["till"]);
        let letters = shop.dead_letters().list()?;
        shop.shutdown()?;
        letters
    };
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].listener(), letters[0].payload()), ("till.count", "[13]"));
    books.shutdown()
}

#[test]
fn a_local_event_stays_in_its_process() -> bus::Result<()> {
    let (_one, told) = listen();
    let broker = broker();
    let books = process(&broker, &["books"]);
    let shop = process(&broker, &["till"]);
    assert!(!shop.fire(LookedAt(1)).wait()?.routed);
    books.fire(LookedAt(2)).handled().wait()?.ok()?;
    assert_eq!(next(&told), "looked at 2");
    shop.shutdown()?;
    books.shutdown()
}

#[test]
fn nobody_learns_outcomes_over_a_broker() -> bus::Result<()> {
    let broker = broker();
    let shop = process(&broker, &["till"]);
    let error = shop.fire(Paid { id: 1 }).handled().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    shop.shutdown()
}

#[test]
fn a_chain_of_causes_keeps_its_ids_across_processes() -> bus::Result<()> {
    let broker = broker();
    let shop = process(&broker, &["till"]);
    let books = process(&broker, &["books"]);
    let (sender, chained) = channel();
    let sender = Mutex::new(sender);
    let _listener = books.register_listener(Paid::EVENT, move |_: &Paid, ctx: &Context| {
        let (_, correlation) = till::change::execute(40).wait().map_err(|e| format!("{e:?}"))?;
        let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
        let told = (ctx.correlation_id(), correlation, ctx.id(), ctx.causation_traceparent());
        sender.send((told, ctx.traceparent())).map_err(|e| e.to_string())
    })?;
    shop.fire(Paid { id: 1 }).wait()?;
    let ((first, second, id, parent), own) =
        chained.recv_timeout(Duration::from_secs(20)).expect("the listener tells");
    assert_eq!(first, second);
    assert_eq!(first, id);
    let trace = |text: &str| text.split('-').nth(1).map(str::to_owned);
    assert_eq!(trace(&parent.expect("it was sent with one")), trace(&own));
    books.shutdown()?;
    shop.shutdown()
}

#[test]
fn firing_after_shutdown_gives_the_event_back() -> bus::Result<()> {
    let shop = process(&broker(), &["till"]);
    shop.shutdown()?;
    let error = shop.fire(Paid { id: 5 }).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.into_event::<Paid>()?.id, 5);
    assert!(matches!(till::change::on(&shop).execute(1).wait(), Err(ExecuteError::Closed)));
    Ok(())
}

#[test]
fn a_closure_serves_and_listens_across_processes() -> bus::Result<()> {
    let broker = broker();
    let shop = process(&broker, &["till"]);
    let books = process(&broker, &["books"]);
    let guard = shop.register_command("sum", |a: u64, b: u64| a + b)?;
    assert_eq!(books.execute_command::<_, u64>("sum", (1, 2)).wait(), Ok(3));
    drop(guard);
    let gone = books.execute_command::<_, u64>("sum", (1, 2)).wait();
    assert!(matches!(gone, Err(ExecuteError::NotFound(_))), "{gone:?}");
    let (sender, heard) = channel();
    let sender = Mutex::new(sender);
    let listener = books.register_listener("greet", move |name: String| {
        let _ = sender.lock().unwrap_or_else(PoisonError::into_inner).send(name);
    })?;
    assert!(shop.fire_event("greet", "Bob").wait()?.routed);
    assert_eq!(heard.recv_timeout(Duration::from_secs(20)).as_deref(), Ok("Bob"));
    drop(listener);
    assert!(!shop.fire_event("greet", "Eve").wait()?.routed);
    shop.shutdown()?;
    books.shutdown()
}
