//! A fired event, typed or as JSON, and its payload as a handler holds it.

use std::any::Any;
use std::sync::Arc;

use super::{Head, Message, MessageRef, Payload, Ran};
use crate::binding::Counts;
use crate::error::CodecError;
use crate::event::{Event, PayloadDescriptor};
use crate::failure::Failure;
use crate::handler::{Function, HandlerResult, Plain};
use crate::router::Route;
use crate::service::Progress;
use crate::sync::prefetch;

/// The largest message that is kept to be used again, in bytes, and that with what its payload has elsewhere.
const LARGEST: usize = 512;

/// A fired event.
pub(crate) struct Firing<T> {
    head: Head,
    route: Arc<Route>,
    payload: Stored<T>,
}

/// A payload beside its head, or on its own where a listener takes it as `Arc<T>`.
enum Stored<T> {
    Inline(T),
    Shared(Arc<T>),
    /// Of a message that is spent: nobody else has a handle on it.
    Gone,
}

impl<T> Firing<T> {
    #[inline]
    pub(crate) fn new(head: Head, route: Arc<Route>, payload: T) -> Self {
        let payload = if route.wants_shared {
            Stored::Shared(Arc::new(payload))
        } else {
            Stored::Inline(payload)
        };
        Self { head, route, payload }
    }

    /// Another event in place of one that was spent, for the same listeners; none of them takes it as
    /// `Arc<T>`. What is left of that comes to its end here.
    #[inline]
    pub(crate) fn renew(&mut self, head: Head, payload: T) {
        self.payload = Stored::Inline(payload);
        self.head.renew(head);
    }
}

impl<T: 'static> Firing<T> {
    /// A message as the firing of a `T`, if it is that.
    fn of(message: &MessageRef) -> Option<&Self> {
        let any: &dyn Any = &**message;
        any.downcast_ref()
    }

    /// The same, for who has the only handle on it.
    #[inline]
    pub(crate) fn last_of(message: &mut MessageRef) -> Option<&mut Self> {
        let any: &mut dyn Any = message.get_mut()?;
        any.downcast_mut()
    }

    /// Takes the payload, unless somebody else has a handle on that.
    pub(crate) fn take_payload(&mut self) -> Option<T> {
        match std::mem::replace(&mut self.payload, Stored::Gone) {
            Stored::Inline(payload) => Some(payload),
            Stored::Shared(payload) => Arc::into_inner(payload),
            Stored::Gone => None,
        }
    }

    /// The listeners that it went to.
    pub(crate) fn as_route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The payload, until it is gone.
    #[inline]
    fn get(&self) -> Option<&T> {
        match &self.payload {
            Stored::Inline(payload) => Some(payload),
            Stored::Shared(payload) => Some(payload),
            Stored::Gone => None,
        }
    }
}

impl<T: Event> Firing<T> {
    /// Whether the payload's end can wait: it does nothing but free a little memory, which costs least on
    /// the thread that took it.
    #[inline]
    fn can_wait(&self) -> bool {
        let memory = match &self.payload {
            Stored::Inline(payload) => payload.__memory(),
            Stored::Shared(_) | Stored::Gone => None,
        };
        memory.is_some_and(|bytes| size_of::<Self>().saturating_add(bytes) <= LARGEST)
    }
}

