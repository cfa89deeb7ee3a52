//! What the tests share: places for handlers to leave what they saw, and doors to hold them at.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;

use smol::channel::{Receiver, Sender, unbounded};

/// What handlers saw, in order. A clone is the same log: one for the bus, one for the test.
pub(crate) struct Log<T = String>(Arc<Mutex<Vec<T>>>);

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> Log<T> {
    pub(crate) fn add(&self, entry: impl Into<T>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry.into());
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn sorted(&self) -> Vec<T>
    where
        T: Ord,
    {
        let mut all = self.all();
        all.sort();
        all
    }
}

/// A door that a handler tells it has come to, and stands at until it is let through. A clone is
/// the same door.
#[derive(Clone)]
pub(crate) struct Door {
    came: (Sender<()>, Receiver<()>),
    go: (Sender<()>, Receiver<()>),
}

impl Default for Door {
    fn default() -> Self {
        Self { came: unbounded(), go: unbounded() }
    }
}

impl Door {
    /// What an asynchronous handler does.
    pub(crate) async fn pass(&self) {
        let _ = self.came.0.try_send(());
        let _ = self.go.1.recv().await;
    }

    /// What a synchronous handler does.
    pub(crate) fn pass_blocking(&self) {
        let _ = self.came.0.try_send(());
        let _ = self.go.1.recv_blocking();
    }

    /// Waits until one more handler has come.
    pub(crate) fn wait_for_one(&self) {
        self.came.1.recv_blocking().expect("the door outlives the wait");
    }

    /// How many stand at the door, or went through it, and were not waited for.
    pub(crate) fn waiting(&self) -> usize {
        self.came.1.len()
    }

    /// Lets one through.
    pub(crate) fn let_one(&self) {
        let _ = self.go.0.try_send(());
    }

    /// Lets everybody through from now on.
    pub(crate) fn open(&self) {
        self.go.0.close();
    }
}

/// Gives whatever else its thread has to do its turn, several times: more often than a service runs
/// tasks before it looks at its mailbox.
pub(crate) async fn yield_often() {
    for _ in 0..200 {
        futures_lite::future::yield_now().await;
    }
}

/// The name of the current thread.
pub(crate) fn thread_name() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

/// The current thread.
pub(crate) fn thread_id() -> ThreadId {
    std::thread::current().id()
}

/// The text of an error.
pub(crate) fn text<T: Debug, E: std::fmt::Display>(result: Result<T, E>) -> String {
    match result {
        Ok(value) => panic!("expected an error and got {value:?}"),
        Err(error) => error.to_string(),
    }
}

/// Asserts that `text` has every one of `parts`.
#[track_caller]
pub(crate) fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}
