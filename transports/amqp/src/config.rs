//! [`AmqpConfig`]: where the broker is and how queues are declared, from a URL.
//!
//! The password goes to the broker and nowhere else: no `Debug`, log or error shows it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use autobus_core::{Error, ErrorKind};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use url::Url;

/// Where the broker is, who connects, and how queues are declared.
///
/// ```text
/// amqp://user:password@host:port/vhost?queue_type=quorum&heartbeat=10&hosts=b:5672,c:5672
/// ```
///
/// `amqps` is TLS: the certificate of the broker is for the host of the URL, and signed by an authority
/// that the system trusts, or Mozilla does. `SSL_CERT_FILE` and `SSL_CERT_DIR` name a file and a folder
/// of others, such as one's own, instead of those of the system. What is missing is `guest`, `guest`, port 5672 (5671 with TLS), and the virtual
/// host `/`. Reserved characters in user, password and virtual host are percent-encoded, as the
/// [RabbitMQ URI specification](https://www.rabbitmq.com/docs/uri-spec) says.
///
/// | Parameter | Meaning |
/// |---|---|
/// | `queue_type` | `quorum`, which is the default, or `classic`, [which keeps what waits on the disk](QueueType::Classic): the type of the queues of listeners and tasks |
/// | `heartbeat` | seconds, 10 by default: a connection that is silent for twice as long is lost; 0 for none |
/// | `hosts` | further nodes of the cluster, `host:port` with commas between: they are tried in turn |
///
/// # Examples
///
/// ```
/// use autobus_amqp::{AmqpConfig, QueueType};
///
/// let config: AmqpConfig = "amqp://billing:secret@rabbit/shop?queue_type=classic".parse()?;
/// assert_eq!(config.queue_type(), QueueType::Classic);
/// assert_eq!(config.to_string(), "amqp://billing@rabbit:5672/shop");
/// # Ok::<(), autobus_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpConfig {
    tls: bool,
    hosts: Vec<(String, u16)>,
    user: String,
    password: String,
    vhost: String,
    queue_type: QueueType,
    heartbeat: u16,
}

/// The type of the durable queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueType {
    /// [Quorum queues](https://www.rabbitmq.com/docs/quorum-queues), replicated in a cluster.
    #[default]
    Quorum,
    /// [Classic queues](https://www.rabbitmq.com/docs/classic-queues), on one node each. They are of the
    /// second version, which is the only one of RabbitMQ 4, and keep what waits on the disk and not in the
    /// memory of the broker, as all of them do [since 3.12](https://www.rabbitmq.com/docs/lazy-queues). On a
    /// broker before that, here 3.10, that halves what publishing takes and doubles what consuming a backlog
    /// takes. Queues that were declared otherwise are refused, as any that have other arguments.
    Classic,
}

impl QueueType {
    /// The value of `x-queue-type`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Classic => "classic",
        }
    }
}

/// The parameters of a URL.
const PARAMETERS: [&str; 3] = ["queue_type", "heartbeat", "hosts"];

impl AmqpConfig {
    /// The type of the queues of listeners and tasks.
    pub fn queue_type(&self) -> QueueType {
        self.queue_type
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// After how long a silence the broker and this side ask whether the other is there; `None` if
    /// they never do.
    pub fn heartbeat(&self) -> Option<Duration> {
        (self.heartbeat > 0).then(|| Duration::from_secs(self.heartbeat.into()))
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    /// The nodes, in the order of the URL.
    pub(crate) fn hosts(&self) -> &[(String, u16)] {
        &self.hosts
    }

    /// What the client needs to know.
    pub(crate) fn uri(&self) -> AMQPUri {
        let (host, port) = self.hosts.first().cloned().unwrap_or_default();
        AMQPUri {
            scheme: if self.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.user.clone(),
                    password: self.password.clone(),
                },
                host,
                port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: Some(self.heartbeat),
                ..AMQPQueryString::default()
            },
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "queue_type" => {
                self.queue_type = match value {
                    "quorum" => QueueType::Quorum,
                    "classic" => QueueType::Classic,
                    _ => {
                        return Err(bad(format!(
                            "unknown `queue_type={value}`; expected `quorum` or `classic`"
                        )));
                    }
                }
            }
            "heartbeat" => {
                self.heartbeat = value.parse().map_err(|_| {
                    bad(format!("`heartbeat={value}` is no number of seconds; expected 0 to 65535"))
                })?;
            }
            "hosts" => {
                for host in value.split(',') {
                    self.hosts.push(self.host(host)?);
                }
            }
            _ => {
                let known = PARAMETERS.map(|name| format!("`{name}`")).join(", ");
                return Err(bad(format!("unknown parameter `{name}`; expected {known}")));
            }
        }
        Ok(())
    }

