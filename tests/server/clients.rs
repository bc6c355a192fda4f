//! The programs in tests/clients, through the client libraries people use, and the pages that show
//! pieces of them and sessions with redis-cli: README.md and docs/. What a page shows runs here, or the
//! page is refused.
//!
//! The interpreters and packages come from `scripts/clients`. A missing interpreter or package fails the
//! test; it is never skipped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::cluster::Cluster;
use crate::harness::{Flavor, Server, on_every_flavor, on_every_server};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every page, with the programs that its blocks of a language are pieces of.
const PAGES: [(&str, &[(&str, &str)]); 12] = [
    ("README.md", &[("python", "pydantic_model.py")]),
    ("docs/models.md", &[("python", "pydantic_model.py"), ("js", "zod_model.mjs")]),
    ("docs/transactions.md", &[("python", "payment.py")]),
    ("docs/actions.md", &[("python", "actions.py"), ("js", "actions.mjs")]),
    ("docs/natives.md", &[("python", "outbox.py")]),
    ("docs/changes.md", &[("python", "follower.py")]),
    ("docs/locks.md", &[("python", "locks.py")]),
    ("docs/finding.md", &[]),
    ("docs/queues.md", &[("python", "worker.py")]),
    ("docs/operating.md", &[]),
    ("docs/coming-from.md", &[]),
    (
        "docs/clients.md",
        &[
            ("python", "asyncio_client.py"),
            ("python", "cluster_client.py"),
            ("js", "node_clients.mjs"),
            ("go", "go_client.go"),
            ("rust", "../../examples/client.rs"),
        ],
    ),
];

/// The language of sessions with redis-cli.
const SESSION: &str = "redis";
const FENCE: &str = "```";

/// Pages without sessions. Another test holds the tables of the second to what the servers say.
const NOTHING_TO_TYPE: [&str; 2] = ["docs/clients.md", "docs/operating.md"];

/// How the blocks begin that do not run: what goes wrong elsewhere, and commands of the shell.
const NOT_RUN: [&str; 2] = ["doc = json.loads(r.get(\"sku:grinder\"))", "make run "];

pub fn clients() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent");
    let folder = target.join("clients");
    assert!(folder.join(".stamp").exists(), "{} is missing: run scripts/clients", folder.display());
    folder
}

/// Runs a program against a server of its own for every flavour and protocol, and it says "ok".
fn check_program(command: impl Fn(&str, &str) -> Command + Sync) {
    for protocol in ["2", "3"] {
        on_every_server(|server| {
            check_run(&mut command(&server.port.to_string(), protocol), protocol);
        });
    }
}

pub fn check_run(command: &mut Command, protocol: &str) {
    let ran = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = String::from_utf8_lossy(&ran.stdout);
    let complained = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "RESP{protocol}: {said}{complained}");
    assert_eq!(said, "ok\n", "RESP{protocol}: {complained}");
}

/// Runs a program in Python, as [`check_program`] does.
fn check_python(program: &str) {
    check_program(|port, protocol| {
        let mut python = Command::new(clients().join("python"));
        python.arg(format!("{ROOT}/tests/clients/{program}")).args([port, protocol]);
        python
    });
}

#[test]
fn a_pydantic_model_is_kept_as_pydantic_would() {
    check_python("pydantic_model.py");
}

#[test]
fn a_payment_happens_once_though_its_client_crashes() {
    check_python("payment.py");
}

#[test]
fn each_event_of_an_outbox_is_handled_once_though_workers_die() {
    check_python("outbox.py");
}

#[test]
fn workers_of_a_queue_share_its_jobs_and_try_again() {
    check_python("worker.py");
}

#[test]
fn a_cache_and_an_index_follow_a_change_stream() {
    check_python("follower.py");
}

#[test]
fn actions_are_defined_and_called_from_python() {
    check_python("actions.py");
}

#[test]
fn actions_are_defined_and_called_from_javascript() {
    check_node("actions.mjs");
}

#[test]
fn work_under_locks_loses_nothing() {
    check_python("locks.py");
}

#[test]
fn the_asyncio_client_has_all_of_it() {
    check_python("asyncio_client.py");
}

#[test]
fn the_cluster_client_finds_every_shard() {
    check_in_cluster(|port, protocol| {
        let mut python = Command::new(clients().join("python"));
        python.arg(format!("{ROOT}/tests/clients/cluster_client.py")).args([port, protocol]);
        python
    });
}

