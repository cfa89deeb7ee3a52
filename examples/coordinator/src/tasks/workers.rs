//! A worker tries nonces. It is synchronous, so a process does one piece after another; more
//! processes do more of them at once.

bus::service_name!("tasks.workers");

use bus::prelude::*;

use super::proof::Proof;
use crate::contracts::{self, Hit, Miss, Piece, Tried};

/// How many nonces are tried between two looks at whether the hit was found elsewhere: some
/// milliseconds of work.
const BETWEEN_LOOKS: u64 = 4_096;

#[command(serves = contracts::search)]
fn search(piece: Piece, ctx: &Context) -> Result<Hit, Miss> {
    let Piece { id, text, difficulty, nonces } = piece;
    tracing::info!(id, ?nonces, "searching");
    let proof = Proof::new(&text, difficulty);
    let mut tried = 0;
    let mut end = Err(Miss::Nothing);
    for nonce in nonces.clone() {
        if tried % BETWEEN_LOOKS == 0 && ctx.cancelled() {
            end = Err(Miss::Stopped);
            break;
        }
        tried += 1;
        if let Some(hash) = proof.hit(nonce) {
            end = Ok(Hit { nonce, hash });
            break;
        }
    }
    // Progress is nice to have: nobody waits for it to arrive.
    let stopped = end == Err(Miss::Stopped);
    tracing::info!(id, ?nonces, tried, stopped, "searched");
    drop(Tried { id, nonces, tried, stopped }.fire());
    end
}
