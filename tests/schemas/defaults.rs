//! Defaults fill in missing members, and change nothing else.

use redis_model::error::ErrorCode;
use redis_model::model::schema::{Schema, SchemaLimits};
use redis_model::value::edit::{Editor, Journal};
use redis_model::value::{Limits, Root, parse, print};

fn schema(json: &str) -> Schema {
    Schema::compile(json.as_bytes(), &SchemaLimits::DEFAULT).expect(json)
}

/// The document as it is after filling in; undoing gives it back, and the effects repeat it.
fn fill(schema: &Schema, json: &str) -> String {
    let before = parse::json(json.as_bytes(), &Limits::NONE).unwrap().value;
    let (mut root, mut copy) = (Root::bare(before.clone()), Root::bare(before.clone()));
    let mut journal = Journal::default();
    let size = root.view().size();
    let mut editor = Editor::new(&mut root, size, Limits::DEFAULT, &mut journal);
    schema.fill_defaults(&mut editor).unwrap();
    let filled = print::to_string(editor.view());
    assert_eq!(editor.size(), editor.view().size());
    editor.commit();
    let effects = journal.effects().to_vec();
    repeat(&mut copy, &effects, &filled);

    let mut root = Root::bare(before.clone());
    let mut journal = Journal::default();
    let mut editor = Editor::new(&mut root, size, Limits::DEFAULT, &mut journal);
    schema.fill_defaults(&mut editor).unwrap();
    editor.rollback();
    drop(editor);
    assert!(root.view().identical(before.view()));
    filled
}

fn repeat(copy: &mut Root, effects: &[u8], expected: &str) {
    let mut journal = Journal::default();
    let size = copy.view().size();
    let mut editor = Editor::new(copy, size, Limits::NONE, &mut journal);
    editor.apply_effects(effects).unwrap();
    assert_eq!(print::to_string(editor.view()), expected);
}

fn check(text: &str, cases: &[(&str, &str)]) {
    let schema = schema(text);
    for (document, expected) in cases {
        assert_eq!(fill(&schema, document), *expected, "{text} {document}");
    }
}

