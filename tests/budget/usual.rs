//! Usual work fits: large documents, many places, rules and patterns.

use redis_model::testing::MemoryHost;

use super::{call, list, stored, words};

/// Runs a command after others, with the default budget.
fn fits(setup: &[Vec<String>], command: &[String]) {
    let mut host = MemoryHost::default();
    for command in setup {
        call(&mut host, command).unwrap();
    }
    assert_eq!(call(&mut host, command).map(drop), Ok(()), "{:.100}", command.join(" "));
}

#[test]
fn a_path_that_changes_150_000_places_fits() {
    fits(&stored(&list("1", 150_000)), &words(&["MODEL.FIELDOP", "k", "INCR", "$[*]", "1"]));
}

#[test]
fn an_object_of_300_000_members_is_set_and_copied() {
    let members: Vec<String> = (0..300_000).map(|nth| format!("\"m{nth}\":1")).collect();
    let json = format!(r#"{{"a":{{{}}}}}"#, members.join(","));
    fits(&stored(&json), &words(&["MODEL.FIELDOP", "k", "COPY", "$.a", "$.b"]));
}

#[test]
fn a_query_over_a_million_nodes_fits() {
    fits(&stored(&list("1", 990_000)), &words(&["MODEL.GET", "k", "$..x"]));
}

#[test]
fn sorting_400_000_numbers_fits() {
    let mut state = 1_u64;
    let numbers: Vec<String> = (0..400_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40).to_string()
        })
        .collect();
    let json = format!("[{}]", numbers.join(","));
    fits(&stored(&json), &words(&["MODEL.FIELDOP", "k", "SORT", "$", "ASC", "@"]));
}

#[test]
fn reading_160_mb_of_texts_fits() {
    let json = format!("\"{}\"", "x".repeat(8_000_000));
    let mut command = words(&["MODEL.FIELDOP", "k"]);
    (0..19).for_each(|_| command.extend(words(&["LEN", "$"])));
    fits(&stored(&json), &command);
}

