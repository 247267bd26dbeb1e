//! Writes what was measured: tables, and a chart.
//!
//! Criterion has measured times, `instructions` has counted. The files go to `benches`, or, if `SESSION_BENCH_REPORT` is
//! set, to that folder.

mod chart;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;
use std::{env, fs};

use benches::values::NAMES;
use serde_json::Value;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// The serializers, as their columns are called; the first is what the others are compared with.
const CODECS: [(&str, &str); 3] = [("json", "JSON"), ("msgpack", "MessagePack"), ("postcard", "postcard")];

/// How much more than the bare library a serializer of ours may take: a tenth, and what the tag, the limits and the look
/// for trailing bytes take of any value.
const MORE: (f64, f64) = (1.1, 80.0);

fn main() -> Result<()> {
    let figures = Figures::read()?;
    let folder = env::var_os("SESSION_BENCH_REPORT").map_or_else(|| benches::root().join("benches"), PathBuf::from);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("RESULTS.md"), results(&figures)?)?;
    let all = |figures: &dyn Fn(&str) -> [f64; 3]| NAMES.iter().map(|name| ratios(figures(name))).collect::<Vec<_>>();
    let charts = [
        (format!("{} to encode", figures.unit()), all(&|name| figures.work("encode", name))),
        (format!("{} to decode", figures.unit()), all(&|name| figures.work("decode", name))),
        ("bytes".to_owned(), all(&|name| figures.sizes(name))),
    ];
    chart::draw(&folder.join("serializers.svg"), &NAMES, &charts)?;
    println!("written to {}", folder.canonicalize()?.display());
    figures.check_overhead()
}

/// How the others compare with the first.
fn ratios([first, second, third]: [f64; 3]) -> [f64; 2] {
    [second / first, third / first]
}

/// All that was measured.
struct Figures {
    times: BTreeMap<(String, String), [f64; 3]>,
    sizes: Value,
    instructions: Option<Value>,
}

impl Figures {
    fn read() -> Result<Self> {
        let folder = benches::figures();
        let read = |file: PathBuf| -> Result<Value> {
            let text =
                fs::read_to_string(&file).map_err(|error| format!("{}: {error}; measure first", file.display()))?;
            Ok(serde_json::from_str(&text)?)
        };
        let mut times = BTreeMap::new();
        let values = ["encode into a reused buffer", "encode fresh", "decode", "decode borrowed"];
        let measured = values.iter().flat_map(|group| NAMES.iter().map(move |name| (*group, *name)));
        for (group, name) in measured.chain(SESSION.iter().map(|name| ("session of twenty", *name))) {
            let mut of_codecs = [0.0; 3];
            for (time, (codec, _)) in of_codecs.iter_mut().zip(CODECS) {
                let estimates = read(folder.join(group).join(codec).join(name).join("new/estimates.json"))?;
                *time = estimates["median"]["point_estimate"].as_f64().ok_or("criterion has no median")?;
            }
            times.insert((group.to_owned(), name.to_owned()), of_codecs);
        }
        Ok(Self {
            times,
            sizes: read(folder.join("sizes.json"))?,
            instructions: read(folder.join("instructions.json")).ok(),
        })
    }

    /// Nanoseconds.
    fn times(&self, group: &str, name: &str) -> [f64; 3] {
        self.times[&(group.to_owned(), name.to_owned())]
    }

    /// What it takes to encode into a reused buffer, or to decode: instructions where they were counted, because they do
    /// not depend on what else the machine does; else nanoseconds.
    fn work(&self, operation: &str, name: &str) -> [f64; 3] {
        match &self.instructions {
            Some(instructions) => CODECS.map(|(codec, _)| counts(&instructions[name][operation][codec])[0]),
            None if operation == "encode" => self.times("encode into a reused buffer", name),
            None => self.times("decode", name),
        }
    }

    /// Of [`work`](Self::work).
    fn unit(&self) -> &'static str {
        if self.instructions.is_some() { "instructions" } else { "time" }
    }

    /// Bytes.
    fn sizes(&self, name: &str) -> [f64; 3] {
        CODECS.map(|(codec, _)| self.sizes[name][codec].as_f64().unwrap_or(f64::NAN))
    }

    /// Fails if a serializer of ours takes many more instructions than the library that it uses.
    fn check_overhead(&self) -> Result<()> {
        let Some(instructions) = &self.instructions else { return Ok(()) };
        for name in NAMES {
            for operation in ["encode", "decode"] {
                for (codec, _) in CODECS {
                    let [ours, bare] = counts(&instructions[name][operation][codec]);
                    if ours > bare * MORE.0 + MORE.1 {
                        return Err(format!("{codec}, {operation}, {name}: {ours} instructions, {bare} bare").into());
                    }
                }
            }
        }
        Ok(())
    }
}

