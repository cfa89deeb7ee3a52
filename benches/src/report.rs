//! The table and the JSON.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::measure::{Summary, Timing, Workload, ratio};

/// What one peer took for one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The workload's name.
    pub(crate) workload: String,
    /// What one operation of it is.
    pub(crate) about: String,
    /// What our ratio should be at most.
    pub(crate) target: f64,
    /// Who.
    pub(crate) peer: String,
    /// Nanoseconds an operation.
    pub(crate) median: f64,
    /// The least of all repetitions.
    pub(crate) min: f64,
    /// The most.
    pub(crate) max: f64,
    /// To the baseline, the median of the repetitions' ratios.
    pub(crate) ratio: f64,
}

/// All rows of one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Column {
    /// What it was confined to.
    pub(crate) title: String,
    /// Its rows.
    pub(crate) rows: Vec<Row>,
}

const BEGIN: &str = "<!-- bench: begin -->\n";
const END: &str = "<!-- bench: end -->";

/// The rows of a workload; the first timing is the baseline's.
pub(crate) fn rows(workload: &Workload, timings: &[Timing]) -> Vec<Row> {
    let Some(baseline) = timings.first() else { return Vec::new() };
    let row = |timing: &Timing| {
        let Summary { median, min, max } = Summary::of(&timing.nanoseconds);
        Row {
            workload: workload.name.to_owned(),
            about: workload.about.to_owned(),
            target: workload.target,
            peer: timing.peer.to_owned(),
            median,
            min,
            max,
            ratio: ratio(&timing.nanoseconds, &baseline.nanoseconds),
        }
    };
    timings.iter().map(row).collect()
}

/// Every peer of every workload, as Markdown.
pub(crate) fn table(columns: &[Column]) -> String {
    let mut text = String::new();
    let Some(first) = columns.first() else { return text };
    let mut heading = String::new();
    for row in &first.rows {
        if row.workload != heading {
            heading.clone_from(&row.workload);
            let Row { workload, about, target, .. } = row;
            let _ = writeln!(text, "\n### {workload}: {about}\n\nTarget: {target:.1}\n");
            let mut line = String::from("| Peer |");
            let mut rule = String::from("|---|");
            for column in columns {
                let title = &column.title;
                let _ = write!(line, " {title}: median | min | max | ratio |");
                rule.push_str("---:|---:|---:|---:|");
            }
            let _ = writeln!(text, "{line}\n{rule}");
        }
        let _ = write!(text, "| {} |", row.peer);
        for column in columns {
            let same = |r: &&Row| r.workload == row.workload && r.peer == row.peer;
            match column.rows.iter().find(same) {
                Some(Row { median, min, max, ratio, .. }) => {
                    let (median, min, max) = (time(*median), time(*min), time(*max));
                    let _ = write!(text, " {median} | {min} | {max} | {ratio:.2} |");
                }
                None => text.push_str(" – | – | – | – |"),
            }
        }
        text.push('\n');
    }
    text
}

/// One line a workload: ours beside the baseline and the fastest other, for the README.
pub(crate) fn ours(columns: &[Column]) -> String {
    let mut text = String::from("| Workload | Compared with |");
    let mut rule = String::from("|---|---|");
    for column in columns {
        let title = &column.title;
        let _ = write!(text, " {title}: ours | ratio | fastest other |");
        rule.push_str("---:|---:|---|");
    }
    let _ = write!(text, "\n{rule}\n");
    let Some(first) = columns.first() else { return text };
    let mut seen = "";
    for baseline in &first.rows {
        if baseline.workload == seen {
            continue;
        }
        seen = &baseline.workload;
        let Row { workload, about, peer, .. } = baseline;
        let _ = write!(text, "| {workload} {about} | {peer} |");
        for column in columns {
            let mut of_it = column.rows.iter().filter(|row| row.workload == *workload).skip(1);
            let ours = of_it.clone().find(|row| row.peer == "autobus");
            let others = of_it
                .by_ref()
                .filter(|row| row.peer != "autobus" && !row.peer.starts_with("floor"));
            let fastest = others.min_by(|a, b| a.ratio.total_cmp(&b.ratio));
            match ours {
                Some(row) => {
                    let _ = write!(text, " {} | {:.2} |", time(row.median), row.ratio);
                }
                None => text.push_str(" – | – |"),
            }
            match fastest {
                Some(row) => {
                    let _ = write!(text, " {} {:.2} |", row.peer, row.ratio);
                }
                None => text.push_str(" – |"),
            }
        }
        text.push('\n');
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

/// # Errors
///
/// If a number is not finite.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, String> {
    serde_json::to_string_pretty(value).map_err(|error| error.to_string())
}

/// # Errors
///
/// If it is not what [`to_json`] wrote.
pub(crate) fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 100.0 => format!("{n:.1} ns"),
        n if n < 10_000.0 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.1} µs", n / 1e3),
        n => format!("{:.1} ms", n / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(peer: &str, median: f64, ratio: f64) -> Row {
        let (workload, about) = ("W1".to_owned(), "fire".to_owned());
        let (min, max) = (median, median);
        Row { workload, about, target: 1.2, peer: peer.to_owned(), median, min, max, ratio }
    }

    fn column() -> Column {
        let rows =
            vec![row("direct", 40.0, 1.0), row("autobus", 50.0, 1.25), row("other", 80.0, 2.0)];
        Column { title: "one core".to_owned(), rows }
    }

    #[test]
    fn the_readme_has_one_line_a_workload() {
        let table = ours(&[column()]);
        let last = table.lines().last().unwrap();
        assert_eq!(last, "| W1 fire | direct | 50.0 ns | 1.25 | other 2.00 |");
        assert_eq!(table.lines().count(), 3);
    }

    #[test]
    fn the_table_has_one_line_a_peer() {
        let table = table(&[column()]);
        assert!(table.contains("| other | 80.0 ns | 80.0 ns | 80.0 ns | 2.00 |\n"), "{table}");
    }

    #[test]
    fn the_table_stands_between_the_markers_and_nothing_else_moves() {
        let text = format!("a\n{BEGIN}old\n{END}\nb");
        let new = replace(&text, "new\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}new\n{END}\nb"));
        assert!(replace("none", "new").is_err());
    }

    #[test]
    fn what_is_written_as_json_is_read_as_it_was() {
        let json = to_json(&vec![column()]).unwrap();
        assert_eq!(from_json::<Vec<Column>>(json.as_bytes()).unwrap(), [column()]);
    }
}