#[test]
fn ten_rules_over_100_000_elements_fit() {
    let mut define = words(&["MODEL.DEFINE", "m", "{}"]);
    for nth in 0..10 {
        define.extend(words(&["RULE", &format!("r{nth}"), "self.a.all(x, x > 0)"]));
    }
    let json = format!(r#"{{"n":1,"a":{}}}"#, list("1", 100_000));
    let setup = [define, words(&["MODEL.SET", "k", "m", &json])];
    fits(&setup, &words(&["MODEL.FIELDOP", "k", "SET", "$.a[0]", "2"]));
}

#[test]
fn a_thousand_statements_of_some_microseconds_fit() {
    let mut command = words(&["MODEL.FIELDOP", "k"]);
    (0..500).for_each(|_| {
        command.extend(words(&["IF", "self.a.exists(x, x == 50)", "INCR", "$.n", "1"]));
    });
    let numbers: Vec<String> = (0..50).map(|n| (n + 1).to_string()).collect();
    fits(&stored(&format!(r#"{{"n":1,"a":[{}]}}"#, numbers.join(","))), &command);
}

#[test]
fn two_of_the_heaviest_patterns_or_hundreds_of_ordinary_ones_fit() {
    let mut heavy = words(&["MODEL.GET", "k"]);
    heavy.extend((0..2).map(|nth| format!(r"$[?search(@,'\\p{{L}}{{57}}{nth}')]")));
    fits(&stored(r#"["abcde"]"#), &heavy);
    let mut ordinary = words(&["MODEL.GET", "k"]);
    ordinary.extend((0..300).map(|nth| format!(r"$[?match(@,'[a-z]+{nth}')]")));
    fits(&stored(r#"["abcde"]"#), &ordinary);
}

#[test]
fn a_document_of_50_000_objects_under_an_ordinary_schema_fits() {
    let line = r#"{"sku":"a-12345","n":1.25,"tags":["x","y"],"ship":{"kind":"post","to":{"zip":"12345"}}}"#;
    let schema = r#"{"items":{"type":"object","required":["sku"],"additionalProperties":false,"properties":{
        "sku":{"type":"string","pattern":"^[a-z]-[0-9]+$"},"n":{"type":"number","minimum":0},
        "tags":{"type":"array","items":{"type":"string","maxLength":20},"uniqueItems":true},
        "ship":{"oneOf":[{"properties":{"kind":{"const":"post"}},"required":["to"]},
            {"properties":{"kind":{"const":"shop"}}},{"properties":{"kind":{"const":"none"}}}]}}}}"#;
    let setup = [words(&["MODEL.DEFINE", "m", schema])];
    fits(&setup, &words(&["MODEL.SET", "k", "m", &list(line, 50_000)]));
}

#[test]
fn sorting_100_000_objects_by_a_member_and_adding_to_a_large_set_fit() {
    let objects: Vec<String> =
        (0..100_000).map(|n| format!("{{\"n\":{}}}", n * 7919 % 100_003)).collect();
    let sorted = words(&["MODEL.FIELDOP", "k", "SORT", "$", "ASC", "@.n"]);
    fits(&stored(&format!("[{}]", objects.join(","))), &sorted);
    let numbers: Vec<String> = (0..300_000).map(|n| n.to_string()).collect();
    let offered: Vec<String> = (299_000..301_000).map(|n| n.to_string()).collect();
    let offered = format!("[{}]", offered.join(","));
    let added = words(&["MODEL.FIELDOP", "k", "ADDUNIQ", "$", &offered]);
    fits(&stored(&format!("[{}]", numbers.join(","))), &added);
}

/// Schemas as they are written, each with a document of some megabytes.
fn usual() -> Vec<(&'static str, &'static str, String)> {
    let lines = |line: &str| list(line, 3_000_000 / line.len());
    let members = |name: &str, value: &str| {
        let all: Vec<String> = (0..150_000).map(|nth| format!("\"{name}{nth}\":{value}")).collect();
        format!("{{{}}}", all.join(","))
    };
    let texts: Vec<String> = (0..200_000).map(|nth| format!("\"user-{nth}\"")).collect();
    vec![
        (
            "orders",
            r#"{"items":{"type":"object","required":["sku"],"additionalProperties":false,"properties":{
                "sku":{"type":"string","pattern":"^[a-z]-[0-9]+$"},"n":{"type":"number","minimum":0},
                "tags":{"type":"array","items":{"type":"string","maxLength":20},"uniqueItems":true},
                "ship":{"oneOf":[{"properties":{"kind":{"const":"post"}},"required":["to"]},
                    {"properties":{"kind":{"const":"shop"}}},{"properties":{"kind":{"const":"none"}}}]}}}}"#,
            lines(
                r#"{"sku":"a-12345","n":1.25,"tags":["x","y"],"ship":{"kind":"post","to":{"zip":"12345"}}}"#,
            ),
        ),
        (
            "records",
            r#"{"items":{"type":"object","required":["id","name","at"],"additionalProperties":false,"properties":{
                "id":{"type":"integer"},"name":{"type":"string","maxLength":100},"at":{"type":"string","format":"date-time"},
                "state":{"enum":["open","done","failed"]},"score":{"type":["number","null"]},"paid":{"type":"boolean"}}}}"#,
            lines(
                r#"{"id":1234567,"name":"somebody else","at":"2026-11-29T10:11:12Z","state":"done","score":1.5,"paid":true}"#,
            ),
        ),
        (
            "events of kinds",
            r#"{"items":{"oneOf":[
                {"properties":{"kind":{"const":"added"},"sku":{"type":"string"},"n":{"type":"integer"}},"required":["kind","sku","n"]},
                {"properties":{"kind":{"const":"moved"},"to":{"type":"string"}},"required":["kind","to"]},
                {"properties":{"kind":{"const":"closed"},"at":{"type":"string"}},"required":["kind","at"]}]}}"#,
            lines(
                r#"{"kind":"moved","to":"Rotterdam, the second hall","note":"nothing of interest"}"#,
            ),
        ),
        (
            "comments with replies",
            r##"{"$defs":{"c":{"type":"object","required":["by","text"],"properties":{"by":{"type":"string"},
                "text":{"type":"string","maxLength":1000},"replies":{"type":"array","items":{"$ref":"#/$defs/c"}}}}},
                "items":{"$ref":"#/$defs/c"}}"##,
            lines(
                r#"{"by":"ann","text":"what a long way to say so little","replies":[{"by":"bob","text":"indeed it is","replies":[]}]}"#,
            ),
        ),
        (
            "composed without other members",
            r##"{"$defs":{"b":{"properties":{"id":{"type":"integer"},"at":{"type":"string"}},"required":["id"]}},
                "items":{"allOf":[{"$ref":"#/$defs/b"}],"properties":{"name":{"type":"string"},"n":{"type":"number"}},
                "unevaluatedProperties":false}}"##,
            lines(r#"{"id":1234567,"at":"2026-11-29","name":"a name of some length","n":12.5}"#),
        ),
        (
            "names by a pattern",
            r#"{"propertyNames":{"pattern":"^user:[0-9]+$"},"additionalProperties":{"type":"object","properties":{"n":{"type":"integer"}}}}"#,
            members("user:", r#"{"n":1}"#),
        ),
        (
            "prefixed names",
            r#"{"patternProperties":{"^n-":{"type":"integer"},"^s-":{"type":"string"}},"additionalProperties":false}"#,
            members("n-", "12345"),
        ),
        (
            "a set",
            r#"{"items":{"type":"string"},"uniqueItems":true}"#,
            format!("[{}]", texts.join(",")),
        ),
        (
            "coordinates",
            r#"{"items":{"type":"array","prefixItems":[{"type":"number"},{"type":"number"}],"minItems":2,"maxItems":2}}"#,
            lines("[12.3456789,-98.7654321]"),
        ),
    ]
}

#[test]
fn documents_of_megabytes_under_usual_schemas_fit() {
    for (name, schema, json) in usual() {
        println!("{name}: {} bytes", json.len());
        let setup = [words(&["MODEL.DEFINE", "m", schema])];
        fits(&setup, &words(&["MODEL.SET", "k", "m", &json]));
    }
}

#[test]
fn a_thousand_documents_with_sixteen_indexes_are_changed_at_once() {
    let mut define = words(&["MODEL.DEFINE", "m", "{}"]);
    for nth in 0..16 {
        let unique = if nth % 2 == 0 { "$.id" } else { "$.tags[*]" };
        let parts = ["INDEX", &format!("i{nth}"), "2", unique, "$.n"];
        define.extend(words(&parts));
    }
    let mut setup = vec![define];
    let mut command = words(&["MODEL.TXN", "1024"]);
    command.extend((0..1024).map(|nth| format!("k{nth}")));
    for nth in 0..1024 {
        let json = format!(r#"{{"id":"document-{nth}","n":1,"tags":["a","b"]}}"#);
        setup.push(words(&["MODEL.SET", &format!("k{nth}"), "m", &json]));
        command.extend(words(&["ON", &format!("k{nth}"), "INCR", "$.n", "1"]));
    }
    fits(&setup, &command);
}
