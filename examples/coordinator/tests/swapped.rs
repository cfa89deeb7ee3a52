//! Other modules in the place of `state` and `notifier`; the coordinator's file is the same.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{Client, program, request};
use serde_json::json;

/// What the swapped modules were told, in order.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<String>>>);

impl Book {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

/// Keeps the state in a book.
mod ledger {
    use bus::prelude::*;
    use modules::contracts::{self, Status, Unavailable};

    use super::Book;

    #[command(serves = contracts::claim)]
    fn claim(id: &str, book: State<Book>) -> Result<bool, Unavailable> {
        book.write(format!("claim {id}"));
        Ok(true)
    }

    #[command(serves = contracts::update)]
    fn update(id: &str, status: &Status, book: State<Book>) -> Result<bool, Unavailable> {
        book.write(format!("update {id}: {}", if status.is_final() { "done" } else { "begun" }));
        Ok(true)
    }

    #[command(serves = contracts::status)]
    fn status(_id: &str) -> Result<Option<Status>, Unavailable> {
        Ok(Some(Status::Processing))
    }
}

/// Writes alerts into the same book.
mod pager {
    use bus::prelude::*;
    use modules::contracts::Alert;

    use super::Book;

    #[listener(Alert::EVENT)]
    fn page(alert: &Alert, book: State<Book>) {
        book.write(format!("page: {}", alert.message));
    }
}

#[test]
fn state_and_notifier_are_swapped_and_nothing_else_is_touched() {
    let book = Book::default();
    let bus = program()
        .services(["http", "coordinator", "validation", "tasks", "ledger", "pager"])
        .state(book.clone())
        .build()
        .unwrap();
    let client = Client::of(&bus);
    assert_eq!(client.post(&request("a")).0, 202);
    bus.settle();
    assert_eq!(client.get("/requests/a"), (200, json!({ "status": "processing" })));
    assert_eq!(client.post(&json!({ "id": "", "text": "x", "difficulty": 1 })).0, 422);
    bus.settle();
    let lines = book.0.lock().unwrap().clone();
    let mut sorted = lines.clone();
    sorted.sort();
    let told = ["claim a", "page: Invalid request received", "update a: begun", "update a: done"];
    assert_eq!(sorted, told);
    assert_eq!((lines[0].as_str(), lines[3].as_str()), ("claim a", told[1]));
}

#[test]
fn modules_know_the_contracts_and_no_other_module() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&sources, &mut files);
    let mut checked = 0;
    for (file, text) in files {
        let module = file.strip_prefix(&sources).unwrap().components().next().unwrap();
        let module = Path::new(module.as_os_str()).with_extension("");
        if ["lib", "main", "contracts"].iter().any(|whole| module == Path::new(whole)) {
            continue;
        }
        checked += 1;
        for path in text.split("crate::").skip(1) {
            let named = path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let allowed = named == "contracts" || Path::new(named) == module;
            assert!(allowed, "{} names `crate::{named}`", file.display());
        }
    }
    assert!(checked >= 12, "{checked}");
}

fn collect(folder: &Path, files: &mut Vec<(std::path::PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push((path.clone(), std::fs::read_to_string(path).unwrap()));
        }
    }
}
