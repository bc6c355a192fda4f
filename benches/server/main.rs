//! The table of speed and memory: ratios of the module's commands to native ones, measured side by
//! side in one run on one server. `make bench` runs it; it prints a table and asserts nothing.
//!
//! Server and client are pinned to different cores. What is compared is the processor time of the
//! server process, per command, pipelined; rounds of both sides take turns, and the median of the
//! rounds' ratios counts. Absolute times are of this machine and this run alone.
//!
//! ```text
//! bench [options] <module.so> <server>...
//!   --rounds N    rounds of each row (default 9)
//!   --only TEXT   only rows that contain TEXT, or one of several with `|` in between, or the "longest hold", or the "latency";
//!                 neither memory nor RDB, except with `memory by shape`
//!   --profile     our side of the rows alone, for a profiler to watch; no table
//!   --short       200,000 documents for RDB instead of a million
//!   --no-rdb      no RDB
//!   --svg FILE    the table as a picture, of the last server
//! ```

mod chart;
mod documents;
mod finding;
mod hold;
mod latency;
mod locks;
mod queues;
mod rows;
mod server;
#[path = "../../tests/server/shapes.rs"]
mod shapes;
mod wire;

use std::path::PathBuf;

use server::{Cores, Server};
use wire::Requests;

struct Options {
    module: PathBuf,
    servers: Vec<PathBuf>,
    rounds: usize,
    only: Option<String>,
    profile: bool,
    rdb_documents: usize,
    svg: Option<PathBuf>,
}

impl Options {
    /// Returns true for a row that is measured.
    fn wants(&self, work: &str) -> bool {
        self.only.as_ref().is_none_or(|texts| texts.split('|').any(|text| work.contains(text)))
    }
}

/// One line of the table.
struct Line {
    work: String,
    against: String,
    target: f64,
    /// One for each round.
    ratios: Vec<f64>,
    /// Medians, for the side table.
    ours: f64,
    theirs: f64,
    unit: &'static str,
}

fn main() {
    let options = options();
    let cores = Cores::divide();
    let dir = std::env::temp_dir().join(format!("redis-model-bench-{}", std::process::id()));
    for program in &options.servers {
        let server = Server::start(program, &options.module, &cores, &dir);
        let version = server.version();
        eprintln!("bench: {version}, process {}", server.pid());
        let wanted = |work: &str| options.wants(work);
        let mut lines = commands(&server, &options);
        let latencies = match wanted("latency") {
            true => latency::measure(&server, options.rounds),
            false => Vec::new(),
        };
        drop(server);
        let server = Server::start(program, &options.module, &cores, &dir.join("locks"));
        let (measured, hand_overs) = locks::measure(&server, options.rounds, wanted);
        lines.extend(measured);
        drop(server);
        let start = |name: &str| Server::start(program, &options.module, &cores, &dir.join(name));
        if options.only.as_ref().is_some_and(|text| text == "memory by shape") {
            lines.extend(memory_by_shape(&start("shapes")));
        }
        let holds = match wanted("longest hold") {
            true => hold::measure(&start("hold")),
            false => Vec::new(),
        };
        for count in [100_000, options.rdb_documents].into_iter().filter(|count| *count > 0) {
            lines.extend(finding::measure(&start, count, options.rounds, wanted));
        }
        lines.extend(queues::measure(&start, options.rounds, wanted));
        if options.rdb_documents > 0 && (wanted("RDB load") || wanted("build of")) {
            lines.extend(finding::loads(&start, options.rdb_documents));
        }
        if options.only.is_none() {
            lines.extend(memory(&start));
            if options.rdb_documents > 0 {
                lines.extend(rdb(&start, options.rdb_documents));
            }
        }
        print_table(&version, &lines, options.rounds);
        if let Some(file) = &options.svg {
            std::fs::write(file, chart::svg(&version, &lines)).expect("the picture can be written");
        }
        if !hand_overs.is_empty() {
            locks::print(&hand_overs);
        }
        latency::print(&latencies);
        hold::print(&holds);
    }
    let _ = std::fs::remove_dir_all(&dir);
}

