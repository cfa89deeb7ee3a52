//! Messages that a service has handled, for those who send it more.
//!
//! Memory that one thread takes and another gives back costs several times of what it costs where the same
//! thread does both. So the service keeps the small messages that it has the last handle on, without what
//! they carried, unless the end of that can wait, and threads that fire take some of them at a time. It frees
//! those that nobody has needed for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::message::MessageRef;

/// How many change hands at once.
pub(crate) const AT_ONCE: usize = 32;

/// How many are kept at the most.
const MOST: usize = 1_024;

/// What is kept of one service.
#[derive(Default)]
pub(crate) struct Used(Mutex<Spare>);

#[derive(Default)]
struct Spare {
    messages: Vec<MessageRef>,
    /// The fewest that there were since the last [trim](Used::trim): so many nobody has needed.
    fewest: usize,
}

impl Used {
    fn lock(&self) -> MutexGuard<'_, Spare> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `messages`, as far as there is room in what is kept of a mailbox of this bound.
    pub(super) fn give(&self, messages: &mut Vec<MessageRef>, bound: usize) {
        {
            let mut kept = self.lock();
            let room = bound.min(MOST).saturating_sub(kept.messages.len());
            let some = messages.drain(..room.min(messages.len()));
            kept.messages.extend(some);
        }
        messages.clear();
    }

    /// Takes a few.
    pub(crate) fn take(&self, into: &mut Vec<MessageRef>) {
        let mut kept = self.lock();
        let left = kept.messages.len().saturating_sub(AT_ONCE);
        into.extend(kept.messages.drain(left..));
        kept.fewest = kept.fewest.min(left);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().messages.is_empty()
    }

    /// Frees those that nobody has needed since it was called last.
    pub(super) fn trim(&self) {
        let unneeded = {
            let mut kept = self.lock();
            // From below, where those are that nobody has touched.
            let fewest = kept.fewest;
            let unneeded: Vec<_> = kept.messages.drain(..fewest).collect();
            kept.fewest = kept.messages.len();
            unneeded
        };
        drop(unneeded);
    }

