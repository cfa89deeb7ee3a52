//! Every interleaving of a few threads on the mailbox, the lanes, the turn, parking, and the answer of a
//! promise.
//!
//! `cargo xtask test interleavings` runs these; they need `--cfg autobus_loom`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::execute_error::ExecuteError;
use crate::lane::Lanes;
use crate::park::Sleeper;
use crate::promise::Slot;
use crate::service::{Mailbox, Turn};
use crate::testing::{Activity, Awake};

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Parks the thread until `poll` is ready.
fn block_on<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn an_answer_always_wakes_who_waits_for_it() {
    loom::model(|| {
        let slot = Arc::new(Slot::<u32, Infallible>::default());
        let filler = {
            let slot = slot.clone();
            thread::spawn(move || slot.fill(Ok(7)))
        };
        assert_eq!(block_on(|cx| slot.take(cx)), Ok(7));
        filler.join().unwrap();
    });
}

#[test]
fn of_an_answer_and_a_cancellation_one_counts() {
    loom::model(|| {
        let slot = Arc::new(Slot::<u32, Infallible>::default());
        let others: Vec<_> = [Ok(7), Err(ExecuteError::Cancelled)]
            .into_iter()
            .map(|answer| {
                let slot = slot.clone();
                thread::spawn(move || slot.fill(answer))
            })
            .collect();
        let first = block_on(|cx| slot.take(cx));
        assert!(matches!(first, Ok(7) | Err(ExecuteError::Cancelled)));
        for other in others {
            other.join().unwrap();
        }
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(slot.take(&mut cx), Poll::Pending);
    });
}

#[test]
fn one_thread_has_the_turn_at_a_time_and_everybody_gets_it() {
    let mut search = loom::model::Builder::new();
    search.preemption_bound = Some(3);
    search.check(|| {
        let turn = Arc::new(Turn::default());
        let inside = Arc::new(AtomicUsize::new(0));
        let check = |inside: &AtomicUsize| {
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            inside.fetch_sub(1, Ordering::SeqCst);
        };
        let others: Vec<_> = [true, false]
            .into_iter()
            .map(|passes| {
                let (turn, inside) = (turn.clone(), inside.clone());
                thread::spawn(move || {
                    turn.acquire();
                    check(&inside);
                    if passes {
                        turn.pass();
                        check(&inside);
                    }
                    turn.release();
                })
            })
            .collect();
        turn.acquire();
        check(&inside);
        turn.release();
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn what_is_put_into_a_mailbox_is_taken_in_order() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::<u32>::new(8));
        let producer = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                for number in 0..2 {
                    assert!(mailbox.push(number, 1, |_| true).is_ok());
                }
                mailbox.close();
            })
        };
        let mut taken = Vec::new();
        let mut batch = VecDeque::new();
        while block_on(|cx| mailbox.poll_take(&mut batch, cx)) {
            taken.extend(batch.drain(..));
        }
        assert_eq!(taken, [0, 1]);
        producer.join().unwrap();
    });
}

/// The service's own thread steps aside while one of its handlers waits; whatever comes meanwhile is
/// a substitute's, and the own thread gets its mailbox back.
#[test]
fn a_mailbox_has_one_consumer_and_loses_nothing_when_it_changes() {
    // All of them take minutes; three preemptions find what two threads can do to each other.
    let mut search = loom::model::Builder::new();
    search.preemption_bound = Some(3);
    search.check(|| {
        let mailbox = Arc::new(Mailbox::<u32>::new(8));
        let taken = Arc::new(AtomicUsize::new(0));
        let substitute = |mailbox: Arc<Mailbox<u32>>, taken: Arc<AtomicUsize>| {
            thread::spawn(move || {
                loop {
                    let batch = mailbox.take_as_substitute();
                    if batch.is_empty() {
                        break;
                    }
                    taken.fetch_add(batch.len(), Ordering::SeqCst);
                }
                mailbox.leave();
            })
        };
        let producer = {
            let (mailbox, taken) = (mailbox.clone(), taken.clone());
            thread::spawn(move || match mailbox.push(1, 1, |_| true) {
                Ok(pushed) if pushed.substitute => Some(substitute(mailbox, taken)),
                Ok(_) => None,
                Err(_) => panic!("the mailbox is closed"),
            })
        };
        // It consumes, and then a handler of it waits, with one delivery that has not started.
        let mine = mailbox
            .step_aside(VecDeque::from([0]))
            .then(|| substitute(mailbox.clone(), taken.clone()));
        // The handler goes on; the thread wants its mailbox back.
        let mut batch = VecDeque::new();
        while taken.load(Ordering::SeqCst) + batch.len() < 2 {
            let mut more = VecDeque::new();
            let mut cx = Context::from_waker(Waker::noop());
            if mailbox.poll_take(&mut more, &mut cx).is_pending() {
                thread::yield_now();
            }
            batch.extend(more);
        }
        assert_eq!(taken.load(Ordering::SeqCst) + batch.len(), 2);
        if let Some(theirs) = producer.join().unwrap() {
            theirs.join().unwrap();
        }
        if let Some(mine) = mine {
            mine.join().unwrap();
        }
        assert!(!mailbox.has_substitutes());
    });
}

