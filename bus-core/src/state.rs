//! State that handlers share: injected by type, never global.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

/// State that handlers share, given to the bus with `builder().state(value)`.
///
/// A handler takes it as a parameter. It derefs to `T`, and cloning it is cheap.
///
/// # Examples
///
/// ```
/// # use autobus_core as bus;
/// use bus::State;
///
/// struct Prices {
///     tea: u64,
/// }
///
/// // As a command: `#[command] fn price(..)`.
/// fn price(quantity: u64, prices: State<Prices>) -> u64 {
///     quantity * prices.tea
/// }
///
/// assert_eq!(price(2, State::new(Prices { tea: 450 })), 900);
/// ```
pub struct State<T>(Arc<T>);

impl<T> State<T> {
    /// Wraps a value, for calling a handler as the plain function that it is.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> From<Arc<T>> for State<T> {
    fn from(value: Arc<T>) -> Self {
        Self(value)
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for State<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for State<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("State").field(&*self.0).finish()
    }
}

/// The states of a bus, by type.
#[derive(Clone, Default)]
pub(crate) struct States(HashMap<TypeId, (&'static str, Arc<dyn Any + Send + Sync>)>);

impl States {
    /// Keeps `value`; a second one of the same type replaces the first.
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), (std::any::type_name::<T>(), Arc::new(value)));
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<State<T>> {
        let (_, value) = self.0.get(&TypeId::of::<T>())?;
        value.clone().downcast::<T>().ok().map(State::from)
    }

    pub(crate) fn has(&self, type_id: TypeId) -> bool {
        self.0.contains_key(&type_id)
    }

    /// The names of the types, sorted.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.0.values().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    }
}
