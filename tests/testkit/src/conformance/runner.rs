//! Each case a test of its own, and the skipped ones pinned.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use super::{Bench, Case, Harness, TRAIT};

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    golden: &'static str,
    ignored: Option<&'static str>,
    cases: Vec<(&'static str, &'static [Case])>,
}

/// Set it to write the golden files anew.
const BLESS: &str = "CONFORMANCE_BLESS";

impl Plan {
    /// Every case of the trait; the names of those that are skipped are in the file at `golden`.
    pub fn new(golden: &'static str) -> Self {
        Self { golden, ignored: None, cases: TRAIT.to_vec() }
    }

    /// And these.
    #[must_use]
    pub fn with(mut self, cases: &[(&'static str, &'static [Case])]) -> Self {
        self.cases.extend_from_slice(cases);
        self
    }

    /// Its cases are ignored unless one asks for them, as with `#[ignore = "why"]`.
    #[must_use]
    pub fn ignored(mut self, why: &'static str) -> Self {
        self.ignored = Some(why);
        self
    }

    fn all(&self) -> impl Iterator<Item = (String, &'static Case)> {
        let named = |part: &str, case: &Case| format!("{part}::{}", case.name);
        self.cases
            .iter()
            .flat_map(move |(part, cases)| cases.iter().map(move |case| (named(part, case), case)))
    }
}

/// Runs a plan as the tests of this process, by the arguments of `cargo test`.
pub fn run<H: Harness>(plan: &Plan) -> ExitCode {
    let arguments = Arguments::from_args();
    let mut skipped = String::new();
    let mut trials = Vec::new();
    for (name, case) in plan.all() {
        let missing = case.needs.iter().find(|need| !H::meets().contains(need));
        if let Some(need) = missing {
            let _ = writeln!(skipped, "{name}: {need:?}");
            continue;
        }
        let trial = Trial::test(name, || {
            (case.test)(&Bench::new(H::fresh()));
            Ok(())
        });
        let trial = trial.with_ignored_flag(plan.ignored.is_some());
        trials.push(match plan.ignored {
            Some(why) => trial.with_kind(why),
            None => trial,
        });
    }
    trials.push(Trial::test("what_is_skipped_is_pinned", {
        let golden = plan.golden;
        move || pinned(golden, &skipped)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn pinned(golden: &str, skipped: &str) -> Result<(), Failed> {
    if std::env::var_os(BLESS).is_some() {
        return Ok(fs::write(golden, skipped)?);
    }
    let known = fs::read_to_string(golden).unwrap_or_default();
    if known == skipped {
        return Ok(());
    }
    let name = Path::new(golden).file_name().unwrap_or_default().display();
    Err(format!(
        "the skipped cases are not those of {name}; {BLESS}=1 writes it anew\n\
         --- pinned\n{known}--- skipped\n{skipped}"
    )
    .into())
}
