//! Schemas, documents and changes: every check ends, and validating a change of a valid document gives the same verdict
//! as validating the whole document.
//!
//! The input is four lines: a schema, a document, an array of values to put in, and bytes that say how.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_model::error::ErrorCode;
use redis_model::model::schema::{Schema, SchemaLimits};
use redis_model::document::NewDocument;
use redis_model::value::edit::{Editor, Journal};
use redis_model::value::{Limits, Measured, Place, Value, View, parse};

const LIMITS: Limits = Limits { depth: 100, bytes: 1 << 16 };
const SCHEMA_LIMITS: SchemaLimits =
    SchemaLimits { bytes: 1 << 14, nodes: 1000, pattern_bytes: 1 << 20, steps: 1 << 20, ..SchemaLimits::DEFAULT };

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (schema, document, values, edits) = (line(), line(), line(), line());
    let schema = match Schema::compile(schema, &SCHEMA_LIMITS) {
        Ok(schema) => schema,
        Err(error) => {
            assert!(matches!(error.code(), ErrorCode::Err | ErrorCode::Limit), "{error}");
            return;
        }
    };
    let Ok(document) = parse::json(document, &LIMITS) else { return };
    let size = document.size;
    // The way it is stored.
    let mut document = NewDocument::new(document, None, 0, 1).settle();
    let root = &mut document.root;
    let mut journal = Journal::default();
    let mut editor = Editor::new(root, size, LIMITS, &mut journal);
    if schema.fill_defaults(&mut editor).is_err() {
        return;
    }
    editor.commit();
    if schema.check(root.view()).is_err() {
        return;
    }
    let Ok(values) = parse::json(values, &LIMITS) else { return };
    let mut journal = Journal::default();
    let size = root.view().size();
    let mut editor = Editor::new(root, size, LIMITS, &mut journal).track_changes(true);
    for edit in edits.chunks_exact(4).take(8) {
        change(&mut editor, edit, &values.value);
    }
    let whole = schema.check(editor.view()).map_err(|error| error.code());
    let changed = schema.check_changes(editor.view(), editor.changes()).map_err(|error| error.code());
    // One may answer where the other is refused by a limit.
    let limited = [whole, changed].contains(&Err(ErrorCode::Limit));
    assert!(whole == changed || limited, "{whole:?} {changed:?}");
});

/// One change, as four bytes say.
fn change(editor: &mut Editor<'_>, edit: &[u8], values: &Value) -> Option<()> {
    let mut place = Place::new();
    for step in &edit[1..3] {
        let children = match editor.at(&place) {
            View::Array(array) => (0..array.len() as u32).collect(),
            View::Object(object) => object.entries().map(|(position, ..)| position).collect(),
            _ => Vec::new(),
        };
        // One way more than there are children: to stay.
        place.extend(children.get(usize::from(*step) % (children.len() + 1)).copied());
    }
    let new = match values.view() {
        View::Array(array) if !array.is_empty() => array.get(usize::from(edit[3]) % array.len())?,
        view => view,
    };
    let new = || Measured::from(new.to_value());
    let which = usize::from(edit[3]);
    match (edit[0] % 4, editor.at(&place)) {
        (0, _) => editor.replace(&place, new()).ok()?,
        (1, View::Object(object)) => {
            let name = format!("{}", char::from(b'a' + edit[3] % 4));
            if object.find(&name).is_none() {
                editor.insert_member(&place, &name, new()).ok()?;
            }
        }
        (1, View::Array(array)) => {
            let index = which % (array.len() + 1);
            editor.insert_items(&place, index, vec![new()]).ok()?;
        }
        (2, View::Object(object)) if !object.is_empty() => {
            let position = object.entries().nth(which % object.len())?.0;
            editor.remove_member(&place, position).ok()?;
        }
        (2, View::Array(array)) if !array.is_empty() => {
            editor.remove_items(&place, which % array.len(), 1).ok()?;
        }
        (3, View::Array(array)) => {
            let positions: Vec<u32> = (0..array.len() as u32).filter(|nth| nth % 2 == 0).collect();
            editor.remove_each(&place, &positions).ok()?;
        }
        _ => {}
    }
    Some(())
}
