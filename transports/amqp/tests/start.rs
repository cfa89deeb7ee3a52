//! What is wrong at the start is told at once, with its name and the remedy, and without a password.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use std::time::{Duration, Instant};

use autobus_core::{Error, ErrorKind};
use autobus_testkit::{Proxy, Rabbit, ports};
use serde_json::json;

use support::{Bus, connect, listener, options, try_connect};

/// Long before the 30 s of trying again.
const AT_ONCE: Duration = Duration::from_secs(8);

fn refused(url: &str) -> String {
    let began = Instant::now();
    let error = try_connect(url, &options()).unwrap_err();
    assert!(began.elapsed() < AT_ONCE, "{error:?} after {:?}", began.elapsed());
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(std::error::Error::source(&error).is_some());
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    error.to_string()
}

fn denied(answer: Result<(), Error>) -> String {
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    error.to_string()
}

#[test]
fn a_url_that_is_none_is_an_error_of_configuration() {
    let error = try_connect("amqp://me:s3cret@h?no=1", &options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error:?}").contains("s3cret"));
}

#[test]
fn a_broker_that_is_not_there_is_named_with_the_reason() {
    let mut options = options();
    options.connect_timeout = Duration::from_millis(700);
    let url = format!("amqp://me:s3cret@127.0.0.1:{}/v", ports::free());
    let error = try_connect(&url, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    let text = format!("{error:?}");
    assert!(text.contains("is the broker running there?") && text.contains("refused"), "{text}");
    assert!(text.contains("amqp://me@127.0.0.1") && !text.contains("s3cret"), "{text}");
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_wrong_password_is_told_from_a_wrong_virtual_host() {
    let vhost = Rabbit::shared().vhost();
    let port = vhost.broker().port();
    let text = refused(&format!("amqp://guest:s3cret@127.0.0.1:{port}/{}", vhost.name()));
    assert!(text.contains("the user `guest` or its password"), "{text}");
    let text = refused(&format!("amqp://127.0.0.1:{port}/nowhere"));
    assert!(text.contains("the virtual host `nowhere` does not exist"), "{text}");
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_broker_without_tls_is_told_at_once() {
    let port = Rabbit::shared().port();
    let text = refused(&format!("amqps://guest:s3cret@127.0.0.1:{port}"));
    assert!(text.contains("does not speak TLS there; write `amqp`"), "{text}");
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_broker_that_accepts_and_is_silent_ends_at_the_timeout() {
    let vhost = Rabbit::shared().vhost();
    let proxy = Proxy::start(vhost.broker().addr());
    proxy.hold();
    let mut options = options();
    options.connect_timeout = Duration::from_millis(700);
    let began = Instant::now();
    let error = try_connect(&vhost.url_via(proxy.port()), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(began.elapsed() < AT_ONCE);
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_queue_with_other_arguments_is_named_and_the_others_are_declared() {
    let vhost = Rabbit::shared().vhost();
    vhost.declare_queue("billing.order", &json!({"x-queue-type": "classic"}));
    let bus = connect(&vhost.url());
    let queues = [listener("billing.order", "#"), listener("logistic.order", "#")];
    let text = denied(bus.declare(&queues));
    assert!(
        text.contains("the queue `billing.order` exists with other properties; delete it"),
        "{text}"
    );
    assert!(text.contains("x-queue-type"), "{text}");
    assert!(vhost.queue("logistic.order").is_some());
    let consumed = bus.try_consume(&queues[0], 1).map(drop);
    assert!(denied(consumed).contains("the queue `billing.order` exists with other properties"));
    // It recovers once the cause is gone.
    vhost.delete_queue("billing.order");
    bus.declare(&queues).unwrap();
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn an_exchange_of_another_type_is_named() {
    let vhost = Rabbit::shared().vhost();
    vhost.declare_exchange("order", "fanout");
    let bus: Bus = connect(&vhost.url());
    let text = denied(bus.declare(&[listener("billing.order", "#")]));
    assert!(text.contains("the exchange `order` exists with other properties"), "{text}");
    let text = denied(bus.publish(support::event(1)).map(drop));
    assert!(text.contains("the exchange `order` exists with other properties"), "{text}");
    // It recovers once the cause is gone.
    vhost.delete_exchange("order");
    bus.declare(&[listener("billing.order", "#")]).unwrap();
    assert!(bus.publish(support::event(1)).unwrap().routed);
    bus.close();
}
