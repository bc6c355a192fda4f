//! The table of `rows`, checked as a whole, and as the change that makes the one document of the other.

use redis_model::error::{Detail, Error, ErrorCode};
use redis_model::model::schema::{Schema, SchemaLimits};
use redis_model::value::edit::{Editor, Journal};
use redis_model::value::{Limits, Place, Root, parse};
use serde_json::Value as Json;

use crate::changes::value;
use crate::rows::ROWS;

/// Makes a document of another, changing no more than what differs.
fn become_another(editor: &mut Editor<'_>, place: &mut Place, new: &Json) {
    let (is_array, is_object) =
        (editor.at(place).as_array().is_some(), editor.at(place).as_object().is_some());
    match new {
        Json::Object(members) if is_object => {
            let gone: Vec<String> = editor
                .at(place)
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, _)| name.as_str().to_owned())
                .filter(|name| !members.contains_key(name))
                .collect();
            for name in gone {
                let position = editor.at(place).as_object().unwrap().find(&name).unwrap().0;
                editor.remove_member(place, position).unwrap();
            }
            for (name, new) in members {
                match editor.at(place).as_object().unwrap().find(name) {
                    Some((position, _)) => {
                        place.push(position);
                        become_another(editor, place, new);
                        place.pop();
                    }
                    None => {
                        editor.insert_member(place, name, value(new)).unwrap();
                    }
                }
            }
        }
        Json::Array(items) if is_array => {
            let len = editor.at(place).as_array().unwrap().len();
            if items.len() < len {
                editor.remove_items(place, items.len(), len - items.len()).unwrap();
            }
            for (nth, new) in items.iter().take(len).enumerate() {
                place.push(nth as u32);
                become_another(editor, place, new);
                place.pop();
            }
            let more = items.iter().skip(len).map(value).collect();
            editor.insert_items(place, len.min(items.len()), more).unwrap();
        }
        new => editor.replace(place, value(new)).unwrap(),
    }
}

fn details(error: &Error) -> (String, String, String) {
    let text = |name| match error.detail(name) {
        Some(Detail::Text(text)) => text.clone(),
        other => panic!("{name} is text, not {other:?}"),
    };
    assert_eq!(error.code(), ErrorCode::Schema, "{error}");
    assert!(error.line().len() < 8000, "{error}");
    (text("place"), text("keyword"), text("schema"))
}

#[test]
fn every_keyword_reports_the_place_and_the_reason() {
    let mut wrong = Vec::new();
    for (schema, valid, invalid, place, keyword, pointer) in ROWS {
        let compiled = Schema::compile(schema.as_bytes(), &SchemaLimits::DEFAULT).expect(schema);
        let expected = ((*place).to_owned(), (*keyword).to_owned(), (*pointer).to_owned());
        let invalid: Json = serde_json::from_str(invalid).expect(invalid);
        let whole = compiled.check(value(&invalid).value.view());
        if whole.as_ref().err().map(details) != Some(expected.clone()) {
            wrong.push(format!("{schema} of {invalid}: {whole:?}"));
        }
        // Some schemas fit nothing.
        if valid.is_empty() {
            continue;
        }
        let valid: Json = serde_json::from_str(valid).expect(valid);
        let mut root = Root::bare(value(&valid).value);
        if let Err(error) = compiled.check(root.view()) {
            wrong.push(format!("{schema} of {valid}: {error}"));
        }
        let mut journal = Journal::default();
        let size = root.view().size();
        let mut editor =
            Editor::new(&mut root, size, Limits::NONE, &mut journal).track_changes(true);
        become_another(&mut editor, &mut Place::new(), &invalid);
        let changed = compiled.check_changes(editor.view(), editor.changes());
        if changed.as_ref().err().map(details) != Some(expected) {
            wrong.push(format!("{schema} from {valid} to {invalid}: {changed:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_schema_without_assertions_accepts_every_document_and_another_one_does_not() {
    let documents = ["null", "0", r#""a""#, "[[]]", r#"{"a":{"b":1}}"#]
        .map(|json| parse::json(json.as_bytes(), &Limits::NONE).expect("the document is JSON"));
    let passes = |schema: &str| {
        let schema = Schema::compile(schema.as_bytes(), &SchemaLimits::DEFAULT).expect(schema);
        documents.iter().filter(|document| schema.check(document.value.view()).is_ok()).count()
    };
    for schema in ["{}", "true", r#"{"title":"t","default":1}"#, r#"{"$defs":{"a":false}}"#] {
        assert_eq!(passes(schema), documents.len(), "{schema}");
    }
    for schema in [
        "false",
        r#"{"not":{}}"#,
        r#"{"allOf":[false]}"#,
        r##"{"$ref":"#/$defs/a","$defs":{"a":false}}"##,
        r##"{"$dynamicRef":"#a","$defs":{"a":{"$dynamicAnchor":"a","not":{}}}}"##,
        r#"{"if":true,"then":false}"#,
    ] {
        assert_eq!(passes(schema), 0, "{schema}");
    }
    assert_eq!(passes(r#"{"unevaluatedProperties":false}"#), documents.len() - 1);
}
