//! The socket under the client: TCP or TLS, made by us, so that it can be cut from outside when the
//! client would wait for ever, as it does for a broker that accepts connections and says nothing.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use async_rs::{Runtime, Tokio, TokioRuntime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::config::AmqpConfig;
use crate::screen::Screen;

/// A connected socket, of which nothing is read that is not screened.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    screen: Screen,
    inbox: Vec<u8>,
    /// How much of the inbox has been read.
    filled: usize,
    /// What of that is screened and not taken yet.
    screened: std::ops::Range<usize>,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// How much is read at once, at least.
const CHUNK: usize = 64 << 10;

impl Socket {
    fn new(stream: Stream) -> Self {
        Self { stream, screen: Screen::default(), inbox: Vec::new(), filled: 0, screened: 0..0 }
    }

    /// Reads until something is screened; nothing more is at the end.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.screened.is_empty() {
            self.inbox.copy_within(self.screened.end..self.filled, 0);
            self.filled -= self.screened.end;
            self.screened = 0..0;
            // A frame that is longer than the room is there once the room is.
            if self.inbox.len() < self.filled + CHUNK {
                self.inbox.resize(self.filled + 2 * CHUNK, 0);
            }
            let mut buffer = ReadBuf::new(&mut self.inbox[self.filled..]);
            ready!(match &mut self.stream {
                Stream::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
                #[cfg(feature = "tls")]
                Stream::Tls(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            })?;
            let got = buffer.filled().len();
            if got == 0 {
                break;
            }
            self.filled += got;
            self.screened = 0..self.screen.screen(&mut self.inbox[..self.filled]);
        }
        Poll::Ready(Ok(()))
    }
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
) -> io::Result<(Socket, Cutter)> {
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    for address in tokio::net::lookup_host((host.as_str(), *port)).await? {
        match dial(address).await {
            Ok((stream, cutter)) if config.is_tls() => {
                return Ok((encrypt(stream, host).await?, cutter));
            }
            Ok((stream, cutter)) => return Ok((Socket::new(Stream::Plain(stream)), cutter)),
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
async fn encrypt(stream: TcpStream, host: &str) -> io::Result<Socket> {
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
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(Socket::new(Stream::Tls(Box::new(stream))))
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
async fn encrypt(_: TcpStream, _: &str) -> io::Result<Socket> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "`amqps` is not compiled in; turn the feature `tls` of `autobus-amqp` on",
    ))
}

impl futures_io::AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.fill(cx))?;
        let count = this.screened.len().min(buffer.len());
        let from = this.screened.start;
        buffer[..count].copy_from_slice(&this.inbox[from..from + count]);
        this.screened.start += count;
        Poll::Ready(Ok(count))
    }
}

impl futures_io::AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
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
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Socket>> + Send + 'static {
        async move { Ok(Socket::new(Stream::Plain(dial(address).await?.0))) }
    }
}
