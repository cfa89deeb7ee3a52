//! From a routing key to the services that want it.
//!
//! Each exchange has its patterns in a [`Trie`].

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use once_cell::race::OnceBox;

use crate::binding::Binding;
use crate::delivery::Delivery;
use crate::handler::Function;
use crate::message::{Deliveries, MessageRef, Whole};
use crate::name::first_word;
use crate::service::Service;
use crate::trie::Trie;

/// The listeners of one exchange and key, grouped by what happens to them.
#[derive(Default)]
pub(crate) struct Route {
    /// The exchange and the routing key.
    subject: Option<(Arc<str>, Arc<str>)>,
    /// Run on the thread that fires.
    pub(crate) inline: Vec<Target>,
    /// One enqueue each.
    pub(crate) groups: Vec<Group>,
    /// A listener takes the payload as `Arc<T>`.
    pub(crate) wants_shared: bool,
    /// A listener asks for the context, so the event is stamped with its time.
    pub(crate) wants_context: bool,
    pub(crate) deliveries: Deliveries,
    /// All listeners run on threads of services, and take nothing but the payload: functions, which hold no
    /// value of a user's, so that nobody minds how long the route is kept.
    pub(crate) is_plain: bool,
}

/// The listeners of one service.
pub(crate) struct Group {
    pub(crate) service: Arc<Service>,
    pub(crate) targets: Vec<Target>,
    /// They, if they run as a whole: all of them take nothing but the payload, and their service has no
    /// state.
    pub(crate) whole: Option<Whole>,
    /// Such listeners as the functions that they are, once an event was for them: a
    /// `Vec<Function<T>>` of its type.
    functions: OnceBox<Box<dyn Any + Send + Sync>>,
}

/// One listener, and its place among the outcomes.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) binding: Arc<Binding>,
    pub(crate) slot: u32,
}

impl Group {
    /// Plain listeners as functions of a type; nothing if some take another.
    pub(crate) fn functions<T: 'static>(&self) -> Option<&[Function<T>]> {
        let functions = self.functions.get_or_init(|| {
            let function = |target: &Target| target.binding.plain.and_then(Function::<T>::of);
            let functions: Option<Vec<_>> = self.targets.iter().map(function).collect();
            Box::new(Box::new(functions.unwrap_or_default()))
        });
        let functions = functions.downcast_ref::<Vec<Function<T>>>()?;
        (functions.len() == self.targets.len()).then_some(functions)
    }
}

impl Target {
    /// A message for it.
    pub(crate) fn delivery(&self, message: &MessageRef, attempt: u32) -> Delivery {
        let (binding, message) = (self.binding.clone(), message.clone());
        Delivery { binding, message, slot: self.slot, attempt }
    }
}

impl Route {
    pub(crate) fn new(bindings: Vec<Arc<Binding>>) -> Self {
        let mut route = Self::default();
        route.deliveries.count = u32::try_from(bindings.len()).unwrap_or(u32::MAX);
        for (slot, binding) in (0..).zip(bindings) {
            route.wants_shared |= binding.shared;
            route.wants_context |= binding.wants_context;
            let service = binding.service.clone();
            let inline = binding.inline;
            let target = Target { binding, slot };
            if inline {
                route.inline.push(target);
                continue;
            }
            let group = route.groups.iter_mut().find(|group| Arc::ptr_eq(&group.service, &service));
            if let Some(group) = group {
                group.targets.push(target);
            } else {
                let (targets, functions) = (vec![target], OnceBox::new());
                route.groups.push(Group { service, targets, whole: None, functions });
            }
        }
        // Of more services than that, each further one runs them one by one.
        for (place, group) in (0..=u16::MAX).zip(&mut route.groups) {
            let is_plain = group.service.state.is_none()
                && group.targets.iter().all(|target| target.binding.plain.is_some());
            let len = u32::try_from(group.targets.len()).ok().filter(|_| is_plain);
            group.whole = len.map(|len| Whole::Group { place, len });
        }
        let apart = route.groups.iter().filter(|group| group.whole.is_none());
        let apart = apart.flat_map(|group| &group.targets).chain(&route.inline);
        route.deliveries.told_apart = apart.map(|target| target.slot + 1).max().unwrap_or(0);
        let are_whole = route.groups.iter().all(|group| group.whole.is_some());
        route.is_plain = are_whole && route.inline.is_empty();
        route
    }

    /// The same, of this exchange and key.
    pub(crate) fn of(self, exchange: Arc<str>, key: Arc<str>) -> Self {
        Self { subject: Some((exchange, key)), ..self }
    }

    /// The exchange and the routing key.
    pub(crate) fn subject(&self) -> (&str, &str) {
        self.subject.as_ref().map_or(("", ""), |(exchange, key)| (exchange, key))
    }

    /// The listeners of a service.
    pub(crate) fn group(&self, service: &Service) -> Option<&Group> {
        self.groups.get(self.place_of(service)?)
    }

    /// The place of a service among the groups.
    #[inline]
    pub(crate) fn place_of(&self, service: &Service) -> Option<usize> {
        self.groups.iter().position(|group| std::ptr::eq(&raw const *group.service, service))
    }