impl<T: Event> Message for Firing<T> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn subject(&self) -> (&str, &str) {
        self.route.subject()
    }

    fn payload(&self) -> Payload<'_> {
        match self.get() {
            Some(payload) => Payload::Typed(payload),
            None => Payload::Typed(&()),
        }
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let payload = self.get().ok_or_else(|| CodecError::new("", "the payload is gone"))?;
        encode_as(&T::EVENT.descriptor().payload, payload)
    }

    fn route(&self) -> Option<&Arc<Route>> {
        Some(&self.route)
    }

    fn run_plain(&self, plain: Plain) -> Option<HandlerResult> {
        Some(Function::of(plain)?.call(self.get()?))
    }

    fn run_group(&self, place: usize, progress: &Progress) -> Ran {
        let group = self.route.groups.get(place);
        let functions = group.and_then(|group| Some((group, group.functions::<T>()?, self.get()?)));
        let Some((group, functions, payload)) = functions else { return Ran::Unfit };
        let from = progress.place();
        let functions = functions.get(from..).unwrap_or_default();
        let targets = group.targets.get(from..).unwrap_or_default();
        for (function, target) in functions.iter().zip(targets) {
            progress.enter(target.slot);
            if let Err(failure) = function.call(payload) {
                return Ran::Failed(Box::new(failure));
            }
            Counts::add_alone(&target.binding.counts.handled);
            progress.advance();
            if progress.is_cut() {
                break;
            }
        }
        Ran::All
    }

    fn prefetch(&self) {
        prefetch(&self.head);
        prefetch(&self.route);
        prefetch(&self.payload);
    }

    fn prefetch_payload(&self) {
        if let Stored::Inline(payload) = &self.payload {
            payload.__prefetch();
        }
    }

    fn spend(&mut self) -> bool {
        let is_kept = self.route.is_plain && size_of::<Self>() <= LARGEST;
        if is_kept {
            self.head.clear();
            if !self.can_wait() {
                self.payload = Stored::Gone;
            }
        }
        is_kept
    }
}

/// Writes `value` by the codec of its type.
pub(crate) fn encode_as(
    payload: &PayloadDescriptor,
    value: &dyn Any,
) -> Result<Vec<u8>, CodecError> {
    let encode = payload.codec.encode.ok_or_else(|| {
        let name = (payload.type_name)();
        CodecError::new("", format!("`{name}` has no codec; derive `Serialize` for it"))
    })?;
    encode(value)
}

/// An event that was fired by name, or came from elsewhere: JSON.
pub(crate) struct Encoded {
    pub(crate) head: Head,
    pub(crate) route: Arc<Route>,
    pub(crate) exchange: Arc<str>,
    pub(crate) key: Arc<str>,
    pub(crate) body: Vec<u8>,
}

impl Message for Encoded {
    fn head(&self) -> &Head {
        &self.head
    }

    fn subject(&self) -> (&str, &str) {
        (&self.exchange, &self.key)
    }

    fn payload(&self) -> Payload<'_> {
        Payload::Encoded(&self.body)
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        Ok(self.body.clone())
    }

    fn route(&self) -> Option<&Arc<Route>> {
        Some(&self.route)
    }
}

/// The payload as a handler holds it while it runs.
#[derive(Debug)]
pub struct Held<T>(Holding<T>);

enum Holding<T> {
    /// A [`Firing`] of a `T`.
    Fired(MessageRef),
    Own(Box<T>),
}

impl<T: Send + Sync + 'static> Held<T> {
    /// The fired value itself, if it is a `T`.
    pub(crate) fn fired(message: &MessageRef) -> Option<Self> {
        Firing::<T>::of(message).map(|_| Self(Holding::Fired(message.clone())))
    }

    /// A converted value.
    pub(crate) fn own(value: Box<T>) -> Self {
        Self(Holding::Own(value))
    }

    /// The value, unless it is the fired one.
    pub(crate) fn into_own(self) -> Result<T, Self> {
        match self.0 {
            Holding::Own(value) => Ok(*value),
            fired @ Holding::Fired(_) => Err(Self(fired)),
        }
    }

    pub(crate) fn into_value(self) -> T
    where
        T: Clone,
    {
        match self.0 {
            // Another attempt or a dead letter may need the value again, so it is never moved out.
            Holding::Fired(_) => (*self).clone(),
            Holding::Own(value) => *value,
        }
    }

    pub(crate) fn into_shared(self) -> Result<Arc<T>, Failure> {
        match self.0 {
            Holding::Fired(message) => {
                match Firing::<T>::of(&message).map(|firing| &firing.payload) {
                    Some(Stored::Shared(payload)) => Ok(payload.clone()),
                    Some(Stored::Inline(_) | Stored::Gone) | None => Err(Failure::internal(
                        "the payload was stored for listeners that borrow it",
                    )),
                }
            }
            Holding::Own(value) => Ok(Arc::from(value)),
        }
    }
}

