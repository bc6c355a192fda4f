//! docs/operating.md says what the servers say: every limit with its default, and every metric.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use redis_model::limit;

use crate::harness::{Server, on_every_server, on_every_server_with, on_every_shared};
use crate::replication::{check_equal, on_every_pair};

/// The rows of tables whose first cell begins like this: their cells, without quotes.
fn rows(prefix: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operating.md"))
        .expect("the page is there");
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>()
    };
    let start = format!("| `{prefix}");
    page.lines().filter(|line| line.starts_with(&start)).map(cells).collect()
}

#[test]
fn limits_stand_in_the_servers_configuration() {
    on_every_server_with(&["model.depth 3"], |server| {
        let reply = server.call(&["MODEL.SET", "a", "any", "[[[[]]]]"]);
        assert!(reply.error_word() == "LIMIT" && reply.error().contains("model.depth"));
    });
}

#[test]
fn the_shortest_lease_is_never_above_the_longest() {
    on_every_server(|server| {
        let leases = || {
            let of = |name| server.must(&["CONFIG", "GET", name]).array()[1].text().to_owned();
            [of("model.lock-lease-min"), of("model.lock-lease-max")]
        };
        for refused in [
            &["model.lock-lease-min", "86400001"][..],
            &["model.lock-lease-min", "51", "model.lock-lease-max", "50"],
            &["model.lock-lease-max", "50", "model.lock-lease-min", "51"],
        ] {
            let reply = server.call(&[&["CONFIG", "SET"], refused].concat());
            assert!(reply.error().contains("lock-lease-min is above"), "{refused:?}: {reply:?}");
            assert_eq!(leases(), ["1", "86400000"]);
        }
        // Both at once, in an order in which the first alone is refused.
        let both = ["model.lock-lease-min", "90000000", "model.lock-lease-max", "90000000"];
        server.must(&[&["CONFIG", "SET"], &both[..]].concat());
        assert_eq!(leases(), ["90000000", "90000000"]);
        server.must(&["MODEL.SET", "a", "any", "{}"]);
        assert_eq!(server.must(&["MODEL.LOCK", "a", "n", "o"]).array()[1].int(), 90_000_000);
    });
}

#[test]
fn a_reply_is_bounded_while_the_server_runs() {
    on_every_server(|server| {
        server.must(&["MODEL.SET", "a", "any", &format!("\"{}\"", "x".repeat(998))]);
        server.must(&["CONFIG", "SET", "model.reply-bytes", "2000"]);
        server.must(&["MODEL.GET", "a", "$", "$"]);
        for command in [&["MODEL.GET", "a", "$", "$", "$"][..], &["MODEL.MGET", "3", "a", "a", "a"]]
        {
            let reply = server.call(command);
            assert!(reply.error_word() == "LIMIT" && reply.error().contains("model.reply-bytes"));
        }
    });
}

#[test]
fn every_limit_is_on_the_page_with_its_default() {
    on_every_server(|server| {
        let is_fixed = |name: &str| limit::FIXED.iter().any(|fixed| fixed.name == name);
        let written: BTreeMap<String, String> = rows("model.")
            .into_iter()
            .filter(|row| !is_fixed(&row[0]))
            .map(|row| (row[0].clone(), row[1].clone()))
            .collect();
        let configured = server.must(&["CONFIG", "GET", "model.*"]);
        let pairs = configured.array().chunks(2);
        let configured: BTreeMap<String, String> =
            pairs.map(|pair| (pair[0].text().to_owned(), pair[1].text().to_owned())).collect();
        assert_eq!(written, configured);
    });
}

/// `INFO model`, name by name.
fn metrics(server: &Server) -> BTreeMap<String, u64> {
    let info = server.must(&["INFO", "model"]);
    let fields = info.text().lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

/// The commands in the table of renamed ones.
fn needed_commands() -> Vec<String> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operating.md"))
        .expect("the page is there");
    let (_, section) = page.split_once("## Renamed commands").expect("the section is there");
    let (section, _) = section.split_once("\n## ").expect("another section follows");
    let names = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    names.map(str::to_owned).collect()
}

