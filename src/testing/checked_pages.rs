//! A call of `MODEL.CHECK` looks at few documents where each has many entries.

use super::MemoryHost;

fn must(host: &mut MemoryHost, args: &[&str]) -> String {
    host.call(args).unwrap().reply.notation()
}

/// A call of MODEL.CHECK, which finds nothing wrong: the next cursor and the number that was compared.
fn check(host: &mut MemoryHost, cursor: &str) -> (String, usize) {
    let reply = must(host, &["MODEL.CHECK", "m", "CURSOR", cursor]);
    assert!(reply.contains("missing (integer) 0 stray (integer) 0 "), "{reply}");
    let word = |name: &str| reply.split_once(name).unwrap().1.split(' ').next().unwrap().to_owned();
    (word("cursor "), word("checked (integer) ").parse().unwrap())
}

#[test]
fn a_call_of_check_goes_through_few_long_records() {
    const DOCUMENTS: usize = 12;
    let host = &mut MemoryHost::default();
    let mut define = vec!["MODEL.DEFINE", "m", "{}"];
    ["a", "b", "c", "d"].iter().for_each(|name| define.extend(["INDEX", name, "1", "$.t[*]"]));
    must(host, &define);
    let long = "x".repeat(110);
    let tags: Vec<String> = (100..200).map(|nth| format!("\"{nth}{long}\"")).collect();
    for nth in 0..DOCUMENTS {
        let json = format!(r#"{{"t":[{}]}}"#, tags.join(","));
        must(host, &["MODEL.SET", &format!("k{nth}"), "m", &json]);
    }
    // Each document has 400 entries, and a call ends behind a thousand.
    assert_eq!(check(host, "0").1, 3);
    // The last index: all documents have its first value, and all others in front of it in their records.
    let (mut cursor, compared) = check(host, "NQAAAAAAAAAAAAAAAAAAAAA");
    assert!((1..DOCUMENTS).contains(&compared), "{compared}");
    let mut all = compared;
    while cursor != "0" {
        let (next, compared) = check(host, &cursor);
        assert!(compared > 0);
        (cursor, all) = (next, all + compared);
    }
    assert_eq!(all, DOCUMENTS * 100);
}
