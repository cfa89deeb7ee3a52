//! Lost connections, dead brokers, full brokers and deleted queues: nothing is lost, and it goes on
//! by itself.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use autobus_core::ErrorKind;
use autobus_core::transport::{CallError, Envelope, MOST_LOST, Resolver, Status, Transport as _};
use autobus_testkit::rabbitmq::Connection;
use autobus_testkit::{Cluster, Proxy, Rabbit, Vhost, poll_until};

use support::{Bus, PATIENCE, ack, bury, connect, event, listener, options, try_connect, wait};

/// Publishes `count` events without waiting for one before the next, takes and acknowledges all of
/// them meanwhile, and calls `fault` each time that another part of them has arrived.
fn survive(bus: Bus, count: usize, faults: usize, mut fault: impl FnMut()) {
    let queue = listener("billing.order", "order.#");
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    let consumer = bus.consume(&queue, 100);
    fault();
    let (sender, confirms) = channel();
    for n in 0..count {
        let sender = sender.clone();
        bus.0.publish(event(n), Resolver::new(move |confirm| drop(sender.send((n, confirm)))));
    }
    let mut arrived = BTreeSet::new();
    let mut done = 1;
    while arrived.len() < count {
        let Ok(incoming) = consumer.deliveries.recv_timeout(PATIENCE) else {
            let suspects =
                autobus_core::transport::Queue::listener("billing.order.suspect", vec![]);
            panic!(
                "{} arrived; {:?} {:?} {:?}; {} confirms",
                arrived.len(),
                bus.depth(&queue),
                bus.depth(&suspects),
                bus.0,
                confirms.try_iter().count()
            );
        };
        arrived.insert(incoming.message.id.clone());
        ack(incoming);
        if done < faults && arrived.len() * faults / count >= done {
            fault();
            done += 1;
        }
    }
    assert_eq!(done, faults);
    for _ in 0..count {
        let (n, confirm) = confirms.recv_timeout(PATIENCE).expect("a confirm");
        assert!(confirm.unwrap().routed, "{n}");
    }
    // What came twice is settled as well.
    bus.until(|status| *status == Status::Connected);
    poll_until("empty queues", || {
        while let Ok(incoming) = consumer.deliveries.try_recv() {
            ack(incoming);
        }
        let suspects = autobus_core::transport::Queue::listener("billing.order.suspect", vec![]);
        (bus.depth(&queue).messages + bus.depth(&suspects).messages == 0).then_some(())
    });
    assert_eq!(bus.dead_letters(&queue), []);
    // What is delivered and not ready any more may still be on its way here.
    let rest = std::thread::spawn(move || consumer.deliveries.iter().for_each(ack));
    bus.close();
    drop(bus);
    rest.join().unwrap();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_cut_connection_loses_nothing() {
    let vhost = Rabbit::shared().vhost();
    let proxy = Proxy::start(vhost.broker().addr());
    let bus = connect(&vhost.url_via(proxy.port()));
    survive(bus, 5_000, 8, || assert!(proxy.cut() > 0 || proxy.cuts() > 0));
    assert!(proxy.cuts() >= 8, "{} cuts are too tame", proxy.cuts());
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_was_handled_before_it_comes_again_is_not_handled_twice() {
    let vhost = Rabbit::shared().vhost();
    let proxy = Proxy::start(vhost.broker().addr());
    let (bus, publisher) = (connect(&vhost.url_via(proxy.port())), connect(&vhost.url()));
    let queue = listener("billing.order", "order.#");
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    let consumer = bus.consume(&queue, 8);
    let publish = |n, source: &str| {
        let mut message = event(n);
        message.source = source.to_owned();
        publisher.publish(message).unwrap();
    };
    (0..3).for_each(|n| publish(n, "shop"));
    // Whoever gives no source does not promise that there is no other with this id.
    publish(3, "");
    let [first, second, third, fourth] =
        <[_; 4]>::try_from(consumer.take(4)).expect("four deliveries");
    proxy.swallow();
    ack(first);
    ack(fourth);
    proxy.refuse();
    proxy.cut();
    bus.until(|status| matches!(status, Status::Disconnected { .. }));
    // It was with a handler meanwhile.
    ack(second);
    proxy.pass();
    proxy.accept();
    let mut again = consumer.take(2);
    again.sort_by(|one, other| one.message.id.cmp(&other.message.id));
    let seen: Vec<_> =
        again.iter().map(|again| (again.message.id.as_str(), again.message.lost)).collect();
    assert_eq!(seen, [("id-2", 0), ("id-3", 0)]);
    consumer.nothing();
    again.into_iter().for_each(ack);
    drop(third);
    bus.close();
    publisher.close();
    let empty = || (vhost.depth("billing.order")?.ready == 0).then_some(());
    poll_until("an empty queue", empty);
    assert_eq!(vhost.depth("billing.order.suspect").unwrap().ready, 0);
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_killed_broker_loses_nothing() {
    for kind in ["quorum", "classic"] {
        let node = Rabbit::start();
        let bus = connect(&format!("{}?queue_type={kind}", node.url()));
        survive(bus, 3_000, 3, || {
            node.flush();
            node.kill();
            node.restart();
        });
    }
}

/// On whichever node both connections of a process are.
fn node_of(cluster: &Cluster, vhost: &Vhost) -> usize {
    poll_until("both connections on one node", || {
        let mut connected = cluster.nodes().iter().map(|node| {
            let here = |connection: &Connection| connection.raw["node"] == node.name();
            if node.pid().is_none() {
                0
            } else {
                vhost.on(node).connections().iter().filter(|open| here(open)).count()
            }
        });
        connected.position(|count| count == 2)
    })
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_killed_node_loses_nothing_where_the_url_names_others() {
    let cluster = Cluster::start(3);
    let vhost = cluster.vhost();
    let others: Vec<String> =
        cluster.nodes()[1..].iter().map(|node| node.addr().to_string()).collect();
    let bus = connect(&format!("{}?hosts={}", vhost.url(), others.join(",")));
    assert_eq!(node_of(&cluster, &vhost), 0, "the first one comes first");
    let mut killed = false;
    survive(bus, 3_000, 2, || {
        // First everything is declared, and then in the middle of it all.
        cluster.nodes().iter().for_each(Rabbit::flush);
        if std::mem::replace(&mut killed, true) {
            cluster.kill(0);
        }
    });
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_killer_dies_alone() {
    let vhost = Rabbit::shared().vhost();
    // A process that dies takes its connections along, and settles nothing.
    let process = || {
        let proxy = Proxy::start(vhost.broker().addr());
        (connect(&vhost.url_via(proxy.port())), proxy)
    };
    let die = |(bus, proxy): (Bus, Proxy)| {
        proxy.refuse();
        proxy.cut();
        drop(bus);
    };
    let queue = listener("billing.order", "order.#");
    let mut life = process();
    life.0.declare(std::slice::from_ref(&queue)).unwrap();
    for n in 0..20 {
        life.0.publish(event(n)).unwrap();
    }
    let mut dead_hands = life.0.consume(&queue, 50).take(20);
    die(life);
    life = process();
    let (mut neighbours, mut deaths) = (BTreeMap::new(), 1);
    let mut consumer = life.0.consume(&queue, 50);
    loop {
        let incoming = consumer.next();
        let (id, lost) = (incoming.message.id.clone(), incoming.message.lost);
        assert_eq!(incoming.message.attempt, lost + 1);
        if id != "id-7" {
            neighbours.insert(id, lost);
            ack(incoming);
        } else if lost > MOST_LOST {
            bury(incoming, "it killed its consumer");
            break;
        } else {
            assert_eq!(lost, deaths);
            dead_hands.push(incoming);
            die(life);
            deaths += 1;
            life = process();
            consumer = life.0.consume(&queue, 50);
        }
    }
    while neighbours.len() < 19 {
        let incoming = consumer.next();
        neighbours.insert(incoming.message.id.clone(), incoming.message.lost);
        ack(incoming);
    }
    assert_eq!(deaths, MOST_LOST + 1);
    // Once for the first death, and at most once for an acknowledgement that the second cut off.
    assert!(neighbours.values().all(|lost| (1..=2).contains(lost)), "{neighbours:?}");
    let dead = life.0.dead(&queue, 1);
    let [dead] = dead.as_slice() else { panic!("{dead:?}") };
    assert_eq!((dead.message.id.as_str(), dead.message.lost), ("id-7", MOST_LOST + 1));
    life.0.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_queue_that_is_deleted_under_its_consumer_is_declared_and_bound_again() {
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    let queue = listener("billing.order", "order.#");
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    let consumer = bus.consume(&queue, 8);
    bus.publish(event(1)).unwrap();
    let held = consumer.next();
    vhost.delete_queue("billing.order");
    poll_until("a consumer of the new queue", || {
        vhost.depth("billing.order").filter(|depth| depth.consumers == 1)
    });
    assert_eq!(vhost.patterns("order", "billing.order"), ["order.#"]);
    ack(held);
    assert!(bus.publish(event(2)).unwrap().routed);
    let second = consumer.next();
    assert_eq!(second.message.id, "id-2");
    ack(second);
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_was_declared_is_declared_again_with_each_connection() {
    let vhost = Rabbit::shared().vhost();
    let proxy = Proxy::start(vhost.broker().addr());
    let bus = connect(&vhost.url_via(proxy.port()));
    // Nobody here consumes it.
    bus.declare(&[listener("billing.order", "order.#")]).unwrap();
    proxy.refuse();
    proxy.cut();
    bus.until(|status| matches!(status, Status::Disconnected { .. }));
    vhost.delete_queue("billing.order");
    vhost.delete_exchange("order");
    proxy.accept();
    assert!(bus.publish(event(1)).unwrap().routed);
    assert_eq!(vhost.patterns("order", "billing.order"), ["order.#"]);
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn an_exchange_that_is_deleted_is_declared_again() {
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    assert!(!bus.publish(event(1)).unwrap().routed);
    vhost.delete_exchange("order");
    // The only one that the broker can have closed the channel for.
    assert!(!bus.publish(event(2)).unwrap().routed);
    vhost.delete_exchange("order");
    // Many at once, of which none is to blame.
    let confirms: Vec<_> = (0..100)
        .map(|n| {
            let (resolver, confirm) = Resolver::pair();
            bus.0.publish(event(n), resolver);
            confirm
        })
        .collect();
    for confirm in confirms {
        let confirm = confirm.wait(Some(Instant::now() + PATIENCE)).unwrap().expect("a confirm");
        assert!(!confirm.routed);
    }
    assert_eq!(vhost.exchanges(), ["order"]);
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_moves_to_another_queue_stays_until_its_copy_is_confirmed() {
    let node = Rabbit::start();
    let dying = connect(&node.url());
    let queue = listener("billing.order", "order.#");
    dying.declare(std::slice::from_ref(&queue)).unwrap();
    for n in 0..4 {
        dying.publish(event(n)).unwrap();
    }
    let consumer = dying.consume(&queue, 3);
    let mut held = consumer.take(3).into_iter();
    // Copies are made, and nobody takes them.
    node.ctl(&["set_vm_memory_high_watermark", "0.000001"]);
    support::retry(held.next().unwrap(), Duration::from_millis(1));
    bury(held.next().unwrap(), "no");
    ack(held.next().unwrap());
    // It has room only once the broker knows all that it may know.
    let fourth = consumer.next();
    drop(dying);
    drop(fourth);
    node.ctl(&["set_vm_memory_high_watermark", "0.4"]);
    let other = connect(&node.url());
    let consumer = other.consume(&queue, 9);
    // The broker may have taken the copies by now as well.
    let mut missing = BTreeSet::from(["id-0", "id-1", "id-3"].map(str::to_owned));
    while !missing.is_empty() {
        let incoming = consumer.next();
        missing.remove(&incoming.message.id);
        ack(incoming);
    }
    other.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_queue_that_is_deleted_beside_another_is_declared_again_when_it_is_needed() {
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    let queue = listener("billing.order", "order.#");
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    let consumer = bus.consume(&queue, 8);
    for round in 0..2 {
        bus.publish(event(round)).unwrap();
        support::retry(consumer.next(), Duration::from_millis(1));
        bury(consumer.next(), "no");
        assert_eq!(bus.dead(&queue, 1)[0].message.id, format!("id-{round}"));
        vhost.delete_queue("billing.order.dead");
        vhost.delete_queue("billing.order.retry.100ms");
    }
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_blocked_broker_keeps_publishers_waiting_and_takes_acknowledgements() {
    let node = Rabbit::start();
    let bus = connect(&node.url());
    let queue = listener("billing.order", "order.#");
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    let consumer = bus.consume(&queue, 4);
    let causes = [
        ("low on memory", "set_vm_memory_high_watermark", ["0.000001", "0.4"]),
        ("low on disk", "set_disk_free_limit", ["1000000GB", "50MB"]),
    ];
    for (cause, limit, [set, clear]) in causes {
        for n in 0..8 {
            bus.publish(event(n)).unwrap();
        }
        let held = consumer.take(4);
        node.ctl(&[limit, set]);
        let (resolver, confirm) = Resolver::pair();
        bus.0.publish(event(8), resolver);
        let status = bus.until(|status| matches!(status, Status::Blocked(_)));
        assert_eq!(status, Status::Blocked(cause.to_owned()));
        // The next four come only if the broker took the acknowledgements.
        held.into_iter().for_each(ack);
        consumer.take(4).into_iter().for_each(ack);
        let (nobody, soon) = (Envelope::new("", "nobody", vec![]), Duration::from_millis(200));
        let call = wait(|done| bus.0.call("nobody", nobody, soon, done));
        assert_eq!(call, Err(CallError::Unsent("the broker takes nothing for now".to_owned())));
        node.ctl(&[limit, clear]);
        assert!(confirm.wait(Some(Instant::now() + PATIENCE)).unwrap().unwrap().routed);
        bus.until(|status| *status == Status::Connected);
        ack(consumer.next());
    }
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn closing_while_blocked_or_down_ends_at_its_deadline_and_tells_what_is_left() {
    let node = Rabbit::start();
    let (blocked, down) = (connect(&node.url()), connect(&node.url()));
    let queue = listener("billing.order", "order.#");
    blocked.declare(std::slice::from_ref(&queue)).unwrap();
    node.ctl(&["set_vm_memory_high_watermark", "0.000001"]);
    let confirms: Vec<_> = (0..3)
        .map(|n| {
            let (resolver, confirm) = Resolver::pair();
            blocked.0.publish(event(n), resolver);
            confirm
        })
        .collect();
    blocked.until(|status| matches!(status, Status::Blocked(_)));
    let error = close_within(&blocked, Duration::from_millis(500));
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), "closed with 3 messages unconfirmed, and 0 deliveries unsettled");
    for confirm in confirms {
        assert_eq!(
            confirm.wait(Some(Instant::now() + PATIENCE)).unwrap_err().kind(),
            ErrorKind::Transport
        );
    }
    assert_eq!(blocked.0.status(), Status::Closed);
    assert_eq!(blocked.publish(event(9)).unwrap_err().kind(), ErrorKind::Closed);

    node.kill();
    down.until(|status| matches!(status, Status::Disconnected { .. }));
    let (resolver, confirm) = Resolver::pair();
    down.0.publish(event(9), resolver);
    let error = close_within(&down, Duration::from_millis(500));
    assert_eq!(error.to_string(), "closed with 1 messages unconfirmed, and 0 deliveries unsettled");
    assert!(confirm.wait(Some(Instant::now() + PATIENCE)).is_err());
}

/// Closes, and gives the error; it comes in time.
fn close_within(bus: &Bus, patience: Duration) -> autobus_core::Error {
    let began = Instant::now();
    let error = wait(|done| bus.0.close(began + patience, done)).unwrap_err();
    assert!(began.elapsed() >= patience && began.elapsed() < patience + Duration::from_secs(3));
    error
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn calls_tell_what_is_known_of_them() {
    let vhost = Rabbit::shared().vhost();
    let proxy = Proxy::start(vhost.broker().addr());
    let caller = connect(&vhost.url_via(proxy.port()));
    let call = |command: &str, patience| {
        let (resolver, answer) = Resolver::pair();
        caller.0.call(command, Envelope::new("", command, b"[]".to_vec()), patience, resolver);
        answer
    };
    let soon = || Some(Instant::now() + PATIENCE);
    assert_eq!(call("nobody", PATIENCE).wait(soon()), Err(CallError::Unserved));

    // A server that dies alone: its queue is gone, and with it the call.
    let server = connect(&vhost.url());
    let calls = server.serve("slow");
    let answer = call("slow", PATIENCE);
    let held = calls.next();
    drop(server);
    let began = Instant::now();
    assert_eq!(answer.wait(soon()), Err(CallError::Interrupted));
    assert!(began.elapsed() < PATIENCE / 2, "it is told before its timeout");
    drop(held);
    assert_eq!(call("slow", PATIENCE).wait(soon()), Err(CallError::Unserved));

    // A server that dies beside another: the other does not run it again.
    let (one, other) = (connect(&vhost.url()), connect(&vhost.url()));
    let (calls, others) = (one.serve("shared"), other.serve("shared"));
    let answers = [call("shared", PATIENCE), call("shared", PATIENCE)];
    let (held, second) = (calls.next(), others.next());
    drop(one);
    second.acker.settle(autobus_core::transport::Settlement::Reply(Box::new(Envelope::new(
        "",
        "shared",
        b"1".to_vec(),
    ))));
    let results =
        answers.map(|answer| answer.wait(soon()).map(|answer| answer.map(|answer| answer.body)));
    assert!(
        results.contains(&Err(CallError::Interrupted))
            && results.contains(&Ok(Some(b"1".to_vec()))),
        "{results:?}"
    );
    others.nothing();
    drop(held);

    // The caller's own connection: what was sent is interrupted, what was not is unsent.
    let answer = call("shared", PATIENCE);
    let held = others.next();
    proxy.refuse();
    proxy.cut();
    assert_eq!(answer.wait(soon()), Err(CallError::Interrupted));
    let unsent = call("shared", Duration::from_millis(300)).wait(soon());
    assert!(matches!(unsent, Err(CallError::Unsent(_))), "{unsent:?}");
    let late = call("shared", PATIENCE);
    proxy.accept();
    drop(held);
    others.next().acker.settle(autobus_core::transport::Settlement::Reply(Box::new(
        Envelope::new("", "shared", b"2".to_vec()),
    )));
    assert_eq!(late.wait(soon()).unwrap().unwrap().body, b"2");
    caller.close();
    other.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_no_queue_wants_is_accepted_unrouted() {
    let vhost = Rabbit::shared().vhost();
    let bus = connect(&vhost.url());
    bus.declare(&[listener("billing.order", "order.v1.#")]).unwrap();
    // Each among others that are routed, so that no return is taken for that of a neighbour.
    let (sender, confirms) = channel();
    for n in 0..2_000 {
        let sender = sender.clone();
        let mut message = event(n);
        if n % 3 == 0 {
            message.key = "order.v2.submit".to_owned();
        }
        bus.0.publish(message, Resolver::new(move |confirm| drop(sender.send((n, confirm)))));
    }
    for _ in 0..2_000 {
        let (n, confirm) = confirms.recv_timeout(PATIENCE).expect("a confirm");
        assert_eq!(confirm.unwrap().routed, n % 3 != 0, "{n}");
    }
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_start_while_the_broker_is_on_its_way_waits_for_it() {
    let node = Rabbit::start();
    node.kill();
    let url = node.url();
    let started = std::thread::spawn(move || try_connect(&url, &options()).map(Bus));
    node.restart();
    let bus = started.join().unwrap().unwrap();
    assert_eq!(bus.0.status(), Status::Connected);
    bus.close();
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn what_another_process_held_when_it_died_arrives_once_and_counted() {
    let vhost = Rabbit::shared().vhost();
    let (one, other) = (connect(&vhost.url()), connect(&vhost.url()));
    let queue = listener("billing.order", "order.#");
    one.declare(std::slice::from_ref(&queue)).unwrap();
    let (sender, confirms) = channel();
    for n in 0..2_000 {
        let sender = sender.clone();
        one.0.publish(event(n), Resolver::new(move |confirm| drop(sender.send(confirm))));
    }
    for _ in 0..2_000 {
        confirms.recv_timeout(PATIENCE).expect("a confirm").unwrap();
    }
    let dying = one.consume(&queue, 1_000);
    let held = dying.take(1_000);
    drop(one);
    let consumer = other.consume(&queue, 1_000);
    let mut lost = BTreeMap::new();
    for n in 0..2_000 {
        let Ok(incoming) = consumer.deliveries.recv_timeout(Duration::from_secs(10)) else {
            let missing: Vec<String> =
                (0..2_000).map(|n| format!("id-{n}")).filter(|id| !lost.contains_key(id)).collect();
            panic!("{n} arrived, without {missing:?}");
        };
        assert_eq!(lost.insert(incoming.message.id.clone(), incoming.message.lost), None);
        ack(incoming);
    }
    assert_eq!(lost.values().filter(|lost| **lost == 1).count(), 1_000);
    drop(held);
    other.close();
}

/// The client may never answer what it is asked at the moment at which a connection ends.
#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_cut_at_any_moment_stops_nothing() {
    let vhost = Rabbit::shared().vhost();
    let proxy = Proxy::start(vhost.broker().addr());
    let bus = connect(&vhost.url_via(proxy.port()));
    let queue = listener("billing.order", "order.#");
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    for round in 0..40_usize {
        // Everything that opens a channel, at once.
        let (resolver, confirm) = Resolver::pair();
        bus.0.publish(event(round), resolver);
        let (resolver, declared) = Resolver::pair();
        bus.0.declare(autobus_core::transport::Topology::new([], vec![queue.clone()]), resolver);
        let (resolver, depth) = Resolver::pair();
        bus.0.depth(&queue, resolver);
        let (resolver, letters) = Resolver::pair();
        bus.0.dead_letters(&queue, resolver);
        let (resolver, subscribed) = Resolver::pair();
        bus.0.consume(&queue, 1, std::sync::Arc::new(ack), resolver);
        proxy.delay(Duration::from_micros(u64::try_from(round).unwrap() * 100));
        proxy.cut();
        let until = Some(Instant::now() + PATIENCE);
        assert!(confirm.wait(until).unwrap().expect("a confirm").routed);
        declared.wait(until).unwrap().expect("a declaration");
        depth.wait(until).unwrap().expect("a depth");
        subscribed.wait(until).unwrap().expect("a subscription");
        // Looking is refused while there is no broker, and may be asked for again.
        let _ = letters.wait(until).map(|letters| letters.expect("dead letters"));
    }
    bus.close();
}
