//! Tokens: a transaction that was committed is answered from its record, and never runs twice.

use crate::harness::{
    Server, on_every_flavor, on_every_server, on_every_server_with, on_every_shared,
};
use crate::recording::{check_error_line, on_every_recording, state};
use crate::resp::{Conn, Reply};

/// Pays 5 from `a` to `b` under the token `t`, with these words behind it.
fn pay<'a>(token: &[&'a str]) -> Vec<&'a str> {
    let head = ["MODEL.TXN", "3", "a", "b", "t", "TOKEN", "t"];
    let blocks = ["ON", "a", "IF", "self.n>=5", "INCR", "$.n", "-5", "GET", "$", "POPITEM", "$.o"];
    let blocks = [&blocks[..], &["ON", "b", "INIT", "any", "{}", "INCR", "$.n", "5", "REVISION"]];
    [&head, token, &blocks.concat()].concat()
}

fn prepare(conn: &mut Conn) {
    conn.must(&["MODEL.SET", "a", "any", r#"{"n":10,"o":{"k":1.5}}"#]);
    conn.must(&["DEL", "b", "t"]);
}

fn balances(conn: &mut Conn) -> Vec<Reply> {
    conn.must(&["MODEL.MGET", "2", "a", "b", "$.n"]).array().to_vec()
}

#[test]
fn a_retry_gets_the_reply_and_changes_nothing() {
    on_every_recording(|server| {
        let mut conns = [server.conn(), server.conn_resp3()];
        for first in [0, 1] {
            prepare(&mut conns[0]);
            let told = conns[first].must(&pay(&[]));
            let before = state(&mut conns[0], "a");
            for retry in 0..4 {
                // The window and the moment may be said differently, and over another protocol.
                let again = pay([&[][..], &["WINDOW", "9"], &["AT", "1"]][retry % 3]);
                let conn = &mut conns[(first + retry) % 2];
                assert_eq!(conn.must(&again), told);
                assert_eq!(state(conn, "a"), before);
            }
            assert_eq!(balances(&mut conns[0]), [Reply::bulk("5"), Reply::bulk("5")]);
            // Limits that came since, and documents that went, change nothing about it.
            let conn = &mut conns[0];
            conn.must(&["CONFIG", "SET", "model.path-bytes", "1"]);
            conn.must(&["DEL", "a", "b"]);
            assert_eq!(conn.must(&pay(&[])), told);
            conn.must(&["CONFIG", "SET", "model.path-bytes", "4096"]);
        }
    });
}

#[test]
fn another_request_is_refused() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        prepare(conn);
        conn.must(&pay(&[]));
        let before = state(conn, "a");
        let mut others: Vec<Vec<&str>> = vec![
            pay(&["ARGS", "{}"]),
            [&pay(&[])[..], &["GET", "$"]].concat(),
            ["MODEL.TXN 3 b a t TOKEN t ON a GET $".split(' ').collect::<Vec<_>>()].concat(),
        ];
        // Any argument behind the token makes it another one, though `incr` is the same to us.
        let mut changed = pay(&[]);
        let incr = changed.iter().position(|word| *word == "INCR").expect("there is one");
        changed[incr] = "incr";
        others.push(changed);
        for other in &others {
            let reply = conn.call(other);
            assert_eq!(reply.error_word(), "TOKENMISMATCH", "{other:?}: {reply:?}");
            assert_eq!(check_error_line(&reply)["key"], "t");
            assert_eq!(state(conn, "a"), before, "{other:?}");
        }
        // Wrong syntax is wrong before it is another request.
        assert_eq!(conn.call(&[&pay(&[])[..], &["NOSUCH"]].concat()).error_word(), "ERR");
        assert_eq!(state(conn, "a"), before);
    });
}

#[test]
fn only_commits_are_recorded() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        prepare(conn);
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":4,"o":{}}"#]);
        assert_eq!(conn.call(&pay(&[])).error_word(), "CONDITION");
        assert_eq!(conn.must(&["EXISTS", "t"]), Reply::Int(0));
        // A refused transaction may be sent again; a commit that changes nothing is recorded too.
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":5,"o":{}}"#]);
        conn.must(&pay(&[]));
        let read = ["MODEL.TXN", "2", "a", "u", "TOKEN", "u", "ON", "a", "GET", "$.n"];
        let told = conn.must(&read);
        conn.must(&["MODEL.FIELDOP", "a", "SET", "$.n", "77"]);
        assert_eq!(conn.must(&read), told);
    });
}

