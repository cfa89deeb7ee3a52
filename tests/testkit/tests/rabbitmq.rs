//! A private node does what the tests of the transport build on.

use std::collections::HashSet;
use std::time::Duration;

use autobus_testkit::rabbitmq::Routed;
use autobus_testkit::{Broker, ErrorKind, Options, Rabbit, Vhost, poll_until, try_poll_until};
use serde_json::json;

fn ready(vhost: &Vhost, queue: &str) -> u32 {
    vhost.depth(queue).expect("the queue exists").ready
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_virtual_host_is_a_broker_of_its_own() {
    let broker = Rabbit::shared();
    let (one, two) = (broker.vhost(), broker.vhost());
    one.declare_queue("orders", &json!({}));
    assert_eq!(one.publish("", "orders", "tea"), Routed::Yes);
    assert_eq!(two.publish("", "orders", "tea"), Routed::No);
    assert_eq!(ready(&one, "orders"), 1);
    assert_eq!(two.depth("orders"), None);
    assert!(two.queue("orders").is_none());
    assert_eq!((one.queues().len(), two.queues().len()), (1, 0));
    assert!(one.url().ends_with(one.name()), "{}", one.url());
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_dropped_virtual_host_is_gone() {
    let broker = Rabbit::shared();
    let vhost = broker.vhost();
    let name = vhost.name().to_owned();
    assert!(broker.vhosts().contains(&name));
    drop(vhost);
    assert!(!broker.vhosts().contains(&name));
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn queues_are_declared_described_purged_and_deleted() {
    let vhost = Rabbit::shared().vhost();
    vhost.declare_queue("orders", &json!({"x-queue-type": "quorum", "x-delivery-limit": 3}));
    vhost.declare_queue("plain", &json!({}));
    let info = vhost.queue("orders").expect("it was declared");
    assert_eq!((info.kind.as_str(), info.durable), ("quorum", true));
    assert_eq!(info.arguments["x-delivery-limit"], 3);
    let names: HashSet<String> = vhost.queues().into_iter().map(|queue| queue.name).collect();
    assert_eq!(names, HashSet::from(["orders".to_owned(), "plain".to_owned()]));

    for number in 0..5 {
        vhost.publish("", "orders", &number.to_string());
    }
    assert_eq!(ready(&vhost, "orders"), 5);
    vhost.purge_queue("orders");
    assert_eq!(ready(&vhost, "orders"), 0);
    vhost.delete_queue("orders");
    assert_eq!(vhost.depth("orders"), None);
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_is_published_is_got_with_its_properties() {
    let vhost = Rabbit::shared().vhost();
    vhost.declare_exchange("order", "topic");
    vhost.declare_queue("billing", &json!({}));
    vhost.bind("order", "billing", "order.*.submit");
    assert_eq!(vhost.patterns("order", "billing"), ["order.*.submit"]);
    let properties = json!({"content_type": "application/json", "headers": {"n": 7}});
    let routed = vhost.publish_with("order", "order.v1.submit", "{\"id\":1}", &properties);
    assert_eq!(routed, Routed::Yes);
    assert_eq!(vhost.publish("order", "order.v1.cancel", "{}"), Routed::No);

    let got = vhost.get("billing", 10);
    assert_eq!(got.len(), 1);
    assert_eq!((got[0].exchange.as_str(), got[0].body.as_str()), ("order", "{\"id\":1}"));
    assert_eq!(got[0].routing_key, "order.v1.submit");
    assert_eq!(got[0].properties["content_type"], "application/json");
    assert_eq!(got[0].properties["headers"]["n"], 7);
    assert!(!got[0].redelivered);
    assert_eq!(ready(&vhost, "billing"), 0);
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn the_node_of_a_run_is_one() {
    assert_eq!(Rabbit::shared(), Rabbit::shared());
    if let Some(named) = Broker::from_env().expect("the variable is well formed") {
        assert_eq!(Rabbit::shared(), &named);
    }
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_killed_node_comes_back_with_its_queues_messages_and_ports() {
    let node = Rabbit::start();
    let vhost = node.vhost();
    for (queue, kind) in [("classic", "classic"), ("quorum", "quorum")] {
        vhost.declare_queue(queue, &json!({"x-queue-type": kind}));
        for number in 0..5 {
            vhost.publish("", queue, &number.to_string());
        }
    }
    let (pid, url) = (node.pid(), node.url());
    node.flush();
    node.kill();
    assert_eq!(node.pid(), None);
    assert!(!node.is_ready());
    node.restart();
    assert!(node.is_ready());
    assert_ne!(node.pid(), pid);
    assert_eq!(node.url(), url);
    for queue in ["classic", "quorum"] {
        // A quorum queue counts its messages for a moment after a start.
        poll_until("all messages are there", || (ready(&vhost, queue) == 5).then_some(()));
        let bodies: Vec<String> = vhost.get(queue, 30).into_iter().map(|got| got.body).collect();
        assert_eq!(bodies, (0..5).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_paused_node_answers_nothing_until_it_is_resumed() {
    let node = Rabbit::start();
    let vhost = node.vhost();
    vhost.declare_queue("orders", &json!({}));
    node.pause();
    // The kernel still accepts.
    assert!(std::net::TcpStream::connect(node.addr()).is_ok());
    assert!(!node.is_ready());
    node.resume();
    poll_until("it answers", || node.is_ready().then_some(()));
    assert_eq!(ready(&vhost, "orders"), 0);
    // One that is paused is stopped and restarted like any other.
    node.pause();
    node.restart();
    assert_eq!(ready(&vhost, "orders"), 0);
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_dropped_node_is_gone_with_its_process() {
    let node = Rabbit::start();
    let (addr, pid) = (node.addr(), node.pid().expect("it runs"));
    drop(node);
    assert!(std::net::TcpStream::connect(addr).is_err());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn rabbitmqctl_and_options_reach_the_node() {
    let options = Options::default()
        .with_plugin("rabbitmq_consistent_hash_exchange")
        .with_config("heartbeat = 7")
        .with_env("AUTOBUS_TEA", "green");
    let node = Rabbit::start_with(&options);
    assert!(node.ctl(&["eval", "os:getenv(\"AUTOBUS_TEA\")."]).contains("green"));
    assert!(node.ctl(&["environment"]).contains("{heartbeat,7}"));
    node.vhost().declare_exchange("hash", "x-consistent-hash");
    let error = node.try_ctl(&["no_such_command"]).expect_err("there is no such command");
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("no_such_command"), "{error}");
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_node_that_cannot_start_shows_why() {
    let options = Options::default().with_config("no.such.key = 1");
    let error = Rabbit::try_start(&options).expect_err("the configuration is wrong");
    assert_eq!(error.kind(), ErrorKind::Exited, "{error}");
    assert!(error.to_string().contains("no.such.key"), "{error}");
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_never_happens_ends_in_time() {
    let vhost = Rabbit::shared().vhost();
    vhost.declare_queue("orders", &json!({}));
    let error = try_poll_until("a message", Duration::from_millis(50), || {
        Ok((ready(&vhost, "orders") > 0).then_some(()))
    });
    assert_eq!(error.expect_err("nobody publishes").kind(), ErrorKind::TimedOut);
}
