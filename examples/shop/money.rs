//! Money, counted in whole hundredths: sums are exact.

use std::fmt;

use bus::prelude::*;

/// What the shop is paid in.
#[payload]
#[derive(Debug, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    Eur,
    Gbp,
    Usd,
}

impl Currency {
    pub const ALL: [Self; 3] = [Self::Eur, Self::Gbp, Self::Usd];
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
            Self::Usd => "USD",
        })
    }
}

/// An amount of one currency.
#[payload]
#[derive(Debug, Copy, PartialEq, Eq)]
pub struct Money {
    /// Hundredths of the currency.
    pub cents: i64,
    pub currency: Currency,
}
