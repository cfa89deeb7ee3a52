//! What a run came to: what was handled, how often, and what the ledger and the dead letters say.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use autobus_testkit::rabbitmq::Message;
use autobus_testkit::{Vhost, poll_until};
use rusqlite::Connection;
use serde_json::json;

use crate::fleet::Fleet;
use crate::orders::Orders;

/// Every listener that hears what an order is, by service.
const SERVICES: [(&str, &[&str]); 3] = [
    ("billing", &["billing_order", "billing.charge_back"]),
    ("logistic", &["logistic.warehouse.ship", "logistic.warehouse.take_back"]),
    ("audit", &["audit.journal.record"]),
];

/// What was sent that nobody can handle, and where it must end.
pub(crate) struct Poison {
    /// By queue, the ids.
    dead: BTreeMap<String, HashSet<String>>,
    /// What the audit hears although nobody else can read it.
    audited: u64,
}

impl Poison {
    /// Nothing.
    pub(crate) fn none() -> Self {
        Self { dead: BTreeMap::new(), audited: 0 }
    }

    /// Sends an order that is none, one in another language, and one that kills whoever handles it,
    /// once the consumers have their queues.
    pub(crate) fn publish(vhost: &Vhost, fleet: &mut Fleet) -> Self {
        for (_, listeners) in SERVICES {
            for listener in listeners {
                poll_until("the queues of the shop", || vhost.queue(listener));
            }
        }
        fleet.revive();
        let good = r#"{"id":0,"account":"nobody","currency":"EUR","lines":[]}"#;
        let send = |id: &str, content_type: &str, headers: serde_json::Value, body: &str| {
            let properties = json!({
                "delivery_mode": 2,
                "message_id": id,
                "content_type": content_type,
                "headers": headers,
            });
            vhost.publish_with("order", "order.v2.submit", body, &properties);
        };
        send("no-order", "application/json", json!({}), r#"{"id":"#);
        send("no-json", "text/xml", json!({}), "<order/>");
        send("killer", "application/json", json!({"drill": "abort"}), good);
        let all = ["no-order", "no-json", "killer"].map(str::to_owned);
        let dead = [
            ("billing_order", &all[..]),
            ("logistic.warehouse.ship", &all[..]),
            // Only what kills it: it does not read what it records.
            ("audit.journal.record", &all[2..]),
        ];
        let dead = dead.map(|(queue, ids)| (queue.to_owned(), ids.iter().cloned().collect()));
        Self { dead: dead.into(), audited: 2 }
    }
}

/// What a run came to.
pub(crate) struct Tally {
    /// By listener: messages that were handled, and how often in all.
    handled: BTreeMap<String, (HashSet<String>, u64)>,
    /// Deliveries that were not the first of their message.
    pub(crate) redelivered: u64,
    invoices: u64,
    chargebacks: u64,
    balances: BTreeMap<(String, String), i64>,
    /// By queue, the ids of the messages.
    dead: BTreeMap<String, HashSet<String>>,
}

impl Tally {
    pub(crate) fn of(fleet: &Fleet, vhost: &Vhost) -> Self {
        let mut handled: BTreeMap<String, (HashSet<String>, u64)> = BTreeMap::new();
        let mut redelivered = 0;
        for line in fleet.journals() {
            let mut words = line.split(' ');
            let (Some(listener), Some(id), Some(attempt)) =
                (words.next(), words.next(), words.next_back())
            else {
                panic!("a journal says `{line}`");
            };
            let entry = handled.entry(listener.to_owned()).or_default();
            entry.0.insert(id.to_owned());
            entry.1 += 1;
            redelivered += u64::from(attempt != "1");
        }
        let ledger = Connection::open(fleet.ledger()).expect("the ledger is there");
        let count = |is_invoice: bool| {
            let select = "SELECT COUNT(*) FROM bookings WHERE is_invoice = ?1";
            let count = ledger.query_row(select, [is_invoice], |row| row.get::<_, i64>(0));
            count.expect("the ledger counts").unsigned_abs()
        };
        let balances = {
            let select = "SELECT account, currency, cents FROM balances";
            let mut select = ledger.prepare(select).expect("the ledger has balances");
            let rows = select.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)));
            rows.and_then(Iterator::collect).expect("the ledger has balances")
        };
        let queues = vhost.queues().into_iter();
        let graves = queues.filter_map(|queue| queue.name.strip_suffix(".dead").map(str::to_owned));
        // Like any other, a dead letter may be there twice.
        let dead = graves.filter_map(|queue| {
            let letters = vhost.get(&format!("{queue}.dead"), 100);
            let ids: HashSet<String> = letters.iter().map(id).collect();
            (!ids.is_empty()).then_some((queue, ids))
        });
        Self {
            handled,
            redelivered,
            invoices: count(true),
            chargebacks: count(false),
            balances,
            dead: dead.collect(),
        }
    }

    /// How many messages of `service` were handled, each counted once, and how often in all.
    fn handled(&self, listeners: &[&str]) -> (u64, u64) {
        let of = |listener: &&str| self.handled.get(*listener);
        let counts = listeners.iter().filter_map(of).map(|(ids, all)| (ids.len() as u64, *all));
        counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
    }

    /// Everything was handled by everybody, the ledger is exact, and only the poison is dead.
    pub(crate) fn assert_exact(&self, orders: &Orders, poison: &Poison) {
        for (service, listeners) in SERVICES {
            let extra = if service == "audit" { poison.audited } else { 0 };
            assert_eq!(self.handled(listeners).0, orders.len() + extra, "handled by {service}");
        }
        assert_eq!((self.invoices, self.chargebacks), orders.booked(), "booked");
        assert_eq!(&self.balances, orders.balances(), "balances");
        assert_eq!(self.dead, poison.dead, "dead letters");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (service, listeners) in SERVICES {
            let (handled, all) = self.handled(listeners);
            writeln!(f, "  {service:<9}handled {handled}, duplicates {}", all - handled)?;
        }
        writeln!(
            f,
            "  booked {}, redelivered {}",
            self.invoices + self.chargebacks,
            self.redelivered
        )?;
        write!(f, "  dead letters {}", self.dead.values().map(HashSet::len).sum::<usize>())
    }
}

fn id(letter: &Message) -> String {
    letter.properties["headers"]["cloudEvents_id"].as_str().unwrap_or("none").to_owned()
}
