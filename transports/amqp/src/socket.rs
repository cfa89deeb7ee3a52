//! The socket under the client: TCP or TLS, made by us, so that it can be cut from outside when the
//! client would wait for ever, as it does for a broker that accepts connections and says nothing. The
//! client has a pipe instead of it, so that messages can pass by the client.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use async_rs::{Runtime, Tokio, TokioRuntime};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::spawn_local;

use crate::config::AmqpConfig;
use crate::lane::Lanes;
use crate::pump::Pump;

/// What the client takes for a socket: a pipe to the [pump](crate::pump) of the connection.
#[derive(Debug)]
pub(crate) struct Socket(DuplexStream);

/// How much fits into the pipe, each way.
const PIPE: usize = 64 << 10;

/// Starts to move bytes between a socket and a client.
fn start(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> (Socket, Rc<Lanes>) {
    let (client, pump) = tokio::io::duplex(PIPE);
    let lanes = Rc::new(Lanes::default());
    spawn_local(Pump::new(stream, pump, lanes.clone()).run());
    (Socket(client), lanes)
}

/// Cuts a socket.
#[derive(Debug)]
pub(crate) struct Cutter(std::net::TcpStream);

impl Cutter {
    pub(crate) fn cut(&self) {
        // It fails only for a socket that is cut already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Connects to one node.
pub(crate) async fn connect(
    config: &AmqpConfig,
    (host, port): &(String, u16),
) -> io::Result<(Socket, Rc<Lanes>, Cutter)> {
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    for address in tokio::net::lookup_host((host.as_str(), *port)).await? {
        match dial(address).await {
            Ok((stream, cutter)) => {
                let (socket, lanes) = if config.is_tls() {
                    start(encrypt(stream, host).await?)
                } else {
                    start(stream)
                };
                return Ok((socket, lanes, cutter));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn dial(address: SocketAddr) -> io::Result<(TcpStream, Cutter)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let cutter = Cutter(stream.try_clone()?);
    Ok((TcpStream::from_std(stream)?, cutter))
}

#[cfg(feature = "tls")]
async fn encrypt(
    stream: TcpStream,
    host: &str,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    use std::sync::Arc;

    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    // A certificate of the system that cannot be read is one that is not trusted.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// What is wrong with the TLS of a node, and the remedy, if that is what is wrong.
#[cfg(feature = "tls")]
pub(crate) fn distrust(error: &io::Error, (host, port): &(String, u16)) -> Option<String> {
    use tokio_rustls::rustls::{CertificateError as Bad, Error};

    let why = match error.get_ref()?.downcast_ref()? {
        Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer => {
                "is signed by nobody who is trusted; name the file of its authority in `SSL_CERT_FILE`, \
                 or add it to those of the system"
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "is for another host; correct the host in the URL, or have it signed for this one"
            }
            _ => "is not valid; have it made anew",
        },
        Error::InvalidMessage(_) => {
            let text = format!(
                "the broker at `{host}:{port}` does not speak TLS there; write `amqp`, or the port where it does"
            );
            return Some(text);
        }
        _ => return None,
    };
    Some(format!("the certificate of the broker at `{host}:{port}` {why}"))
}

#[cfg(not(feature = "tls"))]
pub(crate) fn distrust(_: &io::Error, _: &(String, u16)) -> Option<String> {
    None
}

#[cfg(not(feature = "tls"))]
async fn encrypt(_: TcpStream, _: &str) -> io::Result<TcpStream> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "`amqps` is not compiled in; turn the feature `tls` of `autobus-amqp` on",
    ))
}

impl futures_io::AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl futures_io::AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What the client runs on: the runtime of the transport's own thread, with our sockets.
#[derive(Debug, Clone)]
pub(crate) struct Kit(TokioRuntime);

impl Kit {
    /// On the runtime of this thread.
    pub(crate) fn runtime() -> Runtime<Self> {
        Runtime::new(Self(TokioRuntime::tokio_with_handle(Handle::current())))
    }
}

impl RuntimeKit for Kit {}

impl Executor for Kit {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(work)
    }
}

impl Reactor for Kit {
    type TcpStream = Socket;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl futures_io::AsyncRead + futures_io::AsyncWrite + Send + Unpin + 'static>
    {
        Err::<Socket, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(
        &self,
        duration: Duration,
    ) -> impl futures_util::Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    #[allow(clippy::manual_async_fn, reason = "the future must not borrow the kit")]
    fn tcp_connect_addr(
        &self,
        _: SocketAddr,
    ) -> impl Future<Output = io::Result<Socket>> + Send + 'static {
        async move { Err(io::ErrorKind::Unsupported.into()) }
    }
}
