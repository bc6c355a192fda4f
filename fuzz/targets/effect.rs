//! Replicated effects: corrupt ones are refused and leave the document as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_model::codec::effect::{Change, Effect};
use redis_model::value::edit::{Editor, Journal};
use redis_model::value::{Limits, parse};

const DOCUMENT: &[u8] = br#"{"a":[1,{"b":"x"},[]],"c":{"d":null,"e":2.5},"f":"long enough to be on its own, yes"}"#;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Effect { change: Change::Edit { edits, .. }, .. }) = Effect::decode(bytes) else { return };
    let before = parse::json(DOCUMENT, &Limits::DEFAULT).expect("the document is JSON");
    let mut root = before.value.clone();
    let mut journal = Journal::default();
    let mut editor = Editor::new(&mut root, before.size, Limits::DEFAULT, &mut journal);
    let accepted = editor.apply_effects(edits).is_ok();
    let size = editor.size();
    if accepted {
        assert_eq!(size, editor.view().size());
    }
    // Not committed: everything is undone.
    drop(editor);
    assert!(root.view().identical(before.value.view()));
});
