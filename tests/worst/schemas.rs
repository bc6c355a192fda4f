//! Schemas whose keywords look at all members or elements, at combinations of them, or at each other.

use super::*;

/// A stored document of a model with this schema.
fn of_schema(schema: &str, json: String) -> Vec<Vec<String>> {
    vec![define("m", schema, &[]), vec!["MODEL.SET".into(), "k".into(), "m".into(), json]]
}

/// Sets a document of the model `m`.
fn put(json: String) -> Vec<String> {
    vec!["MODEL.SET".into(), "k".into(), "m".into(), json]
}

pub(super) fn add(all: &mut List<'_>) {
    let scale = all.scale;
    let million = 1_000_000 / scale;
    let patterns: Vec<String> =
        (0..50).map(|nth| format!(r#""^m[0-9]*{nth:02}$":{{"type":"integer"}}"#)).collect();
    let patterns = format!(
        r#"{{"patternProperties":{{{}}},"additionalProperties":{{"type":"integer"}}}}"#,
        patterns.join(",")
    );
    all.worst(
        "SET of members under many patterns",
        || vec![define("m", &patterns, &[])],
        || put(members(million / 2, "1")),
    );
    all.worst(
        "SET of a member beside many under patterns",
        || of_schema(&patterns, members(million / 100, "1")),
        || repeated(&["SET", "$.m5", "2", "INCR", "$.m5", "1"], MANY / 2),
    );
    let text = || format!("\"{}\"", "a".repeat(million));
    let ahead = format!(r#"{{"pattern":"^{}a"}}"#, "(?!a*b)".repeat(400));
    all.worst(
        "SET of a text under a pattern with many look-aheads",
        || vec![define("m", &ahead, &[])],
        || put(text()),
    );
    let spelled: Vec<String> =
        (0..1000).map(|nth| format!(r#"{{"pattern":"^a*b?{nth}a*$"}}"#)).collect();
    let spelled = format!(r#"{{"anyOf":[{}]}}"#, spelled.join(","));
    all.worst(
        "SET of a text under alternatives of many patterns",
        || vec![define("m", &spelled, &[])],
        || put(text()),
    );
    let unevaluated = r#"{"anyOf":[{"properties":{"m0":{"type":"integer"}}},{"patternProperties":{"^m":{"minimum":0}}}],"unevaluatedProperties":false}"#;
    all.worst(
        "SET of members that are looked for as unevaluated",
        || vec![define("m", unevaluated, &[])],
        || put(members(million / 2, "1")),
    );
    all.worst(
        "INCR beside members that are looked for as unevaluated",
        || of_schema(unevaluated, members(million / 20, "1")),
        || repeated(&["INCR", "$.m0", "1"], MANY),
    );
    let dependents = |count: usize| {
        let all: Vec<String> = (0..count)
            .map(|nth| {
                format!(r#""m{nth}":{{"propertyNames":{{"maxLength":20}},"minProperties":2}}"#)
            })
            .collect();
        format!(r#"{{"dependentSchemas":{{{}}}}}"#, all.join(","))
    };
    all.worst(
        "SET of members under dependentSchemas",
        || vec![define("m", &dependents(300), &[])],
        || put(members(million / 2, "1")),
    );
    all.worst(
        "INCR under dependentSchemas",
        || of_schema(&dependents(20), members(million / 50, "1")),
        || repeated(&["INCR", "$.m0", "1"], MANY),
    );
    let objects = |count: usize| {
        let all: Vec<String> =
            (0..count).map(|nth| format!(r#"{{"a":[{nth}],"b":"x"}}"#)).collect();
        format!("[{}]", all.join(","))
    };
    all.worst(
        "SET of different objects under uniqueItems",
        || vec![define("m", r#"{"uniqueItems":true}"#, &[])],
        || put(objects(million)),
    );
    all.worst(
        "SET of elements under uniqueItems of many objects",
        || of_schema(r#"{"uniqueItems":true}"#, objects(million / 5)),
        || repeated(&["SET", "$[0].a[0]", "-1", "INCR", "$[1].a[0]", "1000000"], MANY / 2),
    );
    let contains = r#"{"contains":{"enum":[1,"x",{"y":1}]},"minContains":2,"maxContains":3}"#;
    let twice = |count: usize| format!("[1,1,{}]", vec!["[2]"; count].join(","));
    all.worst(
        "SET of an array that contains",
        || vec![define("m", contains, &[])],
        || put(twice(million)),
    );
    all.worst(
        "INCR in an array that contains",
        || of_schema(contains, twice(million / 4)),
        || repeated(&["INCR", "$[3][0]", "1"], MANY),
    );
    let tree = r##"{"$defs":{"t":{"anyOf":[{"type":"integer"},{"type":"array","items":{"$ref":"#/$defs/t"}},{"type":"object","additionalProperties":{"$ref":"#/$defs/t"}}]}},"$ref":"#/$defs/t"}"##;
    all.worst(
        "SET of deep values under a schema of itself",
        || vec![define("m", tree, &[])],
        || put(list(&nested(100), million / 20)),
    );
    all.worst(
        "INCR at the bottom under a schema of itself",
        || of_schema(tree, list(&nested(100), million / 1000)),
        || repeated(&["INCR", &format!("$[0]{}", "[0]".repeat(100)), "1"], MANY),
    );
    all.worst(
        "INCR of all below under a schema of itself",
        || of_schema(tree, list("[[1]]", million / 40)),
        || repeated(&["INCR", "$[*][0][0]", "1"], MANY),
    );
    let many: Vec<String> = (0..12)
        .map(|nth| {
            format!(
                r#"{{"required":["m{nth}"],"properties":{{"m1":{{"not":{{"const":{nth}}}}}}}}}"#
            )
        })
        .collect();
    all.worst(
        "SET of objects under oneOf and not",
        || {
            let schema =
                format!(r#"{{"items":{{"oneOf":[{},{{"minProperties":2}}]}}}}"#, many.join(","));
            vec![define("m", &schema, &[])]
        },
        || put(list(r#"{"a":1,"b":2}"#, million / 2)),
    );
}
