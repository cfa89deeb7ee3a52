//! `rust_bus`: handlers in memory, wired at link time as ours are.
#![allow(unsafe_code, reason = "its attribute writes it")]

use std::error::Error;
use std::sync::Once;

use rust_bus::contracts::meta::BusMetadata;
use rust_bus::{BusEvent, BusEventHandler};

use super::SINK;
use crate::names::{names_8, names_64, names_512};
use crate::order::{Order, Tally};
use crate::runtime::runtime;

macro_rules! handlers {
    ($module:ident; $($name:ident)*) => {
        mod $module {
            use super::*;

            #[BusEvent]
            pub(super) struct Submitted(pub(super) Order);

            $(
                #[BusEventHandler]
                async fn $name(
                    event: &Submitted,
                    _meta: &BusMetadata,
                ) -> Result<(), Box<dyn Error + Send + Sync>> {
                    SINK.add(&event.0);
                    Ok(())
                }
            )*
        }
    };
}

handlers!(one; l0);
names_8!(handlers eight);
names_64!(handlers many);
names_512!(handlers most);

/// Fires to `N` handlers.
pub(super) fn event<const N: usize>() -> impl FnMut(u64, u64) -> Tally {
    static INIT: Once = Once::new();
    let runtime = runtime();
    INIT.call_once(|| runtime.block_on(rust_bus::init()).expect("a bus"));
    let meta = BusMetadata::default();
    move |first, n| {
        runtime.block_on(async {
            for id in first..first + n {
                let order = Order::new(id);
                let done = match N {
                    1 => rust_bus::bus::event(one::Submitted(order), &meta).await,
                    8 => rust_bus::bus::event(eight::Submitted(order), &meta).await,
                    64 => rust_bus::bus::event(many::Submitted(order), &meta).await,
                    _ => rust_bus::bus::event(most::Submitted(order), &meta).await,
                };
                done.expect("handled");
            }
        });
        SINK.take()
    }
}
