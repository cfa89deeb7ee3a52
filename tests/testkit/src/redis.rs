//! Private Redis servers, with their data in an append-only file that is written each second.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::{Error, ErrorKind, OrPanic as _};
use crate::folder::Folder;
use crate::poll::try_poll_until;
use crate::ports;
use crate::process::{Process, command, find};
use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(30);

/// A Redis server of one's own, killed and removed on drop. A start takes less than 0.1 s.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    server: Server,
    folder: Folder,
}

impl Redis {
    /// Starts a server, and returns when it answers.
    ///
    /// # Panics
    ///
    /// If `redis-server` is not installed or does not start; the message has its output.
    #[track_caller]
    pub fn start() -> Self {
        Self::try_start().or_panic()
    }

    /// Starts a server, and returns when it answers.
    ///
    /// # Errors
    ///
    /// `MissingServer`, `Exited` or `TimedOut`, the latter with its output.
    pub fn try_start() -> Result<Self, Error> {
        let folder = Folder::new("redis")?;
        let redis = Self { port: ports::free(), server: Server::default(), folder };
        redis.launch()?;
        Ok(redis)
    }

    fn launch(&self) -> Result<(), Error> {
        self.server.restart(|| {
            let program = find("redis-server").ok_or_else(|| Error::missing("redis-server"))?;
            let mut server = command(program);
            server.args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]);
            server.arg("--dir").arg(self.folder.path());
            server.args(["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]);
            server.args(["--daemonize", "no"]);
            let process = Process::spawn("redis-server", server)?;
            let ready =
                try_poll_until("redis-server answers", PATIENCE, || match process.status() {
                    // While it reads its file, the answer is `LOADING`.
                    None => Ok(self.ask(&["PING"]).ok().filter(|answer| answer == "PONG")),
                    Some(status) => {
                        let message = format!("`redis-server` ended ({status})");
                        Err(Error::new(ErrorKind::Exited, message))
                    }
                });
            ready.map_err(|error| {
                Error::new(error.kind(), format!("{error}\n{}", process.tail()))
            })?;
            Ok(process)
        })
    }

    /// The port on which it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        ports::loopback(self.port)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr())
    }

    /// The process number of the server, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// Sends a command and gives the answer: a string or a number; an array as its length alone.
    ///
    /// # Panics
    ///
    /// If it does not answer, or with an error.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> String {
        let answer = self.ask(words);
        let refused = |error| Error::because(ErrorKind::Refused, words.join(" "), error);
        answer.map_err(refused).or_panic()
    }

    fn ask(&self, words: &[&str]) -> io::Result<String> {
        let patience = Duration::from_secs(1);
        let mut socket = TcpStream::connect_timeout(&self.addr(), patience)?;
        socket.set_read_timeout(Some(patience))?;
        let mut request = Vec::new();
        write!(request, "*{}\r\n", words.len())?;
        for word in words {
            write!(request, "${}\r\n{word}\r\n", word.len())?;
        }
        socket.write_all(&request)?;
        answer(&mut BufReader::new(socket))
    }

    /// Kills the server with `SIGKILL` and returns when it is gone.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Ends the server with `SIGTERM` and returns when it is gone.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Stops the server with `SIGSTOP`: connections stay and are accepted, and nothing is answered.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// Lets the server go on after [`pause`](Redis::pause).
    pub fn resume(&self) {
        self.server.resume();
    }

    /// Starts the server again, with the same data and port. One that still runs is stopped before.
    ///
    /// # Panics
    ///
    /// Like [`start`](Redis::start).
    #[track_caller]
    pub fn restart(&self) {
        self.launch().or_panic();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Before its folder is removed.
        self.kill();
    }
}

/// Reads an answer (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).
fn answer(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    let Some((kind, rest)) = line.split_at_checked(1) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    match kind {
        "+" | ":" | "*" => Ok(rest.to_owned()),
        "$" => {
            let length = rest.parse().unwrap_or(0);
            let mut text = String::new();
            reader.take(length).read_to_string(&mut text)?;
            Ok(text)
        }
        _ => Err(io::Error::other(rest.to_owned())),
    }
}
