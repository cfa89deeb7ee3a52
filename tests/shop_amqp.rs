//! The shop over RabbitMQ, as the README runs it: one binary, five processes.
#![cfg(feature = "amqp")]

#[path = "faults/orders.rs"]
#[allow(dead_code, reason = "the fault tests ask for more")]
mod orders;
#[path = "examples/run.rs"]
#[allow(dead_code, reason = "the tests of other examples do more")]
mod run;

use std::path::{Path, PathBuf};

use autobus_testkit::{Process, Rabbit, Vhost, poll_until, process};

use crate::orders::Orders;
use crate::run::{Example, Run, example, program};

/// A shop on a virtual host of its own, with its books in a file of its own.
struct Shop {
    vhost: Vhost,
    ledger: PathBuf,
}

impl Shop {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shop-{name}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("the folder for the files of tests");
        Self { vhost: Rabbit::shared().vhost(), ledger: folder.join("ledger.db") }
    }

    fn ledger(&self) -> String {
        format!("sqlite:{}", self.ledger.display())
    }

    /// The process that takes orders.
    fn order(&self) -> Example {
        example("shop")
            .env("BUS_URL", &self.vhost.url())
            .env("LEDGER_URL", &self.ledger())
            .env("BUS_SERVICES", "order")
    }

    /// A process that serves until it is stopped.
    fn serve(&self, service: &str) -> Process {
        let mut command = process::command(program("shop"));
        command
            .env("BUS_URL", self.vhost.url())
            .env("LEDGER_URL", self.ledger())
            .env("BUS_SERVICES", service);
        Process::spawn(service, command).expect("the shop starts")
    }

    /// Asks for the totals until they are as wanted.
    fn wait_for(&self, what: &str, wanted: impl Fn(&Run) -> bool) {
        poll_until(what, || {
            let totals = self.order().arg("/dev/null").run();
            wanted(&totals).then_some(())
        });
    }
}

/// Whether the process is told of SIGTERM, as Linux says. One that has only just started is not, and would be
/// killed by it.
fn listens(process: &Process) -> bool {
    const SIGTERM: u64 = 1 << (15 - 1);
    let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", process.pid())) else {
        return true;
    };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_none_or(|mask| mask & SIGTERM != 0)
}

fn stop(processes: &[Process]) {
    for process in processes {
        poll_until("the process to listen to signals", || listens(process).then_some(()));
        process.terminate();
        assert!(process.wait().success(), "{}", process.tail());
    }
}

/// What follows the two lines on the input.
fn totals(stdout: &str) -> Vec<&str> {
    stdout.lines().skip(2).collect()
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn five_processes_come_to_the_totals_of_one() {
    let shop = Shop::new("five");
    let orders = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop/orders.jsonl");
    let alone = example("shop").arg(&orders).run();
    assert!(alone.success, "{}", alone.stderr);

    let services = ["billing", "billing", "logistic", "audit"];
    let processes: Vec<Process> = services.iter().map(|service| shop.serve(service)).collect();
    let submitted = shop.order().arg(&orders).run();
    assert!(submitted.success, "{}", submitted.stderr);
    assert_eq!(submitted.stderr, alone.stderr);
    shop.wait_for("the totals of one process", |run| {
        run.success && totals(&run.stdout) == totals(&alone.stdout)
    });
    stop(&processes);
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_service_that_has_never_run_gets_what_was_fired_before() {
    let shop = Shop::new("first-start");
    let orders = Orders::new(1_000, &mut fastrand::Rng::with_seed(7));
    let file = shop.ledger.with_file_name("orders.jsonl");
    std::fs::write(&file, orders.lines().join("\n")).expect("the folder can be written to");
    let submitted = shop.order().arg(&file).run();
    assert!(submitted.success, "{}", submitted.stderr);
    let billing = submitted.stdout.lines().find(|row| row.starts_with("billing"));
    assert!(billing.is_some_and(|row| row.ends_with("not run here")), "{}", submitted.stdout);

    let billing = shop.serve("billing");
    let (invoices, chargebacks) = orders.booked();
    assert_eq!(invoices + chargebacks, orders.len());
    let row = |run: &Run, name: &str| {
        let row = run.stdout.lines().find_map(|row| row.strip_prefix(name))?;
        row.trim().replace(',', "").parse::<u64>().ok()
    };
    shop.wait_for("every order to be billed", |run| {
        row(run, "billing: invoices") == Some(invoices)
            && row(run, "billing: chargebacks") == Some(chargebacks)
    });
    stop(&[billing]);
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn the_environment_chooses_whose_queues_a_process_declares() {
    for (topology, of_others, exchange) in
        [("linked", true, true), ("own", false, true), ("none", false, false), ("", true, true)]
    {
        let shop = Shop::new(&format!("topology-{topology}"));
        let submitted = shop.order().env("BUS_TOPOLOGY", topology).arg("/dev/null").run();
        assert!(submitted.success, "{}", submitted.stderr);
        for queue in ["billing_order", "billing_order.dead", "logistic.warehouse.ship"] {
            assert_eq!(shop.vhost.queue(queue).is_some(), of_others, "{topology}: {queue}");
        }
        let exchanges = shop.vhost.exchanges();
        assert_eq!(exchanges.contains(&"order".to_owned()), exchange, "{topology}: {exchanges:?}");
    }
}