/// Runs a program against a cluster for every flavour and protocol. It says "ok", and has defined a model.
fn check_in_cluster(command: impl Fn(&str, &str) -> Command + Sync) {
    on_every_flavor(|flavor| {
        for protocol in ["2", "3"] {
            let cluster = Cluster::start(flavor, 2, &[]);
            check_run(&mut command(&cluster.nodes[0].port.to_string(), protocol), protocol);
            let models = |node: &Server| node.must(&["MODEL.MODELS"]).array().len();
            for node in &cluster.nodes {
                node.wait_until("the model is on every shard", || models(node) == 1);
            }
        }
    });
}

#[test]
fn the_script_makes_clusters() {
    for kind in [Flavor::Redis70, Flavor::Valkey91] {
        let program = format!("{ROOT}/tests/clients/cluster_client.py");
        let python = clients().join("python").display().to_string();
        let mut script = Command::new(format!("{ROOT}/scripts/cluster"));
        let run = format!("exec {python} {program} ${{PORTS%% *}} 3");
        script.args([kind.name(), "sh", "-c", &run]);
        check_run(&mut script, "3");
    }
}

#[test]
fn the_crate_redis_has_all_of_it() {
    check_program(|port, protocol| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp is in it");
        let mut program = Command::new(target.join("debug/examples/client"));
        program.args([port, protocol]);
        program
    });
}

#[test]
fn go_redis_has_all_of_it() {
    check_program(|port, protocol| {
        let mut program = Command::new(go_client());
        program.args([port, protocol]);
        program
    });
}

#[test]
fn go_redis_has_all_of_it_in_a_cluster() {
    check_in_cluster(|port, protocol| {
        let mut program = Command::new(go_client());
        program.args([port, protocol, "cluster"]);
        program
    });
}

/// The program in Go. Go itself knows whether what it compiled before is still good.
fn go_client() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go_client");
        let mut go = Command::new(clients().join("go"));
        go.args(["build", "-o"]).arg(&program).arg(format!("{ROOT}/tests/clients/go_client.go"));
        let ran = go.output().unwrap_or_else(|e| panic!("{go:?}: {e}"));
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        program
    })
}

#[test]
fn node_redis_and_ioredis_have_all_of_it() {
    check_node("node_clients.mjs");
}

#[test]
fn a_zod_model_is_kept_as_zod_would() {
    check_node("zod_model.mjs");
}

/// Runs a program in JavaScript, as [`check_program`] does.
fn check_node(program: &str) {
    check_program(|port, protocol| {
        let program = format!("{ROOT}/tests/clients/{program}");
        let mut node = Command::new(clients().join("node"));
        // Node looks for packages from where the program lies upwards; one from its standard input
        // lies in the current folder.
        node.current_dir(clients().join("modules")).args(["--input-type=module", "-"]);
        node.args([port, protocol]).stdin(File::open(program).expect("the program is there"));
        node
    });
}

struct Block {
    language: String,
    text: String,
}

/// All blocks of a page but those of [`NOT_RUN`].
fn blocks(page: &str) -> Vec<Block> {
    let text = fs::read_to_string(format!("{ROOT}/{page}")).expect("the page is there");
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix(FENCE) else {
            let looks_like_one = ["```", "~~~"].iter().any(|fence| line.trim().starts_with(fence));
            assert!(!looks_like_one, "{page} has a block that is not found: {line}");
            continue;
        };
        let text: Vec<&str> = lines.by_ref().take_while(|line| *line != FENCE).collect();
        blocks.push(Block { language: language.to_owned(), text: text.join("\n") });
    }
    blocks.retain(|block| !NOT_RUN.iter().any(|start| block.text.starts_with(start)));
    blocks
}

/// Returns true if a block is whole lines of a program, which may stand further to the right there.
fn is_piece(text: &str, program: &str) -> bool {
    let indented = |indent: &str| {
        let line = |line: &str| match line.is_empty() {
            true => "\n".to_owned(),
            false => format!("\n{indent}{line}"),
        };
        text.lines().map(line).collect::<String>() + "\n"
    };
    ["", "  ", "    ", "        ", "\t"].iter().any(|indent| program.contains(&indented(indent)))
}

#[test]
fn the_pages_show_pieces_of_the_programs() {
    for (page, programs) in PAGES {
        let blocks = blocks(page);
        let read = |program: &str| {
            fs::read_to_string(format!("{ROOT}/tests/clients/{program}")).expect("it is there")
        };
        let mut shown = vec![false; programs.len()];
        for Block { language, text } in blocks.iter().filter(|block| block.language != SESSION) {
            let of =
                |(of, program): &(&str, &str)| of == language && is_piece(text, &read(program));
            let nth = programs.iter().position(of);
            shown[nth.unwrap_or_else(|| panic!("this is in no program of {page}:\n{text}"))] = true;
        }
        assert!(!shown.contains(&false), "{page} shows nothing of one of {programs:?}: {shown:?}");
    }
}

