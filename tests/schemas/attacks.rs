//! Schemas and documents that want a check to run for ever, overflow the stack or take memory out of
//! proportion. Each is refused or comes to an end.

use redis_model::error::{Detail, ErrorCode};
use redis_model::model::schema::{Schema, SchemaLimits};
use redis_model::value::edit::{ChangeKind, PlaceChange};
use redis_model::value::{Limits, Place, Value, parse};

fn value(json: &str) -> Value {
    parse::json(json.as_bytes(), &Limits::NONE).expect("the document is JSON").value
}

fn compile(json: &str) -> Result<Schema, ErrorCode> {
    Schema::compile(json.as_bytes(), &SchemaLimits::DEFAULT).map_err(|error| {
        assert!(error.line().len() < 8000, "{error}");
        error.code()
    })
}

fn schema(json: &str) -> Schema {
    compile(json).unwrap_or_else(|code| panic!("{code:?}: {json:.200}"))
}

/// The verdict of a whole check; that of a check of the whole as a change is the same.
fn verdict(schema: &Schema, document: &str) -> Result<(), ErrorCode> {
    let document = value(document);
    let whole = schema.check(document.view());
    let change = PlaceChange { place: Place::new(), kind: ChangeKind::Value };
    let changed = schema.check_changes(document.view(), &[change]);
    for error in [&whole, &changed].into_iter().filter_map(|verdict| verdict.as_ref().err()) {
        assert!(error.line().len() < 8000, "{error}");
    }
    let code =
        |verdict: Result<(), redis_model::error::Error>| verdict.map_err(|error| error.code());
    let (whole, changed) = (code(whole), code(changed));
    // The one may answer where the other is refused by a limit; they never answer differently.
    if whole != Err(ErrorCode::Limit) && changed != Err(ErrorCode::Limit) {
        assert_eq!(whole, changed);
    }
    whole
}

#[test]
fn limits_hold_at_the_maximum_and_one_past_it() {
    let limits = SchemaLimits::DEFAULT;
    let nested = |depth: usize| {
        format!("{}{}", "{\"not\":".repeat(depth), "{}".to_owned() + &"}".repeat(depth))
    };
    assert!(compile(&nested(limits.depth as usize - 1)).is_ok());
    assert_eq!(compile(&nested(limits.depth as usize)).err(), Some(ErrorCode::Limit));
    assert_eq!(compile(&nested(100_000)).err(), Some(ErrorCode::Limit));
    assert_eq!(compile(&"[".repeat(100_000)).err(), Some(ErrorCode::Limit));

    let padded = |len: usize| format!("{{\"title\":\"{}\"}}", "x".repeat(len - 12));
    assert!(compile(&padded(limits.bytes)).is_ok());
    assert_eq!(compile(&padded(limits.bytes + 1)).err(), Some(ErrorCode::Limit));

    let wide = |nodes: usize| {
        let inner: Vec<String> = (1..nodes).map(|nth| format!("\"p{nth}\":{{}}")).collect();
        format!("{{\"properties\":{{{}}}}}", inner.join(","))
    };
    let small = SchemaLimits { nodes: 50, weight: 40, chain: 20, ..limits };
    let code =
        |text: &str| Schema::compile(text.as_bytes(), &small).err().map(|error| error.code());
    assert_eq!(code(&wide(50)), None);
    assert_eq!(code(&wide(51)), Some(ErrorCode::Limit));
    let branches = |count: usize| format!("{{\"anyOf\":[{}]}}", vec!["{}"; count].join(","));
    assert_eq!(code(&branches(39)), None);
    assert_eq!(code(&branches(40)), Some(ErrorCode::Limit));
    assert_eq!(code(&nested(19)), None);
    assert_eq!(code(&nested(20)), Some(ErrorCode::Limit));
}

