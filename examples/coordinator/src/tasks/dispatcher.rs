//! Splits a request into pieces, scatters them over the workers, and takes the first hit.

bus::service_name!("tasks.dispatcher");

use bus::AllFailed;
use bus::prelude::*;

use crate::contracts::{
    self, Advanced, Hit, Miss, Piece, Request, Status, Unavailable, search, update,
};

/// How many pieces are with workers or in line for them at once, of one request. Twice as many as
/// there are workers keeps all of them busy.
const IN_FLIGHT: usize = 8;

/// How often pieces are scattered whose worker died or did not answer.
const ROUNDS: u32 = 5;

/// A task: it is tried again if it fails, and if the process that runs it dies. The answer counts once
/// all the same, since a state goes forward only.
#[command(serves = contracts::solve, concurrency = 8, retry = 4)]
async fn solve(request: Request) -> Result<(), Unavailable> {
    let status = match find(&request).await? {
        Some(Hit { nonce, hash }) => Status::Solved { nonce, hash },
        None => Status::Unsolvable,
    };
    if update::execute(&request.id, &status).await? {
        Advanced { id: request.id, status }.fire().await?;
    }
    Ok(())
}

/// The first hit of all workers; the others are told to stop.
async fn find(request: &Request) -> Result<Option<Hit>, Unavailable> {
    let mut open = pieces(request);
    for _ in 0..ROUNDS {
        open = match search::scatter(open).in_flight(IN_FLIGHT).first_ok().await {
            Ok((_, hit)) => return Ok(Some(hit)),
            Err(failed) => lost(failed),
        };
        if open.is_empty() {
            return Ok(None);
        }
    }
    Err(Unavailable(format!(
        "{} pieces of `{}` were searched by no worker; start one with `BUS_SERVICES=tasks.workers`",
        open.len(),
        request.id
    )))
}

/// The pieces that nobody has searched to their end.
fn lost(failed: AllFailed<Piece, Miss>) -> Vec<Piece> {
    let mut lost = Vec::new();
    for (piece, error) in failed.into_failures() {
        if error != ExecuteError::Handler(Miss::Nothing) {
            tracing::warn!(id = piece.id, nonces = ?piece.nonces, %error, "a piece is lost");
            lost.push(piece);
        }
    }
    lost
}

fn pieces(request: &Request) -> Vec<Piece> {
    let Request { id, text, difficulty, nonces, pieces } = request;
    let size = nonces.div_ceil(*pieces);
    let starts = (0..*pieces).map(|piece| piece * size).filter(|start| start < nonces);
    let piece = |start: u64| Piece {
        id: id.clone(),
        text: text.clone(),
        difficulty: *difficulty,
        nonces: start..(start + size).min(*nonces),
    };
    starts.map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_are_the_whole_and_do_not_overlap() {
        for (nonces, pieces) in [(10, 3), (1, 16), (16, 16), (17, 16), (1 << 48, 4_096)] {
            let (id, text, difficulty) = ("a".to_owned(), "b".to_owned(), 1);
            let request = Request { id, text, difficulty, nonces, pieces };
            let mut next = 0;
            for piece in super::pieces(&request) {
                assert_eq!(piece.nonces.start, next);
                assert!(!piece.nonces.is_empty());
                next = piece.nonces.end;
            }
            assert_eq!(next, nonces);
        }
    }
}
