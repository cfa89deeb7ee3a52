//! One direction of a connection: what was read at one end and is due at the other.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// How much may wait in one direction before the sender is held back.
const CAPACITY: usize = 1 << 20;
/// How much is read at once.
const CHUNK: usize = 1 << 16;

/// The bytes on their way from one socket to the other, in order.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    chunks: VecDeque<Chunk>,
    /// How many bytes `chunks` hold.
    held: usize,
    /// The source has ended; the sink is told when all is written.
    ended: bool,
    /// The sink was told.
    closed: bool,
    /// Bytes, or the end, were thrown away.
    pub(super) lost: bool,
}

#[derive(Debug)]
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
    written: usize,
}

impl Pipe {
    /// Whether it takes more from its source.
    pub(super) fn reads(&self) -> bool {
        !self.ended && self.held < CAPACITY
    }

    /// When its sink gets something next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.chunks.front().map(|chunk| chunk.due)
    }

    /// Both ends are closed, as far as this direction goes.
    pub(super) fn is_done(&self) -> bool {
        self.closed || (self.ended && self.lost)
    }

    /// Reads what there is, to be delivered after `delay`, or loses it.
    pub(super) fn fill(
        &mut self,
        mut source: &TcpStream,
        delay: Duration,
        lose: bool,
    ) -> io::Result<()> {
        let mut bytes = vec![0; CHUNK];
        let count = match source.read(&mut bytes) {
            Err(error) if is_later(&error) => return Ok(()),
            other => other?,
        };
        self.ended = count == 0;
        self.lost |= lose;
        if !lose && count > 0 {
            bytes.truncate(count);
            // What was read earlier, under a longer delay, is still in front of it.
            let due = Instant::now() + delay;
            self.held += count;
            self.chunks.push_back(Chunk { due, bytes, written: 0 });
        }
        Ok(())
    }

    /// Writes what is due, then the end if it has come.
    pub(super) fn drain(&mut self, mut sink: &TcpStream, now: Instant) -> io::Result<()> {
        while let Some(chunk) = self.chunks.front_mut().filter(|chunk| chunk.due <= now) {
            match sink.write(&chunk.bytes[chunk.written..]) {
                Err(error) if is_later(&error) => return Ok(()),
                Err(error) => return Err(error),
                Ok(count) => {
                    chunk.written += count;
                    self.held -= count;
                }
            }
            if chunk.written == chunk.bytes.len() {
                self.chunks.pop_front();
            }
        }
        if self.ended && self.chunks.is_empty() && !self.closed {
            self.closed = true;
            sink.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }

    /// Throws away what is on its way.
    pub(super) fn lose(&mut self) {
        self.lost |= !self.chunks.is_empty();
        self.chunks.clear();
        self.held = 0;
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::NotConnected
    )
}
