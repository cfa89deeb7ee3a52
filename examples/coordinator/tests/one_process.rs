//! The program in one process, as its users meet it: over HTTP.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use bus::testing::{TestBuilder, TestBus};
use common::{Client, program, request, start, status_of, webhook};
use modules::contracts::{self, Request, Status, Tried};
use modules::http::Address;
use modules::notifier::Webhook;
use modules::tasks::proof::Proof;
use serde_json::{Value, json};

fn first_hit(text: &str, difficulty: u32) -> (u64, String) {
    let proof = Proof::new(text, difficulty);
    (0..).find_map(|nonce| Some((nonce, proof.hit(nonce)?))).unwrap()
}

#[test]
fn a_request_is_accepted_and_solved() {
    let (bus, client) = start();
    let answer = json!({ "status": "accepted", "message": "Processing started" });
    assert_eq!(client.post(&request("a")), (202, answer));
    // In one process the pieces are searched one after another, so it is the first hit of all.
    let (nonce, hash) = first_hit("hello", 10);
    let solved = json!({ "status": "solved", "nonce": nonce, "hash": hash });
    assert_eq!(client.solved("a"), solved);
    assert_eq!(client.get("/requests/a"), (200, solved));
    bus.shutdown().unwrap();
}

#[test]
fn who_watches_sees_progress_and_the_end() {
    let (_bus, client) = start();
    // No hash has that many zeros among so few.
    let hopeless =
        json!({ "id": "a", "text": "x", "difficulty": 48, "nonces": 400_000, "pieces": 4 });
    assert_eq!(client.post(&hopeless).0, 202);
    let events: Vec<(String, Value)> = client.events("a").collect();
    assert_eq!(events[0].0, "status");
    let tried = |(name, data): &(String, Value)| (name == "tried").then(|| data["tried"].as_u64());
    // Whoever comes late misses what was, and nothing of what is to come.
    assert!(events.iter().filter_map(tried).all(|tried| tried == Some(100_000)), "{events:?}");
    assert_eq!(events.last().unwrap().1, json!({ "status": "unsolvable" }));
}

#[test]
fn who_watches_one_request_hears_of_no_other() {
    let (_bus, client) = start();
    // The other one is done after the first half of the pieces of this one.
    let hopeless =
        json!({ "id": "a", "text": "x", "difficulty": 48, "nonces": 1_600_000, "pieces": 16 });
    assert_eq!(client.post(&hopeless).0, 202);
    let events = client.events("a");
    assert_eq!(client.post(&request("b")).0, 202);
    let events: Vec<(String, Value)> = events.collect();
    assert_eq!(client.get("/requests/b").1["status"], "solved");
    let tried = events.iter().filter(|(name, _)| name == "tried");
    assert!(tried.clone().count() > 8 && tried.clone().all(|(_, tried)| tried["id"] == "a"));
    assert_eq!(events.last().unwrap().1, json!({ "status": "unsolvable" }));
}

#[test]
fn what_is_no_request_is_refused_and_changes_nothing() {
    let (bus, client) = start();
    let large = json!({ "id": "a", "text": "x".repeat(20_000), "difficulty": 8 }).to_string();
    let right = request("a").to_string();
    for (content_type, body, code) in [
        ("application/json", "{", 400),
        ("application/json", "[]", 422),
        ("application/json", r#"{ "id": "a", "text": "x" }"#, 422),
        ("application/json", r#"{ "id": "a", "text": "x", "difficulty": 8, "nonce": 1 }"#, 422),
        ("application/json", r#"{ "id": "a", "text": "x", "difficulty": -8 }"#, 422),
        ("application/json", large.as_str(), 413),
        ("text/plain", right.as_str(), 415),
    ] {
        let (status, answer) = client.send(content_type, body);
        assert_eq!(
            (status, &answer["status"], &answer["message"]),
            (code, &json!("error"), &json!("Validation failed"))
        );
        assert_eq!(answer["reasons"].as_array().unwrap().len(), 1, "{answer}");
    }
    assert_eq!(client.get("/requests/a").0, 404);
    // Nothing but the looks of this test was asked of the bus.
    let handled: Vec<_> = bus.stats().handlers.into_iter().filter(|of| of.handled > 0).collect();
    let names: Vec<_> = handled.iter().map(|of| of.name.as_str()).collect();
    assert_eq!(names, ["http.address", "state.status"]);
}

#[test]
fn an_invalid_request_is_refused_and_raises_an_alert_and_changes_nothing_else() {
    let (hook, posted) = webhook(&[200]);
    let bus = program().state(hook).build().unwrap();
    let client = Client::of(&bus);
    let (code, answer) = client.post(&json!({ "id": "a b", "text": "x", "difficulty": 0 }));
    assert_eq!((code, &answer["message"]), (422, &json!("Validation failed")));
    assert_eq!(answer["status"], "error");
    assert_eq!(answer["reasons"].as_array().unwrap().len(), 2, "{answer}");
    let alert = posted.recv().unwrap();
    let text = alert.body["text"].as_str().unwrap();
    assert!(text.starts_with("Invalid request received: `id`"), "{text}");
    assert!(text.contains("`difficulty` is 1 to 48"), "{text}");
    assert_eq!(client.get("/requests/a%20b").0, 404);
    let solve = bus.stats().handlers.into_iter().find(|of| of.name == "tasks.solve").unwrap();
    assert_eq!((solve.handled, solve.waiting), (0, 0));
}

#[test]
fn a_repeated_request_is_refused_and_changes_nothing() {
    let (bus, client) = start();
    client.post(&request("a"));
    let solved = client.solved("a");
    let (code, answer) = client.post(&json!({ "id": "a", "text": "other", "difficulty": 1 }));
    assert_eq!((code, &answer["status"]), (409, &json!("error")));
    assert!(answer["reasons"][0].as_str().unwrap().contains("another `id`"), "{answer}");
    bus.settle();
    assert_eq!(client.get("/requests/a"), (200, solved));
    let solve = bus.stats().handlers.into_iter().find(|of| of.name == "tasks.solve").unwrap();
    assert_eq!(solve.handled, 1);
}

#[test]
fn of_many_at_once_one_is_accepted() {
    let (_bus, client) = start();
    let codes: Vec<u16> = std::thread::scope(|scope| {
        let posts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Client::at(client.front).post(&request("a")).0))
            .collect();
        posts.into_iter().map(|post| post.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 202).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, 202 | 409)), "{codes:?}");
}