#[test]
fn invalid_schemas_are_refused() {
    for text in [
        "",
        "nul",
        "1",
        "[]",
        "\"x\"",
        "{\"type\":\"nil\"}",
        "{\"minimum\":\"1\"}",
        "{\"properties\":[]}",
        "{\"items\":[{}]}",
        "{\"additionalItems\":false}",
        "{\"nullable\":true}",
        "{\"properties\":{\"a\":{\"required\":true}}}",
        "{\"exclusiveMinimum\":true,\"minimum\":1}",
        "{\"$recursiveRef\":\"#\"}",
        "{\"dependencies\":{\"a\":[\"b\"]},\"dependentRequired\":{}}",
        "{\"multipleOf\":0}",
        "{\"multipleOf\":-1}",
        "{\"minLength\":-1}",
        "{\"maximum\":1e400}",
        "{\"const\":-1e999}",
        "{\"properties\":{\"a\":{\"properties\":{\"b\":1}}}}",
        "{\"$schema\":\"http://json-schema.org/draft-03/schema#\"}",
        "{\"$schema\":\"http://json-schema.org/draft-04/schema#\",\"exclusiveMinimum\":1}",
        "{\"$schema\":1}",
        "{\"$schema\":\"https://example.com/metaschema\"}",
        "{\"$defs\":{\"a\":{\"$schema\":\"https://example.com/metaschema\"}}}",
        "{\"$ref\":\"https://example.com/other\"}",
        "{\"$ref\":\"other.json\"}",
        "{\"$ref\":\"file:///etc/passwd\"}",
        "{\"$ref\":\"#/$defs/none\"}",
        "{\"$ref\":\"#none\"}",
        "{\"$ref\":\"::\"}",
        "{\"$id\":\"::\"}",
        "{\"$defs\":{\"unused\":{\"$ref\":\"#/$defs/none\"}}}",
        "{\"properties\":{\"a\":{\"default\":9223372036854775808}}}",
    ] {
        assert_eq!(compile(text).err(), Some(ErrorCode::Err), "{text}");
    }
    let text = b"{\"properties\":{\"a\":{\"type\":\"nil\"}}}";
    let error = Schema::compile(text, &SchemaLimits::DEFAULT).unwrap_err();
    assert_eq!(error.detail("schema"), Some(&Detail::Text("/properties/a/type".into())), "{error}");
}

#[test]
fn the_simplest_schemas_are_schemas() {
    assert_eq!(verdict(&schema("true"), "[1]"), Ok(()));
    assert_eq!(verdict(&schema("{}"), "[1]"), Ok(()));
    assert_eq!(verdict(&schema("false"), "null"), Err(ErrorCode::Schema));
    assert_eq!(
        verdict(&schema("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"}"), "1"),
        Ok(())
    );
}

#[test]
fn a_schema_that_stays_on_one_value_is_refused() {
    for text in [
        r##"{"$ref":"#"}"##,
        r##"{"allOf":[{"$ref":"#"}]}"##,
        r##"{"anyOf":[{"$ref":"#"},true]}"##,
        r##"{"oneOf":[{"type":"null"},{"$ref":"#"}]}"##,
        r##"{"not":{"$ref":"#"}}"##,
        r##"{"if":{"$ref":"#"},"then":true}"##,
        r##"{"if":true,"else":{"$ref":"#"}}"##,
        r##"{"dependentSchemas":{"a":{"$ref":"#"}}}"##,
        r##"{"dependencies":{"a":{"$ref":"#"}}}"##,
        r##"{"$dynamicAnchor":"a","$dynamicRef":"#a"}"##,
        r##"{"$dynamicAnchor":"a","allOf":[{"$dynamicRef":"#a"}]}"##,
        r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"items":{"$ref":"#/$defs/a"}}"##,
        r##"{"$defs":{"a":{"$ref":"#/$defs/a"}}}"##,
        r##"{"$id":"https://example.com/a","allOf":[{"$ref":"https://example.com/a"}]}"##,
        r##"{"$id":"https://example.com/a","$ref":"a"}"##,
        r##"{"$ref":""}"##,
        r##"{"$anchor":"a","$ref":"#a"}"##,
    ] {
        assert_eq!(compile(text).err(), Some(ErrorCode::Err), "{text}");
    }
    for text in [
        r##"{"items":{"$ref":"#"}}"##,
        r##"{"not":{"properties":{"a":{"$ref":"#"}}}}"##,
        r##"{"$dynamicAnchor":"a","contains":{"$dynamicRef":"#a"}}"##,
        r##"{"propertyNames":{"$ref":"#"}}"##,
        r##"{"unevaluatedItems":{"$ref":"#"}}"##,
    ] {
        assert!(compile(text).is_ok(), "{text}");
    }
}

