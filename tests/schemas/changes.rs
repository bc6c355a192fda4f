//! The central property: checking a change alone and checking the whole document give the same verdict.

use std::cell::Cell;

use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use redis_model::document::NewDocument;
use redis_model::error::ErrorCode;
use redis_model::model::schema::{Schema, SchemaLimits};
use redis_model::testing::coverage::{Missing, until_covered};
use redis_model::value::edit::{Editor, Journal};
use redis_model::value::{Limits, Measured, Place, Root, View, parse, print};

use crate::draw::{self, Edit};

const BATCHES_MAX: u64 = 30;

pub fn value(json: &serde_json::Value) -> Measured {
    parse::json(json.to_string().as_bytes(), &Limits::NONE).expect("a document is drawn")
}

/// The place a way leads to; it stops where there is nothing below.
fn place(document: View<'_>, way: &[Index]) -> Place {
    let mut place = Place::new();
    let mut view = document;
    for step in way {
        let positions: Vec<u32> = match view {
            View::Array(array) => (0..array.len() as u32).collect(),
            View::Object(object) => object.entries().map(|(position, ..)| position).collect(),
            _ => break,
        };
        if positions.is_empty() {
            break;
        }
        let position = *step.get(&positions);
        place.push(position);
        view = view.child(position).expect("the position is there");
    }
    place
}

/// The nearest place on the way, from its end, that is of a kind.
fn nearest(editor: &Editor<'_>, way: &[Index], wanted: impl Fn(View<'_>) -> bool) -> Option<Place> {
    let mut place = place(editor.view(), way);
    while !wanted(editor.at(&place)) {
        place.pop()?;
    }
    Some(place)
}

fn is_array(view: View<'_>) -> bool {
    view.as_array().is_some()
}

fn is_object(view: View<'_>) -> bool {
    view.as_object().is_some()
}

/// Makes a change where it fits; `None` where it does not.
pub fn apply(editor: &mut Editor<'_>, edit: &Edit) -> Option<()> {
    match edit {
        Edit::Replace(way, new) => {
            let place = place(editor.view(), way);
            editor.replace(&place, value(new)).ok()?;
        }
        Edit::InsertMember(way, name, new) => {
            let place = nearest(editor, way, is_object)?;
            if editor.at(&place).as_object()?.find(name).is_none() {
                editor.insert_member(&place, name, value(new)).ok()?;
            }
        }
        Edit::RemoveMember(way, which) => {
            let place = nearest(editor, way, is_object)?;
            let positions: Vec<u32> =
                editor.at(&place).as_object()?.entries().map(|(position, ..)| position).collect();
            if !positions.is_empty() {
                editor.remove_member(&place, *which.get(&positions)).unwrap();
            }
        }
        Edit::InsertItems(way, at, new) => {
            let place = nearest(editor, way, is_array)?;
            let index = at.index(editor.at(&place).as_array()?.len() + 1);
            editor.insert_items(&place, index, new.iter().map(value).collect()).ok()?;
        }
        Edit::RemoveItems(way, at, count) => {
            let place = nearest(editor, way, is_array)?;
            let len = editor.at(&place).as_array()?.len();
            let index = at.index(len + 1);
            editor.remove_items(&place, index, count.index(len - index + 1)).unwrap();
        }
        Edit::RemoveEach(way, all) => {
            let place = nearest(editor, way, is_array)?;
            let len = editor.at(&place).as_array()?.len();
            if len > 0 {
                let mut positions: Vec<u32> = all.iter().map(|at| at.index(len) as u32).collect();
                positions.sort_unstable();
                positions.dedup();
                editor.remove_each(&place, &positions).unwrap();
            }
        }
    }
    Some(())
}

/// Counts of the cases that were drawn.
#[derive(Debug, Default)]
struct Seen {
    refused: Cell<usize>,
    schemas: Cell<usize>,
    valid: Cell<usize>,
    invalid: Cell<usize>,
}

fn count(cell: &Cell<usize>) {
    cell.set(cell.get() + 1);
}

