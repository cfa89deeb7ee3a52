//! What the promises cost at the least: the listeners called by hand, with what a bus has to know of it.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{SINK, heard};
use crate::order::{Order, Tally};

/// What runs on a thread: whatever the listeners send is caused by it.
struct Running {
    /// The listener that runs, which is blamed if it panics.
    at: Cell<usize>,
}

thread_local! {
    static RUNNING: RefCell<Option<Rc<Running>>> = const { RefCell::new(None) };
}

pub(super) fn promises<const N: usize>() -> impl FnMut(u64, u64) -> Tally {
    let listeners = black_box([heard as fn(&Order); N]);
    let frame = Rc::new(Running { at: Cell::new(0) });
    // Whether the bus is as it was, and stops; whether it has to wait; what has been fired.
    let (epoch, runs, fired) = (AtomicU64::new(1), AtomicBool::new(false), AtomicU64::new(0));
    move |first, n| {
        for id in first..first + n {
            let order = Order::new(id);
            RUNNING.with_borrow_mut(|running| *running = Some(frame.clone()));
            runs.swap(true, Ordering::SeqCst);
            assert_eq!(epoch.load(Ordering::SeqCst), 1, "nobody changes it");
            let ran = catch_unwind(AssertUnwindSafe(|| {
                for (at, listener) in listeners.iter().enumerate() {
                    frame.at.set(at);
                    listener(&order);
                }
            }));
            assert!(ran.is_ok(), "no panic");
            fired.store(fired.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            runs.store(false, Ordering::Release);
            RUNNING.with_borrow_mut(|running| *running = None);
        }
        SINK.take()
    }
}
