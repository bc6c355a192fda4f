//! Keys and fields of hashes that expire while natives are about them: reading deletes nothing of a hash, and natives do
//! what their commands do.

use crate::harness::{Flavor, Server, on_every_flavor, on_every_server};
use crate::native_refusals::split;
use crate::resp::{Conn, Reply};

/// Runs `body` on every server whose fields expire, where those that have expired are deleted by commands alone.
fn on_every_server_with_field_times(body: impl Fn(&Server) + Sync) {
    on_every_flavor(|flavor| {
        if flavor == Flavor::Redis70 {
            return;
        }
        let server = Server::start(flavor, &[]);
        server.must(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        server.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        body(&server);
    });
}

/// Makes the hash `h` with these fields; `f` among them has expired, and `later` expires in a long time.
fn prepare(server: &Server, fields: &[&str]) {
    let conn = &mut server.conn();
    conn.must(&["DEL", "h"]);
    conn.must(&[&["HSET", "h"], fields].concat());
    if fields.contains(&"later") {
        conn.must(&["HPEXPIRE", "h", "1000000", "FIELDS", "1", "later"]);
    }
    // A time that has passed would delete the field at once.
    let mut until;
    loop {
        until = now_ms(conn) + 2;
        conn.must(&["HSET", "h", "f", "x"]);
        let set = conn.must(&["HPEXPIREAT", "h", &until.to_string(), "FIELDS", "1", "f"]);
        if set.array() == [Reply::Int(1)] {
            break;
        }
    }
    server.wait_until("the field has expired", || now_ms(conn) > until);
}

fn now_ms(conn: &mut Conn) -> i64 {
    let time = conn.must(&["TIME"]);
    let part = |nth: usize| time.array()[nth].text().parse::<i64>().expect("a number");
    part(0) * 1000 + part(1) / 1000
}

#[test]
fn reading_a_hash_leaves_its_expired_fields_to_the_server() {
    on_every_server_with_field_times(|server| {
        for (fields, expr, expected) in [
            (&["f", "x"][..], "[native['h'].has('f'), native['h'].size()]", "[false,1]"),
            (&["f", "x"], "[native['h'].field('f'), native['h'].has('f')]", "[null,false]"),
            (&["f", "x", "g", "2"], "[native['h'].has('f'), native['h'].has('g')]", "[false,true]"),
            (&["f", "x", "g", "2"], "[native['h'].field('g'), native['h'].size()]", r#"["2",2]"#),
            (&["f", "x", "later", "2"], "native['h'].has('later')", "true"),
        ] {
            prepare(server, fields);
            let command = ["MODEL.TXN", "2", "doc", "h", "ON", "doc", "EVAL", "$.r", expr];
            let reply = server.must(&command);
            assert_eq!(reply.array()[0].array(), [Reply::bulk(expected)], "{expr}");
            let left = server.must(&["HLEN", "h"]);
            assert_eq!(left, Reply::Int(fields.len() as i64 / 2), "{expr}");
        }
    });
}

/// Natives on hashes, and the commands that do the same alone.
const NATIVES: [(&str, &str); 7] = [
    (r#"HINCRBY '"f"' 5"#, "HINCRBY h f 5"),
    (r#"HSET '"f"' 5"#, "HSET h f 5"),
    (r#"HDEL '"f"'"#, "HDEL h f"),
    (r#"HINCRBY '"later"' 5"#, "HINCRBY h later 5"),
    (r#"HSET '"later"' 5"#, "HSET h later 5"),
    (r#"HDEL '"later"'"#, "HDEL h later"),
    (r#"HSET '"g"' 5"#, "HSET h g 5"),
];

#[test]
fn natives_on_fields_that_expire_do_what_their_commands_do() {
    on_every_server_with_field_times(|server| {
        let replica = Server::start(server.flavor, &[]);
        replica.must(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        replica.replica_of(server);
        // The fields that are left of the hash, and which of them have a time to live.
        let left = || {
            let all = server.must(&["HGETALL", "h"]);
            let mut fields: Vec<_> = all.array().chunks(2).map(|pair| pair.to_vec()).collect();
            fields.sort_by_key(|pair| pair[0].text().to_owned());
            let times = server.must(&["HPTTL", "h", "FIELDS", "3", "f", "later", "g"]);
            let times: Vec<_> = times.array().iter().map(|ttl| ttl.int().signum()).collect();
            (fields, times, server.must(&["EXISTS", "h"]))
        };
        for fields in [&["f", "x"][..], &["f", "x", "later", "7"], &["f", "x", "g", "1"]] {
            for (native, command) in NATIVES {
                prepare(server, fields);
                let alone = (server.must(&split(command)), left());
                prepare(server, fields);
                let transaction = format!("MODEL.TXN 2 doc h ON doc INCR $.n 1 AT h {native}");
                let reply = server.must(&split(&transaction));
                let found = (reply.array()[1].array()[0].clone(), left());
                assert_eq!(found, alone, "{native} with {fields:?}");
                replica.wait_for_sync(server);
                assert_eq!(replica.debug_digest(), server.debug_digest(), "{native} {fields:?}");
            }
        }
        // The change of the field by a native before it is known.
        for (native, word) in [
            (r#"HSET '"f"' '"y"' HINCRBY '"f"' 1"#, "TYPE"),
            (r#"HINCRBY '"f"' 9223372036854775807 HINCRBY '"f"' 1"#, "OVERFLOW"),
        ] {
            prepare(server, &["f", "x"]);
            let transaction = format!("MODEL.TXN 2 doc h ON doc INCR $.n 1 AT h {native}");
            assert_eq!(server.call(&split(&transaction)).error_word(), word, "{native}");
        }
        assert_eq!(server.info("model_natives_refused"), "0");
    });
}

/// Takes some milliseconds, and is true.
fn slow() -> String {
    let ten = |name: &str, body: &str| format!("[1,2,3,4,5,6,7,8,9,10].all({name}, {body})");
    ten("a", &ten("b", &ten("c", &ten("d", "[1,2,3].all(e, a + b + c + d + e > 0)"))))
}

/// A request that waits runs outside of any command. There the clock of Redis 7.0 goes on.
#[test]
fn a_key_that_expires_while_a_waiting_request_reads_it_is_missing() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}", "INDEX", "n", "1", "$.n"]);
        let read = "[native['k'].text(), native['k'].size(), native['k'].text()]";
        let expr = format!("{} ? {read} : []", slow());
        let mut worker = server.conn();
        for nth in 0..40 {
            conn.must(&["DEL", "doc", "k"]);
            conn.must(&["SET", "k", "text"]);
            let find = ["MODEL.FINDOP", "1", "k", "m", "WHERE", "self.n == 1", "WAIT", "60000"];
            let run = ["DO", "EVAL", "$.n", &expr, "AT", "k", "PEXPIRE", "100000"];
            worker.send(&[&find[..], &run].concat());
            server.wait_until("the worker waits", || server.info("blocked_clients") == "1");
            conn.must(&["PEXPIRE", "k", &(1 + nth % 8 * (1 + nth / 8)).to_string()]);
            conn.must(&["MODEL.SET", "doc", "m", r#"{"n":1}"#]);
            let reply = worker.recv();
            let replies = reply.array()[0].array()[2].array();
            let read = replies[0].text();
            // A key that is missing stays so.
            let there = r#"["text",4,"text"]"#;
            let gone = [r#"["text",4,null]"#, r#"["text",0,null]"#, "[null,0,null]"];
            let expected = match replies[1] {
                Reply::Int(1) => read == there,
                _ => read == there || gone.contains(&read),
            };
            assert!(expected, "{reply:?}");
        }
    });
}
