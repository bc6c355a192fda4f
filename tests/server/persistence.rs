//! Persistence: restarts over RDB and both kinds of AOF, a killed server, DUMP and RESTORE, and
//! payloads that are damaged.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use redis_model::op;

use crate::harness::{
    AOF_REWRITTEN, Flavor, Server, on_every_flavor, on_every_server, on_every_server_with,
};
use crate::native_workload::MARK;
use crate::resp::{Conn, Reply};
use crate::workload::{self, Rng, definitions};

/// Makes documents of every kind, with and without expiry, changed by every operator.
fn fill(server: &Server, rng: &mut Rng) {
    let conn = &mut server.conn();
    let schema = r#"{"properties":{"a":{"default":7},"b":{"type":["number","object","array"]}}}"#;
    conn.must(&["MODEL.DEFINE", "wide", "{}", "RULE", "r", "!has(self.a) || self.a != 'a'"]);
    conn.must(&["MODEL.DEFINE", "narrow", schema, "TTL", "5000", "REFRESH", "WRITE"]);
    conn.must(&["MODEL.DEFINE", "without documents", "{}"]);
    for _ in 0..500 {
        let key = format!("doc:{}", rng.below(40));
        let command = match rng.below(8) {
            0 => workload::set(rng, &key),
            1 | 2 => workload::transaction(rng, "doc:"),
            3 => workload::lock(rng, "doc:"),
            4 => workload::hold(rng, conn, "doc:"),
            _ => workload::fieldop(rng, &key),
        };
        conn.call(&command.iter().map(String::as_str).collect::<Vec<_>>());
    }
    for (nth, example) in
        op::of(op::Target::Value).iter().flat_map(|spec| spec.examples).enumerate()
    {
        let key = format!("example:{nth}");
        conn.must(&["MODEL.SET", &key, "any", example.before]);
        conn.call(&[&["MODEL.FIELDOP", &key], &*example.words()].concat());
    }
    conn.must(&["CONFIG", "SET", "model.depth", "512"]);
    conn.must(&["MODEL.SET", "deep", "any", &("[".repeat(512) + &"]".repeat(512))]);
    let wide: Vec<_> = (0..20_000).map(|nth| format!(r#"{{"id":{nth},"x":{nth}.5}}"#)).collect();
    conn.must(&["MODEL.SET", "wide", "any", &format!("[{}]", wide.join(","))]);
    conn.must(&["MODEL.FIELDOP", "wide", "INCR", "$[777].id", "1", "DEL", "$[::7]"]);
    conn.must(&["MODEL.LOCK", "wide", "n", "ann", "LEASE", "40000000"]);
    conn.must(&["SET", "string", "x"]);
}

/// The content that has to be the same afterwards.
fn contents(server: &Server) -> (String, Vec<(String, Reply, Reply, Reply)>) {
    let conn = &mut server.conn();
    let models = definitions(conn);
    let mut keys: Vec<String> =
        conn.must(&["KEYS", "*"]).array().iter().map(|key| key.text().to_owned()).collect();
    keys.sort();
    // The content of tokens and structures is in the digest.
    let is_document =
        |key: &String| key != "string" && !key.contains("token") && !key.contains(MARK);
    let documents = keys.into_iter().filter(is_document).map(|key| {
        let meta = conn.must(&["MODEL.META", &key]);
        let expires = conn.must(&["PEXPIRETIME", &key]);
        let text = conn.must(&["MODEL.GET", &key]);
        (key, text, meta, expires)
    });
    let documents = documents.collect();
    (format!("{} {models:?}", server.debug_digest()), documents)
}

#[track_caller]
fn check_survives(server: &Server, again: impl Fn()) {
    let before = contents(server);
    assert!(before.1.len() > 50);
    let held = server.info("model_locks_held");
    assert_ne!(held, "0");
    again();
    let after = contents(server);
    server.wait_until("it knows what is held", || server.info("model_locks_held") == held);
    for (before, after) in before.1.iter().zip(&after.1) {
        assert_eq!(before, after);
    }
    assert_eq!(before, after);
    assert_eq!(server.info("model_documents"), before.1.len().to_string());
}

#[test]
fn an_rdb_brings_everything_back() {
    let seed = workload::seed("persistence");
    on_every_server(|server| {
        fill(server, &mut Rng::new(seed));
        check_survives(server, || {
            server.must(&["SAVE"]);
            server.kill9();
            server.restart();
        });
        check_survives(server, || drop(server.must(&["DEBUG", "RELOAD"])));
        server.must(&["BGSAVE"]);
        server.wait_until("the file is saved", || server.info("rdb_bgsave_in_progress") == "0");
        assert_eq!(server.info("rdb_last_bgsave_status"), "ok");
    });
}

#[test]
fn an_aof_brings_everything_back() {
    let seed = workload::seed("persistence");
    for preamble in ["aof-use-rdb-preamble yes", "aof-use-rdb-preamble no"] {
        let config = ["appendonly yes", "appendfsync always", preamble];
        on_every_server_with(&config, |server| {
            let mut rng = Rng::new(seed);
            fill(server, &mut rng);
            check_survives(server, || server.restart());
            check_survives(server, || drop(server.must(&["DEBUG", "LOADAOF"])));
            server.begin_aof_rewrite();
            // Writes go on while it is rewritten, and after.
            fill(server, &mut rng);
            server.wait_for_aof();
            fill(server, &mut rng);
            check_survives(server, || {
                server.kill9();
                server.restart();
            });
            // A rewrite would change the size that is compared.
            server.wait_for_aof();
            // Loading replays; it must not log what it replays.
            let size = server.info("aof_current_size");
            server.restart();
            assert_eq!(server.info("aof_current_size"), size);
        });
    }
}

/// The replies that clients received: the last revision and count of every key, under one lock for each key.
type Acknowledged = Mutex<HashMap<String, (i64, i64)>>;

/// Increments its own keys until the server is gone, and notes each reply before it asks again.
fn client(server: &Server, nth: usize, acknowledged: &Acknowledged, stop: &AtomicBool) {
    let mut conn = server.conn();
    let mut rng = Rng::new(nth as u64);
    while !stop.load(Ordering::Relaxed) {
        let key = format!("client:{nth}:{}", rng.below(5));
        let command = [
            "MODEL.FIELDOP",
            &key,
            "INIT",
            "any",
            r#"{"log":[]}"#,
            "INCR",
            "$.n",
            "1",
            "APPEND",
            "$.log",
            "[0.5,\"x\"]",
            "REVISION",
        ];
        let bytes: Vec<&[u8]> = command.iter().map(|arg| arg.as_bytes()).collect();
        if conn.try_send(&crate::resp::encode(&bytes)).is_err() {
            return;
        }
        match conn.try_recv(Duration::from_secs(60)) {
            Ok(Some(Reply::Array(replies))) => {
                let count = replies[0].text().parse().expect("a count");
                acknowledged.lock().unwrap().insert(key, (count, replies[2].int()));
            }
            Ok(Some(other)) => panic!("{other:?}"),
            Ok(None) | Err(_) => return,
        }
    }
}

#[test]
fn a_killed_server_keeps_every_acknowledged_change() {
    on_every_server_with(&AOF_REWRITTEN, |server| {
        for _ in 0..2 {
            let acknowledged = Acknowledged::default();
            let stop = AtomicBool::new(false);
            thread::scope(|scope| {
                for nth in 0..4 {
                    let (acknowledged, stop) = (&acknowledged, &stop);
                    scope.spawn(move || client(server, nth, acknowledged, stop));
                }
                server.wait_until("there is a load", || acknowledged.lock().unwrap().len() == 20);
                thread::sleep(Duration::from_millis(200));
                server.kill9();
                stop.store(true, Ordering::Relaxed);
            });
            server.restart();
            let conn = &mut server.conn();
            for (key, (count, revision)) in acknowledged.into_inner().unwrap() {
                let text = conn.must(&["MODEL.GET", &key, "$.n", "$.log"]);
                let found: i64 = text.array()[0].text().parse().expect("a count");
                let items = text.array()[1].json().as_array().expect("a log").len() as i64;
                // One more may have happened whose reply was lost; half of a command may not.
                assert!(found == count || found == count + 1, "{key}: {found}, told {count}");
                assert_eq!(items, found * 2, "{key}");
                let now = conn.must(&["MODEL.META", &key]).field("revision").int();
                assert!(now == revision || (found > count && now > revision), "{key}");
            }
        }
    });
}

#[test]
fn dump_and_restore_give_the_same_document() {
    let seed = workload::seed("persistence");
    on_every_server(|server| {
        fill(server, &mut Rng::new(seed));
        let conn = &mut server.conn();
        for key in contents(server).1.iter().map(|(key, ..)| key) {
            conn.must(&["PERSIST", key]);
            let (dump, digest) = (dump(conn, key), digest(conn, key));
            assert_eq!(restore(conn, "copy", &dump, &["REPLACE"]), Reply::ok());
            assert_eq!(self::digest(conn, "copy"), digest);
            assert_eq!(conn.must(&["MODEL.META", "copy"]), conn.must(&["MODEL.META", key]));
        }
        let dump = dump(conn, "wide");
        assert_eq!(restore(conn, "copy", &dump, &[]).error_word(), "BUSYKEY");
        assert_eq!(restore(conn, "string", &dump, &["REPLACE"]), Reply::ok());
        let restore: [&[u8]; 6] =
            [b"RESTORE", b"copy", b"4000000000000", &dump, b"REPLACE", b"ABSTTL"];
        assert_eq!(conn.call_bytes(&restore), Reply::ok());
        assert_eq!(conn.must(&["PEXPIRETIME", "copy"]), Reply::Int(4_000_000_000_000));
        conn.must(&["MODEL.FIELDOP", "copy", "INCR", "$[0].id", "1"]);
    });
}

fn dump(conn: &mut Conn, key: &str) -> Vec<u8> {
    match conn.must(&["DUMP", key]) {
        Reply::Bulk(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

fn digest(conn: &mut Conn, key: &str) -> Reply {
    conn.must(&["DEBUG", "DIGEST-VALUE", key])
}

fn restore(conn: &mut Conn, key: &str, payload: &[u8], options: &[&str]) -> Reply {
    let mut args: Vec<&[u8]> = vec![b"RESTORE", key.as_bytes(), b"0", payload];
    args.extend(options.iter().map(|option| option.as_bytes()));
    conn.call_bytes(&args)
}

/// Checks that a payload is refused, or becomes a document like any other.
fn check_payload(conn: &mut Conn, payload: &[u8]) {
    conn.must(&["DEL", "mutant", "again"]);
    if restore(conn, "mutant", payload, &[]).is_error() {
        assert_eq!(conn.must(&["EXISTS", "mutant"]), Reply::Int(0));
        return;
    }
    // A flipped byte of the type makes it another type's payload, which is not our affair.
    if conn.must(&["TYPE", "mutant"]) != Reply::Simple("model-doc".into()) {
        return;
    }
    conn.must(&["MODEL.GET", "mutant"]);
    conn.must(&["MODEL.GET", "mutant", "$..*"]);
    conn.must(&["MODEL.META", "mutant"]);
    conn.must(&["MEMORY", "USAGE", "mutant"]);
    let (dump, digest) = (dump(conn, "mutant"), digest(conn, "mutant"));
    assert_eq!(restore(conn, "again", &dump, &[]), Reply::ok());
    assert_eq!(self::digest(conn, "again"), digest);
    let written = conn.call(&["MODEL.FIELDOP", "mutant", "SET", "$", "{}", "SET", "$.a", "1"]);
    // The damage may have made it a document of an unknown model.
    let known = conn.must(&["MODEL.META", "mutant"]).field("model") == &Reply::bulk("any");
    assert!(if known { !written.is_error() } else { written.error_word() == "NOMODEL" });
}

/// The last ten bytes of a payload are the RDB version and a checksum.
const FOOTER: usize = 10;

/// Each byte as it might be damaged, the payload cut anywhere, and longer than it says.
fn mutants(payload: &[u8]) -> Vec<Vec<u8>> {
    let (body, footer) = payload.split_at(payload.len() - FOOTER);
    let mut all = Vec::new();
    let mut push = |body: Vec<u8>| all.push([body.as_slice(), footer].concat());
    for at in 0..body.len() {
        for mask in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x7f, 0xff] {
            let mut mutant = body.to_vec();
            mutant[at] ^= mask;
            push(mutant);
        }
        push(body[..at].to_vec());
        let mut mutant = body.to_vec();
        mutant.insert(at, 0xff);
        push(mutant);
        let mut mutant = body.to_vec();
        mutant.remove(at);
        push(mutant);
    }
    for tail in [&b"\0"[..], b"\xff", &body[1..]] {
        push([body, tail].concat());
    }
    all
}

#[test]
fn a_damaged_payload_is_refused_or_is_a_sound_document() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", "1"]);
        for json in [
            "1",
            r#"{"a":-1,"b":[true,null,2.5,"text"],"é":{"":{}}}"#,
            &format!(r#"["{}",[[[[[[[[]]]]]]]]]"#, "x".repeat(70)),
        ] {
            conn.must(&["MODEL.SET", "doc", "any", json]);
            let payload = dump(conn, "doc");
            check_payload(conn, &payload);
            assert_eq!(digest(conn, "again"), digest(conn, "doc"), "the sound one is restored");
            for mutant in mutants(&payload) {
                check_payload(conn, &mutant);
            }
        }
        let log = server.log();
        assert!(log.contains("a document cannot be loaded"), "damage is told in the log");
    });
}

/// Payloads that lie about their sizes or nest without end, as one attacker might write them.
#[test]
fn a_hostile_payload_neither_crashes_nor_allocates() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", "1"]);
        conn.must(&["MODEL.SET", "doc", "any", r#""HERE""#]);
        let payload = dump(conn, "doc");
        let revision =
            redis_varint(conn.must(&["MODEL.META", "doc"]).field("revision").int() as u64);
        // Our bytes stand in one string of the module's value; they are replaced with their length.
        let sound = [&revision[..], &[3], b"any", &[0, 0, 0, 5, 4], b"HERE"].concat();
        let at = payload
            .windows(sound.len())
            .position(|window| window == sound)
            .expect("the payload holds the encoding");
        assert_eq!(payload[at - 1] as usize, sound.len(), "a short string's length is one byte");
        let with_value = |value: &[u8]| {
            let body = [&revision[..], &[3], b"any", &[0, 0, 0], value].concat();
            let length = (body.len() as u32).to_be_bytes();
            let (head, tail) = (&payload[..at - 1], &payload[at + sound.len()..]);
            [head, &[0x80], &length, &body, tail].concat()
        };
        assert_eq!(restore(conn, "check", &with_value(&[5, 2, b'o', b'k']), &[]), Reply::ok());
        assert_eq!(conn.must(&["MODEL.GET", "check"]), Reply::bulk(r#""ok""#));
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let used: u64 = server.info("used_memory_peak").parse().expect("a number");
        for value in [
            [&[6][..], &huge].concat(),
            [&[7][..], &huge].concat(),
            [&[5][..], &huge].concat(),
            [&[6, 0xff, 0xff, 0xff, 0x7f][..], &[0; 100]].concat(),
            [6, 1].repeat(100_000),
            [&[7, 1, 1, b'a'][..]].concat().repeat(100_000),
            [7, 2, 1, b'a', 0, 1, b'a', 1].to_vec(),
            [5, 2, 0xff, 0xfe].to_vec(),
            [4, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f].to_vec(),
            [4, 1, 0, 0, 0, 0, 0, 0xf8, 0x7f].to_vec(),
            [3].iter().chain(&huge).copied().collect(),
            [3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].to_vec(),
            [8].to_vec(),
            [].to_vec(),
        ] {
            check_payload(conn, &with_value(&value));
        }
        let peak: u64 = server.info("used_memory_peak").parse().expect("a number");
        assert!(peak < used + (64 << 20), "{peak}");
    });
}

/// LEB128, as the encoding has it.
fn redis_varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[test]
fn the_oldest_servers_file_is_read_by_the_others() {
    let seed = workload::seed("persistence");
    let old = Server::start(Flavor::Redis70, &[]);
    fill(&old, &mut Rng::new(seed));
    old.must(&["SAVE"]);
    let expected = contents(&old);
    on_every_flavor(|flavor| {
        let server = Server::start(flavor, &[]);
        server.kill9();
        std::fs::copy(old.dir().join("dump.rdb"), server.dir().join("dump.rdb"))
            .expect("the file can be copied");
        server.restart();
        assert_eq!(contents(&server), expected);
    });
}

/// Processes number shared names as they come. A file has a table of its numbers, and a payload of `DUMP` stands by
/// itself, whatever was saved or loaded before.
#[test]
fn files_and_payloads_are_read_where_names_have_other_numbers() {
    on_every_flavor(|flavor| {
        let start = |order: &mut dyn Iterator<Item = usize>| {
            let server = Server::start(flavor, &[]);
            let members: Vec<_> = order.map(|nth| format!(r#""shared-{nth}":{nth}"#)).collect();
            let text = format!("{{{}}}", members.join(","));
            for _ in 0..12 {
                server.must(&["MODEL.SET", "names", "any", &text]);
            }
            server
        };
        let one = start(&mut (0..300));
        let other = start(&mut (50..350).rev());
        let small = r#"{"shared-7":1,"shared-299":{"shared-0":[{"shared-7":"x"}]},"alone":[]}"#;
        let items = vec![small; 100].join(",");
        let documents = [("small", small.to_owned()), ("large", format!("[{items}]"))];
        let check = |server: &Server, key: &str, text: &str| {
            assert_eq!(server.must(&["MODEL.GET", key]), Reply::bulk(text));
            let found = server.must(&["MODEL.GET", key, "$..['shared-7']"]);
            assert!(found.text().starts_with("[1,"), "the name is found by its text");
        };
        let names = one.must(&["MODEL.GET", "names"]);
        for (key, text) in &documents {
            one.must(&["MODEL.SET", key, "any", text]);
        }
        for save in [None, Some("SAVE"), Some("DEBUG RELOAD")] {
            if let Some(save) = save {
                one.must(&save.split(' ').collect::<Vec<_>>());
            }
            for (key, text) in &documents {
                let payload = dump(&mut one.conn(), key);
                let restored = restore(&mut other.conn(), key, &payload, &["REPLACE"]);
                assert_eq!(restored, Reply::ok());
                check(&other, key, text);
                check(&one, key, text);
            }
        }
        // A full sync, to a server whose names have other numbers.
        other.replica_of(&one);
        other.wait_for_sync(&one);
        let read = |key: &str| other.must(&["MODEL.GET", key]);
        documents.iter().for_each(|(key, text)| assert_eq!(read(key), Reply::bulk(text)));
        assert_eq!(read("names"), names);
        assert_eq!(other.debug_digest(), one.debug_digest());
    });
}

/// Without documents the module leaves nothing in the file where the server allows that.
#[test]
fn a_file_without_documents_is_read_without_the_module() {
    on_every_server(|server| {
        server.must(&["SET", "string", "x"]);
        server.must(&["SAVE"]);
        let plain = Server::start_plain(server.flavor, &[]);
        plain.kill9();
        std::fs::copy(server.dir().join("dump.rdb"), plain.dir().join("dump.rdb"))
            .expect("the file can be copied");
        // Redis 7.0 does not know the way to leave it out.
        if server.flavor == Flavor::Redis70 {
            return;
        }
        plain.restart();
        assert_eq!(plain.must(&["GET", "string"]), Reply::bulk("x"));
    });
}

/// Revisions stay ahead of every one seen, also of those in a file from a machine whose clock is ahead.
#[test]
fn revisions_grow_over_restarts_and_restores() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", "{}"]);
        let now = conn.must(&["TIME"]).array()[0].text().parse::<u64>().expect("seconds");
        let ahead = (now + 5 * 31_557_600) * 1_000_000;
        let effect = redis_model::codec::effect::Effect {
            revision: ahead,
            expiry: redis_model::expiry::Expiry::Keep,
            change: redis_model::codec::effect::Change::Put {
                model: "any",
                definition: 0,
                ahead: 0,
            },
        };
        let applied = conn.call_bytes(&[b"MODEL.APPLY", b"doc", &effect.encode(), b"{}"]);
        assert_eq!(applied, Reply::ok());
        assert_eq!(conn.must(&["MODEL.META", "doc"]).field("revision").int() as u64, ahead);
        let next = conn.must(&["MODEL.SET", "doc", "any", "{}"]).int() as u64;
        assert!(next > ahead);
        let dump = dump(conn, "doc");
        conn.must(&["DEL", "doc"]);
        server.must(&["SAVE"]);
        server.restart();
        let conn = &mut server.conn();
        assert_eq!(restore(conn, "doc", &dump, &[]), Reply::ok());
        conn.must(&["DEL", "doc"]);
        let again = conn.must(&["MODEL.SET", "doc", "any", "{}"]).int() as u64;
        assert!(again > next, "{again} {next}");
    });
}
