//! Services in a crate whose modules are called like those of another.

/// Nobody says that this is one service with another crate's `billing`.
pub mod billing {
    use bus::prelude::*;

    /// Bills.
    #[command("neighbour.bill")]
    pub fn bill() -> u32 {
        1
    }
}

/// One service with every other module that says so.
pub mod shipping {
    use bus::prelude::*;

    bus::service_name!("logistic");

    /// Ships.
    #[command]
    pub fn ship(ctx: &Context) -> String {
        let thread = std::thread::current();
        format!("{} {}", ctx.service(), thread.name().unwrap_or_default())
    }
}
