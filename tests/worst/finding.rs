//! Documents of models with indexes: writing them, and finding them.

use super::*;

/// The definition of the model `m` with one index.
fn indexed(index: &str) -> Vec<String> {
    let mut command = words("MODEL.DEFINE m {} INDEX");
    command.extend(words(index));
    command
}

/// A definition with sixteen indexes of the same parts.
fn sixteen(parts: &str, unique: bool) -> Vec<String> {
    let mut command = words("MODEL.DEFINE m {}");
    for nth in 0..16 {
        command.extend(words(&format!("INDEX i{nth} {parts}")));
        command.extend(unique.then(|| "UNIQUE".to_owned()));
    }
    command
}

fn put(key: &str, json: String) -> Vec<String> {
    vec!["MODEL.SET".into(), key.into(), "m".into(), json]
}

pub(super) fn add(all: &mut List<'_>) {
    let scale = all.scale;
    let million = 1_000_000 / scale;
    let documents = move |define: Vec<String>, count: usize, json: &dyn Fn(usize) -> String| {
        let mut all = vec![define];
        all.extend((0..count).map(|nth| put(&format!("k{nth}"), json(nth))));
        all
    };
    let find = |words_of: &str, condition: &str| {
        let mut command = words(words_of);
        command.extend(["WHERE".into(), condition.to_owned(), "SCAN".into()]);
        command
    };
    let small = move || {
        documents(indexed("n 1 $.n"), 20_000 / scale, &|nth| {
            format!(r#"{{"n":{nth},"a":{}}}"#, list("1", 100))
        })
    };
    let loops = "!self.a.exists(x, self.a.exists(y, x + y == 1))";
    all.worst("FIND by a condition of many steps", small, || find("MODEL.FIND m", loops));
    all.worst("COUNT by a condition of many steps", small, || find("MODEL.COUNT m", loops));
    all.worst("COUNT of all by what none fulfils", small, || {
        find("MODEL.COUNT m", "self.n < 0 - self.n - 1")
    });
    all.worst("FIND with many alternatives", small, || {
        let all: Vec<String> = (0..200).map(|nth| format!("self.n == {nth}")).collect();
        find("MODEL.FIND m", &all.join(" || "))
    });
    let begun = move || {
        // In another order than that of their entries.
        documents(indexed("s 1 $.s"), 150_000 / scale, &|nth| {
            format!(r#"{{"s":"{}{:06}"}}"#, "x".repeat(130), nth * 7919 % 150_000)
        })
    };
    all.worst("COUNT of long texts by their beginning", begun, || {
        find("MODEL.COUNT m", "self.s.startsWith('x')")
    });
    all.worst(
        "FIND of large documents",
        move || {
            documents(indexed("n 1 $.n"), 100 / scale.min(10), &|nth| {
                format!(r#"{{"n":{nth},"a":{}}}"#, list("1.5", million / 4))
            })
        },
        || words("MODEL.FIND m LIMIT 10000"),
    );
    all.worst("FIND with many paths", small, || {
        let mut command = words("MODEL.FIND m LIMIT 10000 GET");
        command.extend(std::iter::repeat_n("$.a[*]".to_owned(), MANY));
        command
    });
    let tags = |start: usize| {
        let tags: Vec<String> = (0..1000).map(|nth| format!("\"t{}\"", start + nth)).collect();
        format!(r#"{{"t":[{}],"n":1}}"#, tags.join(","))
    };
    all.worst(
        "SET of a thousand values in sixteen indexes",
        || vec![sixteen("2 $.t[*] $.n", false)],
        move || put("k", tags(0)),
    );
    all.worst(
        "TXN of a thousand values in sixteen unique indexes of many documents",
        move || documents(sixteen("1 $.t[*]", true), 20, &|nth| tags(nth * 1000)),
        || transaction(20, &["EVAL", "$.t[*]", "value + 'x'"]),
    );
    all.worst(
        "TXN that moves a thousand values between documents",
        move || documents(indexed("t 1 $.t[*] UNIQUE"), 100, &|nth| tags(nth * 1000)),
        || transaction(100, &["EVAL", "$.t[*]", "value + 'x'"]),
    );
    all.worst(
        "TXN that exchanges a thousand values in sixteen unique indexes",
        move || documents(sixteen("1 $.t[*]", true), 2, &|nth| tags(nth * 1000)),
        || {
            let mut command = words("MODEL.TXN 2 k0 k1");
            for (key, values) in [("k0", tags(1000)), ("k1", tags(0))] {
                command.extend(["ON", key, "SET", "$"].map(str::to_owned));
                command.push(values);
            }
            command
        },
    );
    let one = |nth: usize| format!(r#"{{"t":["t{nth}"]}}"#);
    all.worst(
        "TXN that passes values on among a thousand documents in sixteen unique indexes",
        move || documents(sixteen("1 $.t[*]", true), MANY, &one),
        move || {
            let mut command = words(&format!("MODEL.TXN {MANY}"));
            command.extend((0..MANY).map(|nth| format!("k{nth}")));
            for nth in 0..MANY {
                command.extend(words(&format!("ON k{nth} SET $ {}", one((nth + 1) % MANY))));
            }
            command
        },
    );
    all.worst(
        "SET of too many values for an index",
        || vec![sixteen("1 $.t[*]", false)],
        move || put("k", format!(r#"{{"t":{}}}"#, list("1", 20 * million))),
    );
    all.worst(
        "SET of a thousand values beside a long text, unique together",
        || vec![sixteen("2 $.t[*] $.s", true)],
        move || {
            let tags: Vec<String> = (0..1000).map(|nth| nth.to_string()).collect();
            put("k", format!(r#"{{"t":[{}],"s":"{}"}}"#, tags.join(","), "x".repeat(30 * million)))
        },
    );
    all.worst(
        "SET under indexes of long expressions",
        || {
            let part = "self.a.map(x,self.a.map(y,x+y).sum()).sum()";
            vec![sixteen(&format!("8{}", format!(" {part}").repeat(8)), false)]
        },
        || put("k", format!(r#"{{"a":{}}}"#, list("1", 300))),
    );
    all.worst(
        "DEFINE with sixteen indexes of documents that exist",
        move || documents(define("m", "{}", &[]), 2000 / scale, &|nth| tags(nth)),
        || sixteen("1 $.t[*]", false),
    );
    all.worst(
        "TXN that deletes documents with thousands of entries",
        move || documents(sixteen("1 $.t[*]", false), 100 / scale.min(10), &|nth| tags(nth)),
        move || transaction(100 / scale.min(10), &["DELETE"]),
    );
    all.worst(
        "FINDOP that deletes documents with thousands of entries",
        move || documents(sixteen("1 $.t[*]", false), 100 / scale.min(10), &|nth| tags(nth)),
        || words("MODEL.FINDOP 0 m LIMIT 1000 SCAN DO DELETE"),
    );
    all.worst(
        "DEL of a document with thousands of entries",
        move || documents(sixteen("1 $.t[*]", false), 1, &|nth| tags(nth)),
        || words("DEL k0"),
    );
    all.worst(
        "FLUSHDB of a million entries",
        move || documents(indexed("t 1 $.t[*]"), 1000 / scale, &|nth| tags(nth)),
        || words("FLUSHDB"),
    );
    let heavy = move || {
        let part = "self.a.map(x,self.a.map(y,x+y).sum()).sum()";
        let index = sixteen(&format!("8{}", format!(" {part}").repeat(8)), false);
        documents(index, 20 / scale.min(4), &|_| format!(r#"{{"a":{}}}"#, list("1", 50)))
    };
    all.worst("CHECK of documents under long expressions", heavy, || words("MODEL.CHECK m"));
    let eight = "8 $.a $.b $.c $.d $.e $.f $.g $.h";
    let parts = move || {
        documents(sixteen(eight, false), 2000 / scale, &|nth| {
            let member = |name: char| format!(r#""{name}":{}"#, nth % 25);
            format!("{{{}}}", ('a'..='h').map(member).collect::<Vec<_>>().join(","))
        })
    };
    let values = |count: usize| (0..count).map(|nth| nth.to_string()).collect::<Vec<_>>().join(",");
    all.worst("COUNT by combinations of the values of eight parts", parts, move || {
        let part = |name: char| format!("self.{name} in [{}]", values(31));
        find("MODEL.COUNT m", &('a'..='h').map(part).collect::<Vec<_>>().join(" && "))
    });
    all.worst("COUNT by long lists of values", parts, move || {
        let mut command = words("MODEL.COUNT m ARGS");
        command.push(format!(r#"{{"x":[{}]}}"#, values(million / 10)));
        let part = |name: char| format!("self.{name} in args.x");
        let condition = ('a'..='h').map(part).collect::<Vec<_>>().join(" && ");
        command.extend(["WHERE".into(), condition]);
        command
    });
    all.worst(
        "CHECK of documents with a thousand values",
        move || documents(sixteen("1 $.t[*]", false), 100 / scale.min(10), &|nth| tags(nth)),
        || words("MODEL.CHECK m"),
    );
    // The last index: the first values of all documents are behind all others of their records.
    all.worst(
        "CHECK of the entries of documents with thousands of them",
        move || documents(sixteen("1 $.t[*]", false), 100 / scale.min(10), &|_| tags(0)),
        || words("MODEL.CHECK m CURSOR QQAAAAAAAAAAAAAAAAAAAAA"),
    );
}
