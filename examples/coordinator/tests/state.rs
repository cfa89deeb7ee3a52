//! What a state promises, whatever keeps it; and what happens while Redis is down.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::sync::Barrier;

use autobus_testkit::Redis;
use common::{Client, program, request};
use modules::contracts::Status;
use modules::state::{self, Memory, Store};
use serde_json::json;

fn solved(nonce: u64) -> Status {
    Status::Solved { nonce, hash: "00".to_owned() }
}

fn an_id_is_claimed_once(store: &dyn Store) {
    assert_eq!(store.status("a"), Ok(None));
    assert_eq!(store.claim("a"), Ok(true));
    assert_eq!((store.claim("a"), store.claim("b")), (Ok(false), Ok(true)));
    assert_eq!(store.status("a"), Ok(Some(Status::Accepted)));
}

fn of_many_who_claim_an_id_one_has_it(store: &dyn Store) {
    let barrier = Barrier::new(8);
    let claimed = std::thread::scope(|scope| {
        let claim = || {
            barrier.wait();
            usize::from(store.claim("a").unwrap())
        };
        let claims: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).sum::<usize>()
    });
    assert_eq!(claimed, 1);
}

fn a_request_goes_forward_and_never_back(store: &dyn Store) {
    store.claim("a").unwrap();
    assert_eq!(store.update("a", &Status::Processing), Ok(true));
    assert_eq!(store.update("a", &Status::Processing), Ok(false));
    assert_eq!(store.update("a", &solved(7)), Ok(true));
    // Somebody else was first, and a coordinator that is late changes nothing.
    for late in [solved(8), Status::Unsolvable, Status::Processing, Status::Accepted] {
        assert_eq!(store.update("a", &late), Ok(false));
    }
    assert_eq!(store.status("a"), Ok(Some(solved(7))));
    // A worker may be done before the coordinator has noted that it began.
    assert_eq!(store.update("b", &Status::Unsolvable), Ok(true));
    assert_eq!(store.update("b", &Status::Processing), Ok(false));
}

mod in_memory {
    use super::*;

    #[test]
    fn an_id_is_claimed_once() {
        super::an_id_is_claimed_once(&Memory::default());
    }

    #[test]
    fn of_many_who_claim_an_id_one_has_it() {
        super::of_many_who_claim_an_id_one_has_it(&Memory::default());
    }

    #[test]
    fn a_request_goes_forward_and_never_back() {
        super::a_request_goes_forward_and_never_back(&Memory::default());
    }
}

#[test]
fn a_state_url_of_another_kind_is_refused_with_a_remedy() {
    for url in ["postgres://localhost", "redis://local host", "nonsense"] {
        let error = state::open(Some(url)).err().unwrap();
        assert!(error.0.contains("redis://host:port"), "{error}");
    }
    assert!(state::open(Some("memory:")).is_ok());
    assert!(state::open(Some("")).is_ok());
}

mod in_redis {
    use super::*;

    fn store(redis: &Redis) -> Box<dyn Store> {
        state::open(Some(&redis.url())).unwrap()
    }

    #[test]
    #[ignore = "needs redis-server; run `cargo xtask test --setup`"]
    fn an_id_is_claimed_once() {
        let redis = Redis::start();
        super::an_id_is_claimed_once(&*store(&redis));
    }

    #[test]
    #[ignore = "needs redis-server; run `cargo xtask test --setup`"]
    fn of_many_who_claim_an_id_one_has_it() {
        let redis = Redis::start();
        super::of_many_who_claim_an_id_one_has_it(&*store(&redis));
    }

    #[test]
    #[ignore = "needs redis-server; run `cargo xtask test --setup`"]
    fn a_request_goes_forward_and_never_back() {
        let redis = Redis::start();
        super::a_request_goes_forward_and_never_back(&*store(&redis));
    }

    #[test]
    #[ignore = "needs redis-server; run `cargo xtask test --setup`"]
    fn a_claim_that_goes_no_further_is_forgotten_and_a_request_that_does_is_kept() {
        let redis = Redis::start();
        let store = store(&redis);
        store.claim("a").unwrap();
        let left = || redis.command(&["TTL", "request:a"]).parse::<u64>().unwrap();
        assert!(left() <= 60, "{}", left());
        store.update("a", &Status::Processing).unwrap();
        assert!(left() > 24 * 3_600, "{}", left());
    }

    #[test]
    #[ignore = "needs redis-server; run `cargo xtask test --setup`"]
    fn while_redis_is_down_callers_are_told_and_afterwards_it_goes_on() {
        let redis = Redis::start();
        let bus = program().state(store(&redis)).build().unwrap();
        let client = Client::of(&bus);
        assert_eq!(client.post(&request("a")).0, 202);
        let solved = client.solved("a");

        redis.kill();
        for answer in [client.post(&request("b")), client.get("/requests/a")] {
            let (code, answer) = answer;
            assert_eq!((code, &answer["status"]), (503, &json!("error")));
            let reason = answer["reasons"][0].as_str().unwrap();
            assert!(reason.contains(&redis.addr().to_string()), "{reason}");
            assert!(reason.contains("start it, and ask again"), "{reason}");
        }

        redis.restart();
        // The same process, without anybody's help.
        assert_eq!(client.post(&request("b")).0, 202);
        assert_eq!(client.solved("b"), solved);
        bus.shutdown().unwrap();
    }

    #[test]
    #[ignore = "needs redis-server; run `cargo xtask test --setup`"]
    fn a_redis_that_does_not_answer_is_one_that_is_down() {
        let redis = Redis::start();
        let store = store(&redis);
        store.claim("a").unwrap();
        redis.pause();
        let error = store.status("a").unwrap_err();
        assert!(error.0.contains("cannot be reached"), "{error}");
        redis.resume();
        assert_eq!(store.status("a"), Ok(Some(Status::Accepted)));
    }
}