#[test]
fn nothing_is_shown_that_does_not_run() {
    for (page, programs) in PAGES {
        for Block { language, text } in blocks(page) {
            let runs = programs.iter().any(|(of, _)| *of == language) || language == SESSION;
            assert!(runs, "{page} has a block of \"{language}\":\n{text}");
        }
    }
    for file in fs::read_dir(format!("{ROOT}/docs")).expect("the folder is there") {
        let name = file.expect("it can be read").file_name().into_string().expect("a plain name");
        if !name.ends_with(".md") {
            continue;
        }
        let page = format!("docs/{name}");
        assert!(PAGES.iter().any(|(known, _)| *known == page), "{page} is not among the pages");
    }
}

/// The output of redis-cli for the command, without the time, `(0.62s)`, that it adds to a reply after
/// half a second, as happens on a busy machine.
fn typed(server: &Server, command: &str) -> String {
    let cli = clients().with_file_name("servers").join(Flavor::Redis70.name()).join("redis-cli");
    let ran = Command::new("sh")
        .args(["-c", "printf '%s\\n' \"$2\" | \"$0\" --no-raw -p \"$1\""])
        .arg(cli)
        .args([&server.port.to_string(), command])
        .stdin(Stdio::null())
        .output()
        .expect("sh is there");
    let printed = String::from_utf8(ran.stdout).expect("redis-cli prints text");
    let printed = printed.trim_end();
    match printed.rsplit_once('\n') {
        Some((reply, time)) if time.starts_with('(') && time.ends_with("s)") => reply.to_owned(),
        _ => printed.to_owned(),
    }
}

/// Returns true if the text matches the pattern, in which `...` stands for any text.
fn fits(text: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split("...");
    let first = pieces.next().expect("there is a piece before the first split");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// The commands of a session, each with its reply. A command goes on in the lines that are indented.
fn exchanges(session: &str) -> Vec<(String, &str)> {
    let session = session.strip_prefix("> ").expect("a session begins with a command");
    let exchange = |exchange| {
        let (mut command, mut rest) = take_line(exchange);
        while let Some(more) = rest.strip_prefix(CONTINUED) {
            let (line, after) = take_line(more);
            command = format!("{command} {}", line.trim_start());
            rest = after;
        }
        assert!(!rest.is_empty(), "no reply is shown to {command}");
        (command, rest)
    };
    session.split("\n> ").map(exchange).collect()
}

const CONTINUED: &str = "    ";

fn take_line(text: &str) -> (String, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    (line.to_owned(), rest)
}

/// Every session with redis-cli on a page, typed from top to bottom.
fn check_sessions(page: &str) {
    let blocks = blocks(page);
    let sessions: Vec<&Block> = blocks.iter().filter(|block| block.language == SESSION).collect();
    assert!(
        !sessions.is_empty() || NOTHING_TO_TYPE.contains(&page),
        "no session is left on {page}"
    );
    on_every_server(|server| {
        for session in &sessions {
            for (command, expected) in exchanges(&session.text) {
                let reply = typed(server, &command);
                assert!(
                    fits(&reply, expected),
                    "{page}\n> {command}\n{reply}\n-- shown is\n{expected}"
                );
            }
        }
    });
}

#[test]
fn the_pages_show_the_replies_of_the_server() {
    for (page, _) in PAGES {
        check_sessions(page);
    }
}

#[test]
fn a_command_goes_on_in_indented_lines() {
    let read = |session| exchanges(session);
    assert_eq!(read("> a\n1"), [("a".to_owned(), "1")]);
    assert_eq!(
        read("> a\n    b\n       c\n1) 2\n   3\n> d\n4"),
        [("a b c".to_owned(), "1) 2\n   3"), ("d".to_owned(), "4")]
    );
}

#[test]
fn dots_stand_for_anything() {
    for (text, pattern, expected) in [
        ("abc", "abc", true),
        ("abc", "ab", false),
        ("abc", "...", true),
        ("abc", "a...", true),
        ("abc", "...c", true),
        ("abc", "a...b...", true),
        ("abc", "a...d...", false),
        ("abc", "b...", false),
        ("aba", "a...a...a", false),
    ] {
        assert_eq!(fits(text, pattern), expected, "{text} {pattern}");
    }
}
