//! A listener of another type than the fired one: by upcast, by a chain of them, through the codec,
//! or not at all, and then that one delivery fails.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use bus::Reason;
use bus::prelude::*;
use serde::{Deserialize, Serialize};
use support::{Log, has};

fn start(service: &str) -> (bus::Running, Log) {
    let log = Log::default();
    (bus::builder().services([service]).state(log.clone()).build().unwrap(), log)
}

/// Three versions of one event.
mod versions {
    use super::*;

    #[event(exchange = "versions", key = "order.v1.submit")]
    pub(crate) struct OrderV1 {
        pub(crate) id: u64,
        pub(crate) cents: u64,
    }

    #[event(exchange = "versions", key = "order.v2.submit", upcasts(OrderV1))]
    pub(crate) struct OrderV2 {
        pub(crate) id: u64,
        pub(crate) lines: Vec<u64>,
    }

    #[event(exchange = "versions", key = "order.v3.submit", upcasts(OrderV2))]
    pub(crate) struct Order {
        pub(crate) id: u64,
        pub(crate) lines: Vec<u64>,
        pub(crate) currency: String,
    }

    impl From<OrderV1> for OrderV2 {
        fn from(old: OrderV1) -> Self {
            Self { id: old.id, lines: vec![old.cents] }
        }
    }

    impl From<OrderV2> for Order {
        fn from(old: OrderV2) -> Self {
            assert_ne!(old.id, 13, "an unlucky order");
            Self { id: old.id, lines: old.lines, currency: "EUR".into() }
        }
    }

    #[listener("order.*.submit", retry = 0)]
    fn newest(order: Order, ctx: &Context, log: State<Log>) {
        let Order { id, lines, currency } = order;
        log.add(format!("newest {id} {lines:?} {currency} {}", ctx.key()));
    }

    #[listener("order.*.submit", service = "versions.later", retry = 0)]
    async fn newest_later(order: &Order, log: State<Log>) {
        log.add(format!("later {} {:?} {}", order.id, order.lines, order.currency));
    }

    #[listener("order.#", retry = 0)]
    fn newest_shared(order: std::sync::Arc<Order>, log: State<Log>) {
        log.add(format!("shared {}", order.lines.len()));
    }

    #[listener]
    fn oldest(order: &OrderV1, log: State<Log>) {
        log.add(format!("oldest {} {}", order.id, order.cents));
    }

    #[test]
    fn a_listener_receives_every_version_as_its_own_type() {
        let (bus, log) = start("versions");
        bus.fire(Order { id: 3, lines: vec![1, 2], currency: "CHF".into() })
            .handled()
            .wait()
            .unwrap()
            .ok()
            .unwrap();
        assert_eq!(
            log.sorted(),
            ["later 3 [1, 2] CHF", "newest 3 [1, 2] CHF order.v3.submit", "shared 2"]
        );
    }

    #[test]
    fn one_upcast_and_a_chain_of_two() {
        let (bus, log) = start("versions");
        bus.fire(OrderV2 { id: 2, lines: vec![7, 8, 9] }).handled().wait().unwrap().ok().unwrap();
        assert_eq!(
            log.sorted(),
            ["later 2 [7, 8, 9] EUR", "newest 2 [7, 8, 9] EUR order.v2.submit", "shared 3"]
        );
        let (bus, log) = start("versions");
        bus.fire(OrderV1 { id: 1, cents: 5 }).handled().wait().unwrap().ok().unwrap();
        assert_eq!(
            log.sorted(),
            ["later 1 [5] EUR", "newest 1 [5] EUR order.v1.submit", "oldest 1 5", "shared 1"]
        );
    }

    #[test]
    fn an_upcast_that_panics_fails_the_deliveries_that_need_it() {
        let (bus, log) = start("versions");
        let outcomes = bus.fire(OrderV1 { id: 13, cents: 5 }).handled().wait().unwrap();
        let failed: Vec<_> = outcomes.failed().map(bus::Outcome::listener).collect();
        assert_eq!(
            failed,
            ["versions.later.newest_later", "versions.newest", "versions.newest_shared"]
        );
        let failure = outcomes.get("newest").unwrap().failure().unwrap();
        assert_eq!(failure.reason(), Reason::Panic);
        has(failure.message(), &["an unlucky order"]);
        assert_eq!(log.all(), ["oldest 13 5"]);
    }
}

