//! Commands over many keys, and those that reply or make whole documents.

use super::*;

/// A model whose default takes so many bytes.
fn large_default(bytes: usize) -> Vec<String> {
    let schema =
        format!(r#"{{"properties":{{"d":{{"default":{{"a":{}}}}}}}}}"#, list("1", bytes / 2));
    define("m", &schema, &[])
}

pub(super) fn add(all: &mut List<'_>) {
    let scale = all.scale;
    let million = 1_000_000 / scale;
    let hundred = 100 / scale.min(10);
    let documents = move |count: usize, json: String| {
        (0..count).map(|nth| set(&format!("k{nth}"), json.clone())).collect::<Vec<_>>()
    };
    let named = |start: &str, count: usize| {
        let mut command = words(&format!("{start} {count}"));
        command.extend((0..count).map(|nth| format!("k{nth}")));
        command
    };
    all.worst(
        "MGET of whole documents",
        || documents(hundred, list("1.5", million / 4)),
        || named("MODEL.MGET", hundred),
    );
    all.worst(
        "MGET of 1,024 keys by a query",
        || documents(MANY, list("[1,2]", 1000 / scale.min(10))),
        || {
            let mut command = named("MODEL.MGET", MANY);
            command.push("$..[?@ == 3]".into());
            command
        },
    );
    all.worst(
        "TXN with CURRENT of large documents",
        || documents(20, format!(r#"{{"n":1,"a":{}}}"#, list("1", million))),
        || {
            let mut command = named("MODEL.TXN", 20);
            for nth in 0..20 {
                command.extend(words(&format!("ON k{nth} CURRENT $ IF self.n==2")));
            }
            command
        },
    );
    all.worst(
        "TXN with many failed assertions",
        || documents(1, list("1", million / 10)),
        || {
            let mut command = words("MODEL.TXN 1 k0");
            for _ in 0..MANY {
                command.extend(words("ON k0 IF self.exists(x,x==2)"));
            }
            command
        },
    );
    all.worst(
        "DOCUMENTS of many keys",
        || (0..20_000 / scale).map(|nth| set(&format!("k{nth}"), "1".into())).collect(),
        || words("MODEL.DOCUMENTS any COUNT 10000"),
    );
    all.worst(
        "TXN that makes documents with a large default",
        || vec![large_default(150_000 / scale)],
        || {
            let mut command = named("MODEL.TXN", MANY);
            for nth in 0..MANY {
                command.extend(words(&format!("ON k{nth} INIT m {{}} SET $.n 1")));
            }
            command
        },
    );
    all.worst(
        "LOCK that makes a document with a large default",
        || vec![large_default(150_000 / scale)],
        || words("MODEL.LOCK k n me INIT m {}"),
    );
    all.worst(
        "TXN that deletes large documents",
        || documents(40, list("[1]", million / 4)),
        || {
            let mut command = named("MODEL.TXN", 40);
            for nth in 0..40 {
                command.extend(words(&format!("ON k{nth} DELETE")));
            }
            command
        },
    );
    all.worst(
        "SET if an expression over the document is true",
        || vec![set("k", list("1", million / 10))],
        || {
            let mut command = set("k", list("1", million));
            command.extend(["IF".into(), "self.all(x, x == 1)".into()]);
            command
        },
    );
    all.worst(
        "LOCKS of many holders",
        || {
            let mut all = vec![set("k", "1".into())];
            all.extend((0..240_000 / scale).map(|nth| {
                words(&format!("MODEL.LOCK k n{} o{nth} SHARED LEASE 600000", nth / 10_000))
            }));
            all
        },
        || words("MODEL.LOCKS k"),
    );
    all.worst("SET of 500,000 names", Vec::new, || set("k", members(million / 2, "1")));
    all.worst("SET of a document of the largest size", Vec::new, || {
        set("k", list("\"x\"", 15 * million))
    });
    all.worst("SET of a million objects", Vec::new, || {
        set("k", list(r#"{"sku":"a-12345","n":1.25,"tags":["x"]}"#, million))
    });
    all.worst(
        "DEL of a document of the largest size",
        || vec![set("k", list("null", 7 * million))],
        || words("DEL k"),
    );
    all.worst(
        "DEL of a million objects",
        || vec![set("k", list(r#"{"sku":"a-12345","n":1.25,"tags":["x"]}"#, million))],
        || words("DEL k"),
    );
    all.worst(
        "DEL of 500,000 names",
        || vec![set("k", members(million / 2, "1"))],
        || words("DEL k"),
    );
    all.worst(
        "GET of a million objects",
        || vec![set("k", list(r#"{"sku":"a-12345","n":1.25,"tags":["x"]}"#, million))],
        || words("MODEL.GET k"),
    );
    all.worst(
        "EVAL of a document as a reply",
        || vec![set("k", list(r#"{"sku":"a","n":1.25}"#, million))],
        || words("MODEL.EVAL k self"),
    );
}
