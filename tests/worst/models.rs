//! Transactions and definitions of models with rules, large enums, `oldSelf` and alternatives.

use super::*;

pub(super) fn add(all: &mut List<'_>) {
    let scale = all.scale;
    let million = 1_000_000 / scale;
    let of_model = |key: String, json: String| vec!["MODEL.SET".into(), key, "m".into(), json];
    let twenty = |json: &str| {
        (0..20).map(|nth| of_model(format!("k{nth}"), json.to_owned())).collect::<Vec<_>>()
    };
    let rule = "self.a.all(x, x * x - x + 1 == 1)";
    let options: Vec<String> = (0..40_000 / scale).map(|nth| format!(r#"{{"n":{nth}}}"#)).collect();
    let options =
        format!(r#"{{"properties":{{"e":{{"items":{{"enum":[{}]}}}}}}}}"#, options.join(","));
    let heavy_document = format!(r#"{{"a":{},"n":1,"e":[]}}"#, list("1", million / 20));
    let many: Vec<String> = (0..4000 / scale.min(10)).map(|nth| format!(r#""p{nth}":{{"anyOf":[{{"type":"integer"}},{{"pattern":"^[a-z]{{1,20}}{nth}$"}}]}}"#)).collect();
    let then = |first: Vec<Vec<String>>, rest: Vec<Vec<String>>| {
        first.into_iter().chain(rest).collect::<Vec<_>>()
    };
    let long = format!(r#"{{"s":"{}","n":1}}"#, "xy".repeat(million / 2));
    let listed = |schema: &str, json: String| {
        then(vec![define("m", schema, &[])], vec![of_model("k".into(), json)])
    };
    all.worst(
        "TXN over 20 documents with 64 rules",
        || {
            then(
                vec![define("m", "{}", &[rule; 64])],
                twenty(&format!(r#"{{"a":{},"n":1}}"#, list("1", million / 200))),
            )
        },
        || transaction(20, &["SET", "$.a[0]", "0"]),
    );
    all.worst(
        "TXN after an enum of 40,000 objects",
        || {
            then(
                then(
                    vec![define("m", "{}", &[])],
                    twenty(&format!(r#"{{"e":{},"n":1}}"#, list(r#"{"n":1}"#, 200))),
                ),
                vec![define("m", &options, &[])],
            )
        },
        || transaction(20, &["INCR", "$.n", "1"]),
    );
    all.worst("TXN after a definition anew", || then(
                then(vec![define("m", "{}", &[])], twenty(&heavy_document)),
                vec![define(
                    "m",
                    r#"{"properties":{"a":{"items":{"anyOf":[{"type":"string"},{"minimum":0}]},"uniqueItems":false}}}"#,
                    &[],
                )],
            ), || transaction(20, &["INCR", "$.n", "1"]));
    all.worst(
        "TXN with oldSelf of large parts",
        || {
            then(
                vec![define("m", "{}", &["size(self.a) >= size(oldSelf.a)"])],
                twenty(&heavy_document),
            )
        },
        || transaction(20, &["INCR", "$.n", "1"]),
    );
    all.worst(
        "TXN that changes what oldSelf names",
        || {
            then(
                vec![define("m", "{}", &["size(self.a) >= size(oldSelf.a)"])],
                twenty(&heavy_document),
            )
        },
        || transaction(20, &["APPEND", "$.a", "[1]"]),
    );
    all.worst(
        "APPEND under uniqueItems",
        || {
            listed(r#"{"uniqueItems":true}"#, {
                let numbers: Vec<String> = (0..million).map(|n| n.to_string()).collect();
                format!("[{}]", numbers.join(","))
            })
        },
        || repeated(&["APPEND", "$", "[-1]"], 1),
    );
    all.worst(
        "SET under patterns of long texts",
        || {
            listed(
                r#"{"properties":{"s":{"pattern":"(x|y){30}[xy]{20}z|y$","minLength":5}}}"#,
                long.clone(),
            )
        },
        || repeated(&["SET", "$.s", &format!("\"{}\"", "xy".repeat(million / 4))], 8),
    );
    all.worst("INCR under a pattern of a long text", || listed(
                r#"{"anyOf":[{"properties":{"s":{"pattern":"(x|y){30}[xy]{20}z"}}},{"properties":{"s":{"pattern":"y$"}}}]}"#,
                long,
            ), || repeated(&["INCR", "$.n", "1"], MANY));
    all.worst("APPEND under many alternatives", || listed(
                r#"{"items":{"anyOf":[{"type":"string"},{"type":"object"},{"minimum":3},{"minimum":0}]}}"#,
                "[]".into(),
            ), || vec![
                "MODEL.FIELDOP".into(),
                "k".into(),
                "APPEND".into(),
                "$".into(),
                list("1", million),
            ]);
    all.worst("DEFINE of a large schema", Vec::new, || {
        define("m", &format!(r#"{{"properties":{{{}}}}}"#, many.join(",")), &[])
    });
    all.worst("DEFINE of an enum of 40,000 objects", Vec::new, || define("m", &options, &[]));
    let enumeration = |options: &str| {
        define("m", &format!(r#"{{"properties":{{"e":{{"items":{{"enum":{options}}}}}}}}}"#), &[])
    };
    all.worst("DEFINE of an enum of 75,000 numbers", Vec::new, || {
        enumeration(&ascending(75 * million / 1000))
    });
    all.worst("DEFINE of an enum of equal values", Vec::new, || {
        enumeration(&list("[]", million / 4))
    });
    all.worst("DEFINE of a default of many values", Vec::new, || {
        let schema =
            format!(r#"{{"properties":{{"d":{{"default":{}}}}}}}"#, list("[]", million / 4));
        define("m", &schema, &[])
    });
    all.worst("DEFINE of a pattern with many look-aheads", Vec::new, || {
        define("m", &format!(r#"{{"pattern":"^{}a"}}"#, "(?!a*b)".repeat(1240)), &[])
    });
    all.worst("DEFINE of many patterns with look-aheads", Vec::new, || {
        let patterns: Vec<String> =
            (0..750).map(|nth| format!(r#"{{"pattern":"^(?!\\p{{L}}b{nth})a"}}"#)).collect();
        define("m", &format!(r#"{{"anyOf":[{}]}}"#, patterns.join(",")), &[])
    });
    all.worst("DEFINE of many patterns with Unicode classes", Vec::new, || {
        let patterns: Vec<String> =
            (0..1000).map(|nth| format!(r#"{{"pattern":"^\\p{{L}}b{nth}"}}"#)).collect();
        define("m", &format!(r#"{{"anyOf":[{}]}}"#, patterns.join(",")), &[])
    });
    all.worst("DEFINE of one large pattern", Vec::new, || {
        define("m", r#"{"pattern":"^\\p{L}{2000}"}"#, &[])
    });
    all.worst("DEFINE with patterns in rules", Vec::new, || {
        define("m", "{}", &[r"!'abcde'.matches('\\pL{3}') || !'abcde'.matches('\\pL{3}x')"; 64])
    });
}