fn ttl_ms(conn: &mut Conn, key: &str) -> i64 {
    conn.must(&["PTTL", key]).int()
}

fn now_ms(conn: &mut Conn) -> i64 {
    let time = conn.must(&["TIME"]);
    let part = |nth: usize| time.array()[nth].text().parse::<i64>().expect("a number");
    part(0) * 1000 + part(1) / 1000
}

#[test]
fn a_token_is_kept_as_long_as_its_window() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let now = now_ms(conn);
        let ahead = (now + 3_600_000).to_string();
        let before = (now - 5000).to_string();
        for (token, least, most) in [
            (&[][..], 590_000, 600_000),
            (&["WINDOW", "5000"], 1, 5000),
            (&["WINDOW", "100000000"], 99_990_000, 100_000_000),
            (&["AT", &before, "WINDOW", "90000"], 80_000, 90_000),
            // A client whose clock is ahead may come back later than this server thinks.
            (&["AT", &ahead], 4_100_000, 4_200_000),
        ] {
            prepare(conn);
            conn.must(&pay(token));
            let left = ttl_ms(conn, "t");
            assert!((least..=most).contains(&left), "{token:?}: {left}");
        }
        // A retry after the window is refused if it says when it was sent, and else runs again.
        prepare(conn);
        conn.must(&pay(&["WINDOW", "1"]));
        server.wait_until("the token is gone", || server.must(&["EXISTS", "t"]) == Reply::Int(0));
        let sent = (now_ms(conn) - 1000).to_string();
        let reply = conn.call(&pay(&["WINDOW", "999", "AT", &sent]));
        assert_eq!(reply.error_word(), "TOKENEXPIRED");
        assert_eq!(check_error_line(&reply)["window"], 999);
        assert_eq!(balances(conn), [Reply::bulk("5"), Reply::bulk("5")]);
        assert!(!conn.call(&pay(&["WINDOW", "600000", "AT", &sent])).is_error());
        for (word, wrong) in [
            ("ERR", &["WINDOW", "0"][..]),
            ("ERR", &["WINDOW", "1", "WINDOW", "1"]),
            ("LIMIT", &["WINDOW", "315360000001"]),
            ("ERR", &["AT", "-1"]),
            ("ERR", &["AT", "9223372036854775807"]),
            ("RANGE", &["AT", "9223372036854775808"]),
        ] {
            assert_eq!(conn.call(&pay(wrong)).error_word(), word, "{wrong:?}");
        }
        conn.must(&["DEL", "t"]);
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":10,"o":{}}"#]);
        assert!(!conn.call(&pay(&["WINDOW", "315360000000"])).is_error());
    });
}

#[test]
fn the_recorded_reply_is_bounded() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "a", "any", "\"12345678\""]);
        let command = ["MODEL.TXN", "2", "a", "t", "TOKEN", "t", "ON", "a", "GET", "$"];
        // An array in an array around a text of ten bytes, with a byte of length and kind each.
        let bytes = 2 + 2 + 2 + 10;
        conn.must(&["CONFIG", "SET", "model.token-reply-bytes", &(bytes - 1).to_string()]);
        let reply = conn.call(&command);
        assert_eq!(reply.error_word(), "LIMIT");
        assert_eq!(check_error_line(&reply)["value"], bytes - 1);
        assert_eq!(conn.must(&["EXISTS", "t"]), Reply::Int(0));
        conn.must(&["CONFIG", "SET", "model.token-reply-bytes", &bytes.to_string()]);
        conn.must(&command);
        // Without a token there is nothing to record.
        conn.must(&["CONFIG", "SET", "model.token-reply-bytes", "1"]);
        conn.must(&["MODEL.TXN", "1", "a", "ON", "a", "GET", "$"]);
        conn.must(&command);
    });
}