fn options() -> Options {
    let mut options = Options {
        module: PathBuf::new(),
        servers: Vec::new(),
        rounds: 9,
        only: None,
        profile: false,
        rdb_documents: 1_000_000,
        svg: None,
    };
    let mut paths = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // Cargo says so to every benchmark.
            "--bench" => {}
            "--rounds" => {
                let rounds = args.next().and_then(|rounds| rounds.parse().ok());
                options.rounds = rounds.filter(|rounds| *rounds > 0).unwrap_or_else(|| usage());
            }
            "--only" => options.only = Some(args.next().unwrap_or_else(|| usage())),
            "--svg" => options.svg = Some(args.next().unwrap_or_else(|| usage()).into()),
            "--profile" => options.profile = true,
            "--short" => options.rdb_documents = 200_000,
            "--no-rdb" => options.rdb_documents = 0,
            path if !path.starts_with('-') => {
                paths.push(std::fs::canonicalize(path).unwrap_or_else(|error| {
                    eprintln!("bench: {path}: {error}");
                    std::process::exit(2);
                }));
            }
            _ => usage(),
        }
    }
    if paths.len() < 2 {
        usage();
    }
    options.module = paths.remove(0);
    options.servers = paths;
    options
}

fn usage() -> ! {
    eprintln!(
        "usage: bench [--rounds N] [--only TEXT] [--profile] [--short] [--no-rdb] [--svg FILE] <module.so> <server>..."
    );
    std::process::exit(2);
}

/// The rows that compare commands.
fn commands(server: &Server, options: &Options) -> Vec<Line> {
    let wanted = |row: &rows::Row| options.wants(&row.work);
    let rows: Vec<_> = rows::all().into_iter().filter(wanted).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    rows::load(server);
    let mut connection = server.connect();
    rows::verify_fresh(&mut connection);
    rows::verify(&mut connection);
    if options.profile {
        eprintln!("bench: profile process {}", server.pid());
        for row in &rows {
            let rows::Side { requests, window, .. } = &row.ours;
            (0..options.rounds).for_each(|_| connection.run(requests, *window));
        }
        std::process::exit(0);
    }
    let lines = take_turns(server, &mut connection, rows, options.rounds);
    rows::verify(&mut connection);
    lines
}

/// Measures both sides of rows. The round numbered 0 warms up and does not count. Rounds of all rows take turns, and so
/// does the side that goes first, so that whatever else the machine does falls on all alike.
fn take_turns(
    server: &Server,
    connection: &mut wire::Connection,
    rows: Vec<rows::Row>,
    rounds: usize,
) -> Vec<Line> {
    let mut time = |side: &rows::Side| {
        let before = server.cpu_ns();
        connection.run(&side.requests, side.window);
        (server.cpu_ns() - before) as f64 * side.each as f64 / side.requests.len() as f64
    };
    let mut measured = vec![Vec::new(); rows.len()];
    for round in 0..=rounds {
        for (row, pairs) in rows.iter().zip(&mut measured) {
            let pair = if round % 2 == 0 {
                let ours = time(&row.ours);
                (ours, time(&row.theirs))
            } else {
                let theirs = time(&row.theirs);
                (time(&row.ours), theirs)
            };
            if round > 0 {
                pairs.push(pair);
            }
        }
    }
    let line = |(row, pairs): (&rows::Row, Vec<(f64, f64)>)| {
        line((&row.work, &row.against, row.target), &pairs, "ns")
    };
    rows.iter().zip(measured).map(line).collect()
}

fn line(
    (work, against, target): (&str, &str, f64),
    pairs: &[(f64, f64)],
    unit: &'static str,
) -> Line {
    Line {
        work: work.into(),
        against: against.into(),
        target,
        ratios: pairs.iter().map(|(ours, theirs)| ours / theirs).collect(),
        ours: median(pairs.iter().map(|(ours, _)| *ours).collect()),
        theirs: median(pairs.iter().map(|(_, theirs)| *theirs).collect()),
        unit,
    }
}

/// The memory of 100,000 documents, keys included, and of the same as hashes. Each on a fresh server.
fn memory(start: &impl Fn(&str) -> Server) -> Vec<Line> {
    const COUNT: usize = 100_000;
    let taken = |name: &str, load: fn(&mut wire::Connection, usize), encoding: Option<&str>| {
        let server = start(name);
        let before = server.used_memory();
        {
            let mut connection = server.connect();
            load(&mut connection, COUNT);
            // Every key is touched, which also finishes the growth of the key table.
            let requests = Requests::make(COUNT, |nth| {
                vec!["OBJECT".into(), "ENCODING".into(), format!("{name}:{nth}")]
            });
            connection.run_checked(&requests, 512, |reply| {
                if let Some(encoding) = encoding {
                    assert_eq!(wire::bulk_text(reply), encoding, "as compact as a hash can be");
                }
            });
        }
        // The connection's buffers go when the server has noticed its end.
        std::thread::sleep(std::time::Duration::from_millis(300));
        (server.used_memory() - before) as f64 / COUNT as f64
    };
    let ours = taken("doc", rows::load_players, None);
    let theirs = taken("hash", rows::load_hashes, Some("listpack"));
    let validated = taken("player", rows::load_validated_players, None);
    let against = "the same as hashes (listpack)";
    let mut lines = vec![
        line(("memory for 100,000 documents of 200 B", against, 1.0), &[(ours, theirs)], "B"),
        line(("the same, of one model", against, 1.0), &[(validated, theirs)], "B"),
    ];
    lines.extend(memory_by_shape(&start("shapes")));
    lines
}