#[test]
fn missing_members_are_filled_in_the_order_of_the_schema() {
    check(
        r#"{"properties":{"b":{"default":1},"c":{},"a":{"default":[null]}}}"#,
        &[
            ("{}", r#"{"b":1,"a":[null]}"#),
            (r#"{"a":0}"#, r#"{"a":0,"b":1}"#),
            (r#"{"b":null,"a":{}}"#, r#"{"b":null,"a":{}}"#),
            ("[]", "[]"),
            ("1", "1"),
        ],
    );
}

#[test]
fn defaults_are_found_through_all_of_and_references() {
    check(
        r##"{"$defs":{"p":{"default":1},"q":{"properties":{"y":{"default":2}}}},
            "properties":{"x":{"$ref":"#/$defs/p"},"own":{"$ref":"#/$defs/p","default":0}},
            "allOf":[{"$ref":"#/$defs/q"},{"properties":{"z":{"allOf":[{"default":3}]},"x":{"default":9}}}]}"##,
        &[("{}", r#"{"x":1,"own":0,"y":2,"z":3}"#)],
    );
    // A subschema that does not describe the value gives no default.
    let none = schema(r#"{"not":{"properties":{"a":{"default":1}}},"$defs":{"a":{"default":1}}}"#);
    assert!(!none.has_defaults());
    assert!(!schema(r#"{"default":1,"items":{"default":2}}"#).has_defaults());
}

#[test]
fn defaults_are_filled_in_at_every_depth() {
    check(
        r##"{"$defs":{"n":{"properties":{"v":{"default":0},"next":{"$ref":"#/$defs/n"}}}},
            "properties":{"list":{"items":{"$ref":"#/$defs/n"}},"o":{"$ref":"#/$defs/n","default":{"k":1}},
                "pair":{"prefixItems":[{},{"$ref":"#/$defs/n"}]}},
            "patternProperties":{"^x":{"$ref":"#/$defs/n"}},
            "additionalProperties":{"properties":{"w":{"default":1}}}}"##,
        &[
            (
                r#"{"list":[{"v":1},{"next":{}},3],"x1":{},"other":{}}"#,
                r#"{"list":[{"v":1},{"next":{"v":0},"v":0},3],"x1":{"v":0},"other":{"w":1},"o":{"k":1,"v":0}}"#,
            ),
            (r#"{"o":null,"pair":[{},{}]}"#, r#"{"o":null,"pair":[{},{"v":0}]}"#),
            (r#"{"o":{"next":{"next":{}}}}"#, r#"{"o":{"next":{"next":{"v":0},"v":0},"v":0}}"#),
        ],
    );
    // Values that the crate validates whole have defaults too.
    check(
        r#"{"properties":{"a":{"properties":{"b":{"default":1}}}},"unevaluatedProperties":false}"#,
        &[(r#"{"a":{}}"#, r#"{"a":{"b":1}}"#)],
    );
    // Defaults of several schemas for one member are filled in together.
    check(
        r#"{"allOf":[{"properties":{"a":{"default":{}}}},{"properties":{"a":{"properties":{"b":{"default":1}}}}}]}"#,
        &[("{}", r#"{"a":{"b":1}}"#)],
    );
}

#[test]
fn a_large_document_is_filled_in() {
    let items = vec!["{\"pad\":\"0123456789\"}"; 500].join(",");
    let filled = vec!["{\"pad\":\"0123456789\",\"n\":0}"; 500].join(",");
    check(
        r#"{"items":{"properties":{"n":{"default":0}}}}"#,
        &[(&format!("[{items}]"), &format!("[{filled}]"))],
    );
}

#[test]
fn a_default_that_fills_itself_in_is_refused() {
    let doubling: Vec<String> = (0..30)
        .map(|nth| {
            let next = format!("{{\"$ref\":\"#/$defs/d{}\",\"default\":{{}}}}", nth + 1);
            format!("\"d{nth}\":{{\"properties\":{{\"a\":{next},\"b\":{next}}}}}")
        })
        .collect();
    for text in [
        r##"{"properties":{"next":{"$ref":"#","default":{}}}}"##.to_owned(),
        r##"{"properties":{"next":{"items":{"$ref":"#"},"default":[{}]}}}"##.to_owned(),
        format!("{{\"$defs\":{{{},\"d30\":{{}}}},\"$ref\":\"#/$defs/d0\"}}", doubling.join(",")),
    ] {
        let error = Schema::compile(text.as_bytes(), &SchemaLimits::DEFAULT).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Err, "{error}");
    }
    check(
        r##"{"properties":{"next":{"$ref":"#","default":null}}}"##,
        &[("{}", r#"{"next":null}"#)],
    );
    check(
        r##"{"properties":{"next":{"$ref":"#","default":{"next":null}}}}"##,
        &[(r#"{"next":{}}"#, r#"{"next":{"next":{"next":null}}}"#)],
    );
}

#[test]
fn defaults_are_filled_in_the_branch_that_is_meant() {
    check(
        r##"{"$defs":{"cat":{"properties":{"pet":{"const":"cat"},"lives":{"default":9}},"required":["pet"]},
                      "dog":{"properties":{"pet":{"const":"dog"},"legs":{"default":4}},"required":["pet"]}},
            "properties":{"pets":{"items":{"oneOf":[{"$ref":"#/$defs/cat"},{"$ref":"#/$defs/dog"}]}},
                "maybe":{"anyOf":[{"properties":{"n":{"default":0}},"type":"object"},{"type":"null"}]}},
            "if":{"properties":{"kind":{"const":"a"}},"required":["kind"]},
            "then":{"properties":{"x":{"default":1}}},"else":{"properties":{"y":{"default":2}}},
            "dependentSchemas":{"d":{"properties":{"e":{"default":3}}}}}"##,
        &[
            (
                r#"{"pets":[{"pet":"dog"},{"pet":"cat"}],"maybe":{}}"#,
                r#"{"pets":[{"pet":"dog","legs":4},{"pet":"cat","lives":9}],"maybe":{"n":0},"y":2}"#,
            ),
            (r#"{"maybe":null,"kind":"a"}"#, r#"{"maybe":null,"kind":"a","x":1}"#),
            (r#"{"d":1}"#, r#"{"d":1,"e":3,"y":2}"#),
        ],
    );
    // Of branches that are not told apart, none is meant.
    check(
        r#"{"anyOf":[{"properties":{"a":{"default":1}},"required":["x"]},{"required":["y"]}]}"#,
        &[(r#"{"y":1}"#, r#"{"y":1}"#)],
    );
}

#[test]
fn a_default_that_its_own_schema_refuses_is_not_filled() {
    let text = r##"{"properties":{"nick":{"type":"string","default":null},"n":{"type":"integer","default":1},
        "home":{"default":{},"properties":{"town":{"type":"string","default":1}},"required":["town"]}}}"##;
    check(text, &[("{}", r#"{"n":1}"#)]);
    let unfilled: Vec<String> =
        schema(text).unfilled().iter().map(|pointer| pointer.to_string()).collect();
    assert_eq!(
        unfilled,
        ["/properties/home", "/properties/home/properties/town", "/properties/nick"]
    );
    // One that becomes valid by what is filled into it is.
    check(
        r#"{"properties":{"home":{"default":{},"properties":{"town":{"default":"Ulm"}},"required":["town"]}}}"#,
        &[("{}", r#"{"home":{"town":"Ulm"}}"#)],
    );
}

#[test]
fn defaults_never_make_a_valid_document_invalid() {
    for (text, document, filled) in [
        (r#"{"properties":{"a":{"default":1},"b":{"default":2}},"maxProperties":1}"#, "{}", "{}"),
        (
            r#"{"properties":{"a":{"default":1},"b":{"default":2}},"maxProperties":3}"#,
            "{}",
            r#"{"a":1,"b":2}"#,
        ),
        (
            r#"{"allOf":[{"properties":{"a":{"default":1}}},{"additionalProperties":false}]}"#,
            "{}",
            "{}",
        ),
        (
            r#"{"properties":{"a":{"default":1}},"patternProperties":{"a":{"type":"null"}}}"#,
            "{}",
            "{}",
        ),
        (r#"{"properties":{"a":{"default":1}},"dependentRequired":{"a":["b"]}}"#, "{}", "{}"),
        (r#"{"properties":{"a":{"default":1}},"not":{"required":["a"]}}"#, "{}", "{}"),
        (
            r#"{"items":{"properties":{"a":{"default":1}}},"uniqueItems":true}"#,
            r#"[{},{"a":1}]"#,
            r#"[{},{"a":1}]"#,
        ),
        // A document that is invalid either way is filled in, and refused or corrected later.
        (
            r#"{"properties":{"a":{"default":1}},"required":["b"],"maxProperties":2}"#,
            "{}",
            r#"{"a":1}"#,
        ),
    ] {
        check(text, &[(document, filled)]);
    }
}
