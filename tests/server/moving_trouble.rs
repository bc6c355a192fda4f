//! `scripts/export` and `scripts/import` in trouble: servers that are started again, clusters, keys that are in the way,
//! and whatever ends a program early, which is told in one line.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::cluster::Cluster;
use crate::harness::{Flavor, Server};
use crate::importing::{outcome, program, url};
use crate::resp::Reply;

const MANY: usize = 3000;
/// Keys with a tag, and keys of which no tag has the slot.
const KEYS: [&str; 8] = ["user:{1}:x", "z{u}{v}", "a}b", "{}x", "a{b", "", "plain", "x"];

fn run(name: &str, args: &[&str]) -> (String, bool) {
    outcome(program(name, args).output().expect("Python runs"))
}

fn file_in(server: &Server, name: &str) -> String {
    server.dir().join(name).to_str().expect("a plain name").to_owned()
}

/// Kills a program as soon as it has noted how far it got.
fn interrupt(name: &str, args: &[&str], server: &Server, state: &str) {
    let mut first = program(name, args).stdout(Stdio::null()).spawn().expect("Python runs");
    server.wait_until("it is under way", || Path::new(state).exists());
    first.kill().expect("it can be killed");
    first.wait().expect("it was killed");
    assert!(Path::new(state).exists(), "it was interrupted");
}

#[test]
fn a_run_that_is_resumed_after_a_restart_of_its_source_leaves_nothing_out() {
    for flavor in [Flavor::Redis82, Flavor::Valkey91] {
        let source = Server::start(flavor, &["appendonly yes"]);
        let conn = &mut source.conn();
        for nth in 0..MANY {
            conn.must(&["MODEL.SET", &format!("j:{nth}"), "any", "{}"]);
            conn.must(&["SET", &format!("s:{nth}"), "{}"]);
        }
        let (file, state) = (file_in(&source, "all.ndjson"), file_in(&source, "state"));
        let from = url(&source);
        let args = ["--from", &from, "--to", &file, "--batch", "10", "--state", &state];
        interrupt("export", &args, &source, &state);
        source.restart();
        assert_eq!(run("export", &args), (format!("{MANY} exported and verified"), true));
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), MANY, "each once");

        let target = Server::start(Flavor::Redis70, &[]);
        let to = url(&target);
        let args = ["--from", &from, "--to", &to, "--batch", "10", "--match", "s:*"];
        let args = [&args[..], &["--state", &state]].concat();
        interrupt("import", &args, &target, &state);
        source.restart();
        assert_eq!(run("import", &args), (format!("{MANY} imported and verified"), true));
        assert_eq!(target.must(&["DBSIZE"]).int(), MANY as i64);
    }
}