    /// Frees all.
    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        drop(all);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Weak, mpsc};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::Running;
    use crate::binding::{Binding, Defaults, Policy};
    use crate::clock::Clock;
    use crate::event::local_event;
    use crate::handler::{HandlerResult, Options, Plain};
    use crate::message::{Deliveries, Firing, Head};
    use crate::passage::EventPassage;
    use crate::receipt::Receipt;
    use crate::router::Route;
    use crate::service::{Service, spawn};

    /// What tells whether it was dropped.
    struct Parcel(u64, #[expect(dead_code, reason = "its end is what counts")] Arc<()>);

    struct Letter(u64);

    struct Bomb(u64);

    impl Drop for Bomb {
        fn drop(&mut self) {
            let is_served = thread::current().name() == Some("post");
            assert!(!is_served || !self.0.is_multiple_of(3), "every third one");
        }
    }

    local_event!(Parcel, PARCEL, "post", "post.parcel");
    local_event!(Letter, LETTER, "post", "post.letter");
    local_event!(Bomb, BOMB, "post", "post.bomb");

    static LETTERS: AtomicU64 = AtomicU64::new(0);

    static PARCELLED: fn(&Parcel) -> HandlerResult = |parcel| {
        let is_odd = parcel.0 % 2 == 1;
        if is_odd { Err(crate::failure::Failure::internal("it is odd")) } else { Ok(()) }
    };
    static DEFUSED: fn(&Bomb) = |_| {};
    static LETTERED: fn(&Letter) = |letter| {
        LETTERS.fetch_add(letter.0, Ordering::Relaxed);
    };

    /// A bus beside a service that hears all kinds on a thread of its own, and the ways there from here.
    struct Post {
        bus: Running,
        service: Arc<Service>,
        parcels: EventPassage,
        letters: EventPassage,
        bombs: EventPassage,
    }

    impl Post {
        fn new() -> Self {
            let bus = crate::Builder::new().build().expect("a bus");
            let service = Service::new("post".into(), &Clock::system(), 64, None);
            let service = Arc::new(service);
            let (ready, is_ready) = mpsc::channel();
            spawn(&bus, &service, ready).expect("a thread");
            is_ready.recv().expect("an answer").expect("a service");
            let lane = bus.0.lanes.open(&bus.0.fired);
            let passage = |descriptor, plain: Plain| {
                let mut listener = Binding::plain(&service, plain);
                let options = Options { retry: Some(0), ..Options::DEFAULT };
                let policy = Policy::new(&options, &Defaults::default());
                Arc::get_mut(&mut listener).expect("ours alone").policy = policy;
                let route = Route::new(vec![listener]);
                let route = Arc::new(route.of("post".into(), "post".into()));
                let passage = EventPassage::new(&bus, bus.epoch(), descriptor, &route, &lane);
                passage.expect("a passage")
            };
            let parcels = passage(&PARCEL, &PARCELLED);
            let letters = passage(&LETTER, &LETTERED);
            let bombs = passage(&BOMB, &DEFUSED);
            Self { bus, service, parcels, letters, bombs }
        }

        fn parcel(&self, number: u64, guard: &Arc<()>) -> Receipt {
            let parcel = Parcel(number, guard.clone());
            self.parcels.fire(&self.bus, &PARCEL, parcel, true)
        }

        fn letter(&self, number: u64) -> Receipt {
            self.letters.fire(&self.bus, &LETTER, Letter(number), true)
        }

        /// Has messages kept.
        fn keep(&self) {
            soon("messages are kept", || {
                for _ in 0..AT_ONCE {
                    drop(self.letter(0));
                }
                // By then the others have left theirs.
                self.letter(0).handled().wait().expect("accepted");
                !self.service.used.is_empty()
            });
        }

        fn bomb(&self, number: u64) -> Receipt {
            self.bombs.fire(&self.bus, &BOMB, Bomb(number), true)
        }
    }

    impl Drop for Post {
        fn drop(&mut self) {
            self.service.mailbox.close();
            if let Some(thread) = self.service.take_thread() {
                thread.join().expect("no panic");
            }
        }
    }

    /// Waits for what comes soon and tells nobody.
    fn soon(what: &str, is_so: impl Fn() -> bool) {
        let from = Instant::now();
        while !is_so() {
            assert!(from.elapsed() < Duration::from_secs(20), "{what}");
            thread::yield_now();
        }
    }

    #[test]
    fn what_a_message_carried_is_dropped_although_it_is_kept() {
        let post = Post::new();
        let guard = Arc::new(());
        soon("messages are kept and parcels are not", || {
            for _ in 0..AT_ONCE {
                drop(post.parcel(0, &guard));
            }
            post.letter(0).handled().wait().expect("accepted");
            !post.service.used.is_empty() && Arc::strong_count(&guard) == 1
        });
    }

    #[test]
    fn outcomes_are_those_of_the_event_and_not_of_the_one_before_in_its_message() {
        let post = Post::new();
        let (guard, before) = (Arc::new(()), LETTERS.load(Ordering::Relaxed));
        for _ in 0..8 {
            for number in 0..64 {
                drop(post.letter(number));
                drop(post.parcel(number, &guard));
            }
            // By then the others have left their messages.
            post.letter(0).handled().wait().expect("accepted");
            let kept: Vec<_> =
                (0..64).map(|number| (number, post.parcel(number, &guard))).collect();
            for (number, receipt) in kept {
                let outcomes = receipt.handled().wait().expect("accepted");
                assert_eq!((outcomes.len(), outcomes.failed().count() as u64), (1, number % 2));
            }
        }
        assert_eq!(LETTERS.load(Ordering::Relaxed) - before, 8 * (0..64).sum::<u64>());
    }

    #[test]
    fn what_is_kept_is_freed_when_nothing_happens() {
        let post = Post::new();
        post.keep();
        soon("they are freed", || post.service.used.is_empty());
    }

    #[test]
    fn nothing_is_left_of_a_service_that_has_stopped() {
        let post = Post::new();
        post.keep();
        let service = Arc::downgrade(&post.service);
        drop(post);
        assert!(Weak::upgrade(&service).is_none(), "what is used has handles on the service");
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_harms_no_other() {
        let post = Post::new();
        for number in 0..2 * AT_ONCE as u64 {
            drop(post.bomb(number));
            drop(post.letter(0));
        }
        let outcomes = post.letter(0).handled().wait().expect("accepted");
        assert_eq!((outcomes.len(), outcomes.failed().count()), (1, 0));
        soon("everything is done", || post.service.mailbox.is_idle());
    }

    /// So many messages that were handled.
    fn messages(count: usize) -> Vec<MessageRef> {
        let bus = crate::Builder::new().build().expect("a bus");
        let route = Arc::new(Route::default());
        let message = || {
            let head = Head::new(&bus, Deliveries::NONE);
            MessageRef::new(Firing::new(head, route.clone(), Letter(0)))
        };
        std::iter::repeat_with(message).take(count).collect()
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let used = Used::default();
        let kept = || used.lock().messages.len();
        used.give(&mut messages(50), 40);
        assert_eq!(kept(), 40);
        let mut taken = Vec::new();
        used.take(&mut taken);
        assert_eq!((kept(), taken.len()), (40 - AT_ONCE, AT_ONCE));
        used.take(&mut taken);
        assert_eq!((kept(), taken.len()), (0, 40));
        used.give(&mut messages(2 * MOST), usize::MAX);
        assert_eq!(kept(), MOST);
    }

    #[test]
    fn what_nobody_has_needed_for_a_while_is_freed_and_no_more() {
        let used = Used::default();
        let kept = || used.lock().messages.len();
        used.give(&mut messages(100), usize::MAX);
        used.trim();
        assert_eq!(kept(), 100);
        // Those are needed.
        let mut taken = Vec::new();
        used.take(&mut taken);
        used.give(&mut taken, usize::MAX);
        used.trim();
        assert_eq!(kept(), AT_ONCE);
        used.trim();
        assert_eq!(kept(), 0);
    }
}
