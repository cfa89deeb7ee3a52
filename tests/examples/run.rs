//! Runs an example and gathers what it prints.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// An example that is about to run.
pub(crate) struct Example(Command);

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) success: bool,
}

/// The example of this name, with nothing on standard input and nothing chosen by the environment.
pub(crate) fn example(name: &str) -> Example {
    let mut command = Command::new(program(name));
    command
        .env_remove("BUS_URL")
        .env_remove("BUS_SERVICES")
        .env_remove("LEDGER_URL")
        .stdin(Stdio::null());
    Example(command)
}

/// Cargo builds the examples before it runs tests, next to the folder that this test runs from.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("tests run in `deps`");
    let path = profile.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "the example `{name}` is not built; `cargo test` builds it, as does `cargo build --examples`"
    );
    path
}

impl Example {
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    pub(crate) fn env(mut self, variable: &str, value: &str) -> Self {
        self.0.env(variable, value);
        self
    }

    pub(crate) fn stdin(mut self, input: impl Into<Stdio>) -> Self {
        self.0.stdin(input);
        self
    }

    pub(crate) fn run(mut self) -> Run {
        let output = self.0.output().expect("a program that was built can be run");
        Run {
            stdout: String::from_utf8(output.stdout).expect("examples print Unicode"),
            stderr: String::from_utf8(output.stderr).expect("examples print Unicode"),
            success: output.status.success(),
        }
    }
}
