//! Nodes of a cluster are one broker, which outlives any one of them.

use autobus_testkit::rabbitmq::Routed;
use autobus_testkit::{Cluster, poll_until};
use serde_json::json;

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_quorum_queue_outlives_its_leader_and_then_all_nodes() {
    let cluster = Cluster::start(3);
    assert_eq!(cluster.urls().len(), 3);
    let vhost = cluster.vhost();
    vhost.declare_queue("orders", &json!({"x-queue-type": "quorum"}));
    assert_eq!(vhost.publish("", "orders", "tea"), Routed::Yes);

    let leader = cluster.leader_of(vhost.name(), "orders");
    cluster.nodes().iter().for_each(autobus_testkit::Rabbit::flush);
    cluster.kill(leader);
    let next = cluster.leader_of(vhost.name(), "orders");
    assert_ne!(next, leader);
    let there = vhost.on(cluster.node(next));
    poll_until("the message is there", || (there.depth("orders")?.ready == 1).then_some(()));

    cluster.restart(leader);
    for index in 0..3 {
        cluster.kill(index);
    }
    cluster.restart_all();
    let leader = cluster.leader_of(vhost.name(), "orders");
    let there = vhost.on(cluster.node(leader));
    poll_until("the message is there", || (there.depth("orders")?.ready == 1).then_some(()));
}
