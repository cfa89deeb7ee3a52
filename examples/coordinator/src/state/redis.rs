//! In Redis, for several processes, and beyond their lives.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::{Client, Connection, RedisError, RedisResult, Script};

use super::{Store, rank};
use crate::contracts::{Status, Unavailable};

/// How long Redis may take to connect, and to answer.
const LIMIT: Duration = Duration::from_secs(2);

/// How long an id is taken whose request went no further, in seconds: a coordinator that dies between
/// claiming and dispatching blocks it no longer than this.
const CLAIMED: u64 = 60;

/// How long a request is kept, in seconds: a week.
const KEPT: u64 = 7 * 24 * 3_600;

/// A value is the rank of a status, one digit, and the status in JSON. All in one step, so that of two
/// who bring a request forward one is told that it was the other.
const FORWARD: &str = r"
    local old = redis.call('GET', KEYS[1])
    if old and string.sub(old, 1, 1) >= string.sub(ARGV[1], 1, 1) then return 0 end
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
    return 1";

/// Keeps requests in Redis. It connects when it is first asked, and again after it lost the connection.
pub struct Redis {
    client: Client,
    /// Without the password.
    address: String,
    forward: Script,
    connection: Mutex<Option<Connection>>,
}

impl Redis {
    /// At `redis://host:port`.
    ///
    /// # Errors
    ///
    /// For a URL that is none.
    pub fn new(url: &str) -> Result<Self, Unavailable> {
        let client = Client::open(url).map_err(|error| {
            Unavailable(format!(
                "`STATE_URL` is no URL of a Redis, such as `redis://host:port`: {error}"
            ))
        })?;
        let address = client.get_connection_info().addr().to_string();
        Ok(Self { client, address, forward: Script::new(FORWARD), connection: Mutex::default() })
    }

    fn connect(&self) -> RedisResult<Connection> {
        let connection = self.client.get_connection_with_timeout(LIMIT)?;
        connection.set_read_timeout(Some(LIMIT))?;
        connection.set_write_timeout(Some(LIMIT))?;
        Ok(connection)
    }

    /// Asks Redis. What fails on a connection of before is asked once more on a new one, since Redis may
    /// have been started anew. Where the answer was lost and not the question, a claim finds itself
    /// there, and is refused until it is forgotten.
    fn ask<T>(&self, ask: impl Fn(&mut Connection) -> RedisResult<T>) -> Result<T, Unavailable> {
        let mut kept = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut connection) = kept.take()
            && let Ok(answer) = ask(&mut connection)
        {
            *kept = Some(connection);
            return Ok(answer);
        }
        let asked = self.connect().and_then(|mut connection| {
            let answer = ask(&mut connection)?;
            *kept = Some(connection);
            Ok(answer)
        });
        asked.map_err(|error: RedisError| {
            let address = &self.address;
            Unavailable(format!(
                "the state in Redis at {address} cannot be reached; start it, and ask again ({error})"
            ))
        })
    }
}

fn key(id: &str) -> String {
    format!("request:{id}")
}

fn written(status: &Status) -> String {
    // A status is plain data, which always can be written.
    format!("{}{}", rank(status), serde_json::to_string(status).unwrap_or_default())
}

impl Store for Redis {
    fn claim(&self, id: &str) -> Result<bool, Unavailable> {
        let claim = |connection: &mut Connection| {
            let mut set = redis::cmd("SET");
            set.arg(key(id)).arg(written(&Status::Accepted)).arg("NX").arg("EX").arg(CLAIMED);
            set.query::<Option<String>>(connection)
        };
        Ok(self.ask(claim)?.is_some())
    }

    fn update(&self, id: &str, status: &Status) -> Result<bool, Unavailable> {
        self.ask(|connection| {
            self.forward.key(key(id)).arg(written(status)).arg(KEPT).invoke(connection)
        })
    }

    fn status(&self, id: &str) -> Result<Option<Status>, Unavailable> {
        let get = |connection: &mut Connection| {
            redis::cmd("GET").arg(key(id)).query::<Option<String>>(connection)
        };
        let Some(value) = self.ask(get)? else { return Ok(None) };
        let status = value.get(1..).unwrap_or_default();
        serde_json::from_str(status).map(Some).map_err(|error| {
            Unavailable(format!("the state of `{id}` in Redis is none; delete it there ({error})"))
        })
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("address", &self.address).finish_non_exhaustive()
    }
}
