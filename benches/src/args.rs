//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::measure::Effort;

/// What is to be measured, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Args {
    /// Fewer and shorter repetitions.
    pub(crate) quick: bool,
    /// These peers alone, beside the baseline; all if empty. Part of a name is enough.
    pub(crate) peers: Vec<String>,
    /// These workloads alone; all if empty. `W4` stands for `W4a` and its like.
    pub(crate) workloads: Vec<String>,
    /// Where the JSON goes.
    pub(crate) json: Option<PathBuf>,
    /// Where the table goes, between its markers.
    pub(crate) readme: Option<PathBuf>,
    /// Measures here, with the cores that this process has, and prints JSON.
    pub(crate) here: bool,
    /// One core alone, or both alone.
    pub(crate) column: Option<String>,
    /// Runs one workload of ours so often, for a profiler.
    pub(crate) profile: Option<u64>,
}

impl Args {
    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// An unknown one, or one without its value.
    pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("`{arg}` wants a value"));
            match arg.as_str() {
                "--quick" => parsed.quick = true,
                "--peer" => parsed.peers.push(value()?.to_lowercase()),
                "--workload" => parsed.workloads.push(value()?.to_lowercase()),
                "--json" => parsed.json = Some(value()?.into()),
                "--write-readme" => parsed.readme = Some(value()?.into()),
                "--column" => parsed.column = Some(value()?),
                "--here" => parsed.here = true,
                "--profile" => {
                    let count = value()?;
                    let wrong = |_| format!("`{count}` is no count");
                    parsed.profile = Some(count.parse().map_err(wrong)?);
                }
                _ => {
                    let known = "--quick, --peer P, --workload W, --column one|both, --json FILE \
                                 and --write-readme FILE";
                    return Err(format!("unknown argument `{arg}`; known are {known}"));
                }
            }
        }
        Ok(parsed)
    }

    /// Whether this peer is to be measured. Ours always is.
    pub(crate) fn wants_peer(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.peers.is_empty()
            || name.starts_with("autobus")
            || self.peers.iter().any(|peer| name.contains(peer))
    }

    /// Whether this workload is to be measured.
    pub(crate) fn wants_workload(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.workloads.is_empty() || self.workloads.iter().any(|wanted| name.starts_with(wanted))
    }

    /// How long and how often.
    pub(crate) fn effort(&self) -> Effort {
        if self.quick {
            Effort { time: Duration::from_millis(6), repetitions: 5 }
        } else {
            Effort { time: Duration::from_millis(25), repetitions: 15 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, String> {
        Args::parse(args.iter().map(ToString::to_string))
    }

    #[test]
    fn nothing_means_everything() {
        let args = parse(&[]).unwrap();
        assert!(args.wants_peer("kameo") && args.wants_workload("W3a"));
    }

    #[test]
    fn a_peer_and_a_workload_narrow_it_down() {
        let args = parse(&["--peer", "Kameo", "--workload", "W4"]).unwrap();
        assert!(args.wants_peer("kameo") && args.wants_peer("autobus"));
        assert!(!args.wants_peer("actix"));
        assert!(args.wants_workload("W4a") && !args.wants_workload("W3a"));
    }

    #[test]
    fn an_unknown_argument_names_the_known_ones() {
        let error = parse(&["--qick"]).unwrap_err();
        assert!(error.starts_with("unknown argument `--qick`; known are --quick, "), "{error}");
        assert_eq!(parse(&["--peer"]).unwrap_err(), "`--peer` wants a value");
    }
}
