//! Programs and pages as people read them: the programs in tests/clients define models in Pydantic and in
//! Zod, pay once and crash, and work under locks, all through the client libraries people use; README.md and the pages in docs
//! show what runs here.
//!
//! What the programs need comes from `scripts/clients`. A missing interpreter or package fails the
//! test; it is never skipped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Flavor, Server, on_every_server};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PAGE: &str = "docs/models.md";
const TRANSACTIONS: &str = "docs/transactions.md";
const LOCKS: &str = "docs/locks.md";

fn clients() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent");
    let folder = target.join("clients");
    assert!(folder.join(".stamp").exists(), "{} is missing: run scripts/clients", folder.display());
    folder
}

/// Runs a program against a server of its own for every flavour and protocol, and it says "ok".
fn check_program(command: impl Fn(&str, &str) -> Command + Sync) {
    for protocol in ["2", "3"] {
        on_every_server(|server| {
            let mut command = command(&server.port.to_string(), protocol);
            let ran = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
            let said = String::from_utf8_lossy(&ran.stdout);
            let complained = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success(), "RESP{protocol}: {said}{complained}");
            assert_eq!(said, "ok\n", "RESP{protocol}: {complained}");
        });
    }
}

#[test]
fn a_pydantic_model_is_kept_as_pydantic_would() {
    check_python("pydantic_model.py");
}

fn check_python(program: &str) {
    check_program(|port, protocol| {
        let mut python = Command::new(clients().join("python"));
        python.arg(format!("{ROOT}/tests/clients/{program}")).args([port, protocol]);
        python
    });
}

#[test]
fn a_payment_happens_once_though_its_client_crashes() {
    check_python("payment.py");
}

#[test]
fn work_under_locks_loses_nothing() {
    check_python("locks.py");
}

#[test]
fn a_zod_model_is_kept_as_zod_would() {
    check_program(|port, protocol| {
        let program = format!("{ROOT}/tests/clients/zod_model.mjs");
        let mut node = Command::new(clients().join("node"));
        // Node looks for packages from where the program lies upwards; one from its standard input
        // lies in the current folder.
        node.current_dir(clients().join("modules")).args(["--input-type=module", "-"]);
        node.args([port, protocol]).stdin(File::open(program).expect("the program is there"));
        node
    });
}

/// The blocks that are in this language, of a page or of what of it follows a heading.
fn blocks(page: &str, after: &str, language: &str) -> Vec<String> {
    let page = fs::read_to_string(format!("{ROOT}/{page}")).expect("the page is there");
    let (_, page) = page.split_once(after).expect("the heading is there");
    let fence = format!("\n```{language}\n");
    let blocks: Vec<String> = page
        .split(&fence)
        .skip(1)
        .map(|rest| rest.split_once("\n```\n").expect("a block ends").0.to_owned())
        .collect();
    assert!(!blocks.is_empty(), "no {language} is left");
    blocks
}

/// The blocks of a language are pieces of this program, in its order.
fn check_pieces(blocks: &[String], program: &str) {
    let source = fs::read_to_string(format!("{ROOT}/tests/clients/{program}")).unwrap();
    let mut rest = source.as_str();
    for block in blocks {
        let whole_lines = format!("\n{block}\n");
        let at = rest.find(&whole_lines).unwrap_or_else(|| {
            panic!("this is not in {program}, after what is shown before it:\n{block}")
        });
        rest = &rest[at + whole_lines.len() - 1..];
    }
}

#[test]
fn the_pages_show_pieces_of_the_programs() {
    check_pieces(&blocks(PAGE, "", "python"), "pydantic_model.py");
    check_pieces(&blocks(PAGE, "", "js"), "zod_model.mjs");
    check_pieces(&blocks(TRANSACTIONS, "", "python"), "payment.py");
    check_pieces(&blocks(LOCKS, "", "python"), "locks.py");
    check_pieces(&blocks("README.md", "\n## Models", "python"), "pydantic_model.py");
}

/// What redis-cli prints for the command; without the time it adds, `(0.62s)`, to a reply that took
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

/// Whether the text is the pattern, in which `...` stands for anything.
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

/// Every session with redis-cli on a page, typed from top to bottom.
fn check_sessions(page: &str) {
    let sessions = blocks(page, "", "redis");
    on_every_server(|server| {
        for session in &sessions {
            let session = session.strip_prefix("> ").expect("a session begins with a command");
            for exchange in session.split("\n> ") {
                let (command, expected) = exchange.split_once('\n').expect("a reply is shown");
                let reply = typed(server, command);
                assert!(fits(&reply, expected), "> {command}\n{reply}\n-- shown is\n{expected}");
            }
        }
    });
}

#[test]
fn the_pages_show_what_the_server_says() {
    check_sessions(PAGE);
    check_sessions(TRANSACTIONS);
    check_sessions(LOCKS);
    check_sessions("README.md");
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