/// A schema whose items are those, and a document of `count` items like the last of them.
fn items_of(options: &[String], count: usize) -> (String, Value) {
    let text = format!("{{\"items\":{{\"enum\":[{}]}}}}", options.join(","));
    let last = options.last().unwrap().as_str();
    (text, value(&format!("[{}]", vec![last; count].join(","))))
}

#[test]
fn looking_for_a_value_in_an_enum_is_paid_for() {
    let objects: Vec<String> = (0..100).map(|nth| format!("{{\"a\":{nth}}}")).collect();
    let floats: Vec<String> = (0..100).map(|nth| format!("{nth}.5")).collect();
    let arrays: Vec<String> = (0..100).map(|nth| format!("[1,2,3,{nth}]")).collect();
    for options in [objects, floats, arrays] {
        let (text, document) = items_of(&options, 100);
        let passes = |steps| {
            let limits = SchemaLimits { steps, ..SchemaLimits::DEFAULT };
            let schema = Schema::compile(text.as_bytes(), &limits).unwrap();
            schema.check(document.view()).map_err(|error| error.code())
        };
        // A comparison for each option and item at least.
        assert_eq!(passes(100 * 100), Err(ErrorCode::Limit), "{text:.100}");
        assert_eq!(passes(100 * 100 * 40), Ok(()), "{text:.100}");
    }
    // Nor does anything go on when nothing equals anything any more.
    let text = "{\"items\":{\"not\":{\"enum\":[1,[0]]}}}";
    let document = value(&format!("[{}]", vec!["[9]"; 100_000].join(",")));
    let limits = SchemaLimits { steps: 200_000, ..SchemaLimits::DEFAULT };
    let schema = Schema::compile(text.as_bytes(), &limits).unwrap();
    assert_eq!(schema.check(document.view()).unwrap_err().code(), ErrorCode::Limit);
}

#[test]
fn telling_elements_apart_at_every_level_is_paid_for() {
    let text = r##"{"uniqueItems":true,"items":{"$ref":"#"}}"##;
    let levels = 50;
    let items: Vec<String> = (0..1000).map(|nth| nth.to_string()).collect();
    let open = "[0,1,2,3,4,5,6,7,8,".repeat(levels);
    let document = value(&format!("{open}[{}]{}", items.join(","), "]".repeat(levels)));
    let change = [PlaceChange { place: Place::new(), kind: ChangeKind::Value }];
    for changes in [None, Some(&change)] {
        let passes = |steps| {
            let limits = SchemaLimits { steps, ..SchemaLimits::DEFAULT };
            let schema = Schema::compile(text.as_bytes(), &limits).unwrap();
            let verdict = match changes {
                None => schema.check(document.view()),
                Some(changes) => schema.check_changes(document.view(), changes),
            };
            verdict.map_err(|error| error.code())
        };
        assert_eq!(passes(1000 * levels as u64), Err(ErrorCode::Limit));
        assert_eq!(passes(2000 * levels as u64), Ok(()));
    }
}