impl<T: Send + Sync + 'static> std::ops::Deref for Held<T> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.0 {
            Holding::Fired(message) => match Firing::<T>::of(message).and_then(Firing::get) {
                Some(payload) => payload,
                // It was one when this was made, and is spent only by who has no other handle on it.
                None => panic!("a payload that is held is of another type, or gone"),
            },
            Holding::Own(value) => value,
        }
    }
}

impl<T> std::fmt::Debug for Holding<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fired(_) => "Fired",
            Self::Own(_) => "Own",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::Binding;
    use crate::bus::Bus;
    use crate::clock::Clock;
    use crate::event::local_event;
    use crate::events::Stopping;
    use crate::service::Service;

    static HEAR: fn(&Stopping) = |_| {};
    static FAIL: fn(&Stopping) -> HandlerResult = |_| Err(Failure::internal("it ran"));

    #[test]
    fn what_is_spent_is_small_and_keeps_nothing_whose_end_can_be_noticed() {
        struct Large(#[expect(dead_code, reason = "its size is what counts")] [u8; LARGEST]);
        struct Text(String);
        struct Guard(#[expect(dead_code, reason = "its end is what counts")] Arc<()>);
        local_event!(Large, LARGE, "bus", "large");
        local_event!(Text, TEXT, "bus", "text", |text: &Text| Some(text.0.capacity()));
        local_event!(Guard, GUARD, "bus", "guard");

        let bus = crate::Builder::new().build().expect("a bus");
        let service = Arc::new(Service::new("service".into(), &Clock::system(), 8, None));
        let route = Arc::new(Route::new(vec![Binding::plain(&service, &HEAR)]));
        let head = || {
            let head = Head::new(&bus, route.deliveries);
            head.time(|| bus.clock().time());
            head
        };
        let mut guarded = Firing::new(head(), route.clone(), Guard(Arc::new(())));
        assert!(guarded.spend() && guarded.get().is_none() && guarded.head.is_bare());
        let text = |bytes| Firing::new(head(), route.clone(), Text(String::with_capacity(bytes)));
        let mut short = text(LARGEST / 4);
        assert!(short.spend() && short.get().is_some() && short.head.is_bare());
        short.renew(head(), Text("another".to_owned()));
        assert_eq!(short.get().map(|text| &*text.0), Some("another"));
        let mut long = text(LARGEST);
        assert!(long.spend() && long.get().is_none());
        let mut large = Firing::new(head(), route.clone(), Large([0; LARGEST]));
        assert!(!large.spend());
    }

    #[test]
    fn of_a_group_that_is_cut_short_the_listener_that_has_begun_runs_and_no_other() {
        let bus = crate::Builder::new().build().expect("a bus");
        let bus: &Bus = &bus;
        let service = Arc::new(Service::new("service".into(), &Clock::system(), 8, None));
        let run = |listeners: [Plain; 2]| {
            let listeners = listeners.map(|plain| Binding::plain(&service, plain));
            let route = Arc::new(Route::new(listeners.to_vec()));
            let firing = Firing::new(Head::new(bus, route.deliveries), route, Stopping {});
            let progress = Progress::default();
            progress.begin(2);
            progress.cut();
            (firing.run_group(0, &progress), progress.place())
        };
        let (ran, place) = run([&FAIL, &FAIL]);
        assert!(matches!(ran, Ran::Failed(_)) && place == 0);
        let (ran, place) = run([&HEAR, &FAIL]);
        assert!(matches!(ran, Ran::All) && place == 1);
    }
}