    /// Whether nobody listens.
    pub(crate) fn is_empty(&self) -> bool {
        self.deliveries.count == 0
    }

    /// The listeners, in the order of their slots.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = &Arc<Binding>> {
        let mut targets: Vec<&Target> = self
            .inline
            .iter()
            .chain(self.groups.iter().flat_map(|group| group.targets.iter()))
            .collect();
        targets.sort_by_key(|target| target.slot);
        targets.into_iter().map(|target| &target.binding)
    }
}

/// The patterns of all exchanges.
#[derive(Default)]
pub(crate) struct Router {
    exchanges: HashMap<Arc<str>, Trie<Arc<Binding>>, RandomState>,
}

impl Router {
    /// Binds `binding` to `exchange` by `pattern`.
    pub(crate) fn bind(&mut self, exchange: &str, pattern: &str, binding: Arc<Binding>) {
        match self.exchanges.get_mut(exchange) {
            Some(trie) => trie.insert(pattern, binding),
            None => self.exchanges.entry(exchange.into()).or_default().insert(pattern, binding),
        }
    }

    /// Takes back every pattern of `binding`.
    pub(crate) fn unbind(&mut self, exchange: &str, pattern: &str, binding: &Arc<Binding>) {
        if let Some(trie) = self.exchanges.get_mut(exchange) {
            trie.remove(pattern, |bound| Arc::ptr_eq(bound, binding));
        }
    }

    /// The listeners of a key, each once however many of its patterns match, in order of binding.
    pub(crate) fn route(&self, exchange: &str, key: &str) -> Route {
        let mut matched: Vec<(u64, Arc<Binding>)> = Vec::new();
        if let Some(trie) = self.exchanges.get(exchange) {
            trie.matches(key, |order, binding| matched.push((order, binding.clone())));
        }
        // Of those of one listener, the first one stays.
        matched.sort_by_key(|(order, binding)| (Arc::as_ptr(binding).addr(), *order));
        matched.dedup_by(|(_, next), (_, binding)| Arc::ptr_eq(next, binding));
        matched.sort_unstable_by_key(|(order, _)| *order);
        Route::new(matched.into_iter().map(|(_, binding)| binding).collect())
    }

    /// Every listener that is bound, once.
    pub(crate) fn bindings(&self) -> Vec<Arc<Binding>> {
        let mut bindings = Vec::new();
        for trie in self.exchanges.values() {
            trie.each(|binding| bindings.push(binding.clone()));
        }
        bindings.sort_by_key(|binding| Arc::as_ptr(binding).addr());
        bindings.dedup_by(|a, b| Arc::ptr_eq(a, b));
        bindings
    }
}

/// Whether `pattern` matches `key`, by the definition; used for one pattern at a time.
pub(crate) fn matches(pattern: &str, key: &str) -> bool {
    fn words(pattern: Option<&str>, key: Option<&str>) -> bool {
        let Some((word, rest)) = pattern.map(first_word) else { return key.is_none() };
        if word == "#" {
            let mut skipped =
                std::iter::successors(Some(key), |key| key.map(|key| first_word(key).1));
            return skipped.any(|key| words(rest, key));
        }
        key.map(first_word)
            .is_some_and(|(first, others)| (word == "*" || word == first) && words(rest, others))
    }
    words(Some(pattern), Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::handler::{Instance, OnPanic, Plain, ServiceDescriptor};

    static HEAR: fn(&u32) = |_| {};
    static STATE: ServiceDescriptor = ServiceDescriptor {
        place: crate::__place!(),
        type_name: "till",
        name: None,
        init: |_| Box::pin(std::future::ready(Ok(Instance::NONE))),
        shutdown: None,
        on_panic: OnPanic::Keep,
        needs: |_| {},
    };

    /// A route to so many listeners, of which `first` come first.
    fn route(first: (usize, &Arc<Service>), then: (usize, &Arc<Service>)) -> Route {
        let listeners = |(count, service): (usize, &Arc<Service>)| {
            let plain: Plain = &HEAR;
            let listener = Binding::plain(service, plain);
            std::iter::repeat_with(move || listener.clone()).take(count)
        };
        Route::new(listeners(first).chain(listeners(then)).collect())
    }

    #[test]
    fn plain_listeners_run_as_a_whole_and_are_told_apart_only_where_a_service_has_state() {
        let service = |state| Arc::new(Service::new("service".into(), &Clock::system(), 8, state));
        let (plain, stateful) = (service(None), service(Some(&STATE)));
        for (route, told_apart) in [
            (route((40, &plain), (1, &stateful)), 41),
            (route((1, &stateful), (40, &plain)), 1),
            (route((40, &plain), (0, &stateful)), 0),
            (route((0, &plain), (40, &stateful)), 40),
        ] {
            assert_eq!(route.deliveries.told_apart, told_apart);
            let count = route.groups.iter().map(|group| group.targets.len()).sum::<usize>();
            assert_eq!(route.deliveries.count as usize, count);
            for group in &route.groups {
                assert_eq!(group.whole.is_some(), group.service.state.is_none());
            }
        }
    }
}