fn agree(
    schema: &serde_json::Value,
    documents: &[serde_json::Value],
    commands: &[Vec<Edit>],
    seen: &Seen,
) -> Result<(), TestCaseError> {
    let text = schema.to_string();
    let compiled = match Schema::compile(text.as_bytes(), &SchemaLimits::DEFAULT) {
        Ok(compiled) => compiled,
        Err(error) => {
            // Drawn schemas may apply themselves to the same value without end, or have too many dynamic references.
            let expected = ["without end", "model.schema-crossings"];
            if !expected.iter().any(|reason| error.line().contains(reason)) {
                return Err(TestCaseError::fail(format!("{error}\nschema: {text}")));
            }
            count(&seen.refused);
            return Ok(());
        }
    };
    count(&seen.schemas);
    // The crate over its own values, and over the schema as it is written.
    let validator = jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .build(schema)
        .map_err(|error| TestCaseError::fail(format!("{error}\nschema: {text}")))?;
    for document in documents {
        // The way it is stored.
        let mut stored = NewDocument::new(value(document), None, 0, 1).settle();
        let verdict = compiled.check(stored.root.view());
        if verdict.is_ok() != validator.is_valid(document) {
            return Err(TestCaseError::fail(format!(
                "the crate's verdict is not {verdict:?}\ndocument: {document}\nschema: {text}"
            )));
        }
        if verdict.is_err() {
            continue;
        }
        for command in commands {
            one_command(&compiled, &mut stored.root, command, seen)
                .map_err(|error| TestCaseError::fail(format!("{error}\nschema: {text}")))?;
        }
    }
    Ok(())
}

fn one_command(
    schema: &Schema,
    root: &mut Root,
    command: &[Edit],
    seen: &Seen,
) -> Result<(), TestCaseError> {
    let before = print::to_string(root.view());
    let mut journal = Journal::default();
    let size = root.view().size();
    let mut editor = Editor::new(root, size, Limits::NONE, &mut journal).track_changes(true);
    for edit in command {
        apply(&mut editor, edit);
    }
    let whole = schema.check(editor.view());
    let changes = editor.changes().to_vec();
    let changed = schema.check_changes(editor.view(), &changes);
    let same = match (&whole, &changed) {
        (Ok(()), Ok(())) => true,
        (Err(a), Err(b)) => a.code() == ErrorCode::Schema && b.code() == ErrorCode::Schema,
        _ => false,
    };
    if !same {
        return Err(TestCaseError::fail(format!(
            "before: {before}\nafter: {}\nchanges: {changes:?}\nwhole: {whole:?}\nchanged: {changed:?}",
            print::to_string(editor.view())
        )));
    }
    // An invalid document is never kept: the document was valid before each change.
    match whole {
        Ok(()) => {
            count(&seen.valid);
            editor.commit();
        }
        Err(error) => {
            count(&seen.invalid);
            if error.message() == "the document does not fit the schema" {
                return Err(TestCaseError::fail("the plan finds no fault with what is invalid"));
            }
        }
    }
    Ok(())
}

/// The strategies nest deeper than the stack of a test's thread allows in a build without optimisation.
#[test]
fn checking_changes_agrees_with_checking_the_whole_document() {
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(check_drawn_changes);
    thread.expect("a thread starts").join().expect("the verdicts agree");
}

fn check_drawn_changes() {
    let cases = std::env::var("SCHEMA_CASES").map_or(1000, |cases| cases.parse().unwrap());
    let seen = Seen::default();
    until_covered(BATCHES_MAX, |_| {
        run_batch(cases, &seen);
        println!("{seen:?}");
        let mut missing = Missing::default();
        let cases = cases as usize;
        missing.expect("schemas", seen.schemas.get(), cases / 2 + 1);
        missing.expect("valid documents", seen.valid.get(), cases + 1);
        missing.expect("invalid documents", seen.invalid.get(), cases / 2 + 1);
        missing
    });
}

fn run_batch(cases: u32, seen: &Seen) {
    let config =
        Config { cases, max_shrink_iters: 20_000, failure_persistence: None, ..Config::default() };
    let strategy =
        (draw::schema(), proptest::collection::vec(draw::large_document(), 16), draw::edits());
    let verdict = TestRunner::new(config).run(&strategy, |(schema, documents, commands)| {
        agree(&schema, &documents, &commands, seen)
    });
    if let Err(TestError::Fail(reason, _)) = verdict {
        panic!("{reason}");
    }
}