#[test]
fn after_the_first_hit_the_rest_is_not_searched() {
    let bus = TestBuilder::from(program().services(["tasks", "state", "http"])).build().unwrap();
    let (nonce, _) = first_hit("hello", 16);
    let request = Request {
        id: "a".to_owned(),
        text: "hello".to_owned(),
        difficulty: 16,
        nonces: 16 * (nonce + 1),
        pieces: 16,
    };
    contracts::solve::on(&bus).execute(request.clone()).wait().unwrap();
    bus.settle();
    let tried: u64 = bus.fired::<Tried>().iter().map(|tried| tried.tried).sum();
    assert!(tried < request.nonces / 2, "{tried} of {}", request.nonces);
    assert!(
        matches!(status_of(&bus, "a"), Some(Status::Solved { nonce: found, .. }) if found == nonce)
    );
}

#[test]
fn the_front_listens_on_loopback_unless_it_is_told_otherwise() {
    assert_eq!(Address::from_env(), Address("127.0.0.1:8080".to_owned()));
    let (_bus, client) = start();
    assert!(client.front.ip().is_loopback());
    let bus = program().state(Address("0.0.0.0:0".to_owned())).build().unwrap();
    assert!(Client::of(&bus).front.ip().is_unspecified());
}

#[test]
fn an_address_that_is_taken_fails_the_start() {
    let (_bus, client) = start();
    let error = program().state(Address(client.front.to_string())).build().unwrap_err();
    assert_eq!(error.kind(), bus::ErrorKind::Init);
    assert!(error.to_string().contains("http.server"), "{error}");
}

#[test]
fn health_is_that_of_the_bus() {
    let (_bus, client) = start();
    assert_eq!(client.get("/health"), (200, json!({ "live": true, "ready": true, "reasons": [] })));
}

#[test]
fn what_nobody_serves_is_told_with_its_name() {
    let bus = program().services(["http"]).build().unwrap();
    let (code, answer) = Client::of(&bus).post(&request("a"));
    assert_eq!((code, &answer["status"]), (503, &json!("error")));
    let reason = answer["reasons"][0].as_str().unwrap();
    assert!(reason.contains("nobody serves the command `coordinator.process_request`"), "{reason}");
}

#[test]
fn a_shutdown_ends_the_watches() {
    let (bus, client) = start();
    let hopeless =
        json!({ "id": "a", "text": "x", "difficulty": 48, "nonces": 1_u64 << 40, "pieces": 1 });
    client.post(&hopeless);
    let mut events = client.events("a");
    assert_eq!(events.next().unwrap().1, json!({ "status": "processing" }));
    // The worker is asked to stop, and the web server does not wait for those who watch.
    bus.shutdown_within(std::time::Duration::from_secs(2)).unwrap();
    assert!(events.all(|(name, _)| name == "tried"));
}

mod alerts {
    use std::net::TcpListener;

    use super::*;
    use modules::contracts::Alert;

    fn alert() -> Alert {
        Alert { message: "Invalid request received".to_owned(), about: vec!["why".to_owned()] }
    }

    fn notifier(hook: Webhook) -> TestBus {
        TestBuilder::from(program().state(hook).services(["notifier"])).build().unwrap()
    }

    #[test]
    fn one_that_is_refused_is_posted_again_with_the_same_key() {
        let (hook, posted) = webhook(&[500, 503, 200]);
        let bus = notifier(hook);
        bus.fire(alert()).handled().wait().unwrap().ok().unwrap();
        let posted: Vec<_> = posted.try_iter().collect();
        assert_eq!(posted.len(), 3);
        assert!(posted.iter().all(|again| !again.key.is_empty() && again.key == posted[0].key));
        assert!(posted.iter().all(|again| again.body["text"] == "Invalid request received: why"));
    }

    #[test]
    fn one_that_cannot_be_posted_is_a_dead_letter_and_can_be_replayed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let front = listener.local_addr().unwrap();
        drop(listener);
        let bus = notifier(Webhook(Some(format!("http://{front}"))));
        bus.fire(alert()).handled().wait().unwrap().ok().unwrap_err();
        let letters = bus.dead_letters().list().unwrap();
        assert_eq!((letters.len(), letters[0].attempts()), (1, 5));
        assert_eq!(letters[0].listener(), "notifier");
        let posted = common::serve(TcpListener::bind(front).unwrap(), &[200]);
        assert_eq!(bus.dead_letters().replay_all().unwrap(), 1);
        assert_eq!(posted.recv().unwrap().body["text"], "Invalid request received: why");
        bus.settle();
        assert!(bus.dead_letters().list().unwrap().is_empty());
    }
}
