//! What an event has outside of itself: so that it can be asked for before it is needed, and whether the
//! event's end does nothing but free that, so that nobody can tell when it comes.
//!
//! `Drop` may do anything: unlock, answer, close. Of the types that have something to drop, some of std's
//! are known to do nothing of that. Generated code asks the fields of an event that are written like those by
//! their value: an inherent method wins over a trait's of the same name, so that what is known of a type
//! answers first, and the [trait](Otherwise) for all others. This needs concrete types, which generated code
//! always has; and names that no trait of a user's has.

use std::mem::needs_drop;

use crate::sync::prefetch;

/// A type whose end is known to do nothing but free memory, if that of what is in it does no more.
pub trait Known {
    /// How many bytes it has outside of itself, if its end does nothing but free them.
    fn memory(&self) -> Option<usize>;
    /// Asks for the first of them.
    fn prefetch(&self);
}

impl Known for String {
    #[inline]
    fn memory(&self) -> Option<usize> {
        Some(self.capacity())
    }

    #[inline]
    fn prefetch(&self) {
        self.as_bytes().first().into_iter().for_each(prefetch);
    }
}

impl<T> Known for Vec<T> {
    #[inline]
    fn memory(&self) -> Option<usize> {
        (!needs_drop::<T>()).then(|| self.capacity().saturating_mul(size_of::<T>()))
    }

    #[inline]
    fn prefetch(&self) {
        self.first().into_iter().for_each(prefetch);
    }
}

impl<T: Known> Known for Option<T> {
    #[inline]
    fn memory(&self) -> Option<usize> {
        self.as_ref().map_or(Some(0), T::memory)
    }

    #[inline]
    fn prefetch(&self) {
        self.iter().for_each(T::prefetch);
    }
}

/// A field of an event.
#[derive(Debug)]
pub struct Field<'a, T>(pub &'a T);

impl<T: Known> Field<'_, T> {
    /// How many bytes it has outside of itself, if its end does nothing but free them.
    #[inline]
    pub fn __memory(&self) -> Option<usize> {
        self.0.memory()
    }

    /// Asks for the first of them.
    #[inline]
    pub fn __prefetch(&self) {
        self.0.prefetch();
    }
}

/// A whole event.
#[derive(Debug)]
pub struct Whole<'a, T>(pub &'a T);

#[expect(drop_bounds, reason = "whether there is such an implementation is the question")]
impl<T: Drop> Whole<'_, T> {
    /// Its own end does more.
    #[inline]
    pub fn __memory(&self, _: impl FnOnce(&T) -> Option<usize>) -> Option<usize> {
        None
    }
}

/// Any other field: one that has nothing to drop has no memory either.
pub trait Otherwise {
    /// None, or nobody knows.
    fn __memory(&self) -> Option<usize>;
    /// There is nothing to ask for.
    #[inline]
    fn __prefetch(&self) {}
}

impl<T> Otherwise for Field<'_, T> {
    #[inline]
    fn __memory(&self) -> Option<usize> {
        nothing::<T>()
    }
}

/// Any other event: its end is that of its fields.
pub trait ByFields<T> {
    /// What its fields have.
    fn __memory(&self, fields: impl FnOnce(&T) -> Option<usize>) -> Option<usize>;
}

impl<T> ByFields<T> for Whole<'_, T> {
    #[inline]
    fn __memory(&self, fields: impl FnOnce(&T) -> Option<usize>) -> Option<usize> {
        fields(self.0)
    }
}

/// Of a type that has nothing to drop.
#[inline]
pub fn nothing<T>() -> Option<usize> {
    (!needs_drop::<T>()).then_some(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_known_to_free_memory_and_do_nothing_else_says_how_much() {
        assert_eq!(Field(&7_u64).__memory(), Some(0));
        assert_eq!(Field(&Some(Ok::<_, char>([1.5]))).__memory(), Some(0));
        assert_eq!(Field(&String::with_capacity(40)).__memory(), Some(40));
        assert_eq!(Field(&Vec::<(u32, f64)>::with_capacity(3)).__memory(), Some(48));
        assert_eq!(Field(&Some(String::with_capacity(5))).__memory(), Some(5));
        assert_eq!(Field(&None::<Vec<u8>>).__memory(), Some(0));
        assert_eq!(Field(&Some(vec![1_u16])).__memory(), Some(2));
    }

    #[test]
    fn what_a_field_has_elsewhere_is_asked_for_if_there_is_any() {
        Field(&String::new()).__prefetch();
        Field(&"text".to_owned()).__prefetch();
        Field(&Vec::<u8>::with_capacity(1)).__prefetch();
        Field(&vec![(); 3]).__prefetch();
        Field(&Some(Arc::new(1))).__prefetch();
    }

    #[test]
    fn what_may_do_anything_when_it_is_dropped_says_nothing() {
        assert_eq!(Field(&Arc::new(1)).__memory(), None);
        assert_eq!(Field(&vec![Arc::new(1)]).__memory(), None);
        assert_eq!(Field(&Some(vec![String::new()])).__memory(), None);
        assert_eq!(Field(&HashMap::from([(1, 2)])).__memory(), None);
        assert_eq!(Field(&(1, String::new())).__memory(), None);
    }

    #[test]
    fn an_event_with_an_end_of_its_own_says_nothing_whatever_its_fields_are() {
        struct Loud(u8);
        impl Drop for Loud {
            fn drop(&mut self) {}
        }
        struct Quiet(Loud);
        assert_eq!(Whole(&Loud(1)).__memory(|loud| Some(loud.0.into())), None);
        assert_eq!(Whole(&2_u8).__memory(|two| Some((*two).into())), Some(2));
        let quiet = Quiet(Loud(3));
        assert_eq!(Whole(&quiet).__memory(|quiet| Field(&quiet.0).__memory()), None);
    }
}