/// The memory of documents of 1.5 to 64 KB of JSON, and of the same in a hash or a list, whatever the encoding.
fn memory_by_shape(server: &Server) -> Vec<Line> {
    const BYTES: usize = 8 << 20;
    let mut lines = Vec::new();
    for (shape, against, pair) in shapes::SHAPES {
        for bytes in [1500, 10_000, 64_000] {
            let taken = |commands: &dyn Fn(usize) -> Vec<String>| {
                let mut connection = server.connect();
                connection.command(&["FLUSHALL", "SYNC"]);
                connection.run(&Requests::make(1, |_| commands(0)), 1);
                let (before, count) = (server.used_memory(), BYTES / bytes);
                connection.run(&Requests::make(count, |nth| commands(nth + 1)), 16);
                (server.used_memory() - before) as f64 / count as f64
            };
            let shapes::Pair { json, native } = pair(bytes);
            let ours = taken(&|nth| {
                ["MODEL.SET", &format!("key:{nth}"), "any", &json].map(String::from).to_vec()
            });
            let theirs = taken(&|nth| {
                let mut command = native.clone();
                command[1] = format!("key:{nth}");
                command
            });
            let work = format!("memory for {shape}, {bytes} B of JSON");
            lines.push(line((&work, against, 1.5), &[(ours, theirs)], "B"));
        }
    }
    lines
}

/// Saving and loading, by two servers side by side.
fn rdb(start: &impl Fn(&str) -> Server, count: usize) -> Vec<Line> {
    const ROUNDS: usize = 3;
    let loaded = |name: &str, load: fn(&mut wire::Connection, usize)| {
        let server = start(name);
        load(&mut server.connect(), count);
        server
    };
    let save = |server: &Server| {
        let before = server.cpu_ns();
        server.connect().command(&["SAVE"]);
        (server.cpu_ns() - before) as f64 / count as f64
    };
    let (ours, theirs) = (loaded("doc", rows::load_players), loaded("hash", rows::load_hashes));
    let saves: Vec<_> = (0..ROUNDS).map(|_| (save(&ours), save(&theirs))).collect();
    ours.stop_and_keep();
    theirs.stop_and_keep();

    let idle = start("empty").cpu_ns();
    let load = |name: &str| {
        let server = start(name);
        let size = String::from_utf8_lossy(&server.connect().command(&["DBSIZE"])).into_owned();
        assert_eq!(size, format!(":{count}\r\n"), "everything was loaded");
        let used = server.cpu_ns() - idle;
        server.stop_and_keep();
        used as f64 / count as f64
    };
    let loads: Vec<_> = (0..ROUNDS).map(|_| (load("doc"), load("hash"))).collect();
    let line_of = |verb: &str, target: f64, pairs: &[(f64, f64)]| {
        let work = format!("RDB {verb} of {count} documents");
        line((&work, &format!("of {count} hashes"), target), pairs, "ns")
    };
    vec![line_of("save", 1.0, &saves), line_of("load", 1.4, &loads)]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn print_table(version: &str, lines: &[Line], rounds: usize) {
    println!("\n{version}, server processor time per command, {rounds} rounds:\n");
    println!("| work | measured against | ratio (median, min-max) | target | met |");
    println!("|---|---|---|---|---|");
    for line in lines {
        let middle = median(line.ratios.clone());
        let low = line.ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let high = line.ratios.iter().copied().fold(0.0, f64::max);
        let met = if middle <= line.target { "yes" } else { "NO" };
        println!(
            "| {} | {} | {middle:.2}x ({low:.2}-{high:.2}) | <= {}x | {met} |",
            line.work, line.against, line.target
        );
    }
    println!("\nThis machine, this run (they say nothing elsewhere):\n");
    println!("| work | ours | the other |");
    println!("|---|---|---|");
    for Line { work, ours, theirs, unit, .. } in lines {
        println!("| {work} | {ours:.0} {unit} | {theirs:.0} {unit} |");
    }
}