    /// `host` or `host:port`.
    fn host(&self, text: &str) -> Result<(String, u16), Error> {
        let wrong =
            || bad(format!("`hosts` has `{text}`; expected `host:port` with commas between"));
        let url = Url::parse(&format!("amqp://{text}")).map_err(|_| wrong())?;
        let plain = url.username().is_empty() && url.password().is_none() && url.path().is_empty();
        let host = url.host_str().filter(|host| plain && !host.is_empty()).ok_or_else(wrong)?;
        Ok((bare(host), url.port().unwrap_or(self.default_port())))
    }

    fn default_port(&self) -> u16 {
        if self.tls { 5671 } else { 5672 }
    }
}

impl FromStr for AmqpConfig {
    type Err = Error;

    /// # Errors
    ///
    /// `Config`, if it is no such URL; says what is wrong with it, without its password.
    fn from_str(text: &str) -> Result<Self, Error> {
        // The text itself is never shown: whoever mistypes a URL may mistype the place of `@` too.
        let url = Url::parse(text).map_err(|error| {
            bad(format!("it is none: {error}; expected `amqp://user:password@host:port/vhost`"))
        })?;
        let tls = match url.scheme() {
            "amqp" => false,
            "amqps" => true,
            other => {
                return Err(bad(format!("unknown scheme `{other}`; expected `amqp` or `amqps`")));
            }
        };
        if url.fragment().is_some() {
            return Err(bad("it has a `#`; write `%23` in a password or virtual host"));
        }
        let decode = |what: &str, text: &str| {
            decoded(text).ok_or_else(|| bad(format!("the {what} is not UTF-8 once decoded")))
        };
        let or_guest = |text: String| if text.is_empty() { "guest".to_owned() } else { text };
        let path = url.path().strip_prefix('/').unwrap_or_default();
        if path.contains('/') {
            return Err(bad("the virtual host has a `/`; write `%2f`"));
        }
        let vhost = match path {
            "" => "/".to_owned(),
            path => decode("virtual host", path)?,
        };
        let mut config = Self {
            tls,
            hosts: Vec::new(),
            user: or_guest(decode("user", url.username())?),
            password: url
                .password()
                .map_or(Ok("guest".to_owned()), |text| decode("password", text))?,
            vhost,
            queue_type: QueueType::default(),
            heartbeat: 10,
        };
        let host = url.host_str().filter(|host| !host.is_empty()).unwrap_or("localhost");
        config.hosts.push((bare(host), url.port().unwrap_or(config.default_port())));
        for (name, value) in url.query_pairs() {
            config.set(&name, &value)?;
        }
        Ok(config)
    }
}

/// Without the password.
impl fmt::Display for AmqpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        let (host, port) =
            self.hosts.first().map_or(("", 0), |(host, port)| (host.as_str(), *port));
        let vhost = self.vhost.replace('%', "%25").replace('/', "%2f");
        if host.contains(':') {
            write!(f, "{scheme}://{}@[{host}]:{port}/{vhost}", self.user)
        } else {
            write!(f, "{scheme}://{}@{host}:{port}/{vhost}", self.user)
        }
    }
}

