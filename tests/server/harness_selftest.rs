//! The harness keeps its promises, on every server and without the module.

use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::harness::{Flavor, Server, on_every_flavor};
use crate::resp::{Parser, Reply};

fn on_every_plain(config: &[&str], body: impl Fn(&Server) + Sync) {
    on_every_flavor(|flavor| body(&Server::start_plain(flavor, config)));
}

fn parse(bytes: &[u8]) -> Option<Reply> {
    Parser { bytes, at: 0 }.reply()
}

#[test]
fn every_flavor_is_the_version_it_says() {
    on_every_plain(&[], |server| {
        let (field, version) = match server.flavor {
            Flavor::Redis70 => ("redis_version", "7.0.15"),
            Flavor::Redis80 => ("redis_version", "8.0."),
            Flavor::Redis82 => ("redis_version", "8.2.3"),
            Flavor::Valkey91 => ("valkey_version", "9.1.2"),
        };
        assert!(server.info(field).starts_with(version), "{}", server.info(field));
        assert_eq!(server.info("process_id"), server.pid().unwrap().to_string());
    });
}

#[test]
fn bytes_and_types_come_back_as_sent() {
    on_every_plain(&[], |server| {
        let (mut two, mut three) = (server.conn(), server.conn_resp3());
        assert_eq!(two.call(&["SET", "a", "b"]), Reply::ok());
        assert_eq!(two.call_bytes(&[b"SET", b"\0k", b"\xff\r\n"]), Reply::ok());
        assert_eq!(two.call_bytes(&[b"GET", b"\0k"]), Reply::bulk(b"\xff\r\n"));
        assert_eq!(two.call(&["GET", "none"]), Reply::Null);
        assert_eq!(three.call(&["GET", "none"]), Reply::Null);
        assert_eq!(two.call(&["INCR", "a"]).error_word(), "ERR");
        two.must(&["HSET", "h", "x", "1"]);
        let pair = (Reply::bulk("x"), Reply::bulk("1"));
        assert_eq!(two.call(&["HGETALL", "h"]), Reply::Array(vec![pair.0.clone(), pair.1.clone()]));
        assert_eq!(three.call(&["HGETALL", "h"]), Reply::Map(vec![pair]));
        assert_eq!(
            two.call(&["HGETALL", "h"]).field("x"),
            three.call(&["HGETALL", "h"]).field("x")
        );
        three.must(&["ZADD", "z", "1.5", "m"]);
        assert_eq!(three.call(&["ZSCORE", "z", "m"]), Reply::Double(1.5));
    });
}

#[test]
fn pipelined_and_late_replies_are_not_lost() {
    on_every_plain(&[], |server| {
        let mut conn = server.conn();
        for _ in 0..1000 {
            conn.send(&["INCR", "n"]);
        }
        let last = (0..1000).map(|_| conn.recv()).last();
        assert_eq!(last, Some(Reply::Int(1000)));

        conn.send(&["BLPOP", "list", "0"]);
        assert_eq!(conn.recv_within(Duration::from_millis(50)), None);
        server.must(&["RPUSH", "list", "x"]);
        assert_eq!(conn.recv(), Reply::Array(vec![Reply::bulk("list"), Reply::bulk("x")]));
    });
}

#[test]
fn the_client_crate_speaks_both_protocols() {
    on_every_plain(&[], |server| {
        for mut client in [server.client(), server.client_resp3()] {
            redis::cmd("HSET").arg("h").arg("x").arg(1).exec(&mut client).unwrap();
            let value: redis::Value =
                redis::cmd("HGET").arg("h").arg("x").query(&mut client).unwrap();
            assert_eq!(value, redis::Value::BulkString(b"1".to_vec()));
        }
    });
}

#[test]
fn data_survives_what_the_configuration_saves() {
    on_every_plain(&["appendonly yes", "appendfsync always"], |server| {
        server.must(&["SET", "a", "1"]);
        server.kill9();
        assert!(!server.is_running());
        server.restart();
        assert_eq!(server.call(&["GET", "a"]), Reply::bulk("1"));
        server.must(&["SET", "b", "2"]);
        let digest = server.debug_digest();
        server.restart();
        assert_eq!(server.debug_digest(), digest);
    });
}

#[test]
fn without_saving_a_restart_forgets() {
    on_every_plain(&[], |server| {
        server.must(&["SET", "a", "1"]);
        server.restart();
        assert_eq!(server.call(&["GET", "a"]), Reply::Null);
    });
}

#[test]
fn a_server_is_told_from_another_on_its_port() {
    on_every_plain(&[], |server| {
        assert!(UdpSocket::bind(("127.0.0.1", server.port)).is_err(), "the port is reserved");
        for _ in 0..20 {
            assert!(server.launch_on_the_same_port().is_err());
        }
    });
}

#[test]
fn a_replica_has_the_masters_digest() {
    on_every_flavor(|flavor| {
        let (master, replica) =
            (Server::start_plain(flavor, &[]), Server::start_plain(flavor, &[]));
        master.must(&["SET", "before", "1"]);
        replica.replica_of(&master);
        assert_eq!(replica.debug_digest(), master.debug_digest());
        master.must(&["SET", "after", "1"]);
        replica.wait_for_sync(&master);
        assert_eq!(replica.debug_digest(), master.debug_digest());
    });
}