#[test]
fn enums_of_thousands_are_affordable() {
    let texts: Vec<String> = (0..4000).map(|nth| format!("\"code-{nth}\"")).collect();
    let mixed: Vec<String> =
        texts.iter().cloned().chain(["true".to_owned(), "2.5".to_owned()]).collect();
    let objects: Vec<String> = (0..2000).map(|nth| format!("{{\"id\":{nth},\"x\":1}}")).collect();
    for options in [texts, mixed, objects] {
        let (text, document) = items_of(&options, 1000);
        assert_eq!(schema(&text).check(document.view()), Ok(()), "{text:.100}");
    }
}

/// `levels` definitions of which each refers twice to the next.
fn doubling(levels: usize, around: impl Fn(&str) -> String) -> String {
    let reference = |nth| around(&format!("{{\"$ref\":\"#/$defs/d{nth}\"}}"));
    let definitions: Vec<String> =
        (0..levels).map(|nth| format!("\"d{nth}\":{}", reference(nth + 1))).collect();
    format!(
        "{{\"$defs\":{{{},\"d{levels}\":{{\"minimum\":1}}}},\"$ref\":\"#/$defs/d0\"}}",
        definitions.join(",")
    )
}

#[test]
fn references_that_multiply_are_refused() {
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let twice = |next: &str| format!("{{\"{keyword}\":[{next},{next}]}}");
        assert_eq!(compile(&doubling(30, twice)).err(), Some(ErrorCode::Limit));
        assert!(compile(&doubling(8, twice)).is_ok());
    }
}

#[test]
fn work_that_multiplies_with_depth_is_bounded() {
    let twice = |keyword: &str| {
        format!(
            r##"{{"$defs":{{"n":{{"{keyword}":[
                {{"properties":{{"x":{{"$ref":"#/$defs/n"}}}}}},
                {{"properties":{{"x":{{"$ref":"#/$defs/n"}},"y":false}}}}]}}}},"$ref":"#/$defs/n"}}"##
        )
    };
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let schema = schema(&twice(keyword));
        for end in ["1", "{\"y\":1}"] {
            let document = format!("{}{end}{}", "{\"x\":".repeat(100), "}".repeat(100));
            let code = verdict(&schema, &document);
            assert!(matches!(code, Ok(()) | Err(ErrorCode::Schema | ErrorCode::Limit)));
        }
    }
}

/// So many resources that each refer to all others, with something of their own.
fn resources(count: usize, own: &str) -> String {
    let resource = |nth: usize| {
        let others = (0..count).filter(|other| *other != nth);
        let others: Vec<String> =
            others.map(|other| format!("\"p{other}\":{{\"$ref\":\"r{other}\"}}")).collect();
        format!("\"r{nth}\":{{\"$id\":\"r{nth}\",\"properties\":{{{}}}{own}}}", others.join(","))
    };
    let all: Vec<String> = (0..count).map(resource).collect();
    format!("{{\"$id\":\"https://example.com/r\",\"$defs\":{{{}}},\"$ref\":\"r0\"}}", all.join(","))
}

#[test]
fn resources_that_refer_to_each_other_do_not_multiply() {
    let many = schema(&resources(40, ",\"type\":\"object\""));
    assert_eq!(verdict(&many, "{\"p1\":{\"p2\":{\"p0\":{}}}}"), Ok(()));
    assert_eq!(verdict(&many, "{\"p1\":{\"p2\":{\"p0\":1}}}"), Err(ErrorCode::Schema));
    // Where what a reference leads to depends on the way, few may cross.
    let dynamic = ",\"$dynamicAnchor\":\"d\",\"items\":{\"$dynamicRef\":\"#d\"}";
    assert!(compile(&resources(3, dynamic)).is_ok());
    assert_eq!(compile(&resources(40, dynamic)).err(), Some(ErrorCode::Limit));
}

