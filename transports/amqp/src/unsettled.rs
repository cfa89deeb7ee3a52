//! What a consumer has delivered on one channel and the broker has not been told of, so that one
//! acknowledgement tells of many: all up to a tag, as far as everything before it is settled.

use std::collections::VecDeque;

/// The messages of a channel, from the first that is not acknowledged; their tags have no gaps.
#[derive(Debug)]
pub(crate) struct Unsettled<T> {
    first: u64,
    slots: VecDeque<Slot<T>>,
    /// How many are done and not told.
    done: usize,
    /// How many are neither done nor told.
    open: usize,
}

#[derive(Debug)]
enum Slot<T> {
    /// With its consumer.
    Held(T),
    /// Being moved to another queue.
    Moving(T),
    /// To be acknowledged.
    Done(T),
    /// Acknowledged or handed back by itself.
    Told,
}

/// What to tell the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ack {
    /// All up to this tag.
    UpTo(u64),
    /// This one.
    One(u64),
}

/// How much to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// What one acknowledgement tells.
    InOrder,
    /// Everything.
    All,
}

impl<T> Unsettled<T> {
    pub(crate) fn new() -> Self {
        // AMQP 0-9-1, section 1.1: tags of a channel count from 1.
        Self { first: 1, slots: VecDeque::new(), done: 0, open: 0 }
    }

    /// How many are done and not told.
    pub(crate) fn done(&self) -> usize {
        self.done
    }

    /// How many are with their consumer, or on their way to another queue.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// Whether everything that was delivered is done.
    pub(crate) fn is_idle(&self) -> bool {
        self.open == 0
    }

    /// Notes a delivery, unless it is not the next one.
    #[must_use]
    pub(crate) fn deliver(&mut self, tag: u64, item: T) -> bool {
        if self.first + (self.slots.len() as u64) != tag {
            return false;
        }
        self.slots.push_back(Slot::Held(item));
        self.open += 1;
        true
    }

    /// Marks what is to be moved; `None` if it is settled already.
    pub(crate) fn take(&mut self, tag: u64) -> Option<&T> {
        let slot = self.slot(tag)?;
        match std::mem::replace(slot, Slot::Told) {
            Slot::Held(item) => *slot = Slot::Moving(item),
            settled => {
                *slot = settled;
                return None;
            }
        }
        match slot {
            Slot::Moving(item) => Some(item),
            _ => None,
        }
    }

    /// It can be acknowledged; `None` if it is settled already.
    pub(crate) fn finish(&mut self, tag: u64) -> Option<&mut T> {
        let slot = self.slot(tag)?;
        match std::mem::replace(slot, Slot::Told) {
            Slot::Held(item) | Slot::Moving(item) => *slot = Slot::Done(item),
            settled => {
                *slot = settled;
                return None;
            }
        }
        self.open -= 1;
        self.done += 1;
        match self.slot(tag) {
            Some(Slot::Done(item)) => Some(item),
            _ => None,
        }
    }

    /// It was handed back by itself.
    pub(crate) fn forget(&mut self, tag: u64) {
        if let Some(slot) = self.slot(tag)
            && matches!(slot, Slot::Held(_) | Slot::Moving(_))
        {
            *slot = Slot::Told;
            self.open -= 1;
        }
        self.drop_told();
    }

    /// What to tell now; it counts as told, and is given to `told`.
    pub(crate) fn flush(&mut self, how: Flush, mut told: impl FnMut(T)) -> Vec<Ack> {
        let mut acks = Vec::new();
        let mut last = None;
        while let Some(Slot::Done(_) | Slot::Told) = self.slots.front() {
            if let Some(Slot::Done(item)) = self.slots.pop_front() {
                told(item);
                last = Some(self.first);
                self.done -= 1;
            }
            self.first += 1;
        }
        acks.extend(last.map(Ack::UpTo));
        if how == Flush::All && self.done > 0 {
            for (tag, slot) in (self.first..).zip(&mut self.slots) {
                if let Slot::Done(_) = slot
                    && let Slot::Done(item) = std::mem::replace(slot, Slot::Told)
                {
                    told(item);
                    acks.push(Ack::One(tag));
                }
            }
            self.done = 0;
        }
        acks
    }

    /// Everything that the broker was not told of, by its tag.
    pub(crate) fn into_rest(self) -> impl Iterator<Item = (u64, T)> {
        (self.first..).zip(self.slots).filter_map(|(tag, slot)| match slot {
            Slot::Held(item) | Slot::Moving(item) | Slot::Done(item) => Some((tag, item)),
            Slot::Told => None,
        })
    }

