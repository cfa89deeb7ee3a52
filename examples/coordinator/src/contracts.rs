//! What the modules say to each other. Each of them knows this file and no other module, so each can
//! be swapped for another that keeps the same contracts.

use std::fmt;
use std::ops::Range;

use bus::prelude::*;

/// A piece of work: to find a nonce which, written behind the text, gives a SHA-256 that begins with
/// so many zero bits.
#[payload]
#[derive(Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its name, chosen by whoever asks; the same one again is refused.
    pub id: String,
    /// The text.
    pub text: String,
    /// How many zero bits; each more takes twice as long.
    pub difficulty: u32,
    /// The nonces to try are below this.
    #[serde(default = "Request::nonces")]
    pub nonces: u64,
    /// Into how many pieces they are split among the workers.
    #[serde(default = "Request::pieces")]
    pub pieces: u64,
}

impl Request {
    const fn nonces() -> u64 {
        1 << 24
    }

    const fn pieces() -> u64 {
        16
    }
}

/// What becomes of a request when it comes in.
#[payload]
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is worked on.
    Accepted,
    /// It cannot be; says why.
    Invalid(Vec<String>),
    /// There was one of its name before.
    Repeated,
}

/// How far a request is. It only ever goes forward, in this order.
#[payload]
#[derive(Debug, PartialEq, Eq)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// It was accepted, and no worker knows of it yet.
    Accepted,
    /// Workers try nonces.
    Processing,
    /// The nonce was found.
    Solved {
        /// The nonce.
        nonce: u64,
        /// The hash, in hexadecimal digits.
        hash: String,
    },
    /// No nonce does it.
    Unsolvable,
}

impl Status {
    /// Whether nothing comes after it.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Solved { .. } | Self::Unsolvable)
    }
}

/// The share of one worker.
#[payload]
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// The request that it is a part of.
    pub id: String,
    /// The request's text.
    pub text: String,
    /// The request's difficulty.
    pub difficulty: u32,
    /// The nonces to try.
    pub nonces: Range<u64>,
}

/// A nonce that does it.
#[payload]
#[derive(Debug, PartialEq, Eq)]
pub struct Hit {
    /// The nonce.
    pub nonce: u64,
    /// The hash, in hexadecimal digits.
    pub hash: String,
}

/// Why a piece has no hit.
#[payload]
#[derive(Debug, PartialEq, Eq)]
pub enum Miss {
    /// No nonce of it does it.
    Nothing,
    /// The worker was asked to stop before it had tried all of them.
    Stopped,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "no nonce of this piece does it",
            Self::Stopped => "the worker stopped before it had tried the whole piece",
        })
    }
}

/// That something is not there for now: why, and what to do about it.
#[payload]
#[derive(Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

impl<E: fmt::Display> From<ExecuteError<E>> for Unavailable {
    fn from(error: ExecuteError<E>) -> Self {
        Self(error.to_string())
    }
}

impl From<bus::Error> for Unavailable {
    fn from(error: bus::Error) -> Self {
        Self(error.to_string())
    }
}

/// Takes a request in.
#[command("coordinator.process_request")]
pub fn process_request(request: Request) -> Result<Answer, Unavailable>;

/// Tells what is wrong with a request; nothing if it is right.
#[command("validation.validate")]
pub fn validate(request: &Request) -> Vec<String>;

/// Solves a request; as a task.
#[command("tasks.solve")]
pub fn solve(request: Request) -> Result<(), Unavailable>;

/// Tries the nonces of a piece.
#[command("tasks.search", timeout = "2m")]
pub fn search(piece: Piece) -> Result<Hit, Miss>;

/// Takes an id, unless it was taken before.
#[command("state.claim")]
pub fn claim(id: &str) -> Result<bool, Unavailable>;

/// Brings a request forward; `false` if it was there already, or further.
#[command("state.update")]
pub fn update(id: &str, status: &Status) -> Result<bool, Unavailable>;

/// How far a request is; nothing if there is none.
#[command("state.status")]
pub fn status(id: &str) -> Result<Option<Status>, Unavailable>;

/// Something that a person should hear of.
#[event(exchange = "alerts", key = "alert.raised")]
#[derive(Debug, PartialEq, Eq)]
pub struct Alert {
    /// What happened.
    pub message: String,
    /// The details.
    pub about: Vec<String>,
}

/// A worker is done with a piece.
#[event(exchange = "requests", key = "request.tried")]
#[derive(Debug, PartialEq, Eq)]
pub struct Tried {
    /// The request.
    pub id: String,
    /// The nonces of the piece.
    pub nonces: Range<u64>,
    /// How many of them were tried.
    pub tried: u64,
    /// Whether the worker was asked to stop before it had tried all.
    pub stopped: bool,
}

/// A request is further than it was.
#[event(exchange = "requests", key = "request.advanced")]
#[derive(Debug, PartialEq, Eq)]
pub struct Advanced {
    /// The request.
    pub id: String,
    /// How far it is.
    pub status: Status,
}