#[test]
fn long_names_do_not_multiply() {
    let inner: Vec<String> = (0..15_000).map(|nth| format!("\"{nth}\":{{}}")).collect();
    let text = format!(
        "{{\"properties\":{{\"{}\":{{\"properties\":{{{}}}}}}}}}",
        "n".repeat(500_000),
        inner.join(",")
    );
    assert_eq!(compile(&text).err(), Some(ErrorCode::Limit));
    let text = text.replace("\"properties\":{\"n", "\"examples\":{\"n");
    assert!(matches!(compile(&text).err(), None | Some(ErrorCode::Err)));
}

/// Runs on a stack as large as that of a server's main thread.
fn on_a_main_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(run).unwrap();
    thread.join().unwrap();
}

#[test]
fn the_deepest_documents_are_checked() {
    on_a_main_stack(|| {
        for text in [
            r##"{"items":{"$ref":"#"}}"##,
            r##"{"anyOf":[{"type":"integer"},{"items":{"$ref":"#"}}]}"##,
            r##"{"not":{"not":{"items":{"$ref":"#"}}}}"##,
            r##"{"unevaluatedItems":{"$ref":"#"}}"##,
            r##"{"$dynamicAnchor":"a","allOf":[{"items":{"$dynamicRef":"#a"}}]}"##,
            r##"{"if":{"type":"array"},"then":{"contains":{"$ref":"#"},"minContains":0}}"##,
        ] {
            let schema = schema(text);
            for depth in [100, 512] {
                let document = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
                let code = verdict(&schema, &document);
                let deep = depth > 100 && code == Err(ErrorCode::Limit);
                assert!(code.is_ok() || deep, "{text} {depth}: {code:?}");
            }
        }
    });
}

#[test]
fn a_chain_at_every_level_of_a_deep_document_does_not_overflow() {
    on_a_main_stack(|| {
        let chain: Vec<String> = (0..190)
            .map(|nth| format!("\"c{nth}\":{{\"$ref\":\"#/$defs/c{}\"}}", nth + 1))
            .collect();
        let text = format!(
            "{{\"$defs\":{{{},\"c190\":{{\"items\":{{\"$ref\":\"#/$defs/c0\"}}}}}},\"$ref\":\"#/$defs/c0\"}}",
            chain.join(",")
        );
        let schema = schema(&text);
        let document = format!("{}{}", "[".repeat(512), "]".repeat(512));
        assert!(matches!(verdict(&schema, &document), Ok(()) | Err(ErrorCode::Limit)));
        let branches =
            text.replace("{\"$ref\":\"#/$defs/c1\"}", "{\"anyOf\":[{\"$ref\":\"#/$defs/c1\"}]}");
        let schema = self::schema(&branches);
        assert!(matches!(verdict(&schema, &document), Ok(()) | Err(ErrorCode::Limit)));
    });
}

