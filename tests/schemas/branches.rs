//! Alternatives: what a change costs, what is told, and schemas that try to make finding branches costly.

use redis_model::error::{Detail, Error, ErrorCode};
use redis_model::model::schema::{Schema, SchemaLimits};
use redis_model::value::edit::{ChangeKind, PlaceChange};
use redis_model::value::{Limits, Value, parse};

fn value(json: &str) -> Value {
    parse::json(json.as_bytes(), &Limits::NONE).expect("the document is JSON").value
}

fn schema(json: &str) -> Schema {
    Schema::compile(json.as_bytes(), &SchemaLimits::DEFAULT).expect(json)
}

/// The steps that validating one change takes.
fn steps(schema: &Schema, document: &Value, place: &[u32]) -> u64 {
    let change = PlaceChange { place: place.into(), kind: ChangeKind::Value };
    let (verdict, steps) = schema.steps_of_changes(document.view(), &[change]);
    verdict.expect("the document is valid");
    steps
}

const ITEM: &str = r#"{"properties":{"n":{"type":"integer"},"tags":{"items":{"type":"string"}}},"required":["n"],"type":"object"}"#;

fn items(count: usize, item: &str) -> Value {
    value(&format!("{{\"items\":[{}]}}", vec![item; count].join(",")))
}

