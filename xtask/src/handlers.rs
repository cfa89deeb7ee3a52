//! W6: what a handler costs in compile time, binary size and starting time.
//!
//! It writes programs of so many handlers, once as commands of ours, once as bare registrations of
//! `inventory`, once registered by hand, and builds and runs them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::bench::root;

/// How many handlers the programs have.
const COUNTS: [u32; 2] = [10, 1_000];

/// The same, if there is time.
const MANY: u32 = 10_000;

/// How a program registers its handlers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Autobus,
    Inventory,
    Hand,
}

impl Way {
    const ALL: [Self; 3] = [Self::Hand, Self::Inventory, Self::Autobus];

    fn name(self) -> &'static str {
        match self {
            Self::Autobus => "autobus",
            Self::Inventory => "inventory alone",
            Self::Hand => "registered by hand",
        }
    }
}

/// What one program took.
struct Cost {
    way: Way,
    count: u32,
    /// Seconds of compiling it, its dependencies being there.
    compile: f64,
    /// Bytes of its binary, without symbols.
    binary: u64,
    /// Milliseconds until it can be called.
    start: f64,
}

/// Builds and runs every program, and prints what each took.
///
/// # Errors
///
/// A program that does not build or run.
pub(crate) fn run(quick: bool) -> Result<(), String> {
    let counts = COUNTS.into_iter().chain((!quick).then_some(MANY));
    let mut costs = Vec::new();
    for count in counts {
        for way in Way::ALL {
            eprintln!("bench: W6 {count} handlers, {}", way.name());
            costs.push(cost(way, count)?);
        }
    }
    print!("{}", table(&costs));
    Ok(())
}

fn table(costs: &[Cost]) -> String {
    let mut text = String::from(
        "\n### W6: handlers\n\nTargets: 1 ms of starting for 1,000 handlers, 1.5 of the compile time \
         by hand, 2 KiB of binary a handler\n\n| Handlers | Program | Start | Compile | to by hand | \
         Binary a handler |\n|---:|---|---:|---:|---:|---:|\n",
    );
    for cost in costs {
        let find = |way, count| costs.iter().find(|c| c.way == way && c.count == count);
        let hand = find(Way::Hand, cost.count).map_or(cost.compile, |hand| hand.compile);
        let least = find(cost.way, COUNTS[0]).filter(|least| least.count < cost.count);
        let binary = least.map_or_else(
            || "–".to_owned(),
            |least| {
                let handlers = u64::from(cost.count - least.count);
                format!("{} B", cost.binary.saturating_sub(least.binary) / handlers)
            },
        );
        let Cost { way, count, compile, start, .. } = cost;
        let name = way.name();
        let ratio = compile / hand;
        let _ = writeln!(
            text,
            "| {count} | {name} | {start:.2} ms | {compile:.1} s | {ratio:.2} | {binary} |"
        );
    }
    text
}

fn cost(way: Way, count: u32) -> Result<Cost, String> {
    let folder = root().join("target/bench-handlers");
    let main = folder.join("src/main.rs");
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    std::fs::create_dir_all(folder.join("src")).map_err(|error| error.to_string())?;
    write(&folder.join("Cargo.toml"), &manifest())?;
    // The same versions, whatever the registry has meanwhile.
    std::fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))
        .map_err(|error| error.to_string())?;
    write(&main, "fn main() {}\n")?;
    build(&folder)?;
    write(&main, &program(way, count))?;
    let start = Instant::now();
    let binary = build(&folder)?;
    let compile = start.elapsed().as_secs_f64();
    let size = std::fs::metadata(&binary).map_err(|error| error.to_string())?.len();
    let output = Command::new(&binary).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let start = text.trim().parse().map_err(|_| format!("the program printed `{text}`"))?;
    Ok(Cost { way, count, compile, binary: size, start })
}

fn build(folder: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--quiet"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(folder.join("target/release/handlers"));
    }
    Err(format!("a program of W6 does not build:\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn manifest() -> String {
    let root = root().display();
    format!(
        "[package]\nname = \"handlers\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nautobus = {{ path = \"{root}\" }}\ninventory = \"0.3\"\n\
         serde_json = \"1\"\n\n[profile.release]\nstrip = true\n\n[workspace]\n"
    )
}

fn program(way: Way, count: u32) -> String {
    let mut text = String::from("#![allow(dead_code)]\nuse std::time::Instant;\n");
    text.push_str(match way {
        Way::Autobus => "use bus::prelude::*;\n",
        Way::Inventory => {
            "struct Handler(&'static str, fn(&str, u64) -> u64);\ninventory::collect!(Handler);\n"
        }
        Way::Hand => {
            "use std::collections::HashMap;\n\
             type Call = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, serde_json::Error> + Send + Sync>;\n"
        }
    });
    for number in 0..count {
        if way == Way::Autobus {
            text.push_str("#[command]\n");
        }
        let _ = writeln!(
            text,
            "fn h{number}(name: &str, count: u64) -> u64 {{ name.len() as u64 + count * {number} }}"
        );
        if way == Way::Inventory {
            let _ = writeln!(text, "inventory::submit!(Handler(\"h{number}\", h{number}));");
        }
    }
    text.push_str("fn main() {\n    let begin = Instant::now();\n");
    match way {
        Way::Autobus => text.push_str("    let made = bus::builder().build().unwrap();\n"),
        Way::Inventory => text.push_str(
            "    let made: std::collections::HashMap<_, _> =\n        \
             inventory::iter::<Handler>.into_iter().map(|h| (h.0, h.1)).collect();\n",
        ),
        Way::Hand => {
            text.push_str("    let mut made: HashMap<&str, Call> = HashMap::new();\n");
            for number in 0..count {
                let _ = writeln!(
                    text,
                    "    made.insert(\"h{number}\", Box::new(|body| {{ let (name, count): (String, \
                     u64) = serde_json::from_slice(body)?; serde_json::to_vec(&h{number}(&name, \
                     count)) }}));"
                );
            }
        }
    }
    text.push_str(
        "    println!(\"{}\", begin.elapsed().as_secs_f64() * 1e3);\n    drop(made);\n}\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_as_many_handlers_as_were_asked_for() {
        for way in Way::ALL {
            assert_eq!(program(way, 7).matches("\nfn h").count(), 7);
        }
    }

    #[test]
    fn the_table_compares_with_what_is_registered_by_hand() {
        let cost = |way, count, compile, binary| Cost { way, count, compile, binary, start: 0.5 };
        let costs = [
            cost(Way::Hand, 10, 1.0, 1_000),
            cost(Way::Autobus, 10, 2.0, 1_000),
            cost(Way::Autobus, 1_000, 3.0, 1_981_000),
            cost(Way::Hand, 1_000, 2.0, 10_000),
        ];
        let table = table(&costs);
        assert!(table.contains("| 10 | autobus | 0.50 ms | 2.0 s | 2.00 | – |"), "{table}");
        assert!(table.contains("| 1000 | autobus | 0.50 ms | 3.0 s | 1.50 | 2000 B |"), "{table}");
    }
}