    fn drop_told(&mut self) {
        while let Some(Slot::Told) = self.slots.front() {
            self.slots.pop_front();
            self.first += 1;
        }
    }

    fn slot(&mut self, tag: u64) -> Option<&mut Slot<T>> {
        let index = usize::try_from(tag.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(n: u64) -> Unsettled<u64> {
        let mut unsettled = Unsettled::new();
        (1..=n).for_each(|tag| assert!(unsettled.deliver(tag, tag)));
        unsettled
    }

    #[test]
    fn what_is_done_in_order_is_one_acknowledgement() {
        let mut unsettled = delivered(3);
        for tag in [1, 2, 3] {
            unsettled.finish(tag);
        }
        assert!(unsettled.is_idle());
        assert_eq!(unsettled.flush(Flush::InOrder, drop), [Ack::UpTo(3)]);
        assert_eq!((unsettled.done(), unsettled.flush(Flush::All, drop)), (0, vec![]));
    }

    #[test]
    fn nothing_is_acknowledged_before_it_is_done() {
        let mut unsettled = delivered(4);
        for tag in [2, 4] {
            unsettled.finish(tag);
        }
        assert_eq!(unsettled.flush(Flush::InOrder, drop), []);
        assert_eq!(unsettled.flush(Flush::All, drop), [Ack::One(2), Ack::One(4)]);
        unsettled.finish(1);
        assert_eq!(unsettled.flush(Flush::InOrder, drop), [Ack::UpTo(1)]);
        assert!(!unsettled.is_idle());
        unsettled.finish(3);
        assert_eq!(unsettled.flush(Flush::All, drop), [Ack::UpTo(3)]);
        assert!(unsettled.is_idle());
    }

    #[test]
    fn a_delivery_that_is_not_the_next_is_not_taken() {
        let mut unsettled = delivered(2);
        assert!(!unsettled.deliver(4, 4) && !unsettled.deliver(2, 2));
        assert!(unsettled.deliver(3, 3));
    }

    #[test]
    fn what_is_moved_waits_until_it_is_there() {
        let mut unsettled = delivered(2);
        assert_eq!((unsettled.take(1).copied(), unsettled.take(1)), (Some(1), None));
        unsettled.finish(2);
        assert_eq!(unsettled.flush(Flush::InOrder, drop), []);
        unsettled.finish(1);
        assert_eq!(unsettled.flush(Flush::InOrder, drop), [Ack::UpTo(2)]);
    }

    #[test]
    fn settling_twice_or_out_of_range_changes_nothing() {
        let mut unsettled = delivered(2);
        for tag in [0, 3, 1, 1] {
            unsettled.finish(tag);
        }
        assert_eq!((unsettled.done(), unsettled.is_idle()), (1, false));
        assert_eq!(unsettled.flush(Flush::All, drop), [Ack::UpTo(1)]);
        unsettled.finish(1);
        unsettled.forget(2);
        assert_eq!((unsettled.flush(Flush::All, drop), unsettled.is_idle()), (vec![], true));
    }

    /// A naive model: the set of tags that are done, and of those that the broker was told of.
    #[test]
    fn each_is_told_once_and_none_too_early() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut unsettled = Unsettled::new();
            let (mut done, mut told, mut next) = (vec![false], vec![true], 1);
            for _ in 0..200 {
                match random.u8(0..4) {
                    0 => {
                        assert!(unsettled.deliver(next, ()));
                        done.push(false);
                        told.push(false);
                        next += 1;
                    }
                    1 | 2 => {
                        let tag = random.u64(0..=next);
                        unsettled.finish(tag);
                        if let Some(done) = done.get_mut(usize::try_from(tag).unwrap()) {
                            *done = tag > 0;
                        }
                    }
                    _ => {
                        let how = if random.bool() { Flush::All } else { Flush::InOrder };
                        for ack in unsettled.flush(how, drop) {
                            let (from, to) = match ack {
                                Ack::UpTo(tag) => (1, usize::try_from(tag).unwrap()),
                                Ack::One(tag) => {
                                    (usize::try_from(tag).unwrap(), usize::try_from(tag).unwrap())
                                }
                            };
                            assert!(!told[to], "seed {seed}: {to} was told twice");
                            for tag in from..=to {
                                assert!(done[tag], "seed {seed}: {tag} is not done");
                                told[tag] = true;
                            }
                        }
                        if how == Flush::All {
                            assert_eq!(done[1..], told[1..], "seed {seed}");
                        }
                    }
                }
            }
        }
    }
}
