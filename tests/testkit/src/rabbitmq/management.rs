//! Requests to the management API of a node
//! (<https://www.rabbitmq.com/docs/management#http-api>).

use serde_json::Value;

use crate::error::{Error, ErrorKind};
use crate::ports;

/// `guest:guest` for basic authentication (RFC 7617); RabbitMQ lets it in over loopback.
const GUEST: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

/// What is done to a resource.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    Get,
    Put,
    Post,
    Delete,
}

/// The management API at a port of loopback.
#[derive(Clone, Copy, Debug)]
pub(super) struct Management {
    pub(super) port: u16,
    /// Seconds until a node that does not answer is given up.
    pub(super) patience: u64,
}

impl Management {
    /// The answer; `None` if the thing does not exist.
    pub(super) fn ask(
        self,
        verb: Verb,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Option<Value>, Error> {
        let path = path.iter().map(|part| escape(part)).collect::<Vec<_>>().join("/");
        let url = format!("http://{}/api/{path}", ports::loopback(self.port));
        let request = match verb {
            Verb::Get => minreq::get(&url),
            Verb::Put => minreq::put(&url),
            Verb::Post => minreq::post(&url),
            Verb::Delete => minreq::delete(&url),
        };
        let request = request.with_header("Authorization", GUEST).with_timeout(self.patience);
        let request = match body {
            Some(body) => {
                request.with_header("Content-Type", "application/json").with_body(body.to_string())
            }
            None => request,
        };
        let what = || format!("{verb:?} {path} at the management API");
        let response =
            request.send().map_err(|error| Error::because(ErrorKind::Io, what(), error))?;
        match response.status_code {
            200..300 if response.as_bytes().is_empty() => Ok(Some(Value::Null)),
            200..300 => serde_json::from_slice(response.as_bytes())
                .map(Some)
                .map_err(|error| Error::because(ErrorKind::Refused, what(), error)),
            404 => Ok(None),
            status => {
                let text = String::from_utf8_lossy(response.as_bytes()).into_owned();
                Err(Error::new(ErrorKind::Refused, format!("{}: {status} {text}", what())))
            }
        }
    }
}

/// A part of a path, percent-encoded (RFC 3986, section 2.3).
pub(super) fn escape(part: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    part.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(escape("/"), "%2F");
        assert_eq!(escape("a-b.c_d~1"), "a-b.c_d~1");
        assert_eq!(escape("order #é"), "order%20%23%C3%A9");
    }
}
