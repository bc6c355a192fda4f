//! Operators that change many places, or large ones.

use super::*;

pub(super) fn add(all: &mut List<'_>) {
    let scale = all.scale;
    let million = 1_000_000 / scale;
    let numbers = || set("k", list("1", million));
    let two = |a: &str, b: &str| {
        set("k", format!(r#"{{"a":{},"b":{}}}"#, list(a, million), list(b, million)))
    };
    let objects = |json: &str, count: usize| set("k", list(json, count));
    // Just below what is held in one piece of memory: any change unpacks it.
    let full = format!(r#"{{"s":"{}"}}"#, "x".repeat(1000));
    let copies = list(r#"{"op":"copy","from":"/a","path":"/b"}"#, 1000);
    let tests = list(&format!(r#"{{"op":"test","path":"/a","value":{}}}"#, list("1", 1000)), 1000);
    let moves = list(r#"{"op":"move","from":"/0","path":"/500000"}"#, 1000);
    let shuffled = |count: usize| {
        let mut state = 1_u64;
        let numbers: Vec<String> = (0..count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 40).to_string()
            })
            .collect();
        set("k", format!("[{}]", numbers.join(",")))
    };
    let alike = |count: usize, len: usize| {
        let texts: Vec<String> =
            (0..count).map(|nth| format!("\"{}{:06}\"", "x".repeat(len), count - nth)).collect();
        set("k", format!("[{}]", texts.join(",")))
    };
    let long = format!("[\"{}\"]", "x".repeat(1005));
    all.worst(
        "SWAP of arrays of a million",
        || vec![two("1", "2")],
        || repeated(&["SWAP", "$.a", "$.b"], MANY),
    );
    all.worst(
        "SWAP of equal arrays of a million",
        || vec![two("1", "1")],
        || repeated(&["SWAP", "$.a", "$.b"], MANY),
    );
    all.worst(
        "COPY of an array of a million",
        || vec![two("1", "2")],
        || repeated(&["COPY", "$.a", "$.b"], MANY),
    );
    all.worst(
        "MOVE there and back",
        || vec![two("1", "2")],
        || {
            let mut command = words("MODEL.FIELDOP k");
            (0..MANY / 2).for_each(|_| command.extend(words("MOVE $.a $.c MOVE $.c $.a")));
            command
        },
    );
    all.worst(
        "INCR of every element",
        || vec![numbers()],
        || repeated(&["INCR", "$[*]", "1"], MANY),
    );
    // As many as one piece of memory holds: each has others in front of it.
    all.worst(
        "INCR of every element of a packed array",
        || vec![objects("5", 1000)],
        || repeated(&["INCR", "$[*]", "1"], MANY),
    );
    all.worst(
        "INCR of every element of a large array",
        || vec![objects("5", 100_000 / scale)],
        || repeated(&["INCR", "$[*]", "1"], MANY),
    );
    all.worst(
        "INCR of every member of a packed object",
        || vec![set("k", members(200, "5"))],
        || repeated(&["INCR", "$.*", "1"], MANY),
    );
    all.worst(
        "INCR of every member of a large object",
        || vec![set("k", members(50_000 / scale, "5"))],
        || repeated(&["INCR", "$.*", "1"], MANY),
    );
    all.worst(
        "INCR in every element",
        || vec![objects(r#"{"n":5}"#, 100_000 / scale)],
        || repeated(&["INCR", "$[*].n", "1"], MANY),
    );
    all.worst(
        "INCR of every element of every element",
        || vec![objects("[5,5,5,5,5,5,5,5]", 10_000 / scale)],
        || repeated(&["INCR", "$[*][*]", "1"], MANY),
    );
    all.worst(
        "SET of every element to another length",
        || vec![objects("5", 100_000 / scale)],
        || {
            let mut command = words("MODEL.FIELDOP k");
            (0..MANY / 2).for_each(|_| command.extend(words(r#"SET $[*] 70000 SET $[*] "a""#)));
            command
        },
    );
    all.worst(
        "APPEND to every element",
        || vec![objects("[]", 100_000 / scale)],
        || repeated(&["APPEND", "$[*]", "[1]"], MANY),
    );
    all.worst(
        "STRAPPEND to every element",
        || vec![objects(r#""a""#, 100_000 / scale)],
        || repeated(&["STRAPPEND", "$[*]", r#""b""#], MANY),
    );
    all.worst(
        "TOGGLE of every element",
        || vec![objects("true", 100_000 / scale)],
        || repeated(&["TOGGLE", "$[*]"], MANY),
    );
    all.worst(
        "SET of every element to a large value",
        || vec![objects("1", 60_000 / scale)],
        || vec!["MODEL.FIELDOP".into(), "k".into(), "SET".into(), "$[*]".into(), list("1", 1000)],
    );
    all.worst(
        "SET of every element to what it is",
        || vec![objects(&list("1", 1000), 5000 / scale)],
        || repeated(&["SET", "$[*]", &list("1", 1000)], 20),
    );
    all.worst(
        "SET that unpacks every element",
        || vec![objects(&full, 50_000 / scale)],
        || repeated(&["SET", "$[*].t", "123456789"], 4),
    );
    all.worst(
        "UPDATE that unpacks every element",
        || vec![objects(&full, 50_000 / scale)],
        || repeated(&["UPDATE", "$[*]", r#"{"t":123456789,"u":[]}"#], 4),
    );
    all.worst(
        "UPDATE that changes nothing",
        || vec![objects(r#"{"m1":1}"#, million / 4)],
        || repeated(&["UPDATE", "$[*]", r#"{"m1":1}"#], MANY),
    );
    all.worst(
        "MERGE that removes nothing",
        || vec![objects("{}", million / 10)],
        || repeated(&["MERGE", "$[*]", &members(1000, "null")], 4),
    );
    all.worst(
        "MERGE of a large value",
        || vec![set("k", "{}".into())],
        || repeated(&["MERGE", "$", &members(2_000_000 / scale, "1")], 8),
    );
    all.worst(
        "PATCH with 1,000 copies",
        || vec![two("1", "2")],
        || repeated(&["PATCH", "$", &copies], 100),
    );
    all.worst(
        "PATCH with 1,000 tests",
        || vec![objects(&format!(r#"{{"a":{}}}"#, list("1", 1000)), 100)],
        || repeated(&["PATCH", "$[*]", &tests], 10),
    );
    all.worst(
        "PATCH that moves into the middle",
        || vec![numbers()],
        || repeated(&["PATCH", "$", &moves.replace("500000", &(million / 2).to_string())], 10),
    );
    all.worst(
        "INSERT in the middle",
        || vec![numbers()],
        || repeated(&["INSERT", "$", &(million / 2).to_string(), "[1]"], MANY),
    );
    all.worst(
        "POP from the middle",
        || vec![numbers()],
        || repeated(&["POP", "$", &(million / 2).to_string()], MANY),
    );
    all.worst(
        "TRIM and APPEND",
        || vec![numbers()],
        || {
            let append = list("1", million / 10);
            let mut command = words("MODEL.FIELDOP k");
            (0..100).for_each(|_| {
                command.extend(words("TRIM $ 0 9 APPEND $"));
                command.push(append.clone());
            });
            command
        },
    );
    all.worst("DEL of every element", || vec![numbers()], || repeated(&["DEL", "$[?@ == 1]"], 4));
    all.worst(
        "DEL of every member",
        || vec![set("k", members(300_000 / scale, "1"))],
        || repeated(&["DEL", "$.*"], 1),
    );
    all.worst(
        "POPITEM again and again",
        || vec![set("k", members(300_000 / scale, "1"))],
        || repeated(&["POPITEM", "$"], MANY),
    );
    all.worst(
        "CLEAR of many containers",
        || vec![objects("[1,2,3]", million)],
        || repeated(&["CLEAR", "$[*]"], 1),
    );
    all.worst(
        "SORT up and down",
        || vec![shuffled(million)],
        || {
            let mut command = words("MODEL.FIELDOP k");
            (0..MANY / 2).for_each(|_| command.extend(words("SORT $ ASC @ SORT $ DESC @")));
            command
        },
    );
    all.worst(
        "SORT of texts that begin alike",
        || vec![alike(50_000 / scale, 1000)],
        || repeated(&["SORT", "$", "ASC", "@"], MANY),
    );
    all.worst(
        "SORT by what is deep inside",
        || vec![objects(&nested(100), 100_000 / scale)],
        || repeated(&["SORT", "$", "ASC", &format!("@{}", "[0]".repeat(100))], MANY),
    );
    all.worst(
        "ADDUNIQ of texts that begin alike",
        || vec![alike(50_000 / scale, 1000)],
        || repeated(&["ADDUNIQ", "$", &list(&format!("\"{}\"", "x".repeat(1006)), 1)], MANY),
    );
    all.worst(
        "ADDUNIQ of many",
        || vec![alike(50_000 / scale, 1000)],
        || repeated(&["ADDUNIQ", "$", "[1,2,3,4,5,6,7,8,9]"], MANY),
    );
    all.worst(
        "PULL of a text like all",
        || vec![alike(50_000 / scale, 1000)],
        || repeated(&["PULL", "$", "0", &long[1..long.len() - 1]], MANY),
    );
    all.worst(
        "PULLALL of many",
        || vec![numbers()],
        || repeated(&["PULLALL", "$", "[-1,-2,-3,-4,-5,-6,-7,-8,-9]"], MANY),
    );
    all.worst("PULL of nothing", || vec![numbers()], || repeated(&["PULL", "$", "0", "2"], MANY));
    all.worst(
        "TXN over 1,024 keys",
        || (0..MANY).map(|nth| set(&format!("k{nth}"), r#"{"n":1}"#.into())).collect(),
        || transaction(MANY, &["INCR", "$.n", "1"]),
    );
    all.worst(
        "EVAL of slices of docs",
        || (0..8).map(|nth| set(&format!("k{nth}"), list("1", million / 2))).collect(),
        || transaction(8, &["EVAL", "$", "docs['k7'].slice(0, size(docs['k7']))"]),
    );
    all.worst(
        "PULLALL of many of many",
        || vec![set("k", ascending(million))],
        || {
            let numbers: Vec<String> = (0..million / 10).map(|n| format!("-{}", n + 1)).collect();
            repeated(&["PULLALL", "$", &format!("[{}]", numbers.join(","))], 20)
        },
    );
    all.worst(
        "ADDUNIQ of many to many",
        || vec![set("k", ascending(million / 2))],
        || {
            let numbers: Vec<String> = (0..million / 10).map(|n| format!("-{}", n + 1)).collect();
            repeated(&["ADDUNIQ", "$", &format!("[{}]", numbers.join(","))], 20)
        },
    );
    all.worst(
        "SORT by a member",
        || {
            let lines: Vec<String> = (0..million / 4)
                .map(|n| format!(r#"{{"a":"x","b":{{"n":{}}}}}"#, n * 7919 % 10007))
                .collect();
            vec![set("k", format!("[{}]", lines.join(",")))]
        },
        || repeated(&["SORT", "$", "DESC", "@.b.n"], MANY),
    );
}
