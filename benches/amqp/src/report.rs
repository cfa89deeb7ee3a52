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
    pub(crate) ratio: f64,
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
        let same = |other: &&Timing| other.work == work && other.peer == Peer::Lapin;
        let baseline = timings.iter().find(same).map(values).unwrap_or_default();
        let own = values(timing);
        let Summary { median, min, max } = Summary::of(&own);
        let ratio = ratio(&own, &baseline);
        Row { work: work.name(), peer: peer.name(), unit, median, min, max, ratio, target }
    };
    timings.iter().map(row).collect()
}

/// The rows as Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::from("| Work | Peer | median | min | max | ratio | target |\n");
    text.push_str("|---|---|---:|---:|---:|---:|---:|\n");
    for row in rows {
        let Row { work, peer, unit, median, min, max, ratio, target } = row;
        let target = match (*peer, *unit) {
            ("autobus", "µs") => format!("≤ {target}"),
            ("autobus", _) => format!("≥ {target}"),
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "| {work} | {peer} | {median:.0} {unit} | {min:.0} | {max:.0} | {ratio:.2} | {target} |"
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

    fn timings() -> [Timing; 2] {
        let timing =
            |peer, seconds: &[f64]| Timing { work: Work::Call, peer, seconds: seconds.to_vec() };
        [timing(Peer::Lapin, &[1e-3, 2e-3]), timing(Peer::Autobus, &[1.5e-3, 3e-3])]
    }

    #[test]
    fn the_ratio_is_to_raw_lapin() {
        let rows = rows(&timings());
        assert!((rows[0].ratio - 1.0).abs() < 1e-9 && (rows[1].ratio - 1.5).abs() < 1e-9);
        let table = table(&rows);
        let last = table.lines().last().unwrap();
        assert_eq!(last, "| call | autobus | 2250 µs | 1500 | 3000 | 1.50 | ≤ 1.25 |");
    }

    #[test]
    fn the_table_stands_between_the_markers_and_nothing_else_moves() {
        let text = format!("a\n{BEGIN}old\n{END}\nb");
        assert_eq!(replace(&text, "new\n").unwrap(), format!("a\n{BEGIN}new\n{END}\nb"));
        assert!(replace("none", "new").is_err());
    }
}
