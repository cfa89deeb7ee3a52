//! Events of progress, on their way to those who watch.

use std::convert::Infallible;

use axum::response::sse::Event;
use futures_lite::{Stream, stream};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};

use crate::contracts::{Advanced, Status, Tried};

/// How many events one who watches may be behind before some are left out.
const BEHIND: usize = 256;

/// What happens to all requests; a clone is the same one.
#[derive(Debug, Clone)]
pub struct Feed(Sender<News>);

/// Something that happened to one request.
#[derive(Debug, Clone)]
enum News {
    Tried(Tried),
    Advanced(Advanced),
    /// Nothing comes any more.
    End,
}

impl Default for Feed {
    fn default() -> Self {
        Self(broadcast::channel(BEHIND).0)
    }
}

impl Feed {
    // Nobody may be watching.
    fn tell(&self, news: News) {
        let _ = self.0.send(news);
    }

    pub(super) fn tried(&self, tried: &Tried) {
        self.tell(News::Tried(tried.clone()));
    }

    pub(super) fn advanced(&self, advanced: &Advanced) {
        self.tell(News::Advanced(advanced.clone()));
    }

    pub(super) fn close(self) {
        self.tell(News::End);
    }

    /// Watches from here on.
    pub(super) fn watch(&self) -> Watch {
        Watch(self.0.subscribe())
    }
}

/// One who watches.
pub(super) struct Watch(Receiver<News>);

impl Watch {
    /// What is known now and what happens to the request `id` from here on, until it is done.
    pub(super) fn events(
        self,
        id: String,
        now: &Status,
    ) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
        let first = written("status", now);
        let is_over = now.is_final();
        let rest = stream::unfold((self.0, id, is_over), |(mut news, id, is_over)| async move {
            if is_over {
                return None;
            }
            let (event, is_over) = next(&mut news, &id).await?;
            Some((Ok(event), (news, id, is_over)))
        });
        stream::StreamExt::chain(stream::once(Ok(first)), rest)
    }
}

/// The next event of a request, and whether it is the last.
async fn next(news: &mut Receiver<News>, id: &str) -> Option<(Event, bool)> {
    loop {
        match news.recv().await {
            Ok(News::Tried(tried)) if tried.id == id => {
                return Some((written("tried", &tried), false));
            }
            Ok(News::Advanced(Advanced { id: of, status })) if of == id => {
                return Some((written("status", &status), status.is_final()));
            }
            Ok(News::Tried(_) | News::Advanced(_)) | Err(RecvError::Lagged(_)) => {}
            Ok(News::End) | Err(RecvError::Closed) => return None,
        }
    }
}

fn written(name: &str, value: &impl Serialize) -> Event {
    // Plain data, which always can be written.
    Event::default().event(name).json_data(value).unwrap_or_default()
}
