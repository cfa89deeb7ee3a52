//! What is logged, and what never is.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use std::io;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use autobus_amqp::AmqpConfig;
use autobus_core::ErrorKind;
use autobus_core::transport::Status;
use autobus_testkit::{Proxy, Rabbit, poll_until};
use tracing_subscriber::filter::LevelFilter;

use support::{connect, event, listener, options, try_connect};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        log().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log() -> MutexGuard<'static, Vec<u8>> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps everything that anybody logs in this process, from here on.
fn keep_log() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let all = tracing_subscriber::fmt().with_ansi(false).with_max_level(LevelFilter::TRACE);
        all.with_writer(|| Log).init();
    });
}

/// The lines of the log with all of these in them.
fn lines(with: &[&str]) -> Vec<String> {
    let log = String::from_utf8_lossy(&log()).into_owned();
    let wanted = |line: &&str| with.iter().all(|word| line.contains(word));
    log.lines().filter(wanted).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_password_is_nowhere_and_one_that_changes_is_recovered_from() {
    const SECRET: &str = "a-s3cret-of-billing";
    keep_log();
    let node = Rabbit::start();
    node.ctl(&["add_user", "billing", SECRET]);
    node.ctl(&["set_permissions", "billing", ".*", ".*", ".*"]);
    let proxy = Proxy::start(node.addr());
    let url = format!("amqp://billing:{SECRET}@{}/%2f", proxy.addr());
    let bus = connect(&url);
    let before = format!("{:?} {:?}", bus.0, url.parse::<AmqpConfig>().unwrap());

    node.ctl(&["change_password", "billing", "another"]);
    proxy.cut();
    let refused = "the broker refuses the user `billing` or its password; correct them in the URL";
    let status = bus.until(|status| match status {
        Status::Disconnected { reason, .. } => reason.contains(refused),
        _ => false,
    });
    let error = try_connect(&url, &options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.to_string().contains(refused), "{error}");
    let said = format!("{before} {status:?} {error} {error:?} {:?}", bus.0);
    assert!(!lines(&["not connected; trying again", refused]).is_empty());

    // It recovers once the cause is gone.
    node.ctl(&["change_password", "billing", SECRET]);
    bus.until(|status| *status == Status::Connected);
    bus.declare(&[listener("billing.order", "order.#")]).unwrap();
    assert!(bus.publish(event(1)).unwrap().routed);
    bus.close();
    assert!(!said.contains(SECRET), "{said}");
    assert_eq!(lines(&[SECRET]), [""; 0]);
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_no_queue_wants_is_warned_of_once_a_key() {
    keep_log();
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    for round in 0..3 {
        for key in ["order.v1.nobody", "order.v1.no_one"] {
            let mut message = event(round);
            key.clone_into(&mut message.key);
            assert!(!bus.publish(message).unwrap().routed);
        }
    }
    bus.close();
    for key in ["order.v1.nobody", "order.v1.no_one"] {
        let warned = lines(&["WARN", "autobus::amqp", "no queue is bound to this key", key]);
        assert_eq!(warned.len(), 1, "{warned:?}");
    }
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_deleted_queue_is_warned_of_by_its_name() {
    keep_log();
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    let queue = listener("billing.deleted", "order.#");
    let _consumer = bus.consume(&queue, 8);
    vhost.delete_queue("billing.deleted");
    poll_until("a consumer of the new queue", || {
        vhost.depth("billing.deleted").filter(|depth| depth.consumers == 1)
    });
    let warned = lines(&["WARN", "the queue was deleted at the broker", "billing.deleted"]);
    assert_eq!(warned.len(), 1, "{warned:?}");
    bus.close();
}
