//! The worst commands on real servers: each is refused whole or stays within its budget, and the server
//! answers afterwards.

use crate::harness::on_every_server;
use crate::recording::check_error_line;
use crate::resp::{Conn, Reply};

#[path = "../worst/mod.rs"]
mod worst;

/// Documents are so many times smaller than default limits allow, and so is the budget.
const SCALE: usize = 50;

fn send(conn: &mut Conn, command: &[String]) -> Reply {
    conn.call(&command.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn the_worst_commands_are_refused_whole_or_keep_to_their_budget() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let steps = (10_000_000 / SCALE).to_string();
        let (mut refused, mut count) = (0, 0);
        worst::each(SCALE, "", &mut |worst| {
            conn.must(&["CONFIG", "SET", "model.command-steps", "10000000"]);
            conn.must(&["FLUSHALL"]);
            for command in &worst.setup {
                let reply = send(conn, command);
                assert!(!reply.is_error(), "{}: {reply:?}", worst.name);
            }
            conn.must(&["CONFIG", "SET", "model.command-steps", &steps]);
            let before = conn.call(&["MODEL.META", "k"]);
            let digest = server.debug_digest();
            let reply = send(conn, &worst.command);
            if reply.is_error() {
                check_error_line(&reply);
                refused += usize::from(reply.error().contains("model.command-steps"));
                assert_eq!(server.debug_digest(), digest, "{}: nothing changed", worst.name);
                assert_eq!(conn.call(&["MODEL.META", "k"]), before, "{}", worst.name);
            }
            count += 1;
        });
        assert!(refused * 2 > count, "most of them are refused: {refused} of {count}");
    });
}

#[test]
fn an_honest_large_use_fits_and_the_setting_is_bounded() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let set = |conn: &mut Conn, value: &str| {
            conn.call(&["CONFIG", "SET", "model.command-steps", value])
        };
        // A hundredth of what fits the default.
        assert!(!set(conn, "100000").is_error());
        let numbers = format!("[{}]", vec!["1"; 1500].join(","));
        conn.must(&["MODEL.SET", "k", "any", &numbers]);
        conn.must(&["MODEL.FIELDOP", "k", "INCR", "$[*]", "1"]);
        let most = 1_u64 << 40;
        assert!(!set(conn, &most.to_string()).is_error());
        for refused in ["0", &(most + 1).to_string(), "many"] {
            let reply = set(conn, refused);
            assert!(reply.is_error() && reply.error().contains("model.command-steps"), "{reply:?}");
            let now = conn.must(&["CONFIG", "GET", "model.command-steps"]);
            assert_eq!(now.field("model.command-steps").text(), most.to_string());
        }
        // The least value refuses whatever takes work, and the setting can be put back.
        assert!(!set(conn, "1").is_error());
        let refused = conn.call(&["MODEL.FIELDOP", "k", "INCR", "$[*]", "1"]);
        assert!(refused.error().contains(r#""limit":"model.command-steps""#), "{refused:?}");
        assert!(!set(conn, "10000000").is_error());
        conn.must(&["MODEL.FIELDOP", "k", "INCR", "$[*]", "1"]);
    });
}