#[test]
fn renamed_commands_that_the_module_needs_are_in_the_log_and_on_the_page() {
    let warnings = |server: &Server| -> BTreeSet<String> {
        let log = server.log();
        let warned = log.lines().filter_map(|line| {
            let (before, _) = line.split_once(": the server's configuration does not have")?;
            Some(before.rsplit(' ').next()?.to_owned())
        });
        warned.collect()
    };
    on_every_server(|server| assert_eq!(warnings(server), BTreeSet::new()));
    let needed = needed_commands();
    assert!(needed.len() > 5, "{needed:?}");
    let renamed: Vec<_> = needed.iter().filter(|name| **name != "COMMAND").collect();
    let lines: Vec<_> =
        renamed.iter().map(|name| format!("rename-command {name} {name}2")).collect();
    let config: Vec<&str> = lines.iter().map(String::as_str).collect();
    on_every_server_with(&config, |server| {
        assert_eq!(warnings(server), renamed.iter().map(|name| (*name).clone()).collect());
        // Nothing is said to be empty that cannot be looked at.
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}", "INDEX", "n", "1", "$.n"]);
        conn.must(&["MODEL.SET", "a", "m", r#"{"n":1}"#]);
        conn.must(&["MODEL.SET", "b", "any", r#"{"n":1}"#]);
        assert_eq!(conn.must(&["MODEL.COUNT", "m", "WHERE", "self.n == 1"]).int(), 1);
        for refused in [
            &["MODEL.DOCUMENTS", "any"][..],
            &["MODEL.CHECK", "m"],
            &["MODEL.FIND", "any", "WHERE", "self.n == 1", "SCAN"],
        ] {
            let error = conn.call(refused);
            assert!(error.error().contains("does not have SCAN"), "{refused:?}: {error:?}");
        }
    });
    on_every_server_with(&["rename-command COMMAND \"\""], |server| {
        assert_eq!(warnings(server), BTreeSet::from(["COMMAND".to_owned()]));
    });
}

#[test]
fn documents_are_deleted_on_replicas_where_unlink_is_renamed() {
    on_every_pair(&["rename-command UNLINK \"\""], |master, replica| {
        let conn = &mut master.conn();
        for key in ["a", "b"] {
            conn.must(&["MODEL.SET", key, "any", "{}"]);
        }
        conn.must(&["MODEL.TXN", "1", "a", "ON", "a", "DELETE"]);
        check_equal(master, replica);
        assert_eq!(replica.must(&["DBSIZE"]).int(), 1);
    });
}

#[test]
fn every_metric_is_on_the_page() {
    on_every_shared(|server| {
        let written: BTreeSet<String> =
            rows("model_").into_iter().map(|row| row[0].clone()).collect();
        let general =
            |name: String| match (name.rsplit_once("_le_"), name.starts_with("model_aborts_")) {
                (Some((name, _)), _) => format!("{name}_le_N"),
                (None, true) => "model_aborts_WORD".to_owned(),
                (None, false) => name,
            };
        let found: BTreeSet<String> = metrics(server).into_keys().map(general).collect();
        assert_eq!(written, found);
    });
}

#[test]
fn waits_and_transactions_are_counted_by_size() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        for key in ["a", "b"] {
            conn.must(&["MODEL.SET", key, "any", r#"{"n":1}"#]);
        }
        let take = ["MODEL.LOCK", "a", "n", "u"];
        let fence = conn.must(&take).array()[0].int().to_string();
        conn.call(&["MODEL.LOCK", "a", "n", "late", "WAIT", "20"]);
        let mut waiter = server.conn();
        waiter.send(&["MODEL.LOCK", "a", "n", "v", "WAIT", "60000"]);
        server.wait_until("it waits", || server.info("model_lock_waiters") == "1");
        std::thread::sleep(Duration::from_millis(60));
        conn.must(&["MODEL.UNLOCK", "a", "n", "u", &fence]);
        waiter.recv_within(Duration::from_secs(20)).expect("it is granted");
        conn.must(&["MODEL.TXN", "2", "a", "b", "ON", "a", "GET", "$"]);
        conn.call(&["MODEL.TXN", "2", "a", "b", "ON", "a", "INCR", "$.n", "1", "IF", "false"]);
        conn.must(&["MODEL.TXN", "2", "a", "b", "ON", "a", "INCR", "$.n", "1"]);
        let both = ["ON", "a", "INCR", "$.n", "1", "ON", "b", "INCR", "$.n", "1"];
        conn.must(&[&["MODEL.TXN", "3", "a", "b", "t", "TOKEN", "t"], &both[..]].concat());
        let metrics = metrics(server);
        let all = |name: &str| metrics[&format!("model_{name}")];
        assert_eq!(all("lock_timeouts"), 1);
        // Only requests that had to wait count, not those granted at once.
        assert_eq!((all("lock_wait_ms_count"), all("lock_wait_ms_le_50")), (1, 0));
        assert!(all("lock_wait_ms_sum") >= 60);
        let changes = ["le_1", "le_2", "le_5", "le_500", "count", "sum"];
        let changes = changes.map(|name| all(&format!("transaction_changes_{name}")));
        assert_eq!(changes, [1, 1, 2, 2, 2, 4], "what was refused or only read does not count");
    });
}
