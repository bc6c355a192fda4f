//! `scripts/export`, to files, to RedisJSON and to strings; and `scripts/import`, which makes the same documents of a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::harness::{Flavor, Server, on_every_server};
use crate::importing::{outcome, program, redisjson, url};
use crate::resp::{Conn, Reply};

const MANY: usize = 3000;

/// Runs a program to its end, and returns its last words and true if all went well.
fn run(name: &str, args: &[&str]) -> (String, bool) {
    outcome(program(name, args).output().expect("Python runs"))
}

fn must_bytes(conn: &mut Conn, args: &[&[u8]]) -> Reply {
    let reply = conn.call_bytes(args);
    assert!(!reply.is_error(), "{reply:?}");
    reply
}

fn file_in(server: &Server, name: &str) -> PathBuf {
    server.dir().join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain name")
}

/// Definitions and documents that are easy to get wrong.
fn fill(server: &Server) {
    let conn = &mut server.conn();
    let schema = "{\"properties\":{\n\"by\":{\"default\":\"us\"}},\"title\":\"\u{2028}\"}";
    let rule = ["RULE", "covered \"all\"", "!has(self.n) || self.n >= 0"];
    conn.must(
        &[&["MODEL.DEFINE", "acct", schema], &rule[..], &["TTL", "900", "REFRESH", "WRITE"]]
            .concat(),
    );
    conn.must(&["MODEL.DEFINE", "bare", "{}", "NODEFAULTS", "FORMATS", "ANNOTATE"]);
    let numbers = r#"[9007199254740993,-9223372036854775808,1.5,1e300,5e-324,0.1,-0.0,1.0]"#;
    conn.must(&["MODEL.SET", "numbers", "any", numbers]);
    conn.must(&[
        "MODEL.SET",
        "texts",
        "any",
        "{\"\u{2028}\\n\":\"\\u0000\\\"\\\\é\u{1f600}\",\"\":null}",
    ]);
    conn.must(&["MODEL.SET", "acct:1", "acct", r#"{"n":1}"#]);
    conn.must(&["MODEL.SET", "acct:2", "acct", r#"{"n":2}"#]);
    conn.must(&["PERSIST", "acct:2"]);
    conn.must(&["MODEL.SET", "acct:3", "acct", r#"{"n":3}"#, "PX", "7777777"]);
    conn.must(&["MODEL.SET", "bare:1", "bare", "7"]);
    must_bytes(conn, &[b"MODEL.SET", b"key\xff\x00\n\"", b"any", b"\"bytes\""]);
    conn.must(&["MODEL.SET", "", "any", "\"no name\""]);
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    conn.must(&["MODEL.SET", "deep", "any", &deep]);
    let big = format!("[{}1]", r#"{"name":"twenty bytes of text","n":12345},"#.repeat(100_000));
    conn.must(&["MODEL.SET", "big", "any", &big]);
    conn.must(&["SET", "string", "of no interest"]);
}

/// Everything that a file carries of each document, by key: what it holds, its model and its expiry.
fn documents(server: &Server) -> Vec<(Vec<u8>, Reply, Reply, Reply)> {
    let conn = &mut server.conn();
    let keys = conn.must(&["KEYS", "*"]);
    let mut all = Vec::new();
    for key in keys.array() {
        let Reply::Bulk(key) = key else { panic!("a key: {key:?}") };
        if must_bytes(conn, &[b"TYPE", key]) != Reply::Simple("model-doc".into()) {
            continue;
        }
        let json = must_bytes(conn, &[b"MODEL.GET", key]);
        let model = must_bytes(conn, &[b"MODEL.META", key]).array()[1].clone();
        all.push((key.to_vec(), json, model, must_bytes(conn, &[b"PEXPIRETIME", key])));
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

#[test]
fn a_file_holds_documents_with_models_and_expiries_and_becomes_them_again() {
    on_every_server(|source| {
        fill(source);
        let (all, digest) = (documents(source), source.debug_digest());
        let file = file_in(source, "all.ndjson");
        let (from, portions) = (url(source), ["--batch-bytes", "1000"]);
        let args = [&["--from", &from, "--to", text(&file)], &portions[..]].concat();
        let exported = run("export", &args);
        let said = format!("{} exported and verified", all.len());
        assert_eq!(exported, (said, true));
        assert_eq!(source.debug_digest(), digest, "the source is only read");
        // One line for each document and definition, and the revision is in it.
        let lines = fs::read(&file).unwrap();
        assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), all.len() + 2);
        let revision = source.must(&["MODEL.META", "acct:1"]).array()[3].int();
        let line = format!(r#"{{"key":"acct:1","model":"acct","revision":{revision},"#);
        assert!(String::from_utf8_lossy(&lines).contains(&line));

        let target = Server::start(source.flavor, &[]);
        let to = url(&target);
        let args = [&["--from", text(&file), "--to", &to], &portions[..]].concat();
        let tried = run("import", &[&args[..], &["--dry-run"]].concat());
        assert_eq!(tried, (format!("{} would be imported", all.len()), true));
        assert_eq!(target.must(&["DBSIZE"]), Reply::Int(0));
        assert_eq!(target.must(&["MODEL.MODELS"]).array().len(), 0);
        let imported = run("import", &args);
        assert_eq!(imported, (format!("{} imported and verified", all.len()), true));
        assert_eq!(documents(&target), all);
        for model in ["acct", "bare"] {
            let described =
                |server: &Server| server.must(&["MODEL.DESCRIBE", model]).array()[4..].to_vec();
            assert_eq!(
                described(&target)[2..],
                described(source)[2..],
                "all but the version and line ends"
            );
        }
        // Exported again, the files are the same but for revisions; and a second import changes nothing.
        let digest = target.debug_digest();
        assert!(run("import", &args).1);
        assert_eq!(target.debug_digest(), digest);
        assert_eq!(documents(&target), all);
    });
}

#[test]
fn what_cannot_be_imported_of_a_file_is_listed_by_its_line() {
    let server = Server::start(Flavor::Redis70, &[]);
    let file = file_in(&server, "some.ndjson");
    let lines = [
        // Members in another order, with space, as other programs write them.
        r#" { "document" : {"n": 18446744073709551616e0 , "m":[ 1.50 ]}, "key" : "a" } "#,
        r#"{"key":"b","model":"none","document":{}}"#,
        r#"{"key":"c","expires":1000,"document":{}}"#,
        r#"{"key":"d","document":{"n":92233720368547758070}}"#,
        r#"{"key":"e"}"#,
        r#"{"key-base64":"/w==","document":1,"expires":null}"#,
        r#"{"definition":"broken","version":1,"schema":{"type":"x"},"rules":[],"ttl":null,"refresh":null,"formats":"ASSERT","defaults":"FILLED"}"#,
        "",
        r#"{"key":"f","document":{"cut"#,
    ];
    fs::write(&file, lines.join("\n")).unwrap();
    let ran = program("import", &["--from", text(&file), "--to", &url(&server)]).output().unwrap();
    let complaints = String::from_utf8_lossy(&ran.stderr).into_owned();
    let said = "2 imported and verified, 1 expired, 2 not JSON, 3 refused";
    assert_eq!(outcome(ran), (said.to_owned(), false));
    for complaint in [
        "b: refused: NOMODEL",
        "d: refused: RANGE",
        "line 5: not JSON",
        "line 7: refused",
        "line 9: not JSON",
    ] {
        assert!(complaints.contains(complaint), "{complaint} is not in {complaints}");
    }
    assert_eq!(server.must(&["MODEL.GET", "a", "$.m"]), Reply::bulk("[1.5]"));
    assert_eq!(must_bytes(&mut server.conn(), &[b"MODEL.GET", b"\xff"]), Reply::bulk("1"));
    assert_eq!(server.must(&["DBSIZE"]), Reply::Int(2));
}

#[test]
fn a_document_that_cannot_be_read_is_listed_and_the_rest_exported() {
    on_every_server(|source| {
        source.must(&["MODEL.SET", "small", "any", "1"]);
        source.must(&["MODEL.SET", "large", "any", &format!("\"{}\"", "x".repeat(5000))]);
        source.must(&["CONFIG", "SET", "model.reply-bytes", "1000"]);
        let file = file_in(source, "some.ndjson");
        let ran =
            program("export", &["--from", &url(source), "--to", text(&file)]).output().unwrap();
        let complaints = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(outcome(ran), ("1 exported and verified, 1 refused".to_owned(), false));
        assert!(complaints.contains("large: refused: LIMIT"), "{complaints}");
        assert!(fs::read_to_string(&file).unwrap().starts_with("{\"key\":\"small\""));
    });
}

#[test]
fn an_interrupted_export_is_resumed_and_its_file_imported_in_two_runs() {
    let source = Server::start(Flavor::Redis70, &[]);
    let conn = &mut source.conn();
    for nth in 0..MANY {
        conn.must(&["MODEL.SET", &format!("j:{nth}"), "any", &format!(r#"{{"n":{nth}}}"#)]);
    }
    let (file, part) = (file_in(&source, "many.ndjson"), file_in(&source, "many.ndjson.part"));
    let state = file_in(&source, "many.state");
    let from = url(&source);
    let args = ["--from", &from, "--to", text(&file), "--batch", "10", "--state", text(&state)];
    interrupt("export", &args, &source, &state);
    assert!(!file.exists() && part.exists(), "a part does not bear the name of the whole");
    let other = [&args[..], &["--match", "x"]].concat();
    let refused = program("export", &other).output().unwrap();
    assert!(!refused.status.success() && refused.stdout.is_empty(), "another run's state");
    // A line that was not finished before the interruption, and one that was not noted.
    let mut torn = fs::read(&part).unwrap();
    torn.extend_from_slice(b"{\"key\":\"j:1\",\"docu");
    fs::write(&part, torn).unwrap();
    assert_eq!(run("export", &args), (format!("{MANY} exported and verified"), true));
    assert!(file.exists() && !part.exists() && !state.exists());
    let lines = fs::read_to_string(&file).unwrap();
    assert_eq!(lines.lines().count(), MANY, "each once");
    let again = program("export", &args).output().unwrap();
    assert!(!again.status.success(), "a file that exists is not replaced");

    let target = Server::start(Flavor::Valkey91, &[]);
    let to = url(&target);
    let args = ["--from", text(&file), "--to", &to, "--batch", "10", "--state", text(&state)];
    interrupt("import", &args, &target, &state);
    assert!(target.must(&["DBSIZE"]).int() < MANY as i64, "it was interrupted");
    let (said, complete) = run("import", &args);
    assert!(complete && said.ends_with("imported and verified"), "{said}");
    assert_eq!(target.must(&["DBSIZE"]).int(), MANY as i64);
    for nth in 0..MANY {
        let json = target.conn().must(&["MODEL.GET", &format!("j:{nth}")]);
        assert_eq!(json, Reply::bulk(format!(r#"{{"n":{nth}}}"#)));
    }
}

/// Kills a program as soon as it has noted how far it got.
fn interrupt(name: &str, args: &[&str], server: &Server, state: &Path) {
    let mut first = program(name, args).stdout(Stdio::null()).spawn().expect("Python runs");
    server.wait_until("it is under way", || state.exists());
    first.kill().expect("it can be killed");
    first.wait().expect("it was killed");
    assert!(state.exists(), "it was interrupted");
}

#[test]
fn documents_become_redisjson_and_strings_of_another_server() {
    let target = redisjson(&[]);
    on_every_server(|source| {
        // Servers take turns by their names in the keys.
        let prefix = source.flavor.name();
        let key = |name: &str| format!("{prefix}:{name}");
        let conn = &mut source.conn();
        let document = r#"{"id":9007199254740993,"x":1.5,"é":[true,null,{"deep":""}]}"#;
        conn.must(&["MODEL.SET", &key("plain"), "any", document]);
        conn.must(&["MODEL.SET", &key("short"), "any", "[1]", "PXAT", "4102444800000"]);
        conn.must(&["MODEL.SET", &key("mine"), "any", "{}"]);
        conn.must(&["SET", &key("string"), "left out"]);
        let there = &mut target.conn();
        for (form, get, set) in [("json", "JSON.GET", "JSON.SET"), ("string", "GET", "SET")] {
            for name in ["plain", "short", "mine"] {
                there.must(&["DEL", &key(name)]);
            }
            let mine: &[&str] = if form == "json" { &[".", "\"mine\""] } else { &["\"mine\""] };
            there.must(&[&[set, &key("mine")], mine].concat());
            there.must(&["EXPIRE", &key("mine"), "1000"]);
            let (from, to, pattern) = (url(source), url(&target), format!("{prefix}:*"));
            let args = ["--from", &from, "--to", &to, "--as", form, "--match", &pattern];
            let kept = "2 exported and verified, 1 there already";
            assert_eq!(run("export", &args), (kept.to_owned(), true));
            assert_eq!(there.must(&[get, &key("mine")]), Reply::bulk("\"mine\""));
            let all = "3 exported and verified".to_owned();
            assert_eq!(run("export", &[&args[..], &["--replace"]].concat()), (all, true));
            assert_eq!(there.must(&[get, &key("mine")]), Reply::bulk("{}"));
            assert_eq!(there.must(&[get, &key("plain")]), Reply::bulk(document));
            assert_eq!(there.must(&["PEXPIRETIME", &key("short")]), Reply::Int(4102444800000));
            assert_eq!(there.must(&["PTTL", &key("mine")]), Reply::Int(-1));
            assert_eq!(there.must(&["EXISTS", &key("string")]), Reply::Int(0));
        }
        // And back: the import of what was exported is the document.
        let back = Server::start(source.flavor, &[]);
        let (from, to, pattern) = (url(&target), url(&back), format!("{prefix}:*"));
        let said = run("import", &["--from", &from, "--to", &to, "--match", &pattern]);
        assert_eq!(said, ("3 imported and verified".to_owned(), true));
        assert_eq!(back.must(&["MODEL.GET", &key("plain")]), Reply::bulk(document));
    });
}

/// Clients change, delete and make documents all the time. Each line is a state that its document had, at one moment; and a
/// copy at another server is the newest state of a document that is left alone afterwards.
#[test]
fn documents_that_change_meanwhile_are_exported_as_they_were_at_one_moment() {
    let source = Server::start(Flavor::Redis80, &[]);
    let target = Server::start(Flavor::Redis70, &[]);
    let conn = &mut source.conn();
    for nth in 0..MANY {
        conn.must(&["MODEL.SET", &format!("j:{nth}"), "any", r#"{"n":0,"twice":0}"#]);
    }
    let file = file_in(&source, "changing.ndjson");
    let (done, writes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let [to_file, to_server] = thread::scope(|scope| {
        scope.spawn(|| {
            let conn = &mut source.conn();
            for nth in (0..MANY).cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let key = format!("j:{nth}");
                conn.must(&["MODEL.FIELDOP", &key, "INCR", "$.n", "1", "INCR", "$.twice", "2"]);
                conn.must(&["MODEL.SET", &format!("new:{nth}"), "any", "{}"]);
                conn.must(&["DEL", &format!("new:{}", (nth + MANY - 10) % MANY)]);
                writes.fetch_add(1, Ordering::Relaxed);
            }
        });
        source.wait_until("clients write", || writes.load(Ordering::Relaxed) > 100);
        let (from, to) = (url(&source), url(&target));
        let of_file = ["--from", &from, "--to", text(&file), "--match", "j:*"];
        let of_server = ["--from", &from, "--to", &to, "--as", "string", "--batch", "20"];
        let ran = [&of_file[..], &of_server].map(|args| program("export", args).output());
        done.store(true, Ordering::Relaxed);
        ran.map(|ran| outcome(ran.expect("Python runs")))
    });
    assert_eq!(to_file, (format!("{MANY} exported and verified"), true));
    let said = to_server.0;
    assert!(!said.contains("refused") && !said.contains("differs"), "{said}");
    let lines = fs::read_to_string(&file).unwrap();
    let mut changed = 0;
    for line in lines.lines() {
        let whole: serde_json::Value = serde_json::from_str(line).unwrap();
        let (n, twice) = (&whole["document"]["n"], &whole["document"]["twice"]);
        assert_eq!(n.as_i64().unwrap() * 2, twice.as_i64().unwrap(), "{line}");
        changed += usize::from(n.as_i64() != Some(0));
    }
    assert!(changed > 0, "documents changed before they were exported");
    for nth in 0..MANY {
        assert_eq!(target.must(&["EXISTS", &format!("j:{nth}")]), Reply::Int(1));
    }
    // A document that is left alone is exported as it is.
    let from = url(&source);
    let to = url(&target);
    let args = ["--from", &from, "--to", &to, "--as", "string", "--replace", "--match", "j:1*"];
    assert!(run("export", &args).1);
    let last = source.must(&["MODEL.GET", "j:10"]);
    assert_eq!(target.must(&["GET", "j:10"]), last);
}

/// The target is paused, so that the exporter has read the documents and cannot write them yet.
#[test]
fn a_copy_is_made_again_of_a_document_that_changes_between_reading_and_writing() {
    let source = Server::start(Flavor::Redis80, &[]);
    let target = Server::start(Flavor::Redis70, &[]);
    for key in ["changed", "deleted", "kept"] {
        source.must(&["MODEL.SET", key, "any", "1"]);
    }
    target.must(&["CLIENT", "PAUSE", "600000", "WRITE"]);
    let (from, to) = (url(&source), url(&target));
    let mut export = program("export", &["--from", &from, "--to", &to, "--as", "string"]);
    let export = export.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("Python runs");
    let waits = || target.must(&["CLIENT", "LIST"]).text().contains("cmd=eval");
    target.wait_until("the exporter writes", waits);
    source.must(&["MODEL.FIELDOP", "changed", "INCR", "$", "1"]);
    source.must(&["DEL", "deleted"]);
    target.must(&["CLIENT", "UNPAUSE"]);
    let ran = export.wait_with_output().expect("it ends");
    assert_eq!(outcome(ran), ("3 exported and verified".to_owned(), true));
    assert_eq!(target.must(&["MGET", "changed", "kept"]).array(), ["2", "1"].map(Reply::bulk));
}
