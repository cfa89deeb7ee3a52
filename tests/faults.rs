//! The shop as five processes over a broker, while processes, the broker and connections die.
//!
//! Each run prints its seed, and what it counted. `AUTOBUS_SEED=n` runs that seed again, and
//! `AUTOBUS_ORDERS=n` that many orders.
//!
//! The servers are private to each test: they are killed here.
#![cfg(feature = "amqp")]

#[path = "faults/fleet.rs"]
mod fleet;
#[path = "faults/orders.rs"]
mod orders;
#[path = "faults/tally.rs"]
mod tally;

use std::time::Duration;

use autobus_testkit::{Cluster, Proxy, Rabbit, Vhost};

use crate::fleet::{Fleet, Role};
use crate::orders::Orders;
use crate::tally::{Poison, Tally};

/// How many orders go through the shop.
const ORDERS: u64 = 20_000;

/// How long the services may take for what is left once the last order is confirmed.
const SETTLING: Duration = Duration::from_secs(120);

fn seed() -> u64 {
    number("AUTOBUS_SEED").unwrap_or_else(|| fastrand::u64(..))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

/// What happens on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    KillConsumer,
    KillBroker,
    PauseBroker,
    CutConnections,
}

/// At least 30 consumers are killed, 20 times connections are cut, the broker is killed and started
/// again twice and paused once; in an order that the seed tells.
fn faults(random: &mut fastrand::Rng) -> Vec<Fault> {
    let mut faults = vec![Fault::KillConsumer; 32];
    faults.extend([Fault::CutConnections; 20]);
    faults.extend([Fault::KillBroker, Fault::KillBroker, Fault::PauseBroker]);
    random.shuffle(&mut faults);
    faults
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn nothing_is_lost_while_processes_the_broker_and_connections_die() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let count = number("AUTOBUS_ORDERS").unwrap_or(ORDERS);
    let orders = Orders::new(count, &mut random);
    let faults = faults(&mut random);

    let rabbit = Rabbit::start();
    let vhost = rabbit.vhost();
    let proxy = Proxy::start(rabbit.addr());
    let mut fleet = Fleet::start(&vhost.url_via(proxy.port()), "drill");
    let poison = Poison::publish(&vhost, &mut fleet);

    let order = fleet.spawn(Role::Order);
    let share = orders.lines().len() / (faults.len() + 1);
    let (mut kills, mut cuts) = (0, 0);
    for (index, lines) in orders.lines().chunks(share.max(1)).enumerate() {
        // While the processes start, nobody has anything to handle, and queues that are young do not
        // survive their broker.
        match index.checked_sub(1).and_then(|index| faults.get(index)) {
            Some(Fault::KillConsumer) => {
                fleet.kill_one(&mut random);
                kills += 1;
            }
            Some(Fault::CutConnections) => cuts += proxy.cut(),
            Some(Fault::KillBroker) => {
                rabbit.kill();
                rabbit.restart();
            }
            Some(Fault::PauseBroker) => {
                rabbit.pause();
                fleet.kill_one(&mut random);
                kills += 1;
                rabbit.resume();
            }
            None => {}
        }
        for line in lines {
            order.write_line(line).expect("the order service reads on");
        }
        // Else the next fault would hit who is still down, and show nothing.
        fleet.wait_for_work();
        if index == 0 {
            // By now each process consumes, also the one that orders, so that every queue is declared.
            rabbit.flush();
        }
    }
    order.close_stdin();
    let ended = order.wait_within(Duration::from_secs(120)).expect("the order service ends");
    assert!(ended.success(), "the order service failed:\n{}", order.tail());

    fleet.settle(&vhost, SETTLING);
    let tally = Tally::of(&fleet, &vhost);
    println!("{tally}\n  killed {kills} processes, cut {cuts} connections");
    tally.assert_exact(&orders, &poison);
    // The order service has waited for the receipt of each.
    let count = orders.len();
    println!("  published {count}, confirmed {count}, lost 0");
    fleet.stop();
    // Else the run was too tame to show anything.
    assert!(kills >= 30 && cuts >= 20, "{kills} processes killed, {cuts} connections cut");
    assert!(tally.redelivered >= 100, "{} were delivered again", tally.redelivered);
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn nothing_is_lost_when_the_leader_of_a_cluster_dies() {
    let seed = seed();
    println!("seed {seed}");
    let orders = Orders::new(2_000, &mut fastrand::Rng::with_seed(seed));
    let cluster = Cluster::start(3);
    let vhost: Vhost = cluster.vhost();
    // Its clients are connected to a node that stays.
    let mut fleet = Fleet::start(&vhost.url(), "cluster");
    let order = fleet.spawn(Role::Order);
    let (before, after) = orders.lines().split_at(orders.lines().len() / 2);
    for line in before {
        order.write_line(line).expect("the order service reads on");
    }
    fleet.wait_for_work();
    cluster.nodes().iter().for_each(Rabbit::flush);
    let leader = cluster.leader_of(vhost.name(), "billing_order");
    let own = cluster.nodes().iter().position(|node| node.port() == vhost.broker().port());
    let killed = if Some(leader) == own { (leader + 1) % 3 } else { leader };
    cluster.kill(killed);
    for line in after {
        order.write_line(line).expect("the order service reads on");
    }
    order.close_stdin();
    let ended = order.wait_within(Duration::from_secs(120)).expect("the order service ends");
    assert!(ended.success(), "the order service failed:\n{}", order.tail());
    cluster.restart(killed);
    fleet.settle(&vhost, SETTLING);
    let tally = Tally::of(&fleet, &vhost);
    println!("{tally}");
    tally.assert_exact(&orders, &Poison::none());
    fleet.stop();
}
