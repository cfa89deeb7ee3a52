//! What must pass: each step is one cargo command.
//!
//! All steps share the target folder and the `dev` profile, so that each builds only what the ones
//! before it did not. The cheap ones come first.

use std::fmt;

/// One cargo command that must succeed.
pub(crate) struct Step {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it makes sure of.
    pub(crate) about: &'static str,
    /// What is set in its environment.
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// The arguments of cargo.
    pub(crate) args: &'static [&'static str],
    /// What must be there when it runs.
    pub(crate) needs: Needs,
}

/// What a step needs beside cargo.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Needs {
    Nothing,
    /// The servers of [`SERVERS`](crate::servers::SERVERS), and the RabbitMQ node of the run.
    Servers,
}

/// Every step, in the order in which they run.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the sources are formatted",
        env: &[],
        args: &["fmt", "--all", "--check"],
        needs: Needs::Nothing,
    },
    Step {
        name: "clippy",
        about: "no lint warns, in any target",
        env: &[],
        args: &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"],
        needs: Needs::Nothing,
    },
    Step {
        name: "clippy-tokio",
        about: "no lint warns with the feature `tokio`",
        env: &[],
        args: &[
            "clippy",
            "--package=autobus",
            "--package=autobus-core",
            "--all-targets",
            "--features=tokio",
            "--",
            "--deny",
            "warnings",
        ],
        needs: Needs::Nothing,
    },
    // Before the tests, which run them: `--tests` alone would not build them.
    Step {
        name: "examples",
        about: "the examples build",
        env: &[],
        args: &["build", "--workspace", "--examples"],
        needs: Needs::Nothing,
    },
    Step {
        name: "tests",
        about: "unit and integration tests pass, those that run the examples among them",
        env: &[],
        args: &["test", "--workspace", "--lib", "--bins", "--tests"],
        needs: Needs::Nothing,
    },
    Step {
        name: "doctests",
        about: "the code in the documentation and the README runs",
        env: &[],
        args: &["test", "--workspace", "--doc"],
        needs: Needs::Nothing,
    },
    Step {
        name: "docs",
        about: "the documentation builds without a warning",
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        args: &["doc", "--workspace", "--no-deps"],
        needs: Needs::Nothing,
    },
    // The packages of the workspace ask for `amqp`, so `tests` has run with that; this runs without.
    Step {
        name: "tokio",
        about: "all of it passes with the feature `tokio`; what compiles does not depend on it",
        env: &[],
        args: &[
            "test",
            "--package=autobus",
            "--package=autobus-core",
            "--lib",
            "--tests",
            "--features=tokio",
            "--",
            "--skip=programs",
            "--skip=unmet_bounds",
        ],
        needs: Needs::Nothing,
    },
    // One step for all packages, whose tests share the node of the run.
    Step {
        name: "servers",
        about: "what needs servers passes with private ones",
        env: &[],
        args: &[
            "test",
            "--package=autobus-amqp",
            "--package=autobus-example-coordinator",
            "--package=autobus-testkit",
            "--lib",
            "--tests",
            "--",
            "--ignored",
        ],
        needs: Needs::Servers,
    },
    // Before the tests that run it.
    Step {
        name: "shop",
        about: "the shop builds with RabbitMQ",
        env: &[],
        args: &["build", "--package=autobus", "--features=amqp", "--example=shop"],
        needs: Needs::Nothing,
    },
    Step {
        name: "faults",
        about: "the shop as five processes loses nothing, whatever is killed on the way",
        env: &[],
        args: &[
            "test",
            "--package=autobus",
            "--features=amqp",
            "--test=shop_amqp",
            "--test=faults",
            "--test=disconnected",
            "--",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ],
        needs: Needs::Servers,
    },
    // A folder of its own: the flag would have everything else built anew.
    Step {
        name: "interleavings",
        about: "mailbox, turn and promise keep their promises in every interleaving",
        env: &[("RUSTFLAGS", "--cfg autobus_loom")],
        args: &[
            "test",
            "--package=autobus-core",
            "--lib",
            "--release",
            "--target-dir=target/interleavings",
            "interleavings",
        ],
        needs: Needs::Nothing,
    },
    Step {
        name: "bench-lints",
        about: "no lint warns in the benchmark with its peers; its tests are among `tests`",
        env: &[],
        args: &[
            "clippy",
            "--package=autobus-bench",
            "--features=peers",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ],
        needs: Needs::Nothing,
    },
    Step {
        name: "instructions",
        about: "no operation takes many more instructions than it did",
        env: &[],
        args: &["xtask", "bench", "--instructions", "--check"],
        needs: Needs::Servers,
    },
];

/// The step's command line, as a shell takes it.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (variable, value) in self.env {
            write!(f, "{variable}='{value}' ")?;
        }
        write!(f, "cargo {}", self.args.join(" "))
    }
}
