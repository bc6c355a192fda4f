//! Replicated effects: corrupt ones are refused and leave the document as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_model::codec::effect::{Change, Effect};
use redis_model::codec::locks::{decode_edits, encode_edits};
use redis_model::lock::Locks;
use redis_model::document::NewDocument;
use redis_model::value::edit::{Editor, Journal};
use redis_model::value::{Limits, parse};

const DOCUMENT: &[u8] = br#"{"a":[1,{"b":"x"},[]],"c":{"d":null,"e":2.5},"f":"long enough to be on its own, yes"}"#;

fuzz_target!(|bytes: &[u8]| {
    let edits = match Effect::decode(bytes) {
        Ok(Effect { change: Change::Edit { edits, .. }, .. }) => edits,
        Ok(Effect { change: Change::Locks(edits), .. }) => return locks(edits),
        _ => return,
    };
    let before = parse::json(DOCUMENT, &Limits::DEFAULT).expect("the document is JSON");
    // The way it is stored.
    let mut document = NewDocument::new(before.clone(), None, 0, 1).settle();
    let root = &mut document.root;
    let mut journal = Journal::default();
    let mut editor = Editor::new(root, before.size, Limits::DEFAULT, &mut journal);
    let accepted = editor.apply_effects(edits).is_ok();
    let size = editor.size();
    if accepted {
        assert_eq!(size, editor.view().size());
    }
    // Not committed: everything is undone.
    drop(editor);
    assert!(document.root.view().identical(before.value.view()));
});

/// Changes of locks are encoded to what gives them back, and can be made.
fn locks(edits: &[u8]) {
    let Ok(edits) = decode_edits(edits) else { return };
    assert_eq!(decode_edits(&encode_edits(edits.iter())).expect("what was encoded is decoded"), edits);
    let mut locks = Locks::default();
    for edit in &edits {
        locks.apply(edit);
    }
    assert!(locks.held() <= edits.len());
}
