//! `scripts/import`, from a server that has RedisJSON, strings and hashes: between servers and in place, tried
//! first, interrupted, repeated, and while others write.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{Flavor, Server, module_path, on_every_server};
use crate::resp::{Conn, Reply};

const MANY: usize = 3000;

fn clients() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp is in it");
    target.join("clients")
}

/// A server with RedisJSON, and with more modules.
pub fn redisjson(more: &[&str]) -> Server {
    let module = clients().join("rejson.so");
    assert!(module.exists(), "{} is missing: run scripts/clients", module.display());
    let load = format!("loadmodule {}", module.display());
    Server::start_plain(Flavor::Redis70, &[&[load.as_str()], more].concat())
}

/// A program of `scripts/`, with the packages it needs.
pub fn program(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(clients().join("python"));
    command.arg(format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR"))).args(args);
    command
}

fn import(args: &[&str]) -> Command {
    program("import", args)
}

pub fn url(server: &Server) -> String {
    format!("redis://127.0.0.1:{}/0", server.port)
}

/// The last words of the importer or the exporter, and true if it did all that it was asked to.
pub fn outcome(ran: Output) -> (String, bool) {
    let said = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
    let complained = String::from_utf8_lossy(&ran.stderr);
    assert!(!complained.contains("Traceback"), "{complained}");
    assert!(ran.status.code().is_some_and(|code| code <= 1), "{said} {complained}");
    (said, ran.status.success())
}

fn fill(conn: &mut Conn) {
    let document = r#"{"id":9007199254740993,"x":1.50,"é":[true,null,{"deep":""}]}"#;
    conn.must(&["JSON.SET", "j:1", ".", document]);
    conn.must(&["JSON.SET", "j:2", ".", "[]"]);
    conn.must(&["EXPIRE", "j:2", "1000"]);
    conn.must(&["SET", "s:1", r#" {"a" : 1} "#]);
    conn.must(&["SET", "s:2", "no JSON"]);
    // No integer of ours: it is refused and not rounded.
    conn.must(&["SET", "s:3", "9223372036854775808"]);
    conn.must(&["HSET", "h:1", "name", "Ann \"A\"", "n", "12", "ok", "true"]);
    conn.must(&["RPUSH", "l:1", "x"]);
}

const FILLED: [(&str, &str); 4] = [
    ("j:1", r#"{"id":9007199254740993,"x":1.5,"é":[true,null,{"deep":""}]}"#),
    ("j:2", "[]"),
    ("s:1", r#"{"a":1}"#),
    ("h:1", r#"{"name":"Ann \"A\"","n":12,"ok":true}"#),
];

#[test]
fn another_server_is_imported_key_by_key() {
    let source = redisjson(&[]);
    fill(&mut source.conn());
    let before = source.debug_digest();
    on_every_server(|target| {
        let (from, to) = (url(&source), url(target));
        let args = ["--from", &from, "--to", &to, "--hash-values", "json"];
        let run = |more: &[&str]| {
            outcome(import(&[&args[..], more].concat()).output().expect("Python runs"))
        };
        let tried = "5 would be imported, 1 not JSON, 1 another type";
        assert_eq!(run(&["--dry-run"]), (tried.to_owned(), false));
        let conn = &mut target.conn();
        assert_eq!(conn.must(&["DBSIZE"]), Reply::Int(0), "trying writes nothing");

        conn.must(&["MODEL.SET", "j:2", "any", r#"{"mine":1}"#]);
        let kept =
            "3 imported and verified, 1 there already, 1 not JSON, 1 another type, 1 refused";
        assert_eq!(run(&[]), (kept.to_owned(), false));
        assert_eq!(conn.must(&["MODEL.GET", "j:2"]), Reply::bulk(r#"{"mine":1}"#));
        let all = "4 imported and verified, 1 not JSON, 1 another type, 1 refused";
        assert_eq!(run(&["--replace"]), (all.to_owned(), false));
        for (key, json) in FILLED {
            assert_eq!(conn.must(&["MODEL.GET", key]), Reply::bulk(json));
        }
        assert_eq!(conn.must(&["PTTL", "j:1"]), Reply::Int(-1));
        assert!((1..=1_000_000).contains(&conn.must(&["PTTL", "j:2"]).int()));

        // A model validates them, and may add defaults.
        conn.must(&["FLUSHALL"]);
        let schema = r#"{"type":"object","properties":{"by":{"default":"us"}},"required":["a"]}"#;
        conn.must(&["MODEL.DEFINE", "m", schema]);
        let some = "1 imported and verified, 4 refused, 1 not JSON, 1 another type";
        let (said, complete) = run(&["--model", "m"]);
        assert_eq!((order(&said), complete), (order(some), false));
        assert_eq!(conn.must(&["MODEL.GET", "s:1"]), Reply::bulk(r#"{"a":1,"by":"us"}"#));
        let strings = run(&["--match", "s:1"]);
        let other = "0 imported and verified, 1 there already";
        assert_eq!(strings, (other.to_owned(), true), "it is another document now");
    });
    assert_eq!(source.debug_digest(), before, "the source is only read");
}

fn order(said: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = said.split(", ").collect();
    parts.sort_unstable();
    parts
}

#[test]
fn an_interrupted_import_can_be_resumed() {
    let source = redisjson(&[]);
    let conn = &mut source.conn();
    for nth in 0..MANY {
        conn.must(&["JSON.SET", &format!("j:{nth}"), ".", &format!(r#"{{"n":{nth}}}"#)]);
    }
    let target = Server::start(Flavor::Valkey91, &[]);
    let state = target.dir().join("import.state");
    let (from, to) = (url(&source), url(&target));
    let args = ["--from", &from, "--to", &to, "--batch", "10", "--state"];
    let args = [&args[..], &[state.to_str().expect("a plain name")]].concat();
    let mut first = import(&args).stdout(Stdio::null()).spawn().expect("Python runs");
    target.wait_until("it is under way", || state.exists());
    first.kill().expect("it can be killed");
    first.wait().expect("it was killed");
    let halfway = target.must(&["DBSIZE"]).int();
    assert!(state.exists() && halfway < MANY as i64, "it was interrupted: {halfway}");
    let other = [&args[..], &["--match", "x"]].concat();
    let refused = import(&other).output().expect("Python runs");
    assert!(!refused.status.success() && refused.stdout.is_empty(), "another run's state");

    let (said, complete) = outcome(import(&args).output().expect("Python runs"));
    let imported: usize = said.split(' ').next().and_then(|count| count.parse().ok()).unwrap();
    // The last document may have been counted twice.
    assert!(complete && (MANY..MANY + 100).contains(&imported), "{said}");
    assert_eq!(target.must(&["DBSIZE"]).int(), MANY as i64);
    assert!(!state.exists());
    for nth in 0..MANY {
        let json = target.conn().must(&["MODEL.GET", &format!("j:{nth}"), "$.n"]);
        assert_eq!(json, Reply::bulk(nth.to_string()));
    }
}

#[test]
fn keys_become_documents_in_place_while_others_write() {
    let model = format!("loadmodule {}", module_path().display());
    let server = redisjson(&[&model]);
    let conn = &mut server.conn();
    fill(conn);
    conn.must(&["JSON.SET", "j:n", ".", r#"{"n":0}"#]);
    let (done, ready) = (AtomicBool::new(false), AtomicBool::new(false));
    let (said, counted) = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let conn = &mut server.conn();
            let mut counted = 0;
            while !done.load(Ordering::Relaxed) {
                let old = conn.call(&["JSON.NUMINCRBY", "j:n", "n", "1"]);
                if old.is_error() {
                    assert!(old.error().contains("wrong Redis type"), "{old:?}");
                    conn.must(&["MODEL.FIELDOP", "j:n", "INCR", "$.n", "1"]);
                }
                counted += 1;
                // It would win for ever if it never stopped.
                thread::sleep(Duration::from_millis(4));
                ready.store(true, Ordering::Relaxed);
            }
            counted
        });
        server.wait_until("it writes", || ready.load(Ordering::Relaxed));
        let from = url(&server);
        let args = ["--from", &from, "--match", "[jsh]:*", "--hash-values", "json"];
        let said = loop {
            // A key that was changed again and again is left alone and told.
            let (said, _) = outcome(import(&args).output().expect("Python runs"));
            if !said.contains("changed meanwhile") {
                break said;
            }
        };
        done.store(true, Ordering::Relaxed);
        (said, writer.join().expect("the writer holds"))
    });
    assert!(said.ends_with("1 not JSON, 1 refused"), "{said}");
    for (key, json) in FILLED {
        assert_eq!(conn.must(&["MODEL.GET", key]), Reply::bulk(json));
        assert_eq!(conn.must(&["TYPE", key]), Reply::Simple("model-doc".into()));
    }
    assert!((1..=1_000_000).contains(&conn.must(&["PTTL", "j:2"]).int()));
    assert_eq!(conn.must(&["MODEL.GET", "j:n", "$.n"]), Reply::bulk(counted.to_string()));
    assert_eq!(conn.must(&["DBSIZE"]), Reply::Int(8), "nothing is left aside");
}
