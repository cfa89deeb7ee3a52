//! The command line.

use std::path::PathBuf;

use crate::measure::Effort;

/// What is to be measured, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Args {
    /// Fewer and shorter repetitions.
    pub(crate) quick: bool,
    /// This work alone; all if empty. Part of a name is enough.
    pub(crate) works: Vec<String>,
    /// These peers alone; all if empty. Part of a name is enough.
    pub(crate) peers: Vec<String>,
    /// How often each does everything.
    pub(crate) repetitions: Option<u64>,
    /// Where the JSON goes.
    pub(crate) json: Option<PathBuf>,
    /// Where the table goes, between its markers.
    pub(crate) readme: Option<PathBuf>,
    /// Does one kind of work of ours, for a profiler.
    pub(crate) profile: Option<String>,
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
                "--work" => parsed.works.push(value()?),
                "--peer" => parsed.peers.push(value()?),
                "--repetitions" => {
                    let count = value()?;
                    let wrong = |_| format!("`{count}` is no count");
                    parsed.repetitions = Some(count.parse().map_err(wrong)?);
                }
                "--json" => parsed.json = Some(value()?.into()),
                "--write-readme" => parsed.readme = Some(value()?.into()),
                "--profile" => parsed.profile = Some(value()?),
                _ => {
                    let known = "--quick, --work W, --peer P, --repetitions N, --json FILE, \
                                 --write-readme FILE and --profile publish|consume|call";
                    return Err(format!("unknown argument `{arg}`; known are {known}"));
                }
            }
        }
        Ok(parsed)
    }

    /// Whether this work is to be measured.
    pub(crate) fn wants(&self, work: &str) -> bool {
        self.works.is_empty() || self.works.iter().any(|wanted| work.contains(wanted))
    }

    /// Whether this peer is to be measured.
    pub(crate) fn wants_peer(&self, peer: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|wanted| peer.contains(wanted))
    }

    /// How much, and how often.
    pub(crate) fn effort(&self) -> Effort {
        let effort = if self.quick {
            Effort { repetitions: 3, warm: 200, orders: 5_000, calls: 200 }
        } else {
            Effort { repetitions: 9, warm: 1_000, orders: 21_000, calls: 1_000 }
        };
        Effort { repetitions: self.repetitions.unwrap_or(effort.repetitions), ..effort }
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
        assert!(args.wants("publish, quorum") && args.wants_peer("raw amqprs"));
    }

    #[test]
    fn works_and_peers_narrow_it_down() {
        let args = parse(&["--work", "classic", "--peer", "lapin"]).unwrap();
        assert!(args.wants("publish, classic") && !args.wants("publish, quorum"));
        assert!(args.wants_peer("raw lapin") && !args.wants_peer("autobus"));
    }

    #[test]
    fn an_unknown_argument_names_the_known_ones() {
        let error = parse(&["--qick"]).unwrap_err();
        assert!(error.starts_with("unknown argument `--qick`; known are --quick, "), "{error}");
        assert_eq!(parse(&["--peer"]).unwrap_err(), "`--peer` wants a value");
    }
}
