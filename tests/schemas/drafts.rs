//! Schemas of older drafts: the same verdicts, and messages that name the schema as it was given.

use redis_model::error::{Detail, Error};
use redis_model::model::schema::{Schema, SchemaLimits};
use redis_model::value::{Limits, parse};

const DRAFT_4: &str = "http://json-schema.org/draft-04/schema#";
const DRAFT_7: &str = "http://json-schema.org/draft-07/schema#";
const DRAFT_2019: &str = "https://json-schema.org/draft/2019-09/schema";

fn compile(draft: &str, keywords: &str) -> Result<Schema, Error> {
    let text = format!("{{\"$schema\":\"{draft}\",{keywords}}}");
    Schema::compile(text.as_bytes(), &SchemaLimits::DEFAULT)
}

fn text(error: &Error, name: &str) -> String {
    match error.detail(name) {
        Some(Detail::Text(text)) => text.clone(),
        other => panic!("{name} is text, not {other:?}: {error}"),
    }
}

/// The place and the subschema of the violation; none if the document is valid.
fn check(schema: &Schema, document: &str) -> Option<(String, String)> {
    let document = parse::json(document.as_bytes(), &Limits::NONE).unwrap().value;
    let error = schema.check(document.view()).err()?;
    Some((text(&error, "place"), text(&error, "schema")))
}

