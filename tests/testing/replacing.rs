//! Closures in the place of handlers, and services that are left out.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// What no test gives to the bus.
pub(crate) struct Bank;

#[payload]
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    Stolen,
    Limit { cents: u32 },
}

#[command(retry = 2, backoff = "3s")]
pub(crate) fn charge(card: &str, cents: u32, _bank: State<Bank>) -> Result<u32, Refusal> {
    unreachable!("{card} {cents}")
}

#[command("pay")]
async fn check_out(card: String) -> Result<u32, ExecuteError<Refusal>> {
    charge::execute(&card, 5).await
}

#[command(local)]
fn unsent(_: std::sync::Weak<()>) {}

/// Served by another process.
#[command("elsewhere.rate")]
fn rate(currency: &str) -> f64;

#[event(exchange = "replacing", key = "order")]
pub(crate) struct Order {
    pub(crate) id: u32,
}

#[listener("order", queue = "orders", retry = 1, backoff = "3s")]
fn ship(_: &Order, _bank: State<Bank>) {
    unreachable!()
}

/// A service that does not start.
#[derive(Debug)]
pub(crate) struct Vault;

#[service]
impl Vault {
    #[init]
    fn open() -> Result<Self, String> {
        Err("the key is lost".into())
    }

    #[command]
    fn lock(&mut self) -> bool {
        true
    }

    #[command]
    fn unlock(&mut self) -> bool {
        true
    }

    #[listener(Order::ORDER)]
    async fn keep(&mut self, _: Order) {}
}

fn builder() -> TestBuilder {
    TestBus::builder().services(["replacing"]).without(["replacing.vault"])
}

/// Everything that wants a bank is replaced.
fn without_bank() -> TestBuilder {
    builder().replace_listener("orders", |_: &Order| ()).replace::<charge, _>(
        |card: String, cents: u32| match &*card {
            "stolen" => Err(Refusal::Stolen),
            "gold" => Ok(cents * 2),
            _ => Err(Refusal::Limit { cents }),
        },
    )
}

#[test]
fn a_command_is_replaced_for_everybody_and_needs_nothing_of_what_it_was() {
    let bus = without_bank().build().unwrap();
    assert_eq!(charge::on(&bus).execute("gold", 4).wait(), Ok(8));
    let stolen = charge::on(&bus).execute("stolen", 4).wait();
    assert_eq!(stolen, Err(ExecuteError::Handler(Refusal::Stolen)));
    assert_eq!(check_out::on(&bus).execute("gold".into()).wait(), Ok(10));
    let by_name = bus.execute_command::<_, u32>("replacing.charge", ("gold", 4)).wait();
    assert_eq!(by_name.unwrap(), 8);
}

#[test]
fn a_replaced_command_keeps_its_name_its_service_and_its_options() {
    let count = Arc::new(AtomicU32::new(0));
    let seen = count.clone();
    let bus = without_bank()
        .replace_command("replacing.charge", move |_: String, _: u32, ctx: &Context| {
            let thread = std::thread::current();
            assert_eq!((thread.name(), ctx.service()), (Some("replacing"), "replacing"));
            assert_eq!(
                (ctx.key(), ctx.attempt()),
                ("replacing.charge", 1 + seen.fetch_add(1, Ordering::SeqCst))
            );
            Err::<(), _>("no")
        })
        .build()
        .unwrap();
    let start = bus.time();
    let outcomes = charge::on(&bus).dispatch("gold", 4).handled().wait().unwrap();
    assert_eq!(outcomes.get("replacing.charge").unwrap().attempts(), Some(3));
    assert_eq!(bus.time(), start + secs(6));
    assert_eq!(count.load(Ordering::SeqCst), 3);
    let dead = bus.dead_letters().list().unwrap();
    assert_eq!((dead[0].listener(), dead[0].payload()), ("replacing.charge", r#"["gold",4]"#));
}

#[test]
fn a_replaced_listener_keeps_its_name_its_patterns_and_its_options() {
    let log = Log::<u32>::default();
    let seen = log.clone();
    let bus = without_bank()
        .replace_listener("replacing.ship", move |order: &Order, ctx: &Context| {
            seen.add(order.id + ctx.attempt());
            Err("no ship")
        })
        .build()
        .unwrap();
    let start = bus.time();
    let outcomes = bus.fire(Order { id: 10 }).handled().wait().unwrap();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes.get("orders").unwrap().attempts(), Some(2));
    assert_eq!((bus.time(), log.all()), (start + secs(3), vec![11, 12]));
}

#[test]
fn a_service_that_is_left_out_does_not_begin_and_is_not_there() {
    let bus = without_bank().build().unwrap();
    let error = lock::on(&bus).execute().wait().unwrap_err();
    has(&error.to_string(), &["nobody serves the command `replacing.vault.lock`"]);
    // Its listener hears nothing; the other one does.
    assert_eq!(bus.fire(Order { id: 1 }).handled().wait().unwrap().len(), 1);
}

#[test]
fn a_whole_service_is_replaced_by_leaving_it_out() {
    let kept = Log::<u32>::default();
    let keep = kept.clone();
    let bus = without_bank()
        .replace::<lock, _>(|| false)
        .replace_listener("replacing.vault.keep", move |order: Order| keep.add(order.id))
        .build()
        .unwrap();
    assert_eq!(lock::on(&bus).execute().wait(), Ok(false));
    bus.fire(Order { id: 1 }).handled().wait().unwrap().ok().unwrap();
    assert_eq!(kept.all(), [1]);
    assert!(matches!(unlock::on(&bus).execute().wait(), Err(ExecuteError::NotFound(_))));
}

#[test]
fn a_contract_is_served_by_what_takes_its_place() {
    let bus = without_bank().replace::<rate, _>(|_: String| 1.5).build().unwrap();
    assert_eq!(rate::on(&bus).execute("CHF").wait(), Ok(1.5));
}

#[test]
fn names_that_are_not_there_are_faults_with_the_near_ones_all_at_once() {
    let error = builder()
        .state(Bank)
        .without(["mial"])
        .replace_command("replacing.chrage", || ())
        .replace_listener("order", |_: &Context| ())
        .replace_listener("replacing.shop", |_: &Context| ())
        .replace::<unsent, _>(|| ())
        .build()
        .unwrap_err();
    assert_eq!(error.faults().len(), 5);
    has(
        &error.to_string(),
        &[
            "there is no service `mial` to leave out; the services are `",
            "there is no command `replacing.chrage`; did you mean `replacing.charge`",
            "there is no listener `order`; did you mean `orders`",
            "there is no listener `replacing.shop`; did you mean `replacing.ship`",
            "the command `replacing.unsent` is local: its arguments have no codec",
        ],
    );
    assert_eq!(
        builder().state(Bank).replace_command("x", || ()).build().unwrap_err().kind(),
        ErrorKind::NotFound
    );
}