/// The service's own thread and a substitute each count what they have done without asking the other.
#[test]
fn of_two_who_finish_at_once_one_sees_that_all_is_done() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::<u32>::new(8));
        assert!(mailbox.push(0, 1, |_| true).is_ok() && mailbox.push(1, 1, |_| true).is_ok());
        // A handler of the own thread waits, and a substitute takes the other delivery.
        assert!(mailbox.step_aside(VecDeque::new()));
        let substitute = {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.finish_elsewhere(1))
        };
        let mine = mailbox.finish(1);
        assert!(mine | substitute.join().unwrap());
    });
}

/// A thread that fires looks at the epoch alone; a shutdown that has given the bus another one, and then
/// finds nobody who fires, knows that nothing comes any more.
#[test]
fn what_goes_by_a_lane_is_in_its_mailbox_before_the_bus_takes_itself_for_drained() {
    loom::model(|| {
        let lanes = Arc::new(Lanes::default());
        let lane = lanes.open(&std::sync::atomic::AtomicU64::new(0));
        let (epoch, fired) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicUsize::new(0)));
        let firing = {
            let (epoch, fired) = (epoch.clone(), fired.clone());
            thread::spawn(move || {
                lane.enter();
                if epoch.load(Ordering::SeqCst) == 1 {
                    fired.fetch_add(1, Ordering::Relaxed);
                }
                lane.end();
            })
        };
        epoch.fetch_add(1, Ordering::SeqCst);
        let drained = (!lanes.run()).then(|| fired.load(Ordering::Relaxed));
        firing.join().unwrap();
        if let Some(seen) = drained {
            assert_eq!(seen, fired.load(Ordering::Relaxed));
        }
    });
}

/// An event for one service is put into its mailbox if the bus has the same epoch while the mailbox is
/// held; a shutdown that has given the bus another one, and then passed by the mailbox, has seen all of
/// them.
#[test]
fn what_goes_by_a_mailbox_alone_is_in_it_before_the_bus_takes_itself_for_drained() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::<u32>::new(8));
        let epoch = Arc::new(AtomicUsize::new(1));
        let firing = {
            let (mailbox, epoch) = (mailbox.clone(), epoch.clone());
            thread::spawn(move || {
                mailbox.push(0, 1, |_| epoch.load(Ordering::Relaxed) == 1).is_ok()
            })
        };
        epoch.store(2, Ordering::Relaxed);
        mailbox.await_pushes();
        let seen = mailbox.accepted();
        let accepted = firing.join().unwrap();
        assert_eq!(seen, u64::from(accepted));
    });
}

/// Who waits until its delivery is within the bound either sees that it is, or is told by whoever
/// starts what makes it so, however that starts.
fn who_waits_for_space_is_told(start: fn(&Mailbox<u32>, &Mutex<()>)) {
    loom::model(move || {
        let mailbox = Arc::new(Mailbox::<u32>::new(0));
        let backlog = Arc::new(Mutex::new(()));
        let starting = {
            let (mailbox, backlog) = (mailbox.clone(), backlog.clone());
            thread::spawn(move || start(&mailbox, &backlog))
        };
        mailbox.expect_space(|| drop(backlog.lock()));
        let sees = mailbox.has_started(1);
        starting.join().unwrap();
        assert!(sees || !mailbox.take_expecting());
    });
}

#[test]
fn who_waits_for_space_is_told_of_what_was_begun_while_the_backlog_was_held() {
    who_waits_for_space_is_told(|mailbox, backlog| {
        {
            let _held = backlog.lock();
            mailbox.start_held(1);
        }
        mailbox.tell_started();
    });
}

#[test]
fn who_waits_for_space_is_told_of_what_starts_on_its_own() {
    who_waits_for_space_is_told(|mailbox, _| {
        mailbox.start(1);
        mailbox.tell_started();
    });
}

#[test]
fn who_waits_for_space_is_told_of_what_starts_elsewhere() {
    who_waits_for_space_is_told(|mailbox, _| {
        mailbox.start_elsewhere(1);
        mailbox.tell_started();
    });
}

/// On a test bus, whoever has woken a thread and sees nobody awake knows that it has seen why.
#[test]
fn a_thread_that_is_parked_is_woken_and_counts_as_awake_from_then_on() {
    let mut search = loom::model::Builder::new();
    search.preemption_bound = Some(3);
    search.check(|| {
        let activity = Arc::new(Activity::default());
        let counted = activity.clone();
        let sleeping = thread::spawn(move || {
            let awake = Awake::new(&counted);
            let sleeper = Sleeper::new();
            sleeper.count(&awake);
            let (given, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let wake = |_| {
                let (counted, waker) = (counted.clone(), Waker::from(sleeper.clone()));
                let (given, seen) = (given.clone(), seen.clone());
                thread::spawn(move || {
                    // Relaxed: it is the waking that brings it to the sleeper's notice.
                    let mine = given.fetch_add(1, Ordering::Relaxed) + 1;
                    waker.wake();
                    assert!(!counted.is_over() || seen.load(Ordering::SeqCst) >= mine);
                })
            };
            let wakers: Vec<_> = (0..2).map(wake).collect();
            loop {
                seen.store(given.load(Ordering::Relaxed), Ordering::SeqCst);
                if seen.load(Ordering::SeqCst) == 2 {
                    break;
                }
                sleeper.sleep(None);
                assert!(!counted.is_over());
            }
            drop(awake);
            wakers
        });
        // Joined here, since loom takes an unpark for the end of whatever a thread waits for.
        for waker in sleeping.join().unwrap() {
            waker.join().unwrap();
        }
        assert!(activity.is_over());
    });
}