/// Two structs that never heard of each other.
mod strangers {
    use super::*;

    #[event(exchange = "strangers", key = "parcel.sent")]
    pub(crate) struct Parcel {
        pub(crate) id: u32,
        pub(crate) to: Address,
        pub(crate) weights: Vec<Option<f64>>,
    }

    #[bus::payload]
    pub(crate) struct Address {
        pub(crate) city: String,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub(crate) struct Label {
        id: u64,
        to: Town,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub(crate) struct Town {
        city: String,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub(crate) struct Scale {
        weights: Vec<f64>,
    }

    #[listener("parcel.*", exchange = "strangers")]
    fn label(label: &Label, log: State<Log>) {
        log.add(format!("label {} {}", label.id, label.to.city));
    }

    #[listener("parcel.*", exchange = "strangers", service = "strangers.scales", retry = 5)]
    async fn weigh(scale: &Scale, log: State<Log>) {
        log.add(format!("weigh {:?}", scale.weights));
    }

    #[listener("parcel.*", exchange = "strangers")]
    fn anything(parcel: &serde_json::Value, log: State<Log>) {
        log.add(format!("anything {parcel}"));
    }

    fn parcel(weights: Vec<Option<f64>>) -> Parcel {
        Parcel { id: 7, to: Address { city: "Ulm".into() }, weights }
    }

    const JSON: &str = r#"{"id":7,"to":{"city":"Ulm"},"weights":[1.5,null]}"#;

    #[test]
    fn another_type_receives_the_event_through_the_codec() {
        let (bus, log) = start("strangers");
        bus.fire(parcel(vec![Some(1.5)])).handled().wait().unwrap().ok().unwrap();
        let anything = JSON.replace(",null", "");
        assert_eq!(log.sorted(), [&format!("anything {anything}"), "label 7 Ulm", "weigh [1.5]"]);
    }

    #[test]
    fn what_does_not_decode_fails_alone_names_the_field_and_is_not_tried_again() {
        let (bus, log) = start("strangers");
        let outcomes = bus.fire(parcel(vec![Some(1.5), None])).handled().wait().unwrap();
        assert_eq!(outcomes.failed().count(), 1);
        let weigh = outcomes.get("weigh").unwrap();
        assert_eq!(weigh.attempts(), Some(1));
        let failure = weigh.failure().unwrap();
        assert_eq!(failure.reason(), Reason::Decode);
        has(failure.message(), &["`weights[1]`", "null", "f64"]);
        assert_eq!(log.sorted(), [&format!("anything {JSON}"), "label 7 Ulm"]);
        let dead = bus.dead_letters().list().unwrap();
        assert_eq!(dead.len(), 1);
        assert_eq!((dead[0].listener(), dead[0].payload()), ("strangers.scales.weigh", JSON));
        bus.settle();
        assert_eq!(bus.stats().retrying, 0);
    }
}

/// Events that are fired by name and heard by type.
mod by_name {
    use super::*;

    #[event(exchange = "bus", key = "by_name.old")]
    pub(crate) struct Old {
        pub(crate) name: String,
    }

    #[event(exchange = "bus", key = "by_name.new", upcasts(Old))]
    pub(crate) struct New {
        pub(crate) names: Vec<String>,
    }

    impl From<Old> for New {
        fn from(old: Old) -> Self {
            Self { names: vec![old.name] }
        }
    }

    #[listener("by_name.*")]
    fn heard(new: &New, log: State<Log>) {
        log.add(new.names.join("+"));
    }

    #[test]
    fn an_event_by_name_takes_the_upcast_of_its_key() {
        let (bus, log) = start("by_name");
        let new = serde_json::json!({"names": ["a", "b"]});
        bus.fire_event("by_name.new", new).handled().wait().unwrap().ok().unwrap();
        let old = serde_json::json!({"name": "c"});
        bus.fire_event("by_name.old", old).handled().wait().unwrap().ok().unwrap();
        let wrong = serde_json::json!({"name": 5});
        let outcomes = bus.fire_event("by_name.old", wrong).handled().wait().unwrap();
        let failure = outcomes.get("heard").unwrap().failure().unwrap().clone();
        assert_eq!(failure.reason(), Reason::Decode);
        has(failure.message(), &["`name`", "expected a string"]);
        assert_eq!(log.all(), ["a+b", "c"]);
    }
}
