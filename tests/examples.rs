//! The examples run as their users run them, and print what they promise.

#[path = "examples/orders.rs"]
mod orders;
#[path = "examples/run.rs"]
mod run;

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::orders::Expected;
use crate::run::example;

/// The orders that the shop ships with.
fn orders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop/orders.jsonl")
}

/// Writes a file that one test reads.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("the folder for the files of tests can be written to");
    path
}

#[test]
fn greet_goes_by_handle_by_name_and_by_event() {
    let run = example("greet").run();
    assert_eq!(
        run.stdout,
        "Hello, Alice!\nCommand result: Hello, Alice!\nHandling greet event for Bob\n"
    );
    assert_eq!(run.stderr, "");
    assert!(run.success);
}

#[test]
fn users_listeners_overlap_and_a_failing_one_harms_nobody() {
    let run = example("users").run();
    assert!(run.success, "{}", run.stderr);
    assert_eq!(
        run.stdout,
        "\
registering Alice
  e-mail to alice@example.org: sending
  log of Alice: writing
  log of Alice: written
  e-mail to alice@example.org: sent
  `users.email` succeeded
  `users.log` succeeded
  `users.newsletter`: no newsletter wants Alice
registering Bob
  e-mail to bob@example.org: sending
  log of Bob: writing
  log of Bob: written
  e-mail to bob@example.org: sent
  `users.email` succeeded
  `users.log` succeeded
  `users.newsletter`: no newsletter wants Bob
dead letter of users.newsletter: {\"name\":\"Alice\",\"email\":\"alice@example.org\"}
dead letter of users.newsletter: {\"name\":\"Bob\",\"email\":\"bob@example.org\"}
"
    );
    // Both begin before either ends.
    let at = |text: &str| run.stdout.find(text).expect(text);
    let begun = at("alice@example.org: sending").max(at("Alice: writing"));
    let ended = at("alice@example.org: sent").min(at("Alice: written"));
    assert!(begun < ended);
}

#[test]
fn runtimes_all_give_the_same_output() {
    let run = example("runtimes").run();
    assert!(run.success, "{}", run.stderr);
    let round = "  1 squared is 1\n  2 squared is 4\n  3 squared is 9\n  sum 14\n";
    assert_eq!(run.stdout, format!("tokio\n{round}smol\n{round}no runtime\n{round}"));
}

#[test]
fn the_orders_of_the_shop_are_many_and_varied() {
    let expected = Expected::of(&orders());
    assert!(expected.accepted >= 200, "{}", expected.accepted);
    assert!(expected.skipped.len() >= 10, "{:?}", expected.skipped);
    for key in ["order.v1.submit", "order.v2.submit", "order.v2.chargeback"] {
        assert!(expected.events[key] >= 20, "{key}");
    }
}

#[test]
fn shop_totals_are_those_of_the_file() {
    let run = example("shop").arg(orders()).run();
    assert!(run.success, "{}", run.stderr);
    Expected::of(&orders()).assert_printed(&run);
}

#[test]
fn shop_reads_standard_input() {
    let input = File::open(orders()).expect("the orders are there");
    let from_input = example("shop").stdin(input).run();
    assert!(from_input.success, "{}", from_input.stderr);
    let from_file = example("shop").arg(orders()).run();
    assert_eq!(from_input, from_file);
    let input = File::open(orders()).expect("the orders are there");
    assert_eq!(example("shop").arg("-").stdin(input).run(), from_file);
}

/// Far more orders than a mailbox holds; and no progress bar, for standard error is no terminal.
#[test]
fn shop_loses_nothing_of_a_long_file() {
    let content = std::fs::read(orders()).expect("the orders are there").repeat(25);
    let path = file("long.jsonl", &content);
    let run = example("shop").arg(&path).run();
    assert!(run.success, "{}", run.stderr);
    Expected::of(&path).assert_printed(&run);
}

#[test]
fn shop_writes_the_whole_table_and_reports_every_malformed_line() {
    let lines: [&[u8]; 9] = [
        br#"{"event":"order.v1.submit","id":1,"account":"alice","lines":[{"product":"tea","quantity":3,"cents":45000}]}"#,
        b"",
        br#"{"event":"order.v2.submit","id":2,"account":"\xff","currency":"EUR","lines":[]}"#,
        b"{\"event\":\"order.v2.submit\",\"id\":2,\"account\":\"\xff\"}",
        b"{\"event\":\"order.v2.submit\",\"id\":3,\"account\":\"\xe6\x9d\x8e\",\"currency\":\"USD\",\"lines\":[{\"product\":\"tea\",\"quantity\":1,\"price\":5}]}\r",
        br#"{"event":"order.v2.submit","id":4}"#,
        br#"{"event":"order.v2.chargeback","id":1,"account":"alice","currency":"EUR","lines":[{"product":"tea","quantity":1,"price":45000}]}"#,
        br#"{"event":"order.v9.submit","id":5}"#,
        br#"{"event":"order.v2.submit","id":6,"account":"bob","currency":"GBP","lines":[{"product":"cut off","quan"#,
    ];
    let run = example("shop").arg(file("mixed.jsonl", &lines.join(&b'\n'))).run();
    assert_eq!(
        run.stderr,
        "\
line 3 is skipped: invalid escape
line 4 is skipped: invalid unicode code point
line 6 is skipped: missing field `account`
line 8 is skipped: unknown variant `order.v9.submit`, expected one of `order.v1.submit`, \
`order.v2.submit`, `order.v2.chargeback`
line 9 is skipped: EOF while parsing a string
"
    );
    assert_eq!(
        run.stdout,
        "\
accepted                    3
skipped                     5
billing: invoices           2
billing: chargebacks        1
logistic: orders shipped    2
logistic: pieces shipped    4
logistic: pieces returned   1
audit: order.v1.submit      1
audit: order.v2.chargeback  1
audit: order.v2.submit      1
failed deliveries           0

account     EUR   GBP   USD
alice    900.00     -     -
李            -     -  0.05
sum      900.00  0.00  0.05
"
    );
    assert!(run.success);
}

#[test]
fn shop_with_an_empty_file_counts_nothing() {
    let run = example("shop").arg(file("empty.jsonl", b"")).run();
    assert_eq!(run.stderr, "");
    assert_eq!(
        run.stdout,
        "\
accepted                   0
skipped                    0
billing: invoices          0
billing: chargebacks       0
logistic: orders shipped   0
logistic: pieces shipped   0
logistic: pieces returned  0
failed deliveries          0
"
    );
    assert!(run.success);
}

#[test]
fn shop_without_its_file_fails_with_the_remedy() {
    let run = example("shop").arg("no/such/file.jsonl").run();
    assert!(!run.success);
    assert_eq!(run.stdout, "");
    let [before, after] = [
        "shop: cannot read no/such/file.jsonl: ",
        "; name a file of orders, such as examples/shop/orders.jsonl, or give them on standard \
         input\n",
    ];
    assert!(run.stderr.starts_with(before) && run.stderr.ends_with(after), "{}", run.stderr);
}

#[test]
fn shop_runs_only_the_services_that_the_environment_selects() {
    let run = example("shop").arg(orders()).env("BUS_SERVICES", "order,billing").run();
    assert!(run.success, "{}", run.stderr);
    let whole = example("shop").arg(orders()).run();
    let balances = |stdout: &str| stdout.split_once("\n\n").map(|(_, table)| table.to_owned());
    assert!(balances(&run.stdout).is_some(), "{}", run.stdout);
    assert_eq!(balances(&run.stdout), balances(&whole.stdout));
    for service in ["logistic", "audit"] {
        let row = run.stdout.lines().find(|row| row.starts_with(service)).expect(service);
        assert!(row.ends_with("  not run here"), "{row}");
    }

    let run = example("shop").arg(orders()).env("BUS_SERVICES", "biling").run();
    assert!(!run.success);
    assert!(run.stderr.contains("there is no service `biling`"), "{}", run.stderr);
    assert!(run.stderr.contains("`billing.ledger`"), "{}", run.stderr);
}
