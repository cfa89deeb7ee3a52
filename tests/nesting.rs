//! Handlers that wait for handlers that wait: on the stack of one thread, across kinds, and deep.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use bus::prelude::*;
use support::text;

/// Asynchronous handlers that block instead of awaiting.
mod blocking {
    use super::*;

    #[command]
    async fn fall(left: u32) -> Result<u32, String> {
        if left == 0 {
            return Ok(0);
        }
        let rest = fall::execute(left - 1).wait();
        rest.map(|rest| rest + 1).map_err(|error| error.to_string())
    }

    #[command]
    fn down(left: u32) -> Result<u32, String> {
        if left == 0 {
            return Ok(0);
        }
        let rest = up::execute(left - 1).wait();
        rest.map(|rest| rest + 1).map_err(|error| error.to_string())
    }

    #[command]
    async fn up(left: u32) -> Result<u32, String> {
        if left == 0 {
            return Ok(0);
        }
        let rest = if left.is_multiple_of(3) {
            down::execute(left - 1).await
        } else {
            down::execute(left - 1).wait()
        };
        rest.map(|rest| rest + 1).map_err(|error| error.to_string())
    }

    #[test]
    fn asynchronous_handlers_that_block_on_each_other_finish() {
        let bus = bus::builder().services(["blocking"]).build().unwrap();
        for depth in [0, 1, 2, 3, 4, 7, 20, 50, 1, 0] {
            assert_eq!(fall::on(&bus).execute(depth).wait(), Ok(depth));
            assert_eq!(down::on(&bus).execute(depth).wait(), Ok(depth));
            assert_eq!(up::on(&bus).execute(depth).wait(), Ok(depth));
        }
    }

    #[test]
    fn blocking_too_deep_on_one_stack_is_a_typed_error() {
        let bus = bus::builder().services(["blocking"]).build().unwrap();
        assert!(!text(fall::on(&bus).execute(1_000).wait()).is_empty());
        assert_eq!(fall::on(&bus).execute(10).wait(), Ok(10));
    }
}

/// A state that is borrowed again and again on one stack.
mod borrowing {
    use super::*;

    #[derive(Default)]
    pub(crate) struct Well {
        depth: u32,
    }

    #[service]
    impl Well {
        #[command]
        fn sink(&self, left: u32) -> Result<u32, String> {
            if left == 0 {
                return Ok(self.depth);
            }
            let rest = sink::execute(left - 1).wait();
            rest.map(|rest| rest + 1).map_err(|error| error.to_string())
        }

        #[command]
        async fn sink_later(&self, left: u32) -> Result<u32, String> {
            if left == 0 {
                return Ok(self.depth);
            }
            let rest = through::execute(left - 1).await;
            rest.map(|rest| rest + 1).map_err(|error| error.to_string())
        }

        #[command]
        async fn dig(&mut self, left: u32) -> Result<u32, String> {
            self.depth += 1;
            let rest = through::execute(left).await;
            self.depth -= 1;
            rest.map_err(|error| error.to_string())
        }
    }

    #[command(service = "borrowing.other")]
    fn through(left: u32) -> Result<u32, String> {
        if left == 0 {
            return Ok(0);
        }
        let rest = if left.is_multiple_of(2) {
            sink::execute(left - 1).wait()
        } else {
            sink_later::execute(left - 1).wait()
        };
        rest.map(|rest| rest + 1).map_err(|error| error.to_string())
    }

    #[test]
    fn a_shared_state_is_lent_as_deep_as_its_handlers_ask() {
        let bus = bus::builder().services(["borrowing"]).build().unwrap();
        for depth in [0, 1, 2, 9, 50] {
            assert_eq!(sink::on(&bus).execute(depth).wait(), Ok(depth));
            assert_eq!(sink_later::on(&bus).execute(depth).wait(), Ok(depth));
        }
    }

    #[test]
    fn lending_too_deep_on_one_stack_is_a_typed_error() {
        let bus = bus::builder().services(["borrowing"]).build().unwrap();
        assert!(!text(sink::on(&bus).execute(1_000).wait()).is_empty());
        assert_eq!(sink::on(&bus).execute(10).wait(), Ok(10));
    }

    #[test]
    fn holders_and_borrowers_from_many_threads_end_in_answers() {
        let bus = bus::builder().services(["borrowing"]).build().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for depth in 0..12 {
                        // One that holds the state and is asked back is told so, at once.
                        let digging = dig::on(&bus).execute(depth % 3).wait();
                        assert_eq!(digging.is_ok(), depth.is_multiple_of(3), "{digging:?}");
                        assert_eq!(sink::on(&bus).execute(depth).wait(), Ok(depth));
                        assert_eq!(sink_later::on(&bus).execute(depth).wait(), Ok(depth));
                    }
                });
            }
        });
        assert_eq!(sink::on(&bus).execute(0).wait(), Ok(0), "no holder left its mark");
    }
}

/// A listener that waits for the outcomes of what it fires.
mod outcomes {
    use super::*;

    #[event(exchange = "outcomes", key = "ripple")]
    pub(crate) struct Ripple {
        pub(crate) left: u32,
    }

    #[listener(retry = 0)]
    fn ripple(ripple: &Ripple) -> Result<(), String> {
        if ripple.left == 0 {
            return Ok(());
        }
        let handled = Ripple { left: ripple.left - 1 }.fire().handled().wait();
        handled.and_then(bus::Outcomes::ok).map_err(|error| error.to_string())
    }

    #[test]
    fn a_listener_may_wait_for_its_own_event() {
        let bus = bus::builder().services(["outcomes"]).build().unwrap();
        bus.fire(Ripple { left: 40 }).handled().wait().unwrap().ok().unwrap();
    }
}
