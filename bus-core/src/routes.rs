//! The routes that a thread has found before, by the static descriptors of their events.
//!
//! Whatever may make a route another one gives the bus another epoch, and then nothing that was kept of
//! it counts. Handles on routes are weak, but for those of [`Direct`] and of plain listeners, which hold no
//! value of a user.

use std::any::Any;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use crate::binding::Binding;
use crate::bus::Bus;
use crate::call::Spec;
use crate::command::CommandDescriptor;
use crate::direct::{Direct, DirectCommand};
use crate::event::{Event, EventDescriptor};
use crate::here::{self, Here};
use crate::lane::Lane;
use crate::passage::{CallPassage, EventPassage};
use crate::router::Route;
use crate::table::Command;

/// How many routes a thread keeps. A power of two.
const KEPT: usize = 64;

/// What a thread has found of one bus.
pub(crate) struct Kept {
    /// The bus, by its prefix.
    bus: u64,
    epoch: u64,
    lane: Option<Arc<Lane>>,
    places: Vec<Place>,
}

#[derive(Default)]
struct Place {
    descriptor: usize,
    route: Weak<Route>,
    command: Weak<Command>,
    /// That of the command.
    binding: Weak<Binding>,
    known: Known,
}

/// How an event gets to its listeners.
pub(crate) enum Way<E> {
    /// They are called.
    Direct(Rc<Direct<E>>),
    /// By their mailboxes; whether no handler runs on this thread.
    Passage(Rc<EventPassage>, bool),
    /// By the table.
    Around,
}

/// What is known of the way of an event or a command.
#[derive(Default)]
enum Known {
    #[default]
    Nothing,
    /// A `Direct` of the payload's type, or a `DirectCommand`.
    Direct(Rc<dyn Any>),
    Passage(Rc<EventPassage>),
    CallPassage(Rc<CallPassage>),
    Around,
}

impl Kept {
    pub(crate) const NOTHING: Self = Self { bus: 0, epoch: 0, lane: None, places: Vec::new() };

    /// The place of an event; nothing if it is another's, or something has changed.
    #[inline]
    fn find(&self, bus: &Bus, descriptor: usize) -> Option<&Place> {
        if (self.bus, self.epoch) != (bus.prefix(), bus.epoch()) {
            return None;
        }
        self.places.get(index(descriptor)).filter(|place| place.descriptor == descriptor)
    }

    /// The same, to change it.
    fn place(&mut self, bus: &Bus, epoch: u64, descriptor: usize) -> Option<&mut Place> {
        if (self.bus, self.epoch) != (bus.prefix(), epoch) {
            return None;
        }
        self.places.get_mut(index(descriptor)).filter(|place| place.descriptor == descriptor)
    }
}

/// Descriptors are statics of more than a hundred bytes.
#[inline]
fn index(descriptor: usize) -> usize {
    (descriptor / 64) % KEPT
}

/// Makes a place for an event.
#[cold]
fn renew(bus: &Bus, epoch: u64, descriptor: usize) {
    let old = here::with(|here| {
        let kept = &mut here.kept;
        let mut places = Vec::new();
        if (kept.bus, kept.epoch) != (bus.prefix(), epoch) {
            if kept.bus != bus.prefix() {
                kept.lane = None;
            }
            (kept.bus, kept.epoch) = (bus.prefix(), epoch);
            places.resize_with(KEPT, Place::default);
            std::mem::swap(&mut kept.places, &mut places);
        }
        let new = Place { descriptor, ..Place::default() };
        places.push(std::mem::replace(&mut kept.places[index(descriptor)], new));
        places
    });
    // With it may go the last handle on a bus, and so values of users.
    drop(old);
}

/// The route of an event, as `find` finds it if this thread has not found it before. The table of the
/// bus is held meanwhile.
pub(crate) fn of(
    bus: &Bus,
    descriptor: &'static EventDescriptor,
    find: impl FnOnce() -> Option<Arc<Route>>,
) -> Option<Arc<Route>> {
    kept(bus, address(descriptor), |place| &mut place.route, || find().ok_or(())).ok()
}

#[inline]
fn address<T>(descriptor: &'static T) -> usize {
    std::ptr::from_ref(descriptor).addr()
}

