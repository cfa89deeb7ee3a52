//! The front: requests over HTTP become commands, and events of progress go to whoever watches.

mod answers;
mod feed;
mod routes;

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use axum::Router;
use bus::prelude::*;
use tokio::sync::oneshot;

use self::feed::Feed;
pub use self::routes::router;
use crate::contracts::{Advanced, Tried};

/// Where the front listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(pub String);

impl Address {
    /// What `HTTP_ADDR` says; else port 8080, and for programs on this machine alone.
    pub fn from_env() -> Self {
        let given = std::env::var("HTTP_ADDR").ok().filter(|address| !address.is_empty());
        Self(given.unwrap_or_else(|| "127.0.0.1:8080".to_owned()))
    }
}

/// The web server, as long as the service runs.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// Gone once nobody is to hear anything any more.
    feed: Option<Feed>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[service]
impl Server {
    /// Listens before anything is served, so that an address which is taken fails the start.
    #[init]
    fn open(ctx: &Context, address: State<Address>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(&address.0)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (feed, (stop, stopped)) = (Feed::default(), oneshot::channel());
        let router = router(ctx.bus().clone(), feed.clone());
        let thread = std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || serve(listener, router, stopped))?;
        println!("listening on http://{address}");
        Ok(Self { address, feed: Some(feed), stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[command("http.address")]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[listener(Tried::EVENT, broadcast)]
    fn tried(&self, tried: &Tried) {
        self.feed.iter().for_each(|feed| feed.tried(tried));
    }

    #[listener(Advanced::EVENT, broadcast)]
    fn advanced(&self, advanced: &Advanced) {
        self.feed.iter().for_each(|feed| feed.advanced(advanced));
    }

    /// Answers what was asked, and asks for nothing more.
    #[shutdown]
    fn close(&mut self) {
        if let Some(feed) = self.feed.take() {
            feed.close();
        }
        self.stop.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the web server panicked");
        }
    }
}

fn serve(listener: TcpListener, router: Router, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let stopped = async { drop(stopped.await) };
            axum::serve(listener, router).with_graceful_shutdown(stopped).await
        })
    });
    if let Err(error) = served {
        tracing::error!(%error, "the web server ended");
    }
}