#[test]
fn a_violation_names_the_schema_as_it_was_given() {
    for (draft, schema, valid, invalid, place, pointer) in [
        (
            DRAFT_7,
            r##""definitions":{"at":{"items":[{"type":"number"},{"maximum":1}],"additionalItems":{"type":"null"}}},"properties":{"at":{"$ref":"#/definitions/at"}}"##,
            r#"{"at":[1,0,null]}"#,
            r#"{"at":[1,2]}"#,
            "/at/1",
            "/definitions/at/items/1/maximum",
        ),
        (
            DRAFT_7,
            r#""items":[{}],"additionalItems":{"type":"null"}"#,
            "[1,null]",
            "[1,2]",
            "/1",
            "/additionalItems/type",
        ),
        (
            DRAFT_7,
            r##""items":[{},{"type":"null"}],"additionalItems":{"$ref":"#/items/1"}"##,
            "[1,null,null]",
            "[1,null,2]",
            "/2",
            "/items/1/type",
        ),
        (DRAFT_4, r#""minimum":1,"exclusiveMinimum":true"#, "2", "1", "", "/exclusiveMinimum"),
        (
            DRAFT_4,
            r##""id":"http://example.com/s","definitions":{"a":{"id":"#one/two","type":"null"}},"items":{"$ref":"#one/two"}"##,
            "[null]",
            "[1]",
            "/0",
            "/definitions/a/type",
        ),
        (
            DRAFT_7,
            r#""dependencies":{"a":["b"],"c":{"required":["d"]}}"#,
            r#"{"a":1,"b":1}"#,
            r#"{"a":1}"#,
            "",
            "/dependencies",
        ),
        (
            DRAFT_2019,
            r##""$recursiveAnchor":true,"properties":{"next":{"$recursiveRef":"#"}},"required":["v"]"##,
            r#"{"v":1,"next":{"v":1}}"#,
            r#"{"v":1,"next":{}}"#,
            "/next",
            "/required",
        ),
        (
            DRAFT_7,
            r##""components":{"a":{"items":[{"type":"null"}]}},"items":{"$ref":"#/components/a"}"##,
            "[[null]]",
            "[[1]]",
            "/0/0",
            "/components/a/items/0/type",
        ),
        (
            DRAFT_7,
            r#""patternProperties":{"^(?!a)\\d":{"type":"null"}}"#,
            r#"{"1":null}"#,
            r#"{"1":1}"#,
            "/1",
            "/patternProperties/^(?!a)\\d/type",
        ),
    ] {
        let compiled = compile(draft, schema).unwrap_or_else(|error| panic!("{schema}: {error}"));
        assert_eq!(check(&compiled, valid), None, "{schema}");
        let found = check(&compiled, invalid);
        assert_eq!(found, Some((place.to_owned(), pointer.to_owned())), "{schema}");
    }
}

#[test]
fn keywords_unknown_to_a_draft_have_no_effect() {
    for (draft, schema) in [
        (DRAFT_4, r#""const":1,"contains":{},"propertyNames":false,"if":true,"then":false"#),
        (
            DRAFT_7,
            r#""unevaluatedProperties":false,"dependentRequired":{"a":["b"]},"prefixItems":[false]"#,
        ),
        (DRAFT_2019, r#""prefixItems":[false]"#),
        (
            DRAFT_7,
            r##""properties":{"a":{"$ref":"#/definitions/any","type":"null","$id":"x"}},"definitions":{"any":{}}"##,
        ),
        (DRAFT_7, r#""items":{},"additionalItems":false"#),
        (DRAFT_2019, r#""additionalItems":false"#),
    ] {
        let compiled = compile(draft, schema).unwrap_or_else(|error| panic!("{schema}: {error}"));
        for document in [r#"{"a":1}"#, "[1,2]", "2"] {
            assert_eq!(check(&compiled, document), None, "{draft} {schema} {document}");
        }
    }
}

#[test]
fn a_subschema_may_be_of_another_draft() {
    let schema = format!(
        r#"{{"properties":{{"old":{{"$id":"old","$schema":"{DRAFT_7}","items":[{{"type":"null"}}]}},
            "new":{{"prefixItems":[{{"type":"null"}}]}}}}}}"#
    );
    let schema = Schema::compile(schema.as_bytes(), &SchemaLimits::DEFAULT).unwrap();
    assert_eq!(check(&schema, r#"{"old":[null],"new":[null]}"#), None);
    assert_eq!(check(&schema, r#"{"old":[1]}"#).unwrap().0, "/old/0");
    assert_eq!(check(&schema, r#"{"new":[1]}"#).unwrap().0, "/new/0");
}

#[test]
fn words_of_an_older_draft_are_refused_by_name() {
    for (draft, schema, keyword, instead) in [
        ("", r#"{"items":[{}]}"#, "items", "prefixItems"),
        ("", r#"{"$defs":{"a":{"additionalItems":false}}}"#, "additionalItems", "'items' beside"),
        ("", r##"{"$recursiveRef":"#"}"##, "$recursiveRef", "$dynamicRef"),
        ("", r#"{"exclusiveMaximum":true}"#, "exclusiveMaximum", "the bound itself"),
        ("", r#"{"nullable":true}"#, "nullable", "null"),
        ("", r#"{"required":true}"#, "required", "beside 'properties'"),
        ("", r#"{"divisibleBy":2}"#, "divisibleBy", "multipleOf"),
        ("", r#"{"disallow":"string"}"#, "disallow", "'not'"),
        ("", r#"{"extends":{}}"#, "extends", "allOf"),
        (DRAFT_7, r#""exclusiveMinimum":false"#, "exclusiveMinimum", "draft 4"),
        (DRAFT_4, r#""exclusiveMinimum":1"#, "exclusiveMinimum", "later draft"),
        ("", r#"{"$schema":"https://example.com/"}"#, "$schema", "2020-12"),
    ] {
        let compiled = match draft {
            "" => Schema::compile(schema.as_bytes(), &SchemaLimits::DEFAULT),
            draft => compile(draft, schema),
        };
        let error = compiled.expect_err(schema);
        assert_eq!(text(&error, "keyword"), keyword, "{error}");
        assert!(error.message().contains(instead), "{error}");
    }
    // Keywords unknown to the draft are not examined.
    for schema in [
        r#"{"properties":{"nullable":{},"additionalItems":{}}}"#,
        r#"{"enum":[{"nullable":true}],"default":{"items":[]}}"#,
        r#"{"nullable":false,"extends":"base"}"#,
    ] {
        Schema::compile(schema.as_bytes(), &SchemaLimits::DEFAULT).expect(schema);
    }
}

#[test]
fn look_ahead_at_the_start_is_matched() {
    let decimal = r"^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$";
    for (pattern, matches, fails) in [
        (decimal, &["1.25", "-3", "007", ".5"][..], &["-", "", "+.", "1a", "1.2.3"][..]),
        (r"^(?=.*\\d)(?=.*[a-z])[a-z0-9]{4,}$", &["a1bc"], &["abcd", "1234", "a1"]),
        (r"^(?!(con|nul)$)\\w+$", &["cone", "x"], &["con", "nul", "é"]),
        (r"(?!^$)^.*$", &["a"], &[""]),
    ] {
        let schema =
            format!("{{\"pattern\":\"{pattern}\",\"patternProperties\":{{\"{pattern}\":{{}}}}}}");
        let schema = Schema::compile(schema.as_bytes(), &SchemaLimits::DEFAULT).expect(pattern);
        for text in matches {
            assert_eq!(check(&schema, &format!("\"{text}\"")), None, "{pattern} {text}");
        }
        for text in fails {
            assert!(check(&schema, &format!("\"{text}\"")).is_some(), "{pattern} {text}");
        }
    }
    let error = Schema::compile(br#"{"items":{"pattern":"^a(?=b)c$"}}"#, &SchemaLimits::DEFAULT);
    let error = error.unwrap_err();
    assert!(
        error.message().contains("look-ahead") && error.message().contains("offset 2"),
        "{error}"
    );
    assert_eq!(
        (text(&error, "schema"), text(&error, "pattern")),
        ("/items".into(), "^a(?=b)c$".into())
    );
}

#[test]
fn long_repetitions_fit_beside_a_hundred_patterns() {
    let others: Vec<String> = (0..100)
        .map(|nth| format!("\"p{nth}\":{{\"pattern\":\"^[a-z]{{1,64}}-{nth}$\"}}"))
        .collect();
    let text = format!("{{\"pattern\":\"^.{{0,5000}}$\",\"properties\":{{{}}}}}", others.join(","));
    let schema = Schema::compile(text.as_bytes(), &SchemaLimits::DEFAULT).unwrap();
    assert_eq!(check(&schema, &format!("\"{}\"", "x".repeat(5000))), None);
    assert!(check(&schema, &format!("\"{}\"", "x".repeat(5001))).is_some());
}

#[test]
fn names_that_no_uri_may_have_are_referred_to_as_generators_write_them() {
    for name in [
        "Partial<Record<A,number>>",
        "k8s.io|core|v1",
        "two words",
        "Stra\u{df}e",
        "a%b",
        "{x}[0]",
        "x%3Cy",
    ] {
        for (draft, definitions) in
            [("draft-07/schema#", "definitions"), ("draft/2020-12/schema", "$defs")]
        {
            let target = name.replace("%3C", "<");
            let text = serde_json::json!({
                "$schema": format!("http://json-schema.org/{draft}"),
                definitions: {target: {"type": "integer"}},
                "properties": {"n": {"$ref": format!("#/{definitions}/{name}")}},
            });
            let schema = Schema::compile(text.to_string().as_bytes(), &SchemaLimits::DEFAULT)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let check = |json: &str| {
                let document = parse::json(json.as_bytes(), &Limits::NONE).unwrap().value;
                schema.check(document.view()).is_ok()
            };
            assert!(check(r#"{"n":1}"#) && !check(r#"{"n":"x"}"#), "{name}");
        }
    }
}

#[test]
fn the_name_of_the_latest_draft_is_2020_12() {
    for uri in ["http://json-schema.org/schema#", "https://json-schema.org/schema"] {
        let compile = |rest: &str| {
            let text = format!(r#"{{"$schema":"{uri}",{rest}}}"#);
            Schema::compile(text.as_bytes(), &SchemaLimits::DEFAULT)
        };
        assert!(compile(r#""prefixItems":[{"type":"integer"}]"#).is_ok());
        let Err(error) = compile(r#""items":[{"type":"integer"}]"#) else {
            panic!("a word of older drafts is refused");
        };
        assert!(error.message().contains("prefixItems"), "{error}");
    }
}

#[test]
fn keywords_that_the_draft_does_not_have_are_listed() {
    let check = |text: &str, expected: &[&str]| {
        let schema = Schema::compile(text.as_bytes(), &SchemaLimits::DEFAULT).expect(text);
        assert_eq!(schema.unknown().iter().map(|pointer| &**pointer).collect::<Vec<_>>(), expected);
    };
    check(
        r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"t","type":"object"}"#,
        &[],
    );
    // Misspelt keywords, wherever a subschema is.
    check(
        r##"{"require":["n"],"properties":{"n":{"maximun":9},"a/b":{"$ref":"#/$defs/d"}},
            "$defs":{"d":{"anyOf":[{"minLenght":1},true]}},"items":{"a~b":1}}"##,
        &["/$defs/d/anyOf/0/minLenght", "/items/a~0b", "/properties/n/maximun", "/require"],
    );
    // Names of members, values and keywords of programs that read the schema are none.
    check(
        r#"{"properties":{"maximun":true},"const":{"foo":1},"default":{"foo":1},"examples":[{"foo":1}],
            "required":["foo"],"dependentRequired":{"foo":["bar"]},"x-order":1,
            "oneOf":[{"properties":{"kind":{"const":"a"}}}],"discriminator":{"propertyName":"kind"}}"#,
        &[],
    );
    // A keyword of a later draft, at its place in the schema as it was given.
    check(
        r#"{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"prefixItems":[true],"foo":1}]}"#,
        &["/items/0/foo", "/items/0/prefixItems"],
    );
    // A subschema that only a reference leads to is one as well.
    check(r##"{"$ref":"#/parts/a","parts":{"a":{"maximun":1}}}"##, &["/parts", "/parts/a/maximun"]);
}

#[test]
fn a_bounded_number_of_unknown_keywords_is_listed() {
    let count = |keywords: &mut dyn Iterator<Item = String>| {
        let members: Vec<_> = keywords.map(|name| format!("\"{name}\":1")).collect();
        let text = format!("{{{}}}", members.join(","));
        Schema::compile(text.as_bytes(), &SchemaLimits::DEFAULT).unwrap().unknown().len()
    };
    assert_eq!(count(&mut (0..32).map(|nth| format!("k{nth}"))), 32);
    assert_eq!(count(&mut (0..100).map(|nth| format!("k{nth}"))), 32);
    assert_eq!(count(&mut ["k".repeat(256), "k".repeat(257)].into_iter()), 1);
}
