//! Lines from a file or from standard input.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, stdin};

use indicatif::{ProgressBar, ProgressStyle};

/// From how many bytes on a file is worth a progress bar.
const LONG: u64 = 1 << 20;

/// The lines of a file or of standard input.
pub struct Input {
    name: String,
    reader: Box<dyn BufRead>,
    progress: ProgressBar,
    number: u64,
    line: Vec<u8>,
}

/// A line of the input that is not blank.
pub struct InputLine<'a> {
    /// Counted from 1.
    pub number: u64,
    /// As it was read: whether it is Unicode is for others to tell.
    pub text: &'a [u8],
}

impl Input {
    /// Opens the file at `path`, or standard input if there is none or it is `-`.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn open(path: Option<OsString>) -> Result<Self, InputError> {
        let Some(path) = path.filter(|path| path != "-") else {
            if stdin().is_terminal() {
                eprintln!("reading orders from standard input; end it with Ctrl-D");
            }
            // Its end is unknown, so there is no progress to show.
            let name = "standard input".to_owned();
            return Ok(Self::new(name, Box::new(stdin().lock()), ProgressBar::hidden()));
        };
        let name = path.to_string_lossy().into_owned();
        match File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file))) {
            Ok((length, file)) => {
                Ok(Self::new(name, Box::new(BufReader::new(file)), progress(length)))
            }
            Err(source) => Err(InputError { name, source }),
        }
    }

    fn new(name: String, reader: Box<dyn BufRead>, progress: ProgressBar) -> Self {
        Self { name, reader, progress, number: 0, line: Vec::new() }
    }

    /// The next line that is not blank; `None` at the end.
    ///
    /// # Errors
    ///
    /// If the input cannot be read.
    pub fn next_line(&mut self) -> Result<Option<InputLine<'_>>, InputError> {
        loop {
            self.line.clear();
            let read = self.reader.read_until(b'\n', &mut self.line);
            let length = read.map_err(|source| InputError { name: self.name.clone(), source })?;
            if length == 0 {
                self.progress.finish_and_clear();
                return Ok(None);
            }
            self.number += 1;
            self.progress.inc(length as u64);
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(InputLine { number: self.number, text: &self.line }));
            }
        }
    }

    /// Prints to standard error, beside the progress bar.
    pub fn warn(&self, text: &str) {
        self.progress.suspend(|| eprintln!("{text}"));
    }
}

/// A bar for a long file; it is drawn only where standard error is a terminal.
fn progress(length: u64) -> ProgressBar {
    if length < LONG {
        return ProgressBar::hidden();
    }
    let progress = ProgressBar::new(length);
    match ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {eta} left") {
        Ok(style) => progress.with_style(style),
        Err(_) => progress,
    }
}

/// An input that cannot be read.
#[derive(Debug)]
pub struct InputError {
    name: String,
    source: io::Error,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, source } = self;
        write!(
            f,
            "cannot read {name}: {source}; name a file of orders, such as \
             examples/shop/orders.jsonl, or give them on standard input"
        )
    }
}

impl std::error::Error for InputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
