//! Looks again a few times before the thread sleeps: under load the next message is microseconds
//! away, and waking a thread costs more than that, on both sides.

/// How much must be in flight for that: a call that is waited for before the next is made only loses
/// by it, since the threads that it goes through want the same processors.
pub(crate) const BUSY: usize = 16;
/// How often it is looked again.
const TURNS: u8 = 24;

/// How long nothing has come.
#[derive(Debug, Default)]
pub(crate) struct Lull(u8);

impl Lull {
    /// Something came.
    pub(crate) fn end(&mut self) {
        self.0 = 0;
    }

    /// Ends once everything else had a turn; never, if nothing has come for several.
    pub(crate) async fn wait(&mut self) {
        if self.0 >= TURNS {
            std::future::pending::<()>().await;
        }
        self.0 += 1;
        tokio::task::yield_now().await;
    }
}
