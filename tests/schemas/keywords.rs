//! Every keyword: a document that fits, one that does not, and what is said of it. Checked as a whole,
//! and as the change that makes the one of the other.

use redis_model::error::{Detail, Error, ErrorCode};
use redis_model::model::schema::{Schema, SchemaLimits};
use redis_model::value::edit::{Editor, Journal};
use redis_model::value::{Limits, Place};
use serde_json::Value as Json;

use crate::changes::value;

/// Schema, a valid document, an invalid one, then its place, keyword and place in the schema.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // What is asked of the value alone.
    (r#"{"type":"integer"}"#, "1", "1.5", "", "type", "/type"),
    (r#"{"type":"integer"}"#, "1.0", "\"1\"", "", "type", "/type"),
    (r#"{"type":["null","string"]}"#, "null", "0", "", "type", "/type"),
    (r#"{"properties":{"a":{"type":"boolean"}}}"#, r#"{"a":true}"#, r#"{"a":0}"#, "/a", "type", "/properties/a/type"),
    (r#"{"const":[1,{"a":2}]}"#, r#"[1.0,{"a":2}]"#, r#"[1,{"a":3}]"#, "", "const", "/const"),
    (r#"{"properties":{"a":{"const":1}}}"#, r#"{"a":1.0}"#, r#"{"a":2}"#, "/a", "const", "/properties/a/const"),
    (r#"{"enum":["a",null,[1]]}"#, "[1]", "[2]", "", "enum", "/enum"),
    (r#"{"minimum":0}"#, "0", "-1", "", "minimum", "/minimum"),
    (r#"{"minimum":9007199254740993}"#, "9007199254740993", "9007199254740992", "", "minimum", "/minimum"),
    (r#"{"maximum":1.5}"#, "1.5", "2", "", "maximum", "/maximum"),
    (r#"{"maximum":18446744073709551615}"#, "9223372036854775807", "1e20", "", "maximum", "/maximum"),
    (r#"{"exclusiveMinimum":0}"#, "1e-300", "0", "", "exclusiveMinimum", "/exclusiveMinimum"),
    (r#"{"exclusiveMaximum":1e308}"#, "9e307", "1e308", "", "exclusiveMaximum", "/exclusiveMaximum"),
    (r#"{"multipleOf":3}"#, "9", "10", "", "multipleOf", "/multipleOf"),
    (r#"{"multipleOf":0.01}"#, "1.1", "1.115", "", "multipleOf", "/multipleOf"),
    (r#"{"minLength":2}"#, "\"éé\"", "\"é\"", "", "minLength", "/minLength"),
    (r#"{"maxLength":1}"#, "\"😀\"", "\"ab\"", "", "maxLength", "/maxLength"),
    (r#"{"pattern":"^a+$"}"#, "\"aa\"", "\"ab\"", "", "pattern", "/pattern"),
    (r#"{"format":"date"}"#, "\"2026-02-28\"", "\"2026-02-29\"", "", "format", "/format"),
    (r#"{"false":1,"not":{}}"#, "", "1", "", "not", "/not"),
    (r#"{"properties":{"a":false}}"#, "{}", r#"{"a":1}"#, "/a", "false", "/properties/a"),
    // What is asked of a container's children.
    (r#"{"minItems":2}"#, "[1,2]", "[1]", "", "minItems", "/minItems"),
    (r#"{"maxItems":1}"#, "[1]", "[1,2]", "", "maxItems", "/maxItems"),
    (r#"{"minProperties":1}"#, r#"{"a":1}"#, "{}", "", "minProperties", "/minProperties"),
    (r#"{"maxProperties":1}"#, r#"{"a":1}"#, r#"{"a":1,"b":2}"#, "", "maxProperties", "/maxProperties"),
    (r#"{"required":["a","b"]}"#, r#"{"a":1,"b":1}"#, r#"{"a":1}"#, "", "required", "/required"),
    (r#"{"properties":{"x":{"required":["a"]}}}"#, r#"{"x":{"a":1}}"#, r#"{"x":{}}"#, "/x", "required", "/properties/x/required"),
    (r#"{"dependentRequired":{"a":["b"]}}"#, r#"{"c":1}"#, r#"{"c":1,"a":1}"#, "", "dependentRequired", "/dependentRequired"),
    (r#"{"uniqueItems":true}"#, "[1,2]", "[1,2,1.0]", "", "uniqueItems", "/uniqueItems"),
    (r#"{"uniqueItems":true}"#, r#"[{"a":1},{"a":2}]"#, r#"[{"a":1},{"a":1}]"#, "", "uniqueItems", "/uniqueItems"),
    (r#"{"propertyNames":{"maxLength":1}}"#, r#"{"a":1}"#, r#"{"a":1,"bb":1}"#, "", "propertyNames", "/propertyNames"),
    // What leads to children.
    (r#"{"patternProperties":{"^a":{"type":"null"}}}"#, r#"{"b":1,"a":null}"#, r#"{"b":1,"a":1}"#, "/a", "type", "/patternProperties/^a/type"),
    (r#"{"properties":{"a":{}},"additionalProperties":false}"#, r#"{"a":1}"#, r#"{"a":1,"b":1}"#, "/b", "false", "/additionalProperties"),
    (r#"{"additionalProperties":{"minimum":1}}"#, r#"{"a":1}"#, r#"{"a":0}"#, "/a", "minimum", "/additionalProperties/minimum"),
    (r#"{"items":{"type":"string"}}"#, r#"["a"]"#, r#"["a",1]"#, "/1", "type", "/items/type"),
    (r#"{"prefixItems":[{"type":"string"}],"items":false}"#, r#"["a"]"#, r#"["a",1]"#, "/1", "false", "/items"),
    (r#"{"prefixItems":[{"type":"string"},{"type":"integer"}]}"#, r#"["a",1]"#, r#"["a","b"]"#, "/1", "type", "/prefixItems/1/type"),
    (r##"{"$defs":{"p":{"minimum":1}},"properties":{"a":{"$ref":"#/$defs/p"}}}"##, r#"{"a":1}"#, r#"{"a":0}"#, "/a", "minimum", "/$defs/p/minimum"),
    (r##"{"$defs":{"p":{"$anchor":"x","minimum":1}},"items":{"$ref":"#x"}}"##, "[1]", "[0]", "/0", "minimum", "/$defs/p/minimum"),
    (r#"{"allOf":[{"minimum":1},{"maximum":2}]}"#, "2", "3", "", "maximum", "/allOf/1/maximum"),
    (r##"{"properties":{"next":{"$ref":"#"}},"required":["v"]}"##, r#"{"v":1,"next":{"v":2,"next":{"v":3}}}"#, r#"{"v":1,"next":{"v":2,"next":{}}}"#, "/next/next", "required", "/required"),
    (r#"{"$id":"https://example.com/s","$defs":{"p":{"$id":"p","minimum":1}},"items":{"$ref":"p"}}"#, "[1]", "[0]", "/0", "minimum", "/$defs/p/minimum"),
    (r#"{"properties":{"a/b~c":{"minimum":1}}}"#, r#"{"a/b~c":1}"#, r#"{"a/b~c":0}"#, "/a~1b~0c", "minimum", "/properties/a~1b~0c/minimum"),
    // What depends on all that is below.
    (r#"{"anyOf":[{"type":"string"},{"minimum":1}]}"#, "1", "0", "", "anyOf", "/anyOf"),
    (r#"{"oneOf":[{"type":"number"},{"minimum":1}]}"#, "0", "1", "", "oneOf", "/oneOf"),
    (r#"{"properties":{"a":{"anyOf":[{"required":["x"]},{"required":["y"]}]}}}"#, r#"{"a":{"x":1}}"#, r#"{"a":{}}"#, "/a", "anyOf", "/properties/a/anyOf"),
    (r#"{"not":{"properties":{"a":{"const":1}},"required":["a"]}}"#, r#"{"a":2}"#, r#"{"a":1}"#, "", "not", "/not"),
    (r#"{"if":{"required":["a"]},"then":{"required":["b"]}}"#, r#"{"c":1}"#, r#"{"c":1,"a":1}"#, "", "required", "/then/required"),
    (r#"{"if":{"properties":{"a":{"const":1}}},"else":{"maxProperties":0}}"#, r#"{"a":1}"#, r#"{"a":2}"#, "", "maxProperties", "/else/maxProperties"),
    (r#"{"dependentSchemas":{"a":{"properties":{"b":{"minimum":1}}}}}"#, r#"{"a":1,"b":1}"#, r#"{"a":1,"b":0}"#, "/b", "minimum", "/dependentSchemas/a/properties/b/minimum"),
    (r#"{"contains":{"const":1}}"#, "[0,1]", "[0,2]", "", "contains", "/contains"),
    (r#"{"contains":{"const":1},"minContains":2}"#, "[1,1]", "[1,2]", "", "contains", "/minContains"),
    (r#"{"contains":{"const":1},"maxContains":1}"#, "[1,2]", "[1,1]", "", "contains", "/maxContains"),
    (r#"{"properties":{"a":{}},"unevaluatedProperties":false}"#, r#"{"a":1}"#, r#"{"a":1,"b":1}"#, "", "unevaluatedProperties", "/unevaluatedProperties"),
    (r#"{"prefixItems":[{}],"unevaluatedItems":false}"#, "[1]", "[1,2]", "", "unevaluatedItems", "/unevaluatedItems"),
    (r##"{"$dynamicAnchor":"n","properties":{"c":{"$dynamicRef":"#n"}},"required":["v"]}"##, r#"{"v":1,"c":{"v":1}}"#, r#"{"v":1,"c":{}}"#, "/c", "required", "/required"),
    (r#"{"items":{"$ref":"https://json-schema.org/draft/2020-12/schema"}}"#, r#"[{"type":"null"}]"#, r#"[{"type":"nil"}]"#, "/0/type", "anyOf", "https://json-schema.org/draft/2020-12/meta/validation#/properties/type/anyOf"),
];

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
                editor.remove_member(place, position);
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
                editor.remove_items(place, items.len(), len - items.len());
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
    assert!(error.line().len() < 1000, "{error}");
    (text("place"), text("keyword"), text("schema"))
}

#[test]
fn every_keyword_says_where_and_why() {
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
        let mut root = value(&valid).value;
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