/// What this thread has found for a descriptor, or what `find` finds.
fn kept<T, X>(
    bus: &Bus,
    address: usize,
    part: impl Fn(&mut Place) -> &mut Weak<T>,
    find: impl FnOnce() -> Result<Arc<T>, X>,
) -> Result<Arc<T>, X> {
    let epoch = bus.epoch();
    let known = here::with(|here| {
        let kept = &mut here.kept;
        kept.place(bus, epoch, address).and_then(|place| part(place).upgrade())
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let found = find()?;
    if here::with(|here| here.kept.place(bus, epoch, address).is_none()) {
        renew(bus, epoch, address);
    }
    here::with(|here| {
        let kept = &mut here.kept;
        if let Some(place) = kept.place(bus, epoch, address) {
            *part(place) = Arc::downgrade(&found);
        }
    });
    Ok(found)
}

/// The way of an event from here. Where its listeners are called, what is sent while they run is theirs,
/// from here on until [`current::leave_direct`].
pub(crate) fn way<E: Event>(bus: &Bus, descriptor: &'static EventDescriptor) -> Way<E> {
    let address = address(descriptor);
    let way = here::with(|Here { kept, stack }| {
        let place = kept.find(bus, address)?;
        match &place.known {
            Known::Nothing => None,
            Known::Direct(direct) if stack.is_quiet() => {
                let direct: Rc<Direct<E>> = direct.clone().downcast().ok()?;
                stack.enter_direct(direct.clone());
                Some(Way::Direct(direct))
            }
            // Where handlers are called directly, the thread's lane stands for them.
            Known::Passage(passage) if !stack.is_direct() => {
                Some(Way::Passage(passage.clone(), stack.is_quiet()))
            }
            Known::Direct(_) | Known::Passage(_) | Known::CallPassage(_) | Known::Around => {
                Some(Way::Around)
            }
        }
    });
    way.unwrap_or_else(|| {
        // The next time it is known.
        resolve::<E>(bus, descriptor, address);
        Way::Around
    })
}

/// Finds the way of an event out.
#[cold]
fn resolve<E: Event>(bus: &Bus, descriptor: &'static EventDescriptor, address: usize) {
    let epoch = bus.epoch();
    if here::with(|here| here.kept.place(bus, epoch, address).is_none()) {
        renew(bus, epoch, address);
    }
    let lane = here::look(|here| here.kept.lane.clone());
    let lane = lane.unwrap_or_else(|| bus.0.lanes.open(&bus.0.fired));
    let route = bus.route(descriptor.exchange, descriptor.key);
    let known = if let Some(direct) = Direct::<E>::new(bus, epoch, descriptor, &route, &lane) {
        Known::Direct(Rc::new(direct))
    } else if let Some(passage) = EventPassage::new(bus, epoch, descriptor, &route, &lane) {
        Known::Passage(Rc::new(passage))
    } else {
        Known::Around
    };
    keep(bus, epoch, address, Some(lane), known);
}

/// Keeps what is known of a way.
fn keep(bus: &Bus, epoch: u64, address: usize, lane: Option<Arc<Lane>>, known: Known) {
    let old = here::with(|here| {
        let kept = &mut here.kept;
        kept.lane = lane.filter(|_| kept.bus == bus.prefix());
        let place = kept.place(bus, epoch, address);
        place.map(|place| std::mem::replace(&mut place.known, known))
    });
    drop(old);
}

/// The command that a descriptor stands for, as `find` finds it if this thread has not before.
pub(crate) fn command<X>(
    bus: &Bus,
    descriptor: &'static CommandDescriptor,
    find: impl FnOnce() -> Result<Arc<Command>, X>,
) -> Result<Arc<Command>, X> {
    kept(bus, address(descriptor), |place| &mut place.command, find)
}

/// A command, if it can be called directly and this thread runs no handler. What is sent while it
/// runs is its, from here on until [`current::leave_direct`].
pub(crate) fn direct_command<C: Spec>(bus: &Bus) -> Option<Rc<DirectOf<C>>> {
    let address = address(C::DESCRIPTOR);
    here::with(|Here { kept, stack }| {
        let Known::Direct(direct) = &kept.find(bus, address)?.known else { return None };
        if !stack.is_quiet() {
            return None;
        }
        let direct = direct.clone().downcast::<DirectOf<C>>().ok()?;
        stack.enter_direct(direct.clone());
        Some(direct)
    })
}

/// The passage of a command, its binding, and whether no handler runs on this thread.
pub(crate) fn command_passage<C: Spec>(bus: &Bus) -> Option<(Rc<CallPassage>, Arc<Binding>, bool)> {
    let address = address(C::DESCRIPTOR);
    here::look(|Here { kept, stack }| {
        let place = kept.find(bus, address)?;
        let Known::CallPassage(passage) = &place.known else { return None };
        Some((passage.clone(), place.binding.upgrade()?, stack.is_quiet()))
    })
}

/// The command `C`, called directly.
pub(crate) type DirectOf<C> = DirectCommand<<C as Spec>::Args, <C as Spec>::Ok, <C as Spec>::Err>;

/// Finds the way of a command out.
pub(crate) fn resolve_command<C: Spec>(bus: &Bus, command: &Command) {
    let address = address(C::DESCRIPTOR);
    let epoch = bus.epoch();
    let unknown = here::with(|here| {
        let kept = &mut here.kept;
        let place = kept.place(bus, epoch, address)?;
        matches!(place.known, Known::Nothing).then(|| kept.lane.clone())
    });
    let Some(mut lane) = unknown else { return };
    if command.binding.inline {
        lane.get_or_insert_with(|| bus.0.lanes.open(&bus.0.fired));
    }
    let direct = lane.as_ref().and_then(|lane| DirectOf::<C>::new(bus, epoch, command, lane));
    let known = if let Some(direct) = direct {
        Known::Direct(Rc::new(direct))
    } else if let Some(passage) = CallPassage::new::<C>(bus, epoch, command) {
        Known::CallPassage(Rc::new(passage))
    } else {
        Known::Around
    };
    keep(bus, epoch, address, lane, known);
    here::with(|here| {
        let kept = &mut here.kept;
        if let Some(place) = kept.place(bus, epoch, address) {
            place.binding = Arc::downgrade(&command.binding);
        }
    });
}
