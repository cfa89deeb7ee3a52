//! The program as five processes over RabbitMQ and Redis: a front, a coordinator, three workers.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::path::PathBuf;

use autobus_testkit::process::command;
use autobus_testkit::{Process, Rabbit, Redis, Vhost, poll_until};
use common::{Client, request, webhook};
use serde_json::{Value, json};

/// The program, in as many processes.
struct Fleet {
    front: Process,
    _coordinator: Process,
    workers: Vec<Process>,
    redis: Redis,
    _vhost: Vhost,
}

/// Cargo builds the examples before it runs tests, next to the folder that this test runs from.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let path = profile.join("examples/coordinator");
    assert!(path.exists(), "the example is not built; `cargo build --examples` does that");
    path
}

impl Fleet {
    fn start(webhook: &str) -> Self {
        let (vhost, redis) = (Rabbit::shared().vhost(), Redis::start());
        let start = |name: &str, services: &str| {
            let mut program = command(program());
            program
                .env("BUS_URL", vhost.url())
                .env("BUS_SERVICES", services)
                .env("STATE_URL", redis.url())
                .env("HTTP_ADDR", "127.0.0.1:0")
                .env("WEBHOOK_URL", webhook)
                .env("LOG", "info");
            Process::spawn(name, program).unwrap()
        };
        let coordinator =
            start("coordinator", "coordinator,validation,state,notifier,tasks.dispatcher");
        let workers: Vec<_> = (0..3).map(|_| start("worker", "tasks.workers")).collect();
        let front = start("front", "http");
        for process in workers.iter().chain([&coordinator, &front]) {
            process.wait_for_line(|line| line == "ready");
        }
        Self { front, _coordinator: coordinator, workers, redis, _vhost: vhost }
    }

    fn client(&self) -> Client {
        let line = self.front.wait_for_line(|line| line.starts_with("listening on "));
        Client::at(line.trim_start_matches("listening on http://").parse().unwrap())
    }

    /// The worker that has begun to search the piece from `start`.
    fn worker_at(&self, start: u64) -> usize {
        let (searching, nonces) = ("searching", format!("nonces={start}.."));
        let is_at = |worker: &Process| {
            let lines = worker.lines();
            lines.iter().any(|line| line.contains(searching) && line.contains(&nonces))
        };
        poll_until("a worker begins the piece", || self.workers.iter().position(is_at))
    }
}

/// Of the nonces below 9,652,295, this one alone gives a hash of `hello` that begins with 23 zero bits;
/// it is at the end of the last of three pieces of 3,950,000.
const HIT: u64 = 3_908_526;

#[test]
#[ignore = "needs rabbitmq-server and redis-server; run `cargo xtask test --setup`"]
fn the_answer_is_found_once_although_its_worker_is_killed() {
    let fleet = Fleet::start("");
    let client = fleet.client();
    let work = json!({
        "id": "a", "text": "hello", "difficulty": 23, "nonces": 3_950_000, "pieces": 3,
    });
    assert_eq!(client.post(&work).0, 202);
    let events = client.events("a");
    fleet.workers[fleet.worker_at(2_633_334)].kill();

    let events: Vec<(String, Value)> = events.collect();
    let last = &events.last().unwrap().1;
    assert_eq!((&last["status"], &last["nonce"]), (&json!("solved"), &json!(HIT)));
    let solved = |(_, data): &&(String, Value)| data["status"] == "solved";
    assert_eq!(events.iter().filter(solved).count(), 1, "{events:?}");
    assert_eq!(client.get("/requests/a").1, *last);
    // The two that live have done all of it, the lost piece twice.
    let searched = |worker: &Process| {
        let lines = worker.lines();
        lines.iter().filter(|line| line.contains(" searched ")).count()
    };
    assert_eq!(fleet.workers.iter().map(searched).sum::<usize>(), 3);
}

#[test]
#[ignore = "needs rabbitmq-server and redis-server; run `cargo xtask test --setup`"]
fn after_the_first_hit_the_other_workers_stop_in_the_middle_of_their_ranges() {
    let fleet = Fleet::start("");
    let client = fleet.client();
    // A hit is at 156,056; the other two pieces would take days.
    let nonces = 3_u64 << 40;
    let work =
        json!({ "id": "a", "text": "hello", "difficulty": 22, "nonces": nonces, "pieces": 3 });
    assert_eq!(client.post(&work).0, 202);
    assert_eq!(client.solved("a")["nonce"], 156_056);
    let found = fleet.worker_at(0);
    for (index, worker) in fleet.workers.iter().enumerate() {
        let line = worker.wait_for_line(|line| line.contains(" searched "));
        assert!(line.contains(&format!("stopped={}", index != found)), "{line}");
        let tried = line.split("tried=").nth(1).unwrap().split(' ').next().unwrap();
        assert!(tried.parse::<u64>().unwrap() < nonces / 3, "{line}");
    }
}

#[test]
#[ignore = "needs rabbitmq-server and redis-server; run `cargo xtask test --setup`"]
fn while_redis_is_down_callers_are_told_and_afterwards_it_goes_on() {
    let (hook, posted) = webhook(&[200]);
    let fleet = Fleet::start(&hook.0.unwrap());
    let client = fleet.client();
    assert_eq!(client.post(&request("a")).0, 202);
    let solved = client.solved("a");

    fleet.redis.kill();
    let (code, answer) = client.post(&request("b"));
    assert_eq!((code, &answer["status"]), (503, &json!("error")));
    let reason = answer["reasons"][0].as_str().unwrap();
    assert!(reason.contains("start it, and ask again"), "{reason}");

    fleet.redis.restart();
    assert_eq!(client.post(&request("b")).0, 202);
    // Which of several hits is the first may differ.
    assert_eq!(client.solved("b")["status"], solved["status"]);

    // What needs no state went on all the while, and goes on.
    assert_eq!(client.post(&json!({ "id": "", "text": "x", "difficulty": 1 })).0, 422);
    let alert = common::next(&posted);
    assert!(alert.body["text"].as_str().unwrap().starts_with("Invalid request received"));
}