#[test]
fn a_restored_reply_is_bounded_and_the_servers_own_is_not() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        prepare(conn);
        let told = conn.must(&pay(&[]));
        let dump = conn.must(&["DUMP", "t"]);
        let Reply::Bulk(payload) = dump else { panic!("{dump:?}") };
        let restore: [&[u8]; 4] = [b"RESTORE", b"u", b"0", &payload];
        server.tolerate("a token cannot be loaded");
        conn.must(&["CONFIG", "SET", "model.token-reply-bytes", "1"]);
        assert!(conn.call_bytes(&restore).is_error());
        conn.must(&["DEBUG", "RELOAD"]);
        assert_eq!(conn.must(&pay(&[])), told);
        conn.must(&["CONFIG", "SET", "model.token-reply-bytes", "1000"]);
        assert_eq!(conn.call_bytes(&restore), Reply::ok());
    });
}

#[test]
fn a_token_is_a_key_like_any_other() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        prepare(conn);
        let told = conn.must(&pay(&[]));
        assert_eq!(conn.must(&["TYPE", "t"]), Reply::Simple("model-txn".into()));
        let found = conn.must(&["SCAN", "0", "TYPE", "model-txn"]);
        assert_eq!(found.array()[1], Reply::Array(vec![Reply::bulk("t")]));
        assert!(conn.must(&["MEMORY", "USAGE", "t"]).int() > 50);
        assert_eq!(server.info("model_tokens"), "1");
        for refused in [
            &["MODEL.GET", "t"][..],
            &["MODEL.META", "t"],
            &["MODEL.SET", "t", "any", "{}"],
            &["MODEL.FIELDOP", "t", "GET", "$"],
            &["MODEL.TXN", "1", "t", "ON", "t", "GET", "$"],
            &["MODEL.TXN", "2", "a", "t", "ON", "a", "GET", "$"],
        ] {
            assert_eq!(conn.call(refused).error_word(), "WRONGTYPE", "{refused:?}");
        }
        // It moves, is copied, dumped and restored, and answers wherever its name is.
        let dump = conn.must(&["DUMP", "t"]);
        let Reply::Bulk(payload) = dump else { panic!("{dump:?}") };
        conn.must(&["COPY", "t", "copy"]);
        conn.must(&["RENAME", "copy", "t"]);
        assert_eq!(conn.must(&pay(&[])), told);
        conn.must(&["DEL", "t"]);
        let restore: [&[u8]; 4] = [b"RESTORE", b"t", b"0", &payload];
        assert_eq!(conn.call_bytes(&restore), Reply::ok());
        assert_eq!(conn.must(&pay(&[])), told);
        assert_eq!(balances(conn), [Reply::bulk("5"), Reply::bulk("5")]);
        conn.must(&["FLUSHALL"]);
        server.wait_until("it is freed", || server.info("model_tokens") == "0");
    });
}

#[test]
fn a_damaged_token_is_refused_or_sound() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        prepare(conn);
        conn.must(&pay(&[]));
        let dump = conn.must(&["DUMP", "t"]);
        let Reply::Bulk(payload) = dump else { panic!("{dump:?}") };
        conn.must(&["DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", "1"]);
        let (body, footer) = payload.split_at(payload.len() - 10);
        let (mut restored, mut refused) = (0, 0);
        for at in 0..body.len() {
            for mask in [0x01, 0x08, 0x40, 0x80, 0xff] {
                let mut mutant = body.to_vec();
                mutant[at] ^= mask;
                mutant.extend_from_slice(footer);
                let restore: [&[u8]; 5] = [b"RESTORE", b"m", b"0", &mutant, b"REPLACE"];
                if conn.call_bytes(&restore).is_error() {
                    refused += 1;
                    continue;
                }
                restored += 1;
                conn.must(&["DUMP", "m"]);
                // Whatever it says now, it is some reply, or the record of another request.
                conn.must(&["DEL", "t"]);
                conn.must(&["RENAME", "m", "t"]);
                conn.call(&pay(&[]));
            }
        }
        assert!(restored > 50 && refused > 50, "{restored} {refused}");
        assert!(server.log().contains("a token cannot be loaded"));
    });
}

