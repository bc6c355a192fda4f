//! Queries, filters and patterns.

use super::*;

pub(super) fn add(all: &mut List<'_>) {
    let scale = all.scale;
    let million = 1_000_000 / scale;
    let heavy = r"$[?search(@,'\\p{L}{57}')]";
    let text = format!("[\"{}\"]", "xy".repeat(500_000 / scale));
    let deep = list(&nested(100), million / 200);
    all.worst(
        "GET with patterns to compile",
        || vec![set("k", r#"["abcde"]"#.into())],
        || read(heavy, MANY),
    );
    all.worst(
        "GET with different patterns",
        || vec![set("k", r#"["abcde"]"#.into())],
        || {
            let mut command = words("MODEL.GET k");
            command.extend(
                (0..MANY).map(|nth| format!("$[?match(@,'[a-z]{{{}}}[^b]*{nth}')]", nth % 50 + 1)),
            );
            command
        },
    );
    all.worst(
        "GET with patterns found in the document",
        || {
            vec![set("k", {
                let patterns: Vec<String> = (0..MANY)
                    .map(|nth| format!(r#"{{"t":"x","p":"\\p{{L}}{{20}}{nth}"}}"#))
                    .collect();
                format!("[{}]", patterns.join(","))
            })]
        },
        || read("$[?search(@.t,@.p)]", 10),
    );
    all.worst(
        "GET with a pattern over a long text",
        || vec![set("k", text.clone())],
        || read(r"$[?search(@,'(x|y){30}[xy]{20}z')]", MANY),
    );
    all.worst(
        "GET with a heavy pattern over a long text",
        || vec![set("k", text)],
        || read(heavy, MANY),
    );
    all.worst("GET of everything below", || vec![set("k", deep.clone())], || read("$..*", MANY));
    all.worst(
        "GET of everything below everything",
        || vec![set("k", deep)],
        || read("$..*..*", MANY),
    );
    all.worst(
        "GET with filters in filters",
        || vec![set("k", list("[1,2,3]", million / 4))],
        || read("$[?@[?@ == 4]]", MANY),
    );
    all.worst(
        "GET that compares with all",
        || vec![set("k", list("1", million / 10))],
        || read("$[?count($[*]) == 1]", MANY),
    );
    all.worst(
        "GET of a slice",
        || vec![set("k", list("1", million))],
        || read("$[0:1000000:3]", MANY),
    );
    all.worst(
        "GET of an element at the end",
        || vec![set("k", list(&list("1", 500), million / 1000))],
        || read("$[*][499]", MANY),
    );
    all.worst(
        "GET in many ways of one order",
        || vec![set("k", list(r#"{"a":1,"b":2}"#, million / 10))],
        || read("$[*]['b','a','b','a']", MANY),
    );
    all.worst(
        "MGET of many paths",
        || (0..64).map(|nth| set(&format!("k{nth}"), list("1", million / 100))).collect(),
        || {
            let mut command = words("MODEL.MGET 64");
            command.extend((0..64).map(|nth| format!("k{nth}")));
            command.extend(std::iter::repeat_n("$[*]".to_owned(), MANY));
            command
        },
    );
    let bound = |path: &str, count: usize, args: &str| {
        let mut command = words("MODEL.FIELDOP k ARGS");
        command.push(args.into());
        (0..count).for_each(|_| command.extend(["GET".into(), path.to_owned()]));
        command
    };
    all.worst(
        "GET with a bound value in a filter",
        || vec![set("k", list("1", million / 10))],
        || bound("$[?@ == args.v]", MANY, r#"{"v":2}"#),
    );
    all.worst(
        "GET with a large bound value in a filter",
        || vec![set("k", list(&list("1", 1000), 900 / scale.min(10)))],
        || bound("$[?@ == args.v]", MANY, &format!(r#"{{"v":{}}}"#, list("1", 1001))),
    );
    all.worst(
        "GET with a bound pattern",
        || vec![set("k", list("\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"", million / 10))],
        || bound("$[?search(@, args.p)]", MANY, r#"{"p":"(x|y){20}z"}"#),
    );
    all.worst(
        "GET with many names of one large object",
        || vec![set("k", format!("[{}]", members(million / 10, "1")))],
        || {
            let names: Vec<String> = (0..300).map(|nth| format!("'m{}'", nth * 17)).collect();
            read(&format!("$[*][{}]", names.join(",")), MANY)
        },
    );
}
