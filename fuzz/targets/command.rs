//! Whole commands: each line of the input is an argument behind `MODEL.FIELDOP key`. A refused command
//! changes nothing; the effect of an accepted one gives a replica the same document, and the patch of a recorded change
//! gives the document before the same content.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_model::changes::DocumentChange;
use redis_model::testing::MemoryHost;
use redis_model::command;
use redis_model::value::Limits;

const DOCUMENT: &str = r#"{"n":1,"f":2.5,"s":"text","b":true,"z":null,"a":[3,1,2],"o":{"x":{"y":[{"k":1},{"k":0}]}},"t":"2024-02-29T23:59:59.5+01:00"}"#;

fn text(host: &MemoryHost) -> String {
    host.documents.get(&b"key"[..]).map_or(String::new(), |document| format!("{} {:?}", document.revision, &document.root))
}

/// The patch of a recorded change makes the document after of the document before.
fn check_patch(host: &MemoryHost, change: &DocumentChange) {
    let Some(patch) = &change.content.patch else { return };
    let mut other = MemoryHost::default();
    other.call(&["MODEL.SET", "key", "any", DOCUMENT]).expect("the document is JSON");
    let args = [&b"MODEL.FIELDOP"[..], b"key", b"PATCH", b"", patch];
    command::run(&mut other, &args).expect("a patch fits the document before");
    let after = |host: &MemoryHost| host.documents[&b"key"[..]].root.to_value();
    assert!(after(&other).view().equals(after(host).view()), "{:?} {:?}", after(&other), after(host));
}

fuzz_target!(|input: &[u8]| {
    let mut host = MemoryHost::default();
    host.settings.document = Limits { depth: 16, bytes: 1 << 16 };
    host.settings.work.query_nodes = 10_000;
    // Recorded changes are not sent as the command itself: every other input runs on a model without CHANGES.
    let model = if input.len().is_multiple_of(2) { "any" } else { "m" };
    host.call(&["MODEL.DEFINE", "m", "{}", "CHANGES", "9"]).expect("the model is defined");
    host.call(&["MODEL.SET", "key", model, DOCUMENT]).expect("the document is JSON");
    let mut replica = MemoryHost {
        documents: host.documents.iter().map(|(key, document)| (key.clone(), document.copy().settle())).collect(),
        revisions: host.revisions.clone(),
        ..MemoryHost::default()
    };
    let before = text(&host);

    let mut args: Vec<&[u8]> = vec![b"MODEL.FIELDOP", b"key"];
    args.extend(input.split(|byte| *byte == b'\n'));
    match command::run(&mut host, &args) {
        Err(_) => assert_eq!(text(&host), before),
        Ok(outcome) if outcome.effects.is_empty() => assert_eq!(text(&host), before),
        Ok(outcome) => {
            replica.replicate(&args, &outcome).expect("an effect fits the replica");
            assert_eq!(text(&host), text(&replica));
            if let Some([change]) = outcome.changes.as_ref().map(|changes| &changes.0[..]) {
                check_patch(&host, change);
            }
            // DELETE leaves none.
            let Some(document) = host.documents.get(&b"key"[..]) else { return };
            assert_eq!(document.size(), document.root.view().size());
            assert!(document.size() <= 1 << 16 && document.root.view().depth() <= 16);
        }
    }
});
