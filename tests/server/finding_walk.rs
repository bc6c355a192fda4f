//! Queries of models without indexes, which visit the keys of the server; and the metrics of queries.

use std::collections::BTreeSet;

use crate::harness::on_every_server;
use crate::resp::{Conn, Reply};

/// The keys of all pages, with what happens between two of them.
fn find(conn: &mut Conn, query: &[&str], mut between: impl FnMut(&mut Conn)) -> Vec<String> {
    let (mut keys, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut args = [&["MODEL.FIND"], query, &["LIMIT", "10"]].concat();
        args.extend(cursor.iter().flat_map(|cursor| ["AFTER", cursor]));
        args.extend(["GET", "$.none"]);
        let reply = conn.must(&args);
        let [next, rows] = reply.array() else { panic!("{reply:?}") };
        assert!(rows.array().len() <= 10);
        keys.extend(rows.array().iter().map(|row| row.array()[0].text().to_owned()));
        match next {
            Reply::Null => return keys,
            next => cursor = Some(next.text().to_owned()),
        }
        between(conn);
    }
}

fn fill(conn: &mut Conn, name: &str, from: usize, to: usize) {
    let set = |nth| ["SET", &format!("{name}:{nth}"), "a string"].map(str::to_owned).to_vec();
    drop(conn.pipeline(&(from..to).map(set).collect::<Vec<_>>()));
}

#[test]
fn documents_without_an_index_are_found_among_other_keys() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "plain", "{}"]);
        fill(conn, "s", 0, 300);
        let mut expected = BTreeSet::new();
        for nth in 0..200 {
            let (key, json) = (format!("d:{nth}"), format!(r#"{{"n":{}}}"#, nth % 4));
            conn.must(&["MODEL.SET", &key, if nth < 100 { "plain" } else { "any" }, &json]);
            if nth < 100 && nth % 4 == 1 {
                expected.insert(key);
            }
        }
        conn.must(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        conn.must(&["MODEL.SET", "gone", "plain", r#"{"n":1}"#, "PX", "1"]);
        std::thread::sleep(std::time::Duration::from_millis(5));
        let query = ["plain", "WHERE", "self.n == 1", "SCAN"];
        let found = find(conn, &query, |_| ());
        assert_eq!(found.len(), expected.len());
        assert_eq!(BTreeSet::from_iter(found), expected);
        assert_eq!(conn.must(&["MODEL.COUNT", "any", "SCAN"]).int(), 100);
        assert_eq!(conn.must(&["MODEL.COUNT", "any", "SCAN", "SLOT", "d:150"]).int(), 1);
        // The table of keys grows and shrinks meanwhile: what stays is found.
        for size in [3000, 20_000] {
            let mut nth = 0;
            let found = find(conn, &query, |conn| {
                nth += 1;
                if nth == 1 {
                    fill(conn, "more", 0, size);
                } else if nth == 3 {
                    let unlink = |nth| ["UNLINK", &format!("more:{nth}")].map(str::to_owned);
                    let unlinks: Vec<_> = (0..size).map(|nth| unlink(nth).to_vec()).collect();
                    drop(conn.pipeline(&unlinks));
                }
            });
            assert_eq!(BTreeSet::from_iter(found), expected, "{size}");
        }
        conn.must(&["FLUSHALL"]);
        assert_eq!(find(conn, &query, |_| ()), Vec::<String>::new());
    });
}

#[test]
fn queries_are_counted_by_what_they_look_at() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "plain", "{}"]);
        conn.must(&["MODEL.DEFINE", "m", "{}", "INDEX", "by_n", "1", "$.n"]);
        for nth in 0..5 {
            conn.must(&["MODEL.SET", &format!("m:{nth}"), "m", &format!(r#"{{"n":{nth}}}"#)]);
        }
        let mut check = |counted: &[(&str, u64)], queries: &[&[&str]]| {
            let metric = |name: &str| -> u64 { server.info(name).parse().expect(name) };
            let before: Vec<u64> = counted.iter().map(|(name, _)| metric(name)).collect();
            for query in queries {
                conn.call(query);
            }
            for ((name, more), before) in counted.iter().zip(before) {
                assert_eq!(metric(name) - before, *more, "{name} of {queries:?}");
            }
        };
        check(
            &[
                ("model_queries_by_index", 2),
                ("model_query_entries", 4),
                ("model_query_documents", 3),
            ],
            &[
                &["MODEL.FIND", "m", "WHERE", "self.n < 3 && self.n != 1"],
                &["MODEL.COUNT", "m", "WHERE", "self.n == 4"],
            ],
        );
        check(
            &[("model_queries_over_documents", 2), ("model_queries_by_index", 0)],
            &[&["MODEL.FIND", "m"], &["MODEL.COUNT", "m", "WHERE", "self.x == 1", "SCAN"]],
        );
        check(&[("model_queries_over_keys", 1)], &[&["MODEL.FIND", "plain", "SCAN"]]);
        check(
            &[("model_queries_refused_noindex", 2), ("model_aborts_noindex", 2)],
            &[&["MODEL.FIND", "plain"], &["MODEL.COUNT", "m", "WHERE", "self.x == 1"]],
        );
        server.must(&["CONFIG", "SET", "model.command-steps", "100"]);
        check(&[("model_queries_refused_limit", 1)], &[&["MODEL.COUNT", "m"]]);
        server.must(&["CONFIG", "SET", "model.command-steps", "10000000"]);
        // Documents that exist before their index count as not done until it is built.
        let fill = |nth| ["MODEL.SET", &format!("p:{nth}"), "plain", "{}"].map(str::to_owned);
        let fill: Vec<_> = (0..20_000).map(|nth| fill(nth).to_vec()).collect();
        let conn = &mut server.conn();
        drop(conn.pipeline(&fill));
        conn.must(&["MULTI"]);
        conn.must(&["MODEL.DEFINE", "plain", "{}", "INDEX", "by_x", "1", "$.x"]);
        conn.must(&["MODEL.COUNT", "plain"]);
        conn.must(&["INFO", "model"]);
        let replies = conn.must(&["EXEC"]);
        assert_eq!(replies.array()[1].error_word(), "INDEXING");
        let info = replies.array()[2].text();
        for line in [
            "model_index_models_building:1",
            "model_index_build_done:0",
            "model_index_build_documents:20000",
            "model_queries_refused_indexing:1",
        ] {
            assert!(info.lines().any(|found| found == line), "{line} in {info}");
        }
        server
            .wait_until("the index is built", || server.info("model_index_models_building") == "0");
        assert_eq!(server.info("model_index_build_documents"), "0");
    });
}
