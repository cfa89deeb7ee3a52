//! W6: what a handler costs in compile time, binary size and starting time.
//!
//! It writes programs of so many handlers, once as commands of ours, once as bare registrations of
//! `inventory`, once registered by hand, and builds and runs them. All of these handlers have the same
//! parameters. What is compiled once for each type shows in further programs, whose handlers each
//! take a type of their own: by hand, by hand with what our codec promises and a typed call, and ours.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::bench::root;

/// How many handlers the programs have.
const COUNTS: [u32; 2] = [10, 1_000];

/// The same, if there is time.
const MANY: u32 = 10_000;

/// How many handlers the programs have whose types are their own.
const OWN: [u32; 2] = [10, 100];

/// How often a program is started.
const STARTS: u32 = 40;

/// How a program registers its handlers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Autobus,
    Inventory,
    Hand,
    OwnAutobus,
    OwnHand,
    /// By hand with the path of what does not fit, and a function that calls the handler.
    OwnCodec,
}

impl Way {
    const SAME: [Self; 3] = [Self::Hand, Self::Inventory, Self::Autobus];
    const OWN: [Self; 3] = [Self::OwnHand, Self::OwnCodec, Self::OwnAutobus];

    fn has_own_types(self) -> bool {
        Self::OWN.contains(&self)
    }

    fn is_ours(self) -> bool {
        matches!(self, Self::Autobus | Self::OwnAutobus)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Autobus => "autobus",
            Self::Inventory => "inventory alone",
            Self::Hand => "registered by hand",
            Self::OwnAutobus => "autobus, types of their own",
            Self::OwnHand => "registered by hand, types of their own",
            Self::OwnCodec => "the same with our codec and typed calls",
        }
    }
}

/// What one program took.
struct Cost {
    way: Way,
    count: u32,
    /// Seconds of compiling it, its dependencies being there: of the processor, where the system
    /// tells, since others may be using the machine.
    compile: f64,
    /// Bytes of its binary, without symbols.
    binary: u64,
    /// Milliseconds until it can be called, the least of several starts.
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
    let same = counts.flat_map(|count| Way::SAME.map(|way| (way, count)));
    let own = OWN.into_iter().flat_map(|count| Way::OWN.map(|way| (way, count)));
    for (way, count) in same.chain(own) {
        eprintln!("bench: W6 {count} handlers, {}", way.name());
        costs.push(cost(way, count)?);
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
        let by_hand = if cost.way.has_own_types() { Way::OwnHand } else { Way::Hand };
        let hand = find(by_hand, cost.count).map_or(cost.compile, |hand| hand.compile);
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
    let (start, before) = (Instant::now(), processor());
    let binary = build(&folder)?;
    let took = processor().zip(before).map(|(after, before)| after - before);
    let compile = took.unwrap_or_else(|| start.elapsed().as_secs_f64());
    let size = std::fs::metadata(&binary).map_err(|error| error.to_string())?.len();
    let mut start = f64::INFINITY;
    for _ in 0..STARTS {
        let output = Command::new(&binary).output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let took: f64 = text.trim().parse().map_err(|_| format!("the program printed `{text}`"))?;
        start = start.min(took);
    }
    Ok(Cost { way, count, compile, binary: size, start })
}

/// The seconds of processor that the ended children of this process took, on Linux.
fn processor() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, in hundredths: numbers 16 and 17 of the whole (proc(5), `cutime`, `cstime`).
    let mut behind = stat.rsplit(')').next()?.split_whitespace().skip(13);
    let mut next = || behind.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / 100.0)
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
         serde = {{ version = \"1\", features = [\"derive\"] }}\nserde_json = \"1\"\n\
         serde_path_to_error = \"0.1\"\n\n[profile.release]\nstrip = true\n\n[workspace]\n"
    )
}

/// How many a function registers by hand: one of a thousand takes the compiler several times as long.
const PART: u32 = 50;

/// Reads and writes as our codec does.
const CODEC: &str = "\
use std::error::Error;
type Call = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, Box<dyn Error>> + Send + Sync>;
fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Box<dyn Error>> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}
fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut out = Vec::with_capacity(128);
    serde_path_to_error::serialize(value, &mut serde_json::Serializer::new(&mut out))?;
    Ok(out)
}
";

