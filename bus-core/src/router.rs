//! From a routing key to the services that want it.
//!
//! One trie of words an exchange. Matching follows all branches at once, word by word, so it takes
//! time by the words of the key and by what matches, not by the number of patterns.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use once_cell::race::OnceBox;

use crate::binding::Binding;
use crate::delivery::Delivery;
use crate::handler::Function;
use crate::message::Message;
use crate::service::Service;

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
    len: usize,
}

/// The listeners of one service.
pub(crate) struct Group {
    pub(crate) service: Arc<Service>,
    pub(crate) targets: Vec<Target>,
    /// All of them take nothing but the payload, and run at once.
    pub(crate) is_plain: bool,
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
    pub(crate) fn delivery(&self, message: &Arc<dyn Message>, attempt: u32) -> Delivery {
        let (binding, message) = (self.binding.clone(), message.clone());
        Delivery { binding, message, slot: self.slot, attempt }
    }
}

impl Route {
    pub(crate) fn new(bindings: Vec<Arc<Binding>>) -> Self {
        let mut route = Self { len: bindings.len(), ..Self::default() };
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
            let is_plain = target.binding.plain.is_some();
            match route.groups.iter_mut().find(|group| Arc::ptr_eq(&group.service, &service)) {
                Some(group) => {
                    group.is_plain &= is_plain;
                    group.targets.push(target);
                }
                None => {
                    let (targets, functions) = (vec![target], OnceBox::new());
                    route.groups.push(Group { service, targets, is_plain, functions });
                }
            }
        }
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
        self.groups.iter().find(|group| std::ptr::eq(&raw const *group.service, service))
    }

    /// How many listeners there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
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
    exchanges: HashMap<Arc<str>, Trie<Arc<Binding>>>,
}

impl Router {
    /// Binds `binding` to `exchange` by `pattern`.
    pub(crate) fn bind(&mut self, exchange: &str, pattern: &str, binding: Arc<Binding>) {
        self.exchanges.entry(exchange.into()).or_default().insert(pattern, binding);
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
        matched.sort_by_key(|(order, _)| *order);
        let mut bindings: Vec<Arc<Binding>> = Vec::with_capacity(matched.len());
        let mut seen = std::collections::HashSet::new();
        for (_, binding) in matched {
            if seen.insert(Arc::as_ptr(&binding)) {
                bindings.push(binding);
            }
        }
        Route::new(bindings)
    }

    /// Every listener that is bound, once.
    pub(crate) fn bindings(&self) -> Vec<Arc<Binding>> {
        let mut bindings = Vec::new();
        for trie in self.exchanges.values() {
            trie.root.each(&mut |binding: &Arc<Binding>| bindings.push(binding.clone()));
        }
        bindings.sort_by_key(|binding| Arc::as_ptr(binding).addr());
        bindings.dedup_by(|a, b| Arc::ptr_eq(a, b));
        bindings
    }
}

/// Patterns, word by word.
pub(crate) struct Trie<V> {
    root: Node<V>,
    next: u64,
}

struct Node<V> {
    words: HashMap<Box<str>, Node<V>>,
    star: Option<Box<Node<V>>>,
    hash: Option<Box<Node<V>>>,
    values: Vec<(u64, V)>,
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self { words: HashMap::new(), star: None, hash: None, values: Vec::new() }
    }
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: Node::default(), next: 0 }
    }
}

impl<V> Trie<V> {
    pub(crate) fn insert(&mut self, pattern: &str, value: V) {
        let mut node = &mut self.root;
        for word in pattern.split('.') {
            node = match word {
                "*" => node.star.get_or_insert_default(),
                "#" => node.hash.get_or_insert_default(),
                word => node.words.entry(word.into()).or_default(),
            };
        }
        node.values.push((self.next, value));
        self.next += 1;
    }

    pub(crate) fn remove(&mut self, pattern: &str, gone: impl Fn(&V) -> bool) {
        let words: Vec<&str> = pattern.split('.').collect();
        self.root.remove(&words, &gone);
    }

    /// Calls `found` with every value whose pattern matches, and its order of insertion.
    pub(crate) fn matches<'a>(&'a self, key: &str, mut found: impl FnMut(u64, &'a V)) {
        // A node is active once the words so far lead to it. `looping` marks one behind a `#`,
        // which stays active for any further word.
        let mut active: Vec<(&Node<V>, bool)> = Vec::new();
        let mut next: Vec<(&Node<V>, bool)> = Vec::new();
        enter(&mut active, &self.root, false);
        for word in key.split('.') {
            for &(node, looping) in &active {
                if looping {
                    enter(&mut next, node, true);
                }
                if let Some(child) = node.words.get(word) {
                    enter(&mut next, child, false);
                }
                if let Some(child) = &node.star {
                    enter(&mut next, child, false);
                }
            }
            std::mem::swap(&mut active, &mut next);
            next.clear();
        }
        for (node, _) in active {
            for (order, value) in &node.values {
                found(*order, value);
            }
        }
    }
}

