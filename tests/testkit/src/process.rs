//! Child processes: killed on drop, their output awaited line by line.
//!
//! A thread owns the child and reaps it; signals are sent under the same lock, so that none ever
//! reaches a process that was reaped and whose number another one got.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::error::{Error, ErrorKind, OrPanic as _};
use crate::poll::PATIENCE;

/// How many of the last lines of output an error shows.
const TAIL: usize = 30;

/// A running child: what it prints is kept, and it is killed on drop.
///
/// Its standard input is a pipe, open until [`close_stdin`](Process::close_stdin).
pub struct Process {
    name: String,
    pid: Pid,
    shared: Arc<Shared>,
    stdin: Mutex<Option<ChildStdin>>,
    reaper: Option<JoinHandle<()>>,
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
}

/// What is known of a process by now.
struct Seen {
    /// Both streams, in the order in which they were read.
    lines: Vec<String>,
    /// How many streams have not ended.
    open: usize,
    status: Option<ExitStatus>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

/// A command for a program that dies with this process, even if this one is killed with `SIGKILL`.
///
/// That takes `setpriv` of util-linux. Where it does not exist, as on macOS, a killed test leaves its
/// children behind.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    match find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// The file of a program, as a shell finds it.
pub(crate) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

impl Process {
    /// Starts a program, most often one of [`command`]. `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// `Io` if it cannot be started.
    pub fn spawn(name: impl Into<String>, mut command: Command) -> Result<Self, Error> {
        let name = name.into();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error| Error::because(ErrorKind::Io, format!("cannot start `{name}`"), error);
        let mut child = spawn_from_keeper(command).map_err(failed)?;
        let pid = Pid::from_child(&child);
        let seen = Seen { lines: Vec::new(), open: 2, status: None };
        let shared = Arc::new(Shared { seen: Mutex::new(seen), changed: Condvar::new() });
        let stdin = Mutex::new(child.stdin.take());
        read(&shared, child.stdout.take());
        read(&shared, child.stderr.take());
        let reaper = thread::spawn({
            let shared = Arc::clone(&shared);
            move || reap(&shared, pid, child)
        });
        Ok(Self { name, pid, shared, stdin, reaper: Some(reaper) })
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// What it has printed so far, on both streams.
    pub fn lines(&self) -> Vec<String> {
        self.shared.lock().lines.clone()
    }

    /// The last lines that it printed.
    pub fn tail(&self) -> String {
        tail(&self.shared.lock().lines)
    }

    /// Waits for a line, printed already or yet to come, for at most 30 s.
    ///
    /// # Panics
    ///
    /// If it does not come in time, or the process ends without it.
    #[track_caller]
    pub fn wait_for_line(&self, wanted: impl FnMut(&str) -> bool) -> String {
        self.line_within(PATIENCE, wanted).or_panic()
    }

    /// Waits for a line, printed already or yet to come.
    ///
    /// # Errors
    ///
    /// `TimedOut`, or `Exited` if the process ended without it, each with its last lines.
    pub fn line_within(
        &self,
        patience: Duration,
        mut wanted: impl FnMut(&str) -> bool,
    ) -> Result<String, Error> {
        let mut looked_at = 0;
        self.await_in(patience, "print the line", |seen| {
            let found = seen.lines[looked_at..].iter().find(|line| wanted(line)).cloned();
            looked_at = seen.lines.len();
            found
        })
    }

    /// Its exit status, if it has ended.
    pub fn status(&self) -> Option<ExitStatus> {
        self.shared.lock().status
    }

    /// Waits for its end, for at most 30 s.
    ///
    /// # Panics
    ///
    /// If it does not end in time.
    #[track_caller]
    pub fn wait(&self) -> ExitStatus {
        self.wait_within(PATIENCE).or_panic()
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// `TimedOut`, with its last lines.
    pub fn wait_within(&self, patience: Duration) -> Result<ExitStatus, Error> {
        self.await_in(patience, "end", |seen| seen.status)
    }

    /// Waits for `find` to find something in what is seen of the process.
    fn await_in<T>(
        &self,
        patience: Duration,
        what: &str,
        mut find: impl FnMut(&Seen) -> Option<T>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + patience;
        let mut seen = self.shared.lock();
        loop {
            if let Some(found) = find(&seen) {
                return Ok(found);
            }
            let tail = tail(&seen.lines);
            if let (Some(status), 0) = (seen.status, seen.open) {
                let message =
                    format!("`{}` ended ({status}) and did not {what}\n{tail}", self.name);
                return Err(Error::new(ErrorKind::Exited, message));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seconds = patience.as_secs_f64();
                let message =
                    format!("`{}` did not {what} within {seconds:.0} s\n{tail}", self.name);
                return Err(Error::new(ErrorKind::TimedOut, message));
            }
            let changed = self.shared.changed.wait_timeout(seen, left);
            seen = changed.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    ///
    /// `Io` if it does not read, or its input was closed.
    pub fn write_line(&self, line: &str) -> Result<(), Error> {
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match stdin.as_mut() {
            Some(stdin) => writeln!(stdin, "{line}").and_then(|()| stdin.flush()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        written.map_err(|error| {
            Error::because(ErrorKind::Io, format!("cannot write to `{}`", self.name), error)
        })
    }

    /// Closes its standard input, which ends programs that read to the end of it.
    pub fn close_stdin(&self) {
        *self.stdin.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Kills it with `SIGKILL` and returns when it is gone. Nothing happens if it has ended.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        // A kill cannot be refused; only a process in the kernel's hands takes its time.
        let _ = self.wait_within(PATIENCE);
    }

    /// Asks it to end, with `SIGTERM`, and does not wait. Nothing happens if it has ended.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it with `SIGSTOP`: it keeps its connections, and does nothing.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`pause`](Process::pause), with `SIGCONT`.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // Under the lock, without which the process might be reaped in between.
        let seen = self.shared.lock();
        if seen.status.is_none() {
            // It exists, at least as a zombie, and is ours: there is nothing to refuse.
            let _ = kill_process(self.pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(reaper) = self.reaper.take() {
            let _ = reaper.join();
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        f.debug_struct("Process")
            .field("name", &self.name)
            .field("pid", &self.pid)
            .field("status", &status)
            .finish_non_exhaustive()
    }
}

fn tail(lines: &[String]) -> String {
    let shown = &lines[lines.len().saturating_sub(TAIL)..];
    if shown.is_empty() { "it printed nothing".to_owned() } else { shown.join("\n") }
}

/// Gathers the lines of a stream on a thread of its own, until the stream ends.
fn read(shared: &Arc<Shared>, stream: Option<impl Read + Send + 'static>) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut reader = stream.map(BufReader::new);
        let mut bytes = Vec::new();
        while let Some(Ok(1..)) = reader.as_mut().map(|reader| reader.read_until(b'\n', &mut bytes))
        {
            let line = String::from_utf8_lossy(&bytes);
            let line = line.trim_end_matches(['\n', '\r']).to_owned();
            shared.change(|seen| seen.lines.push(line));
            bytes.clear();
        }
        shared.change(|seen| seen.open -= 1);
    });
}

/// Waits for the end of the child, and reaps it when no signal can be under way.
fn reap(shared: &Shared, pid: Pid, mut child: Child) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
    shared.change(|seen| seen.status = Some(child.wait().unwrap_or_default()));
}

/// Starts a child from a thread that lives as long as this process.
///
/// The death signal of `setpriv` comes when the *thread* that started the child ends (`prctl(2)`), and
/// the thread of a test ends long before its process.
fn spawn_from_keeper(command: Command) -> io::Result<Child> {
    type Request = (Command, Sender<io::Result<Child>>);
    static KEEPER: OnceLock<Sender<Request>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        thread::spawn(move || {
            for (mut command, answer) in requests {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, child) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes is gone");
    keeper.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use rustix::process::test_kill_process;

    use super::*;

    fn shell(script: &str) -> Process {
        let mut sh = command("sh");
        sh.args(["-c", script]);
        Process::spawn("sh", sh).unwrap()
    }

    #[test]
    fn a_line_is_awaited_and_stays() {
        let child = shell("read line; echo got $line; echo error >&2; cat");
        child.write_line("tea").unwrap();
        assert_eq!(child.wait_for_line(|line| line.starts_with("got")), "got tea");
        child.wait_for_line(|line| line == "error");
        child.wait_for_line(|line| line == "got tea");
    }

    #[test]
    fn a_line_that_never_comes_is_an_error_with_the_output() {
        let ended = shell("echo no such plugin; exit 3");
        let error = ended.line_within(PATIENCE, |line| line == "ready").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exited);
        let message = error.to_string();
        assert!(
            message.contains("exit status: 3") && message.contains("no such plugin"),
            "{error}"
        );

        let silent = shell("read line");
        let error = silent.line_within(Duration::from_millis(1), |_| true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn the_end_of_input_ends_who_reads_it() {
        let child = shell("cat; exit 7");
        assert_eq!(child.status(), None);
        child.close_stdin();
        assert_eq!(child.wait().code(), Some(7));
        assert_eq!(child.write_line("late").unwrap_err().kind(), ErrorKind::Io);
    }

    #[test]
    fn a_kill_waits_for_the_end_and_is_harmless_afterwards() {
        let child = shell("read line");
        child.kill();
        assert!(child.status().is_some_and(|status| status.code().is_none()));
        child.kill();
        child.pause();
    }

    #[test]
    fn the_drop_of_a_process_kills_it() {
        let child = shell("read line");
        let pid = child.pid;
        assert_eq!(test_kill_process(pid), Ok(()));
        drop(child);
        assert_eq!(test_kill_process(pid), Err(rustix::io::Errno::SRCH));
    }

    #[test]
    fn a_paused_process_does_nothing_until_it_is_resumed() {
        let child = shell("while read line; do echo $line; done");
        child.write_line("one").unwrap();
        child.wait_for_line(|line| line == "one");
        child.pause();
        child.write_line("two").unwrap();
        assert_eq!(
            child.line_within(Duration::from_millis(50), |line| line == "two").unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        child.resume();
        child.wait_for_line(|line| line == "two");
    }

    #[test]
    fn the_end_of_the_thread_that_asked_for_a_process_does_not_end_it() {
        let start = || {
            let child = shell("echo started; read line; echo alive");
            // By now it has asked for the signal.
            child.wait_for_line(|line| line == "started");
            child
        };
        let child = thread::spawn(start).join().unwrap();
        child.write_line("go").unwrap();
        child.wait_for_line(|line| line == "alive");
    }

    #[test]
    fn a_program_that_cannot_be_started_is_named() {
        let error = Process::spawn("ghost", Command::new("/no/such/ghost")).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Io, "cannot start `ghost`")
        );
    }
}
