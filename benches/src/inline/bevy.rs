//! `bevy_ecs`: observers of a triggered event.

use bevy_ecs::prelude::*;

use super::SINK;
use crate::order::{Order, Tally};

#[derive(Event)]
struct Submitted(Order);

/// Triggers an event that `N` observers hear.
pub(super) fn trigger<const N: usize>() -> impl FnMut(u64, u64) -> Tally {
    let mut world = World::new();
    for _ in 0..N {
        world.add_observer(|submitted: On<'_, '_, Submitted>| SINK.add(&submitted.0));
    }
    world.flush();
    move |first, n| {
        for id in first..first + n {
            world.trigger(Submitted(Order::new(id)));
        }
        SINK.take()
    }
}
