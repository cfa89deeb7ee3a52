//! A layer that says no.

use bus::{Context, Failure, Layer};

/// Refuses commands by their names.
pub(crate) struct Authorisation {
    pub(crate) refused: &'static [&'static str],
}

impl Layer for Authorisation {
    type Attempt = ();

    fn before(&self, ctx: &Context) -> Result<(), Failure> {
        if self.refused.contains(&ctx.key()) {
            // For good: another attempt would be refused as well.
            return Err(Failure::refused(format!("`{}` is not allowed here", ctx.key())));
        }
        Ok(())
    }
}