/// After a restart, by whatever file.
#[test]
fn tokens_survive_restarts() {
    for config in [
        &["save 3600 1"][..],
        &["appendonly yes", "appendfsync always", "aof-use-rdb-preamble yes"],
        &["appendonly yes", "appendfsync always", "aof-use-rdb-preamble no"],
    ] {
        on_every_server_with(config, |server| {
            let conn = &mut server.conn();
            prepare(conn);
            let told = conn.must(&pay(&["WINDOW", "100000000"]));
            let expires = conn.must(&["PEXPIRETIME", "t"]);
            let check = |what: &str| {
                let conn = &mut server.conn();
                assert_eq!(conn.must(&["PEXPIRETIME", "t"]), expires, "{what}");
                assert_eq!(conn.must(&pay(&[])), told, "{what}");
                assert_eq!(balances(conn), [Reply::bulk("5"), Reply::bulk("5")], "{what}");
            };
            if server.info("aof_enabled") == "1" {
                server.kill9();
                server.restart();
                check("killed");
                server.rewrite_aof();
                server.kill9();
            }
            server.restart();
            check("restarted");
        });
    }
}

#[test]
fn a_promoted_replica_knows_the_tokens() {
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        replica.replica_of(&master);
        let conn = &mut master.conn();
        prepare(conn);
        let told = conn.must(&pay(&[]));
        replica.wait_for_sync(&master);
        assert_eq!(replica.debug_digest(), master.debug_digest());
        let expires = conn.must(&["PEXPIRETIME", "t"]);
        assert_eq!(replica.must(&["PEXPIRETIME", "t"]), expires);
        assert_eq!(replica.call(&pay(&[])).error_word(), "READONLY");
        master.kill9();
        replica.must(&["REPLICAOF", "NO", "ONE"]);
        assert_eq!(replica.must(&pay(&[])), told);
        assert_eq!(balances(&mut replica.conn()), [Reply::bulk("5"), Reply::bulk("5")]);
    });
}

#[test]
fn a_token_holds_in_multi_and_in_scripts() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        prepare(conn);
        conn.must(&["MULTI"]);
        conn.must(&pay(&[]));
        conn.must(&pay(&[]));
        let replies = conn.must(&["EXEC"]);
        assert_eq!(replies.array()[0], replies.array()[1]);
        let script = "return redis.call(unpack(ARGV))";
        let eval = [&["EVAL", script, "3", "a", "b", "t"], &pay(&[])[..]].concat();
        let told = conn.must(&eval);
        assert_eq!(told.array().len(), 2);
        assert_eq!(balances(conn), [Reply::bulk("5"), Reply::bulk("5")]);
    });
}

/// Each request has its own fault and all later ones: the first fault is reported.
#[test]
fn errors_are_reported_in_the_documented_order() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = |name: &str| format!("{{order}}{name}");
        let (token, text, other, doc) = (key("t"), key("text"), key("other"), key("doc"));
        conn.must(&["MODEL.SET", &doc, "any", "{}"]);
        conn.must(&["SET", &text, "x"]);
        let first = ["MODEL.TXN", "2", &doc, &token, "TOKEN", &token, "ON", &doc, "EXISTS"];
        conn.must(&first);
        // A token, what it says of itself, and a block.
        let mut check = |token: &str, at: &[&str], block: &[&str], word: &str| {
            let keys = ["MODEL.TXN", "4", &doc, &text, &other, token, "TOKEN", token];
            let command = [&keys[..], at, &["ON", &other], block].concat();
            let refused = conn.call(&command);
            assert_eq!(refused.error_word(), word, "{command:?} {refused:?}");
        };
        let (late, fresh) = (&["AT", "1"][..], key("fresh"));
        // `text` is of another type, `other` is missing.
        check(&text, late, &["PUT", "none", "{}", "INCR", "$.n", "x"], "ERR");
        check(&text, late, &["PUT", "none", "{}", "IF", "self +"], "EXPR");
        check(&text, late, &["PUT", "none", "{}"], "WRONGTYPE");
        check(&token, late, &["PUT", "none", "{}"], "TOKENMISMATCH");
        check(&fresh, late, &["PUT", "none", "{}"], "TOKENEXPIRED");
        check(&fresh, &[], &["PUT", "none", "{}"], "NOMODEL");
        check(&fresh, &[], &["INCR", "$.n", "1"], "WRONGTYPE");
        conn.must(&["DEL", &text]);
        let command = ["MODEL.TXN", "2", &doc, &other, "ON", &other, "INCR", "$.n", "1"];
        assert_eq!(conn.call(&command).error_word(), "NOKEY");
    });
}
