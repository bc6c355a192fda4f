//! Hostile cursors: the input, and its base64, behind AFTER and CURSOR. They find no document that the query does
//! not, and what is decoded is encoded as the same.

#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use redis_model::index::QueryCursor;
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;

const DEFINE: &str =
    "MODEL.DEFINE m {} INDEX by_n 2 $.n $.s INDEX by_tag 1 $.tags[*] INDEX u 1 $.u UNIQUE";

fn must(host: &mut MemoryHost, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    host.call(&words).expect("what is prepared is sound");
}

fn host() -> MemoryHost {
    let mut host = MemoryHost::default();
    must(&mut host, DEFINE);
    must(&mut host, "MODEL.DEFINE plain {}");
    for nth in 0..12 {
        let model = ["m", "plain", "any"][nth % 3];
        let json = format!(r#"{{"n":{},"s":"s{nth}","tags":[{nth},"t"],"u":{nth}}}"#, nth % 4);
        must(&mut host, &format!("MODEL.SET k{nth} {model} {json}"));
    }
    host
}

fn check(host: &mut MemoryHost, text: &str) {
    if let Ok(cursor) = QueryCursor::decode(text.as_bytes()) {
        let again = QueryCursor::decode(cursor.encode().as_bytes());
        assert_eq!(again.expect("it was encoded"), cursor);
    }
    for (model, rest) in [("m", 0), ("plain", 1), ("any", 2)] {
        for query in [&["WHERE", "self.n >= 1", "SCAN"][..], &["WHERE", "self.n >= 1", "ORDER", "u", "SCAN"]] {
            let args = [&["MODEL.FIND", model], query, &["LIMIT", "3", "AFTER", text, "GET", "$.none"]];
            let Ok(outcome) = host.call(&args.concat()) else { continue };
            let Reply::Array(parts) = &outcome.reply else { panic!("an array") };
            let Reply::Array(rows) = &parts[1] else { panic!("an array") };
            assert!(rows.len() <= 3);
            for row in rows {
                let Reply::Array(row) = row else { panic!("an array") };
                let Reply::Text(key) = &row[0] else { panic!("a text") };
                let key = std::str::from_utf8(key).expect("a text");
                let nth: usize = key[1..].parse().expect("a number");
                assert!(nth % 3 == rest && nth % 4 >= 1, "{key}");
            }
        }
        let _ = host.call(&["MODEL.CHECK", model, "CURSOR", text]);
        let _ = host.call(&["MODEL.DOCUMENTS", model, "CURSOR", text]);
        let _ = host.call(&["MODEL.DOCUMENTS", model, "CURSOR", &format!("k{text}")]);
    }
}

fuzz_target!(|input: &[u8]| {
    let mut host = host();
    if let Ok(text) = std::str::from_utf8(input) {
        check(&mut host, text);
    }
    check(&mut host, &URL_SAFE_NO_PAD.encode(input));
});
