//! A private Redis server does what the tests of a transport build on.

use std::net::TcpStream;

use autobus_testkit::{Redis, poll_until};

#[test]
#[ignore = "needs redis-server; run `cargo xtask test --setup`"]
fn a_killed_server_comes_back_with_its_data_and_port() {
    let redis = Redis::start();
    assert_eq!(redis.command(&["SET", "tea", "green leaves"]), "OK");
    let url = redis.url();
    redis.kill();
    assert_eq!(redis.pid(), None);
    assert!(TcpStream::connect(redis.addr()).is_err());
    redis.restart();
    assert_eq!(redis.command(&["GET", "tea"]), "green leaves");
    assert_eq!(redis.command(&["DBSIZE"]), "1");
    assert_eq!(redis.url(), url);
}

#[test]
#[ignore = "needs redis-server; run `cargo xtask test --setup`"]
fn a_stopped_server_comes_back_with_its_data() {
    let redis = Redis::start();
    redis.command(&["RPUSH", "orders", "1", "2"]);
    redis.stop();
    assert!(TcpStream::connect(redis.addr()).is_err());
    redis.restart();
    assert_eq!(redis.command(&["LLEN", "orders"]), "2");
}

#[test]
#[ignore = "needs redis-server; run `cargo xtask test --setup`"]
fn a_paused_server_answers_nothing_until_it_is_resumed() {
    let redis = Redis::start();
    redis.pause();
    assert!(std::panic::catch_unwind(|| redis.command(&["PING"])).is_err());
    redis.resume();
    poll_until("it answers", || (redis.command(&["PING"]) == "PONG").then_some(()));
}

#[test]
#[ignore = "needs redis-server; run `cargo xtask test --setup`"]
fn the_drop_of_a_server_ends_it_and_others_are_their_own() {
    let (one, two) = (Redis::start(), Redis::start());
    one.command(&["SET", "tea", "green"]);
    assert_eq!(two.command(&["DBSIZE"]), "0");
    let addr = one.addr();
    drop(one);
    assert!(TcpStream::connect(addr).is_err());
    assert_eq!(two.command(&["PING"]), "PONG");
}