#[test]
fn a_cluster_serves_every_slot_where_it_says() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start_plain(flavor, 3, &[]);
        for key in (0..200).map(|n| format!("key:{n}")) {
            assert_eq!(cluster.conn_of(&key).call(&["SET", &key, "x"]), Reply::ok());
        }
        let elsewhere =
            cluster.nodes.iter().find(|node| node.port != cluster.node_of("a").port).unwrap();
        assert_eq!(elsewhere.call(&["GET", "a"]).error_word(), "MOVED");
    });
}

/// A library this machine's compiler linked can be loaded into every server, that is, into the libc each runs on.
/// The server refuses it for lack of an entry point, which it can only look for in a loaded library.
#[test]
fn libraries_built_here_load() {
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("empty-module.so");
    let mut linker = std::process::Command::new("gcc");
    linker.args(["-shared", "-x", "c", "/dev/null", "-o"]).arg(&library);
    linker.args(["-Wl,--no-as-needed", "-lm", "-lgcc_s", "-lpthread", "-ldl"]);
    assert!(linker.status().unwrap().success());
    on_every_plain(&[], |server| {
        assert!(server.call(&["MODULE", "LOAD", library.to_str().unwrap()]).is_error());
        let log = server.log();
        assert!(log.contains("does not export"), "{log}");
    });
}

#[test]
fn a_crash_the_test_did_not_see_fails_it() {
    on_every_flavor(|flavor| {
        let run = catch_unwind(|| {
            let server = Server::start_plain(flavor, &[]);
            let mut conn = server.conn();
            conn.send(&["DEBUG", "SEGFAULT"]);
            let _ = conn.try_recv(Duration::from_secs(60));
            server.wait_until("it is dead", || !server.is_running());
        });
        assert!(run.is_err());
    });
}

#[test]
fn a_panic_in_the_log_fails_unless_expected() {
    on_every_flavor(|flavor| {
        let log_a_panic = |tolerate: bool| {
            let server = Server::start_plain(flavor, &[]);
            if tolerate {
                server.tolerate("panicked at src/");
            }
            server.must(&["DEBUG", "LOG", "thread panicked at src/lib.rs"]);
        };
        assert!(catch_unwind(AssertUnwindSafe(|| log_a_panic(false))).is_err());
        log_a_panic(true);
    });
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let run = catch_unwind(|| Server::start_plain(Flavor::Redis70, &["no-such-directive yes"]));
    let said =
        run.err().and_then(|panic| panic.downcast::<String>().ok()).expect("a panic with a text");
    assert!(said.contains("no-such-directive"), "{said}");
}

#[test]
fn no_process_and_no_folder_stay_behind() {
    on_every_flavor(|flavor| {
        let server = Server::start_plain(flavor, &[]);
        let (pid, dir) = (server.pid().unwrap(), server.dir().to_owned());
        drop(server);
        assert!(!Path::new("/proc").join(pid.to_string()).exists());
        assert!(!dir.exists());
    });
}

#[test]
fn replies_of_every_type_are_read() {
    let check =
        |bytes: &str, reply: Reply| assert_eq!(parse(bytes.as_bytes()), Some(reply), "{bytes:?}");
    check("+OK\r\n", Reply::ok());
    check("-ERR no\r\n", Reply::Error("ERR no".into()));
    check("!6\r\nERR no\r\n", Reply::Error("ERR no".into()));
    check(":-9223372036854775808\r\n", Reply::Int(i64::MIN));
    check("$0\r\n\r\n", Reply::bulk(""));
    check("$-1\r\n", Reply::Null);
    check("*-1\r\n", Reply::Null);
    check("_\r\n", Reply::Null);
    check("#t\r\n", Reply::Bool(true));
    check(",-inf\r\n", Reply::Double(f64::NEG_INFINITY));
    check("(12345678901234567890\r\n", Reply::BigNumber("12345678901234567890".into()));
    check("=6\r\ntxt:ab\r\n", Reply::Verbatim("txt".into(), b"ab".to_vec()));
    check("*2\r\n:1\r\n*0\r\n", Reply::Array(vec![Reply::Int(1), Reply::Array(vec![])]));
    check("~1\r\n:1\r\n", Reply::Set(vec![Reply::Int(1)]));
    check(">1\r\n:1\r\n", Reply::Push(vec![Reply::Int(1)]));
    check("%1\r\n+a\r\n:1\r\n", Reply::Map(vec![(Reply::Simple("a".into()), Reply::Int(1))]));
    check("|1\r\n+ttl\r\n:9\r\n:1\r\n", Reply::Int(1));
}

#[test]
fn no_reply_is_read_before_it_is_whole() {
    let whole = b"*2\r\n%1\r\n$1\r\na\r\n,1.5\r\n=6\r\ntxt:ab\r\n";
    assert!(parse(whole).is_some());
    for end in 0..whole.len() {
        assert_eq!(parse(&whole[..end]), None, "of {end} bytes");
    }
}