/// Makes `node` active, and what a `#` of zero words leads to.
fn enter<'a, V>(active: &mut Vec<(&'a Node<V>, bool)>, node: &'a Node<V>, looping: bool) {
    let mut node = node;
    let mut looping = looping;
    loop {
        if active.iter().any(|(known, _)| std::ptr::eq(*known, node)) {
            return;
        }
        active.push((node, looping));
        match &node.hash {
            Some(child) => node = child,
            None => return,
        }
        looping = true;
    }
}

impl<V> Node<V> {
    fn remove(&mut self, words: &[&str], gone: &impl Fn(&V) -> bool) {
        let Some((word, rest)) = words.split_first() else {
            self.values.retain(|(_, value)| !gone(value));
            return;
        };
        let prune = |child: &mut Option<Box<Self>>| {
            if let Some(node) = child {
                node.remove(rest, gone);
                if node.is_empty() {
                    *child = None;
                }
            }
        };
        match *word {
            "*" => prune(&mut self.star),
            "#" => prune(&mut self.hash),
            word => {
                if let Some(node) = self.words.get_mut(word) {
                    node.remove(rest, gone);
                    if node.is_empty() {
                        self.words.remove(word);
                    }
                }
            }
        }
    }

    fn each(&self, visit: &mut impl FnMut(&V)) {
        self.values.iter().for_each(|(_, value)| visit(value));
        let children = self.words.values().chain(self.star.as_deref()).chain(self.hash.as_deref());
        for child in children {
            child.each(visit);
        }
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
            && self.words.is_empty()
            && self.star.is_none()
            && self.hash.is_none()
    }
}

/// Whether `pattern` matches `key`, by the definition; used for one pattern at a time.
pub(crate) fn matches(pattern: &str, key: &str) -> bool {
    fn words(pattern: &[&str], key: &[&str]) -> bool {
        match pattern.split_first() {
            None => key.is_empty(),
            Some((&"#", rest)) => (0..=key.len()).any(|skip| words(rest, &key[skip..])),
            Some((word, rest)) => key.split_first().is_some_and(|(first, others)| {
                (*word == "*" || word == first) && words(rest, others)
            }),
        }
    }
    let pattern: Vec<&str> = pattern.split('.').collect();
    let key: Vec<&str> = key.split('.').collect();
    words(&pattern, &key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(words: &[&str], max: usize) -> Vec<String> {
        let mut level: Vec<String> = words.iter().map(ToString::to_string).collect();
        let mut names = level.clone();
        for _ in 1..max {
            level = level
                .iter()
                .flat_map(|name| words.iter().map(move |word| format!("{name}.{word}")))
                .collect();
            names.extend(level.iter().cloned());
        }
        names
    }

    #[test]
    fn the_trie_agrees_with_the_definition_for_every_short_pattern_and_key() {
        let patterns = all(&["a", "b", "*", "#"], 4);
        let mut trie = Trie::default();
        for pattern in &patterns {
            trie.insert(pattern, pattern.clone());
        }
        for key in all(&["a", "b", "c"], 5) {
            let mut found = Vec::new();
            trie.matches(&key, |_, pattern| found.push(pattern.as_str()));
            found.sort_unstable();
            let mut expected: Vec<&str> =
                patterns.iter().map(String::as_str).filter(|p| matches(p, &key)).collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "key {key}");
        }
    }

    #[test]
    fn removed_patterns_leave_nothing_behind() {
        let patterns = all(&["a", "*", "#"], 3);
        let mut trie = Trie::default();
        for pattern in &patterns {
            trie.insert(pattern, pattern.clone());
        }
        for pattern in &patterns {
            trie.remove(pattern, |value| value == pattern);
            trie.matches("a.a.a", |_, value| assert_ne!(value, pattern));
        }
        assert!(trie.root.is_empty());
    }

    #[test]
    fn many_hashes_take_no_time_that_grows_with_their_combinations() {
        let mut trie = Trie::default();
        trie.insert(&["#"; 60].join(".a."), ());
        let mut hits = 0;
        trie.matches(&["a"; 120].join("."), |_, ()| hits += 1);
        assert_eq!(hits, 1);
    }
}