#[test]
fn a_change_in_an_optional_list_costs_the_same_as_in_a_list() {
    let list = r##"{"items":{"$ref":"#/$defs/Item"},"type":"array"}"##;
    let of = |items: &str| {
        schema(&format!("{{\"$defs\":{{\"Item\":{ITEM}}},\"properties\":{{\"items\":{items}}}}}"))
    };
    let plain = of(list);
    let optional = of(&format!("{{\"anyOf\":[{list},{{\"type\":\"null\"}}]}}"));
    let nested = of(&format!(
        "{{\"anyOf\":[{{\"anyOf\":[{list},{{\"type\":\"null\"}}]}},{{\"type\":\"string\"}}]}}"
    ));
    for place in [&[0, 5, 0][..], &[0, 5], &[0, 5, 1, 0]] {
        for count in [20, 20_000] {
            let document = items(count, r#"{"n":1,"tags":["a"]}"#);
            let expected = steps(&plain, &document, place);
            assert!(expected < 100, "{place:?} {count}: {expected}");
            assert_eq!(steps(&optional, &document, place), expected, "{place:?} {count}");
            assert_eq!(steps(&nested, &document, place), expected, "{place:?} {count}");
        }
    }
}

#[test]
fn the_variants_of_an_enum_of_rust_are_told_apart_by_their_names() {
    // One variant holds an object, the others a number: the type of no single member tells all of them apart.
    let variants = r#"{"oneOf":[{"enum":["Unit"],"type":"string"},
        {"type":"object","required":["Number"],"properties":{"Number":{"type":"integer","minimum":0}},"additionalProperties":false},
        {"type":"object","required":["Pair"],"properties":{"Pair":{"type":"array"}},"additionalProperties":false},
        {"type":"object","required":["Named"],"properties":{"Named":{"type":"object","required":["a"]}},"additionalProperties":false}]}"#;
    let variants = schema(variants);
    for (document, place, keyword) in [
        (r#"{"Number":-1}"#, "/Number", "minimum"),
        (r#"{"Pair":{}}"#, "/Pair", "type"),
        (r#"{"Named":{}}"#, "/Named", "required"),
    ] {
        let error = variants.check(value(document).view()).expect_err(document);
        let text = |name| match error.detail(name) {
            Some(Detail::Text(text)) => text.clone(),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!((text("place").as_str(), text("keyword").as_str()), (place, keyword), "{error}");
    }
}

#[test]
fn a_wrong_value_does_not_select_a_branch_that_says_nothing_about_its_member() {
    let union = schema(
        r#"{"anyOf":[{"type":"object","required":["town"],"properties":{"town":{"type":"string"}}},
        {"type":"object","required":["sku"],"properties":{"sku":{"type":"string"},"n":{"type":"integer"}}}]}"#,
    );
    for (document, told) in [
        (r#"{"sku":"x","n":"y"}"#, "'y' is not of the type integer at /n"),
        (r#"{"sku":1}"#, "1 is not of the type string at /sku"),
        (r#"{"town":1}"#, "1 is not of the type string at /town"),
    ] {
        let error = refused(&union, document);
        let (reason, place) = told.split_once(" at ").expect("a reason and a place");
        let listed = error.message().contains(told);
        let alone = error.message() == reason
            && error.detail("place") == Some(&Detail::Text(place.to_owned()));
        assert!(listed || alone, "{document}: {error}");
    }
    // The members are values of any type in the other branch.
    for valid in [r#"{"town":"x","sku":1}"#, r#"{"sku":"x","town":1}"#, r#"{"town":"x","n":"y"}"#] {
        assert_eq!(union.check(value(valid).view()), Ok(()), "{valid}");
    }
}

#[test]
fn a_wrong_discriminator_is_reported_for_each_branch() {
    let union = schema(
        r#"{"oneOf":[{"properties":{"a/b":{"const":"cat"},"lives":{"type":"integer"}},"required":["a/b","lives"]},
            {"properties":{"a/b":{"enum":["dog","wolf"]}},"required":["a/b","name"]}]}"#,
    );
    for (document, told) in [
        (
            r#"{"a/b":"cow"}"#,
            "'cow' is not 'cat' at /a~1b; 'cow' is none of 'dog', 'wolf' at /a~1b",
        ),
        (r#"{"a/b":5}"#, "5 is not 'cat' at /a~1b; 5 is none of 'dog', 'wolf' at /a~1b"),
        ("{}", "the object lacks the member 'a/b'"),
    ] {
        let error = refused(&union, document);
        assert!(error.message().contains(&format!("alternatives: {told}")), "{error}");
    }
}

#[test]
fn the_mapping_of_a_discriminator_is_an_annotation() {
    let of = |cat: &str, mapping: &str| {
        schema(&format!(
            r##"{{"$defs":{{"Cat":{{"properties":{{"pet":{cat},"lives":{{"maximum":9}}}},"required":["pet","lives"]}},
            "Dog":{{"properties":{{"pet":{{"const":"dog"}},"name":{{"type":"string"}}}},"required":["pet","name"]}}}},
            "discriminator":{{"propertyName":"pet","mapping":{mapping}}},
            "oneOf":[{{"$ref":"#/$defs/Cat"}},{{"$ref":"#/$defs/Dog"}}]}}"##
        ))
    };
    let right = r##"{"cat":"#/$defs/Cat","dog":"#/$defs/Dog"}"##;
    let swapped = r##"{"cat":"#/$defs/Dog","dog":"#/$defs/Cat","cow":"cow.json"}"##;
    for mapping in [right, swapped, "{}"] {
        let told = of(r#"{"const":"cat"}"#, mapping);
        assert_eq!(told.check(value(r#"{"pet":"cat","lives":9}"#).view()), Ok(()), "{mapping}");
        let error = refused(&told, r#"{"pet":"cat","lives":10}"#);
        assert_eq!(
            error.detail("place"),
            Some(&Detail::Text("/lives".into())),
            "{mapping} {error}"
        );
        // Without a constant the mapping alone selects nothing: the other branch is excluded by its own.
        let open = of(r#"{"type":"string"}"#, mapping);
        assert_eq!(open.check(value(r#"{"pet":"cow","lives":1}"#).view()), Ok(()), "{mapping}");
        let error = refused(&open, r#"{"pet":"cow","lives":10}"#);
        assert_eq!(
            error.detail("place"),
            Some(&Detail::Text("/lives".into())),
            "{mapping} {error}"
        );
    }
}

#[test]
fn a_change_costs_the_same_whatever_the_number_of_elements() {
    let union = r##"{"$defs":{"Cat":{"properties":{"pet":{"const":"cat"},"lives":{"maximum":9}},"required":["pet"]},
        "Dog":{"properties":{"pet":{"const":"dog"},"name":{"type":"string"}},"required":["pet","name"]},
        "Tree":{"properties":{"left":{"anyOf":[{"$ref":"#/$defs/Tree"},{"type":"null"}]},"n":{"type":"integer"},
            "all":{"anyOf":[{"items":{"$ref":"#/$defs/Tree"},"type":"array"},{"type":"null"}]}},"type":"object"}},
        "properties":{"pets":{"items":{"oneOf":[{"$ref":"#/$defs/Cat"},{"$ref":"#/$defs/Dog"}]}},
            "tree":{"$ref":"#/$defs/Tree"}}}"##;
    let union = schema(union);
    let document = |count: usize| {
        let pets = vec![r#"{"pet":"cat","lives":9}"#; count].join(",");
        let trees = vec![r#"{"n":1,"left":{"n":1,"left":null}}"#; count].join(",");
        value(&format!("{{\"pets\":[{pets}],\"tree\":{{\"n\":1,\"all\":[{trees}]}}}}"))
    };
    let (few, many) = (document(20), document(20_000));
    for place in [&[0, 5, 1][..], &[0, 5, 0], &[0, 5], &[1, 1, 5, 0], &[1, 1, 5, 1, 0], &[1, 0]] {
        let expected = steps(&union, &few, place);
        assert!(expected < 200, "{place:?}: {expected}");
        assert_eq!(steps(&union, &many, place), expected, "{place:?}");
    }
}

fn refused(schema: &Schema, document: &str) -> Error {
    schema.check(value(document).view()).expect_err(document)
}

#[test]
fn the_error_lists_what_each_branch_lacks_if_none_is_selected() {
    let union = schema(
        r#"{"anyOf":[{"type":"object","required":["a","b"]},{"type":"object","required":["c"]},
            {"type":"object","properties":{"d":{"minimum":5}},"required":["d"]},{"type":"object","minProperties":9},
            {"type":"object","propertyNames":{"minLength":20}},{"type":"null"}]}"#,
    );
    let error = refused(&union, r#"{"d":1}"#);
    assert_eq!(
        error.message(),
        "an object with 1 member fits none of the 6 alternatives: 1 is less than 5 at /d; the name 'd' is not allowed; \
         the object lacks the member 'a'; the object lacks the member 'c'"
    );
    let both = schema(r#"{"oneOf":[{"multipleOf":2},{"multipleOf":3},{"multipleOf":7}]}"#);
    assert_eq!(refused(&both, "6").message(), "6 fits more than one of the alternatives: 0, 1");
    let kinds = schema(r#"{"anyOf":[{"type":"integer","maximum":150},{"type":"null"}]}"#);
    assert_eq!(
        refused(&kinds, "\"x\"").message(),
        "'x' fits none of the 2 alternatives: 'x' is not of the type null; 'x' is not of the type integer"
    );
}

#[test]
fn up_to_eight_violations_are_reported() {
    let members: Vec<String> =
        (0..20).map(|nth| format!("\"p{nth}\":{{\"maximum\":{nth}}}")).collect();
    let wide =
        schema(&format!("{{\"properties\":{{{}}},\"required\":[\"x\"]}}", members.join(",")));
    let document: Vec<String> = (0..20).map(|nth| format!("\"p{nth}\":100")).collect();
    let error = refused(&wide, &format!("{{{}}}", document.join(",")));
    let Some(Detail::Json(violations)) = error.detail("violations") else { panic!("{error}") };
    let violations: serde_json::Value = serde_json::from_str(violations).unwrap();
    assert_eq!(violations.as_array().unwrap().len(), 8);
    assert_eq!(violations[0]["keyword"], "required");
    assert_eq!(violations[1]["place"], "/p0");
    assert_eq!(violations[1]["message"], "100 is greater than 0");
    assert_eq!(violations[1]["schema"], "/properties/p0/maximum");
    // One violation is told once.
    assert!(refused(&wide, r#"{"x":1,"p1":2}"#).detail("violations").is_none());
}

#[test]
fn finding_branches_is_bounded() {
    let code = |text: &str, limits: &SchemaLimits| {
        Schema::compile(text.as_bytes(), limits).err().map(|error| {
            assert!(error.code() == ErrorCode::Limit, "{error}");
            match error.detail("limit") {
                Some(Detail::Text(name)) => name.clone(),
                other => panic!("{other:?}: {error}"),
            }
        })
    };
    let union = |count: usize| {
        let branch =
            |nth| format!("{{\"properties\":{{\"k\":{{\"const\":{nth}}}}},\"required\":[\"k\"]}}");
        let branches: Vec<String> = (0..count).map(branch).collect();
        format!("{{\"oneOf\":[{}]}}", branches.join(","))
    };
    let limits = SchemaLimits::DEFAULT;
    assert_eq!(code(&union(5000), &limits), None);
    assert_eq!(code(&union(10_000), &limits).as_deref(), Some("model.schema-nodes"));
    let constants: Vec<String> = (0..10_000).map(|nth| format!("{{\"const\":{nth}}}")).collect();
    let constants = format!("{{\"anyOf\":[{}]}}", constants.join(","));
    assert_eq!(code(&constants, &limits).as_deref(), Some("model.schema-weight"));
    let large = schema(&union(5000));
    assert_eq!(large.check(value(r#"{"k":4999}"#).view()), Ok(()));
    assert!(refused(&large, r#"{"k":5000}"#).message().contains("5000 alternatives"));
    // Alternatives of alternatives, each with all members of those inside.
    let mut deep = "{\"required\":[\"x\"]}".to_owned();
    for level in 0..40 {
        let members: Vec<String> =
            (0..200).map(|nth| format!("\"m{level}-{nth}\":{{\"enum\":[1,2,3]}}")).collect();
        deep = format!(
            "{{\"anyOf\":[{deep},{{\"type\":\"null\"}}],\"properties\":{{{}}}}}",
            members.join(",")
        );
    }
    assert_eq!(code(&deep, &limits), None);
    let tight = SchemaLimits { branch_steps: 1000, ..limits };
    assert_eq!(code(&deep, &tight).as_deref(), Some("model.schema-branch-steps"));
    let branch_steps = (1..)
        .find(|steps| code(&union(9), &SchemaLimits { branch_steps: *steps, ..limits }).is_none());
    let least = branch_steps.unwrap();
    let past = SchemaLimits { branch_steps: least - 1, ..limits };
    assert_eq!(code(&union(9), &past).as_deref(), Some("model.schema-branch-steps"));
    // A discriminator whose values are alternatives themselves, and branches that refer to the union.
    let recursive = r##"{"$defs":{"u":{"oneOf":[
        {"properties":{"k":{"anyOf":[{"const":"a"},{"enum":["b","c"]}]},"next":{"$ref":"#/$defs/u"}},"required":["k"]},
        {"properties":{"k":{"const":"d"},"n":{"maximum":1}},"required":["k"]}]}},"$ref":"#/$defs/u"}"##;
    let recursive = schema(recursive);
    let error = refused(&recursive, r#"{"k":"b","next":{"k":"d","n":2}}"#);
    assert_eq!(error.detail("place"), Some(&Detail::Text("/next/n".into())), "{error}");
}

/// The `if` of a condition has one itself, or a member that it reads has.
#[test]
fn a_condition_within_a_condition_is_validated_when_what_it_reads_changes() {
    let by_type = r#"{"if":{"required":["a"]},"then":true,"else":{"type":"null"}}"#;
    let by_member = r#"{"properties":{"b":{"if":{"const":1},"then":false}}}"#;
    for (condition, valid, invalid) in
        [(by_type, r#"{"b":2}"#, r#"{"a":1,"b":2}"#), (by_member, r#"{"b":1}"#, r#"{"b":2}"#)]
    {
        let schema = schema(&format!(r#"{{"if":{condition},"then":{{"type":"null"}}}}"#));
        let whole = |json: &str| schema.check(value(json).view()).is_ok();
        assert_eq!((whole(valid), whole(invalid)), (true, false), "{condition}");
        for change in [
            [PlaceChange { place: [][..].into(), kind: ChangeKind::Members }],
            [PlaceChange { place: [0][..].into(), kind: ChangeKind::Value }],
        ] {
            let verdict = |json: &str| schema.check_changes(value(json).view(), &change);
            assert!(verdict(valid).is_ok(), "{condition} {change:?}");
            assert_eq!(verdict(invalid).unwrap_err().code(), ErrorCode::Schema, "{condition}");
        }
    }
}

#[test]
fn messages_name_all_missing_members_and_show_the_form_of_a_format() {
    let many =
        r#"{"required":["a","b","c","d","e","f","g","h","i"],"dependentRequired":{"x":["y","z"]}}"#;
    let closed = r#"{"properties":{"name":{}},"additionalProperties":false}"#;
    for (of, document, told) in [
        (many, "{}", "the object lacks the members 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', …"),
        (
            many,
            r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1}"#,
            "the object lacks the members 'h', 'i'",
        ),
        (r#"{"required":["a"]}"#, "{}", "the object lacks the member 'a'"),
        (
            r#"{"dependentRequired":{"x":["y","z"]}}"#,
            r#"{"x":1}"#,
            "the object lacks the members 'y', 'z'",
        ),
        (closed, r#"{"nmae":1}"#, "the schema names no member 'nmae', and allows no others"),
        (r#"{"type":"object"}"#, "[]", "an empty array is not of the type object"),
        (r#"{"maxItems":1}"#, "[1,2]", "an array with 2 elements has more than 1 elements"),
        (
            r#"{"format":"date-time"}"#,
            r#""2026-11-21T06:12:47""#,
            "'2026-11-21T06:12:47' is not of the format 'date-time', as '2026-01-31T06:12:47Z' is",
        ),
        (r#"{"format":"ipv4"}"#, r#""x""#, "'x' is not of the format 'ipv4'"),
    ] {
        assert_eq!(refused(&schema(of), document).message(), told);
    }
}