/// The ways to read a session of twenty attributes.
const SESSION: [&str; 2] = ["all, eagerly", "two, lazily"];

fn counts(figures: &Value) -> [f64; 2] {
    ["ours", "bare"].map(|who| figures[who].as_f64().unwrap_or(f64::NAN))
}

fn results(figures: &Figures) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "# Results\n\nWritten by `cargo xtask bench serializers`; do not edit.\n")?;
    writeln!(text, "{}\n\n![Ratios to JSON](serializers.svg)\n", circumstances())?;
    if let Some(instructions) = &figures.instructions {
        for operation in ["encode", "decode"] {
            let rows = NAMES.iter().map(|name| (*name, figures.work(operation, name)));
            table(&mut text, &format!("Instructions to {operation}"), "JSON", rows)?;
        }
        compared_with_bare(&mut text, instructions)?;
    }
    let names = NAMES.iter().chain(&["session of twenty"]);
    table(&mut text, "Bytes, with the tag", "JSON", names.map(|name| (*name, figures.sizes(name))))?;
    times(&mut text, figures)?;
    Ok(text)
}

fn compared_with_bare(text: &mut String, instructions: &Value) -> Result<()> {
    writeln!(text, "## Instructions, ours / those of the bare library\n")?;
    writeln!(
        text,
        "With a buffer that is used again. Tag, limits and the look for trailing bytes may take a tenth and {} \
         instructions; else this report fails.\n",
        MORE.1
    )?;
    writeln!(text, "| | | JSON | MessagePack | postcard |\n|---|---|---|---|---|")?;
    for operation in ["encode", "decode"] {
        for name in NAMES {
            write!(text, "| {operation} | {name} |")?;
            for (codec, _) in CODECS {
                let [ours, bare] = counts(&instructions[name][operation][codec]);
                write!(text, " {ours} / {bare} = {:.2} |", ours / bare)?;
            }
            writeln!(text)?;
        }
    }
    writeln!(text)?;
    Ok(())
}

fn times(text: &mut String, figures: &Figures) -> Result<()> {
    writeln!(text, "# Times\n\nMedians. Where other programs run beside the measurement, they waver.\n")?;
    for (title, group) in [
        ("Encode into a reused buffer", "encode into a reused buffer"),
        ("Encode into a fresh buffer", "encode fresh"),
        ("Decode", "decode"),
        ("Decode, text and bytes borrowed", "decode borrowed"),
    ] {
        let rows = NAMES.iter().map(|name| (*name, figures.times(group, name)));
        table(text, title, "JSON, ns", rows)?;
    }
    let rows = SESSION.iter().map(|name| (*name, figures.times("session of twenty", name)));
    table(text, "A session of twenty attributes, read", "JSON, ns", rows)?;
    writeln!(text, "Reading all takes so many times as long as reading two:\n")?;
    let [all, two] = SESSION.map(|name| figures.times("session of twenty", name));
    for (index, (_, codec)) in CODECS.iter().enumerate() {
        writeln!(text, "- {codec}: {:.1}", all[index] / two[index])?;
    }
    Ok(())
}

/// What JSON takes, and how the others compare with it.
fn table<'a>(
    text: &mut String,
    title: &str,
    unit: &str,
    rows: impl Iterator<Item = (&'a str, [f64; 3])>,
) -> Result<()> {
    writeln!(text, "## {title}\n\n| | {unit} | MessagePack | postcard |\n|---|---|---|---|")?;
    for (name, figures) in rows {
        let [message_pack, postcard] = ratios(figures);
        writeln!(text, "| {name} | {:.0} | {message_pack:.2} | {postcard:.2} |", figures[0])?;
    }
    writeln!(text)?;
    Ok(())
}

/// Date, machine, versions.
fn circumstances() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'))?;
        Some(model.1.trim().to_owned())
    });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = Command::new("rustc").arg("--version").output().ok().map(|output| output.stdout);
    let rustc = rustc.and_then(|output| String::from_utf8(output).ok()).unwrap_or_default();
    let lock = fs::read_to_string(benches::root().join("Cargo.lock")).unwrap_or_default();
    let versions = ["serde", "serde_json", "rmp-serde", "postcard", "criterion"].map(|name| {
        let package = lock.split("[[package]]").find(|package| package.contains(&format!("\nname = \"{name}\"\n")));
        let version = package.and_then(|package| package.split("version = \"").nth(1)?.split('"').next());
        format!("{name} {}", version.unwrap_or("?"))
    });
    format!(
        "{}; {}, {cores} cores, {} {}; {}; {}.",
        now.split('T').next().unwrap_or_default(),
        cpu.as_deref().unwrap_or("unknown processor"),
        env::consts::OS,
        env::consts::ARCH,
        rustc.trim(),
        versions.join(", "),
    )
}
