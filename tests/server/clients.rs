//! The programs in tests/clients, through the client libraries people use, and the pages that show
//! pieces of them and sessions with redis-cli: README.md and docs/. What a page shows runs here, or the
//! page is refused.
//!
//! What the programs need comes from `scripts/clients`. A missing interpreter or package fails the
//! test; it is never skipped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Flavor, Server, on_every_server};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every page, with the program that its blocks of a language are pieces of.
const PAGES: [(&str, &[(&str, &str)]); 5] = [
    ("README.md", &[("python", "pydantic_model.py")]),
    ("docs/models.md", &[("python", "pydantic_model.py"), ("js", "zod_model.mjs")]),
    ("docs/transactions.md", &[("python", "payment.py")]),
    ("docs/locks.md", &[("python", "locks.py")]),
    (TABLES, &[]),
];

/// The language of sessions with redis-cli.
const SESSION: &str = "redis";
const FENCE: &str = "```";

/// The page that is tables and nothing to type; another test holds it to what the servers say.
const TABLES: &str = "docs/operating.md";

/// How the blocks begin that do not run: what goes wrong elsewhere, and commands of the shell.
const NOT_RUN: [&str; 2] = ["doc = json.loads(r.get(\"sku:grinder\"))", "make run "];

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
            assert!(!looks_like_one, "{page} has a block that nobody finds: {line}");
            continue;
        };
        let text: Vec<&str> = lines.by_ref().take_while(|line| *line != FENCE).collect();
        blocks.push(Block { language: language.to_owned(), text: text.join("\n") });
    }
    blocks.retain(|block| !NOT_RUN.iter().any(|start| block.text.starts_with(start)));
    blocks
}

/// The blocks of a language are pieces of this program, in its order.
fn check_pieces<'a>(blocks: impl Iterator<Item = &'a Block>, program: &str) {
    let source = fs::read_to_string(format!("{ROOT}/tests/clients/{program}")).unwrap();
    let mut rest = source.as_str();
    for Block { text, .. } in blocks {
        let whole_lines = format!("\n{text}\n");
        let at = rest.find(&whole_lines).unwrap_or_else(|| {
            panic!("this is not in {program}, after what is shown before it:\n{text}")
        });
        rest = &rest[at + whole_lines.len() - 1..];
    }
}

#[test]
fn the_pages_show_pieces_of_the_programs() {
    for (page, programs) in PAGES {
        let blocks = blocks(page);
        for (language, program) in programs {
            let of_language = || blocks.iter().filter(|block| block.language == *language);
            assert!(of_language().count() > 0, "no {language} is left on {page}");
            check_pieces(of_language(), program);
        }
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
        let page = format!("docs/{name}");
        assert!(PAGES.iter().any(|(known, _)| *known == page), "{page} is not among the pages");
    }
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
    assert!(!sessions.is_empty() || page == TABLES, "no session is left on {page}");
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
fn the_pages_show_what_the_server_says() {
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
