//! Autobus: `inline` listeners.

use bus::prelude::*;

use super::SINK;
use crate::names::{names_8, names_64, names_512};
use crate::order::{Order, Tally};

macro_rules! listeners {
    ($module:ident $service:tt; $($name:ident)*) => {
        mod $module {
            use super::*;
            $(
                #[listener(inline, service = $service)]
                fn $name(order: &Order) {
                    SINK.add(order);
                }
            )*
        }
    };
}

listeners!(one "inline_1"; l0);
names_8!(listeners eight "inline_8");
names_64!(listeners many "inline_64");
names_512!(listeners most "inline_512");

/// Fires to the `N` listeners of one service.
pub(super) fn fire<const N: usize>() -> impl FnMut(u64, u64) -> Tally {
    let bus = crate::bus_of(&[&format!("inline_{N}")]);
    move |first, n| {
        for id in first..first + n {
            drop(bus.fire(Order::new(id)));
        }
        SINK.take()
    }
}