fn program(way: Way, count: u32) -> String {
    let mut text = String::from("#![allow(dead_code)]\nuse std::time::Instant;\n");
    text.push_str(match way {
        Way::Autobus | Way::OwnAutobus => "use bus::prelude::*;\n",
        Way::Inventory => {
            "struct Handler(&'static str, fn(&str, u64) -> u64);\ninventory::collect!(Handler);\n"
        }
        Way::Hand | Way::OwnHand => {
            "use std::collections::HashMap;\n\
             type Call = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, serde_json::Error> + Send + Sync>;\n"
        }
        Way::OwnCodec => "use std::collections::HashMap;\n",
    });
    if way == Way::OwnCodec {
        text.push_str(CODEC);
    }
    for number in 0..count {
        text.push_str(&handler(way, number));
    }
    text.push_str("fn main() {\n    let begin = Instant::now();\n");
    match way {
        Way::Autobus | Way::OwnAutobus => {
            text.push_str("    let made = bus::builder().build().unwrap();\n");
        }
        Way::Inventory => text.push_str(
            "    let made: std::collections::HashMap<_, _> =\n        \
             inventory::iter::<Handler>.into_iter().map(|h| (h.0, h.1)).collect();\n",
        ),
        Way::Hand | Way::OwnHand | Way::OwnCodec => {
            text.push_str("    let mut made: HashMap<&str, Call> = HashMap::new();\n");
            for part in 0..count.div_ceil(PART) {
                let _ = writeln!(text, "    part{part}(&mut made);");
            }
        }
    }
    text.push_str(
        "    println!(\"{}\", begin.elapsed().as_secs_f64() * 1e3);\n    drop(made);\n}\n",
    );
    if matches!(way, Way::Hand | Way::OwnHand | Way::OwnCodec) {
        for part in 0..count.div_ceil(PART) {
            let _ = writeln!(text, "fn part{part}(made: &mut HashMap<&'static str, Call>) {{");
            let numbers = part * PART..count.min((part + 1) * PART);
            numbers.for_each(|number| text.push_str(&registration(way, number)));
            text.push_str("}\n");
        }
    }
    text
}

/// One handler, and its type if that is its own.
fn handler(way: Way, number: u32) -> String {
    let mut text = String::new();
    if way.has_own_types() {
        text.push_str(if way.is_ours() {
            "#[payload]\n"
        } else {
            "#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]\n"
        });
        let _ = writeln!(text, "struct P{number} {{ name: String, count: u64 }}");
    }
    if way.is_ours() {
        text.push_str("#[command]\n");
    }
    let _ = if way.has_own_types() {
        writeln!(
            text,
            "fn h{number}(p: P{number}) -> u64 {{ p.name.len() as u64 + p.count * {number} }}"
        )
    } else {
        writeln!(
            text,
            "fn h{number}(name: &str, count: u64) -> u64 {{ name.len() as u64 + count * {number} }}"
        )
    };
    let _ = match way {
        Way::Inventory => {
            writeln!(text, "inventory::submit!(Handler(\"h{number}\", h{number}));")
        }
        Way::OwnCodec => writeln!(
            text,
            "pub fn call{number}(call: &Call, p: P{number}) -> Result<u64, Box<dyn Error>> {{ \
             decode(&call(&encode(&(p,))?)?) }}"
        ),
        _ => Ok(()),
    };
    text
}

/// The line of `main` that registers a handler by hand.
fn registration(way: Way, number: u32) -> String {
    let body = match way {
        Way::OwnHand => format!(
            "let (p,): (P{number},) = serde_json::from_slice(body)?; serde_json::to_vec(&h{number}(p))"
        ),
        Way::OwnCodec => {
            format!("let (p,): (P{number},) = decode(body)?; encode(&h{number}(p))")
        }
        _ => format!(
            "let (name, count): (String, u64) = serde_json::from_slice(body)?; \
             serde_json::to_vec(&h{number}(&name, count))"
        ),
    };
    // A call that is never made, and that is compiled all the same.
    let call = if way == Way::OwnCodec {
        format!(
            " if std::env::args().len() > 9 {{ \
             call{number}(&made[\"h{number}\"], serde_json::from_str(\"\").unwrap()).unwrap(); }}"
        )
    } else {
        String::new()
    };
    format!("    made.insert(\"h{number}\", Box::new(|body| {{ {body} }}));{call}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_as_many_handlers_as_were_asked_for() {
        for way in Way::SAME.into_iter().chain(Way::OWN) {
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
