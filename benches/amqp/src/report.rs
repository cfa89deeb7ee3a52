//! The table and the JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::measure::{Peer, Timing, Work};
use crate::stats::{Summary, ratio};

/// What one peer made of one kind of work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    /// What was done.
    pub(crate) work: String,
    /// Who did it.
    pub(crate) peer: &'static str,
    /// Of the numbers: messages a second, or microseconds a call.
    pub(crate) unit: &'static str,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// To raw lapin, the median of the repetitions' ratios.
    pub(crate) ratio: Option<f64>,
    /// To raw lapin with the same messages.
    pub(crate) ratio_same: Option<f64>,
    /// What the ratio of ours should be: at least, or at most if it is a time.
    pub(crate) target: f64,
}

const BEGIN: &str = "<!-- bench amqp: begin -->\n";
const END: &str = "<!-- bench amqp: end -->";

/// A row for each timing.
pub(crate) fn rows(timings: &[Timing]) -> Vec<Row> {
    let row = |timing: &Timing| {
        let Timing { work, peer, .. } = *timing;
        let (unit, target) = match work {
            Work::Publish(_) => ("messages/s", 0.9),
            Work::Consume(_) => ("messages/s", 0.8),
            Work::Call => ("µs", 1.25),
        };
        let values = |timing: &Timing| -> Vec<f64> {
            let scaled =
                |seconds: &f64| if work == Work::Call { seconds * 1e6 } else { 1.0 / seconds };
            timing.seconds.iter().map(scaled).collect()
        };
        let own = values(timing);
        let ratio_to = |baseline: Peer| {
            let same = |other: &&Timing| other.work == work && other.peer == baseline;
            timings.iter().find(same).map(|timing| ratio(&own, &values(timing)))
        };
        let (ratio, ratio_same) = (ratio_to(Peer::Lapin), ratio_to(Peer::Dressed));
        let Summary { median, min, max } = Summary::of(&own);
        Row {
            work: work.name(),
            peer: peer.name(),
            unit,
            median,
            min,
            max,
            ratio,
            ratio_same,
            target,
        }
    };
    timings.iter().map(row).collect()
}

/// The rows as Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| Work | Peer | median | min | max | to raw lapin | to the same messages | target |\n",
    );
    text.push_str("|---|---|---:|---:|---:|---:|---:|---:|\n");
    for row in rows {
        let Row { work, peer, unit, median, min, max, ratio, ratio_same, target } = row;
        let target = match (*peer, *unit) {
            ("autobus", "µs") => format!("≤ {target}"),
            ("autobus", _) => format!("≥ {target}"),
            _ => String::new(),
        };
        let shown = |ratio: &Option<f64>| {
            ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
        };
        let (ratio, ratio_same) = (shown(ratio), shown(ratio_same));
        let _ = writeln!(
            text,
            "| {work} | {peer} | {median:.0} {unit} | {min:.0} | {max:.0} | {ratio} | {ratio_same} | {target} |"
        );
    }
    text
}

/// `text` with `table` between its markers.
///
/// # Errors
///
/// If it has no markers.
pub(crate) fn replace(text: &str, table: &str) -> Result<String, String> {
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
        rest.split_once(END).map(|(_, after)| format!("{before}{BEGIN}{table}{END}{after}"))
    });
    parts
        .ok_or_else(|| format!("no table to replace; put `{}` and `{END}` there", BEGIN.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timings() -> [Timing; 3] {
        let timing =
            |peer, seconds: &[f64]| Timing { work: Work::Call, peer, seconds: seconds.to_vec() };
        let (lapin, same) = ([1e-3, 2e-3], [1.2e-3, 2.4e-3]);
        let ours = timing(Peer::Autobus, &[1.5e-3, 3e-3]);
        [timing(Peer::Lapin, &lapin), timing(Peer::Dressed, &same), ours]
    }

    #[test]
    fn the_ratios_are_to_raw_lapin() {
        let table = table(&rows(&timings()));
        let last = table.lines().last().unwrap();
        assert_eq!(last, "| call | autobus | 2250 µs | 1500 | 3000 | 1.50 | 1.25 | ≤ 1.25 |");
    }

    #[test]
    fn a_ratio_to_what_was_not_measured_is_none() {
        let table = table(&rows(&timings()[2..]));
        assert!(table.ends_with("| – | – | ≤ 1.25 |\n"), "{table}");
    }

    #[test]
    fn the_table_stands_between_the_markers_and_nothing_else_moves() {
        let text = format!("a\n{BEGIN}old\n{END}\nb");
        assert_eq!(replace(&text, "new\n").unwrap(), format!("a\n{BEGIN}new\n{END}\nb"));
        assert!(replace("none", "new").is_err());
    }
}