impl fmt::Debug for AmqpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpConfig")
            .field("url", &self.to_string())
            .field("hosts", &self.hosts)
            .field("queue_type", &self.queue_type)
            .field("heartbeat", &self.heartbeat)
            .finish_non_exhaustive()
    }
}

fn bad(what: impl fmt::Display) -> Error {
    Error::of_kind(ErrorKind::Config, format!("the URL of the broker: {what}"))
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

/// Percent-decoded, if the result is UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |byte: u8| char::from(byte).to_digit(16);
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                let byte = hex(*high)? * 16 + hex(*low)?;
                bytes.push(u8::try_from(byte).ok()?);
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<AmqpConfig, String> {
        url.parse().map_err(|error: Error| {
            assert_eq!(error.kind(), ErrorKind::Config);
            error.to_string()
        })
    }

    #[test]
    fn what_is_missing_has_its_default() {
        let config = parse("amqp://localhost").unwrap();
        assert_eq!(
            config,
            parse("amqp://guest:guest@localhost:5672/%2F?queue_type=quorum&heartbeat=10").unwrap()
        );
        assert_eq!(config, parse("amqp://localhost/").unwrap());
        assert_eq!(parse("amqps://rabbit").unwrap().hosts(), [("rabbit".to_owned(), 5671)]);
    }

    #[test]
    fn addresses_of_both_versions_are_hosts() {
        assert_eq!(parse("amqp://127.0.0.1:1").unwrap().hosts(), [("127.0.0.1".to_owned(), 1)]);
        let config = parse("amqp://[::1]:2/v").unwrap();
        assert_eq!(config.hosts(), [("::1".to_owned(), 2)]);
        assert_eq!(config.to_string(), "amqp://guest@[::1]:2/v");
    }

    #[test]
    fn reserved_characters_are_percent_encoded() {
        let config = parse("amqp://us%40er:p%3Aw%2f@h/a%2fb").unwrap();
        assert_eq!((config.user(), config.vhost()), ("us@er", "a/b"));
        assert_eq!(config.uri().authority.userinfo.password, "p:w/");
    }

    #[test]
    fn the_nodes_of_a_cluster_are_hosts() {
        let config = parse("amqp://a?hosts=b:5673,c").unwrap();
        let hosts: Vec<(&str, u16)> =
            config.hosts().iter().map(|(h, p)| (h.as_str(), *p)).collect();
        assert_eq!(hosts, [("a", 5672), ("b", 5673), ("c", 5672)]);
        assert!(parse("amqp://a?hosts=b:x").unwrap_err().contains("host:port"));
    }

    #[test]
    fn a_wrong_url_says_what_is_wrong() {
        for (url, message) in [
            ("localhost", "it is none"),
            ("http://localhost", "unknown scheme `http`; expected `amqp` or `amqps`"),
            ("amqp://h/a/b", "write `%2f`"),
            (
                "amqp://h?colour=red",
                "unknown parameter `colour`; expected `queue_type`, `heartbeat`, `hosts`",
            ),
            ("amqp://h?queue_type=lazy", "expected `quorum` or `classic`"),
            ("amqp://h?heartbeat=often", "no number of seconds"),
            ("amqp://h:99999", "it is none"),
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.contains(message), "{url}: {error}");
        }
    }

    #[test]
    fn no_text_has_the_password() {
        let config = parse("amqp://me:s3cret@h/v").unwrap();
        assert!(!format!("{config:?} {config}").contains("s3cret"));
        for url in [
            "amqp://me:s3cret@h/a/b",
            "amqp://me:s3cret@h:port",
            "ampq://me:s3cret@h",
            "amqp://me:s3cret@h?x=1",
        ] {
            assert!(!parse(url).unwrap_err().contains("s3cret"), "{url}");
        }
    }
}