#[test]
fn keys_of_a_cluster_become_documents_in_place_and_of_a_file() {
    let cluster = Cluster::start(Flavor::Redis70, 3, &[]);
    for key in KEYS {
        cluster.conn_of(key).must(&["SET", key, r#"{"n":1}"#]);
    }
    let nodes = [0, 1, 2].map(|shard| cluster.master_of(cluster.first_slot(shard)));
    for node in nodes {
        let ran = program("import", &["--from", &url(node)]).output().expect("Python runs");
        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(told.contains("is a node of a cluster: its own keys are moved"), "{told}");
        let (said, complete) = outcome(ran);
        assert!(complete, "{said}");
    }
    for key in KEYS {
        assert_eq!(cluster.conn_of(key).must(&["MODEL.GET", key]), Reply::bulk(r#"{"n":1}"#));
    }
    let keys: i64 = nodes.iter().map(|node| node.must(&["DBSIZE"]).int()).sum();
    assert_eq!(keys, KEYS.len() as i64, "nothing is left aside");

    // A file for the whole cluster, with a definition that each node needs.
    let one = Server::start(Flavor::Redis82, &[]);
    one.must(&["MODEL.DEFINE", "m", r#"{"required":["n"]}"#]);
    for key in KEYS {
        one.must(&["MODEL.SET", key, "m", r#"{"n":1}"#]);
    }
    let file = file_in(&one, "all.ndjson");
    assert!(run("export", &["--from", &url(&one), "--to", &file]).1);
    for node in nodes {
        node.must(&["FLUSHALL"]);
    }
    let all = format!("{} imported and verified", KEYS.len());
    assert_eq!(run("import", &["--from", &file, "--to", &url(nodes[1])]), (all, true));
    for key in KEYS {
        let model = cluster.conn_of(key).must(&["MODEL.META", key]).array()[1].clone();
        assert_eq!(model, Reply::bulk("m"));
    }
    for node in nodes {
        node.must(&["FLUSHALL"]);
    }
    let args = ["--from", &url(&one), "--to", &url(nodes[2]), "--as", "string"];
    assert_eq!(run("export", &args), (format!("{} exported and verified", KEYS.len()), true));
}

#[test]
fn a_key_where_a_document_would_be_made_first_is_left_alone() {
    let server = Server::start(Flavor::Redis70, &[]);
    let other = "import:aside:{x}";
    let args = ["--from", &url(&server), "--match", "x"];
    server.must(&["SET", "x", "[1]"]);
    let there: [(&[&str], &[&str], &str); 2] = [
        (&["SET", other, "precious"], &["GET", other], "precious"),
        (&["MODEL.SET", other, "any", "[2]"], &["MODEL.GET", other], "[2]"),
    ];
    for (put, get, value) in there {
        server.must(&["DEL", other]);
        server.must(put);
        assert_eq!(run("import", &args), ("0 imported and verified, 1 refused".to_owned(), false));
        assert_eq!(server.must(get), Reply::bulk(value));
        assert_eq!(server.must(&["GET", "x"]), Reply::bulk("[1]"));
    }
    // The document of an interrupted run is used up.
    server.must(&["MODEL.SET", other, "any", "[1]", "EX", "1000"]);
    assert!(run("import", &args).1);
    assert_eq!(server.must(&["TTL", "x"]), Reply::Int(-1));
    assert_eq!(server.must(&["DBSIZE"]), Reply::Int(1));
}

#[test]
fn what_ends_a_program_is_told_in_one_line() {
    let server = Server::start(Flavor::Redis82, &["user ann on >right ~* +@all"]);
    let plain = Server::start_plain(Flavor::Redis70, &[]);
    server.must(&["MODEL.SET", "a", "any", "1"]);
    let with = |user: &str, rest: &str| format!("redis://{user}@127.0.0.1:{}{rest}", server.port);
    let (file, state) = (file_in(&server, "all.ndjson"), file_in(&server, "state"));
    let good = with("ann:right", "/0");
    for (from, to, told) in [
        (with("ann:wrong", "/0"), file.as_str(), "invalid username-password pair"),
        (with("ann:right", "/99"), &file, "DB index is out of range"),
        ("redis://127.0.0.1:1/0".to_owned(), &file, "Connection refused"),
        ("localhost:6379".to_owned(), &file, "must specify one of the following schemes"),
        (url(&plain), &file, "no server with redis-model"),
        (good.clone(), "/nowhere/all.ndjson", "No such file or directory"),
    ] {
        check_end("export", &["--from", &from, "--to", to, "--state", &state], told);
    }
    assert!(run("export", &["--from", &good, "--to", &file]).1);
    check_end("export", &["--from", &good, "--to", &file], "exists");
    check_end("import", &["--from", &file, "--to", &with("ann:wrong", "/0")], "invalid username");
    check_end("import", &["--from", "/nowhere", "--to", &good], "No such file");
}

/// A program ends with 2 and a line in which no password is.
fn check_end(name: &str, args: &[&str], told: &str) {
    let ran = program(name, args).output().expect("Python runs");
    let complaint = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(2), "{complaint}");
    assert!(complaint.starts_with(&format!("{name}: ")), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.contains(told), "{complaint}");
    assert!(!complaint.contains(":wrong@") && !complaint.contains(":right@"), "{complaint}");
}

#[test]
fn a_document_that_cannot_be_moved_is_told_with_its_reason() {
    let source = Server::start(Flavor::Redis82, &[]);
    let conn = &mut source.conn();
    for nth in 0..30 {
        conn.must(&["MODEL.SET", &format!("j:{nth}"), "any", "1"]);
    }
    conn.must(&["ACL", "SETUSER", "few", "on", ">p", "~k:*", "+@all"]);
    let from = format!("redis://few:p@127.0.0.1:{}/0", source.port);
    let (file, state) = (file_in(&source, "few.ndjson"), file_in(&source, "state"));
    let args = ["--from", &from, "--to", &file, "--state", &state, "--batch", "1"];
    let ran = program("export", &args).output().expect("Python runs");
    let complaints = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(outcome(ran), ("0 exported and verified, 30 refused".to_owned(), false));
    assert_eq!(complaints.matches("refused: No permissions to access a key").count(), 20);
    assert!(complaints.ends_with("and 10 more\n"), "{complaints}");

    let target = Server::start(Flavor::Redis70, &[]);
    source.must(&["SET", "de\nep", &"[".repeat(100_000)]);
    source.must(&["SET", "k:1", "1"]);
    let args = ["--from", &url(&source), "--to", &url(&target), "--match", "[dk]*"];
    let ran = program("import", &args).output().expect("Python runs");
    let complaints = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(outcome(ran), ("1 imported and verified, 1 not JSON".to_owned(), false));
    assert_eq!(complaints, "de\\nep: not JSON: it is nested too deeply\n");
}
