//! What the thread of a service does when it has handled all there is, before it sleeps.

use std::cell::Cell;

use crate::pace;
use crate::service::mailbox::Mailbox;

/// After how many events in a row the thread lets others go first before it sleeps: they may be about to send
/// more, and waking costs more than handling.
const STREAK: u32 = 16;

/// After how many answers in a row that nobody waited for yet it does so for calls.
const AHEAD: u32 = 4;

/// What was handled since the thread last had nothing to do.
#[derive(Default)]
pub(super) struct Pace {
    events: Cell<u32>,
    calls: Cell<u32>,
    /// The calls in a row that began, and for whose answers nobody waited yet.
    ahead: Cell<u32>,
}

impl Pace {
    /// An event is handled.
    #[inline]
    pub(super) fn heard(&self) {
        self.events.set(self.events.get().saturating_add(1));
    }

    /// A call is handled.
    #[inline]
    pub(super) fn called(&self) {
        self.calls.set(self.calls.get().saturating_add(1));
    }

    /// Whether there may be more by now, and the thread has not to sleep. So many had been `accepted` before it
    /// found nothing to do.
    pub(super) fn expects_more<E>(&self, mailbox: &Mailbox<E>, accepted: u64) -> bool {
        let before = self.before_sleep(pace::has_answered(), mailbox.has_substitutes());
        let came = || (mailbox.accepted() > accepted).then_some(());
        (before.looks_out && pace::look_out(0, came).is_some())
            || (before.gives_way && pace::give_way(1, || Some(())).is_some())
    }

    fn before_sleep(&self, answered: bool, has_substitutes: bool) -> Before {
        let (events, calls) = (self.events.take(), self.calls.take());
        let ahead = if answered { 0 } else { self.ahead.get().saturating_add(calls) };
        self.ahead.set(ahead);
        // What comes is for the substitutes, and they wait for the turn.
        let is_alone = !has_substitutes;
        // Who has sent several calls and waits for none may be about to send more. Who waits is woken by the
        // answer, and not to be let go first as well.
        let many = !answered && (events >= STREAK || calls > 0 && ahead >= AHEAD);
        Before { looks_out: is_alone && calls > 0, gives_way: is_alone && many }
    }
}

/// What the thread does before it sleeps.
#[derive(Debug, PartialEq, Eq)]
struct Before {
    looks_out: bool,
    gives_way: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEPS: Before = Before { looks_out: false, gives_way: false };
    const LOOKS_OUT: Before = Before { looks_out: true, gives_way: false };
    const GIVES_WAY: Before = Before { looks_out: false, gives_way: true };
    const BOTH: Before = Before { looks_out: true, gives_way: true };

    fn after(events: u32, calls: u32) -> Pace {
        let pace = Pace::default();
        (0..events).for_each(|_| pace.heard());
        (0..calls).for_each(|_| pace.called());
        pace
    }

    #[test]
    fn who_handled_many_events_lets_others_go_first_once() {
        assert_eq!(after(STREAK - 1, 0).before_sleep(false, false), SLEEPS);
        let pace = after(STREAK, 0);
        assert_eq!(pace.before_sleep(false, false), GIVES_WAY);
        assert_eq!(pace.before_sleep(false, false), SLEEPS);
    }

    #[test]
    fn who_handled_a_call_looks_out_and_gives_way_once_callers_are_far_ahead() {
        let pace = after(0, 1);
        assert_eq!(pace.before_sleep(false, false), LOOKS_OUT);
        (0..AHEAD - 1).for_each(|_| pace.called());
        assert_eq!(pace.before_sleep(false, false), BOTH);
        assert_eq!(pace.before_sleep(false, false), SLEEPS);
    }

    #[test]
    fn who_has_woken_a_caller_does_not_give_way() {
        let pace = after(STREAK, AHEAD);
        assert_eq!(pace.before_sleep(true, false), LOOKS_OUT);
        pace.called();
        assert_eq!(pace.before_sleep(false, false), LOOKS_OUT);
    }

    #[test]
    fn who_has_substitutes_sleeps_at_once() {
        assert_eq!(after(STREAK, AHEAD).before_sleep(false, true), SLEEPS);
    }
}