#[test]
fn patterns_take_linear_time_or_are_refused() {
    let text = "a".repeat(100_000) + "!";
    let hostile = schema(r#"{"pattern":"^(a+)+$"}"#);
    assert_eq!(verdict(&hostile, &format!("\"{text}\"")), Err(ErrorCode::Schema));
    let hostile = schema(r#"{"patternProperties":{"^(a|a)*$":false}}"#);
    assert_eq!(verdict(&hostile, &format!("{{\"{text}\":1}}")), Ok(()));
    for pattern in [
        "(a{1000}){1000}",
        "((a{100}){100}){100}",
        "(?<=a)b",
        "(?<!a)b",
        "(?=a)b",
        "(?!a)b",
        r"(a)\\1",
        "(",
        "[",
        "\\\\p{Nope}",
    ] {
        for text in [
            format!("{{\"pattern\":\"{pattern}\"}}"),
            format!("{{\"patternProperties\":{{\"{pattern}\":true}}}}"),
            format!("{{\"anyOf\":[{{\"items\":{{\"pattern\":\"{pattern}\"}}}}]}}"),
        ] {
            let code = compile(&text).err();
            assert!(matches!(code, Some(ErrorCode::Err | ErrorCode::Limit)), "{text}: {code:?}");
        }
    }
    // Many patterns share what patterns may take.
    let many: Vec<String> =
        (0..2000).map(|nth| format!("\"^p{nth}(a{{1000}}){{9}}$\":true")).collect();
    let text = format!("{{\"patternProperties\":{{{}}}}}", many.join(","));
    assert!(compile(&text).is_err());
    let many: Vec<String> = (0..500).map(|nth| format!("\"^p{nth}-[a-z]+$\":false")).collect();
    let many = schema(&format!("{{\"patternProperties\":{{{}}}}}", many.join(",")));
    assert_eq!(verdict(&many, "{\"p499-a\":1}"), Err(ErrorCode::Schema));
    assert_eq!(verdict(&many, "{\"p500-a\":1}"), Ok(()));
}

#[test]
fn wide_schemas_are_checked() {
    let properties: Vec<String> =
        (0..10_000).map(|nth| format!("\"p{nth}\":{{\"type\":\"integer\"}}")).collect();
    let wide = schema(&format!("{{\"properties\":{{{}}}}}", properties.join(",")));
    assert_eq!(verdict(&wide, "{\"p9999\":1,\"p\":null}"), Ok(()));
    assert_eq!(verdict(&wide, "{\"p9999\":null}"), Err(ErrorCode::Schema));

    let options: Vec<String> = (0..10_000).map(|nth| format!("\"option {nth}\"")).collect();
    let wide = schema(&format!("{{\"enum\":[{}]}}", options.join(",")));
    assert_eq!(verdict(&wide, "\"option 9999\""), Ok(()));
    assert_eq!(verdict(&wide, "\"option 10000\""), Err(ErrorCode::Schema));

    let branches: Vec<String> =
        (0..1000).map(|nth| format!("{{\"required\":[\"p{nth}\"]}}")).collect();
    let wide = schema(&format!("{{\"anyOf\":[{}]}}", branches.join(",")));
    assert_eq!(verdict(&wide, "{\"p999\":1}"), Ok(()));
    assert_eq!(verdict(&wide, "{\"p1000\":1}"), Err(ErrorCode::Schema));

    let names: Vec<String> = (0..10_000).map(|nth| format!("\"p{nth}\"")).collect();
    let wide = schema(&format!("{{\"required\":[{}]}}", names.join(",")));
    let members: Vec<String> = (0..10_000).map(|nth| format!("\"p{nth}\":1")).collect();
    assert_eq!(verdict(&wide, &format!("{{{}}}", members.join(","))), Ok(()));
    assert_eq!(verdict(&wide, &format!("{{{}}}", members[1..].join(","))), Err(ErrorCode::Schema));
}

#[test]
fn large_documents_are_checked() {
    let unique = schema(r#"{"uniqueItems":true}"#);
    let numbers: Vec<String> = (0..100_000).map(|nth| nth.to_string()).collect();
    assert_eq!(verdict(&unique, &format!("[{}]", numbers.join(","))), Ok(()));
    assert_eq!(verdict(&unique, &format!("[{},5.0]", numbers.join(","))), Err(ErrorCode::Schema));
    let objects: Vec<String> = (0..20_000).map(|nth| format!("{{\"a\":[{nth}]}}")).collect();
    assert_eq!(verdict(&unique, &format!("[{}]", objects.join(","))), Ok(()));

    // The violations of many elements by many alternatives are not collected.
    let branches = vec!["{\"items\":{\"type\":\"string\"}}"; 1000].join(",");
    let branching = schema(&format!("{{\"anyOf\":[{branches}]}}"));
    let code = verdict(&branching, &format!("[{}]", numbers[..20_000].join(",")));
    assert!(matches!(code, Err(ErrorCode::Schema | ErrorCode::Limit)));
}

#[test]
fn numbers_are_compared_exactly() {
    let (least, most) = ("-9223372036854775808", "9223372036854775807");
    for (text, document, valid) in [
        (r#"{"multipleOf":1e-300}"#, "1", true),
        (r#"{"multipleOf":1e-300}"#, most, true),
        (r#"{"multipleOf":5e-324}"#, "1e308", true),
        (r#"{"multipleOf":1}"#, least, true),
        (r#"{"multipleOf":2}"#, most, false),
        (r#"{"multipleOf":2}"#, least, true),
        (r#"{"multipleOf":9223372036854775807}"#, most, true),
        (r#"{"multipleOf":1e308}"#, "1", false),
        (r#"{"multipleOf":0.5}"#, "1e300", true),
        (r#"{"exclusiveMaximum":1e308}"#, "1.7976931348623157e308", false),
        (r#"{"exclusiveMaximum":9223372036854775807}"#, most, false),
        (r#"{"maximum":9223372036854775806}"#, most, false),
        (r#"{"minimum":9223372036854775807}"#, "9223372036854775806", false),
        (r#"{"maximum":9223372036854775807}"#, "9223372036854775808.0", false),
        (r#"{"minimum":-9223372036854775808}"#, least, true),
        (r#"{"exclusiveMinimum":-9223372036854775808}"#, least, false),
        (r#"{"maximum":18446744073709551615}"#, "18446744073709551616.0", false),
        (r#"{"maximum":1e30}"#, most, true),
        (r#"{"minimum":9007199254740993}"#, "9007199254740992.0", false),
        (r#"{"const":9007199254740993}"#, "9007199254740992.0", false),
        (r#"{"const":18446744073709551615}"#, "1", false),
        (r#"{"enum":[18446744073709551616,1]}"#, "1.0", true),
        (r#"{"type":"integer"}"#, "1e300", true),
        (r#"{"minLength":1e3}"#, "\"a\"", false),
        (r#"{"maxItems":18446744073709551616}"#, "[1]", true),
    ] {
        let expected = if valid { Ok(()) } else { Err(ErrorCode::Schema) };
        assert_eq!(verdict(&schema(text), document), expected, "{text} {document}");
    }
}

#[test]
fn error_messages_are_bounded() {
    let long = "n".repeat(100_000);
    for (text, document) in [
        (format!("{{\"required\":[\"{long}\"]}}"), "{}".to_owned()),
        (format!("{{\"const\":\"{long}\"}}"), "1".to_owned()),
        ("{\"additionalProperties\":false}".to_owned(), format!("{{\"{long}\":1}}")),
        ("{\"unevaluatedProperties\":false}".to_owned(), format!("{{\"{long}\":1}}")),
        ("{\"propertyNames\":{\"maxLength\":3}}".to_owned(), format!("{{\"{long}\":1}}")),
        (format!("{{\"properties\":{{\"{long}\":false}}}}"), format!("{{\"{long}\":1}}")),
        ("{\"maxLength\":3}".to_owned(), format!("\"{long}\"")),
    ] {
        assert_eq!(verdict(&schema(&text), &document), Err(ErrorCode::Schema));
    }
    assert!(compile(&format!("{{\"type\":\"{long}\"}}")).is_err());
    assert!(compile(&format!("{{\"$ref\":\"https://example.com/{long}\"}}")).is_err());
    assert!(compile(&format!("{{\"pattern\":\"({long}\"}}")).is_err());
}

#[test]
fn the_place_is_found_in_large_documents() {
    let text = r#"{"properties":{"list":{"items":{"properties":{"n":{"type":"integer"}}}}},
        "unevaluatedProperties":false}"#;
    let schema = schema(text);
    let mut items = vec!["{\"n\":1,\"pad\":\"0123456789\"}"; 20_000];
    items[19_999] = "{\"n\":\"1\"}";
    let document = value(&format!("{{\"list\":[{}]}}", items.join(",")));
    let error = schema.check(document.view()).unwrap_err();
    assert_eq!(error.detail("place"), Some(&Detail::Text("/list/19999/n".into())), "{error}");
}
