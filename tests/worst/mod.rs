//! The worst commands: short requests that ask for as much work as they can. The core's tests count their
//! steps, the server's tests send them, and the benchmark measures how long each holds the server.

/// A command, and what it finds.
pub struct Worst {
    pub name: &'static str,
    /// Commands run before it.
    pub setup: Vec<Vec<String>>,
    pub command: Vec<String>,
}

/// The number of statements and of paths one command may have.
const MANY: usize = 1024;

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn list(item: &str, count: usize) -> String {
    format!("[{}]", vec![item; count].join(","))
}

fn set(key: &str, json: String) -> Vec<String> {
    vec!["MODEL.SET".into(), key.into(), "any".into(), json]
}

fn define(name: &str, schema: &str, rules: &[&str]) -> Vec<String> {
    let mut command = words(&format!("MODEL.DEFINE {name}"));
    command.push(schema.into());
    for (nth, rule) in rules.iter().enumerate() {
        command.extend(["RULE".into(), format!("r{nth}"), (*rule).into()]);
    }
    command
}

/// `MODEL.FIELDOP` with one statement many times.
fn repeated(statement: &[&str], count: usize) -> Vec<String> {
    let mut command = words("MODEL.FIELDOP k");
    (0..count).for_each(|_| command.extend(statement.iter().map(|word| (*word).into())));
    command
}

/// `MODEL.GET` with one path many times.
fn read(path: &str, count: usize) -> Vec<String> {
    let mut command = words("MODEL.GET k");
    command.extend(std::iter::repeat_n(path.to_owned(), count));
    command
}

/// `MODEL.TXN` with one statement for each of many keys.
fn transaction(keys: usize, statement: &[&str]) -> Vec<String> {
    let mut command = words(&format!("MODEL.TXN {keys}"));
    command.extend((0..keys).map(|nth| format!("k{nth}")));
    for nth in 0..keys {
        command.extend(["ON".into(), format!("k{nth}")]);
        command.extend(statement.iter().map(|word| (*word).into()));
    }
    command
}

/// An array inside an array, so many levels deep, with one number at the bottom.
fn nested(depth: usize) -> String {
    "[".repeat(depth) + "1" + &"]".repeat(depth)
}

/// All of them. Sizes are those that default limits allow, divided by `scale`.
pub fn all(scale: usize) -> Vec<Worst> {
    [changes(scale), texts(scale), queries(scale), expressions(scale), models(scale)]
        .into_iter()
        .flatten()
        .collect()
}

fn worst(name: &'static str, setup: Vec<Vec<String>>, command: Vec<String>) -> Worst {
    Worst { name, setup, command }
}

fn changes(scale: usize) -> Vec<Worst> {
    let million = 1_000_000 / scale;
    let numbers = || set("k", list("1", million));
    let two = |a: &str, b: &str| {
        set("k", format!(r#"{{"a":{},"b":{}}}"#, list(a, million), list(b, million)))
    };
    let objects = |json: &str, count: usize| set("k", list(json, count));
    // Just below what is held in one piece of memory: any change unpacks it.
    let full = format!(r#"{{"s":"{}"}}"#, "x".repeat(1000));
    let members = |count: usize, value: &str| {
        let members: Vec<String> = (0..count).map(|nth| format!("\"m{nth}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
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
    vec![
        worst(
            "SWAP of arrays of a million",
            vec![two("1", "2")],
            repeated(&["SWAP", "$.a", "$.b"], MANY),
        ),
        worst(
            "SWAP of equal arrays of a million",
            vec![two("1", "1")],
            repeated(&["SWAP", "$.a", "$.b"], MANY),
        ),
        worst(
            "COPY of an array of a million",
            vec![two("1", "2")],
            repeated(&["COPY", "$.a", "$.b"], MANY),
        ),
        worst("MOVE there and back", vec![two("1", "2")], {
            let mut command = words("MODEL.FIELDOP k");
            (0..MANY / 2).for_each(|_| command.extend(words("MOVE $.a $.c MOVE $.c $.a")));
            command
        }),
        worst("INCR of every element", vec![numbers()], repeated(&["INCR", "$[*]", "1"], MANY)),
        worst(
            "SET of every element to a large value",
            vec![objects("1", 60_000 / scale)],
            vec!["MODEL.FIELDOP".into(), "k".into(), "SET".into(), "$[*]".into(), list("1", 1000)],
        ),
        worst(
            "SET of every element to what it is",
            vec![objects(&list("1", 1000), 5000 / scale)],
            repeated(&["SET", "$[*]", &list("1", 1000)], 20),
        ),
        worst(
            "SET that unpacks every element",
            vec![objects(&full, 50_000 / scale)],
            repeated(&["SET", "$[*].t", "123456789"], 4),
        ),
        worst(
            "UPDATE that unpacks every element",
            vec![objects(&full, 50_000 / scale)],
            repeated(&["UPDATE", "$[*]", r#"{"t":123456789,"u":[]}"#], 4),
        ),
        worst(
            "UPDATE that changes nothing",
            vec![objects(r#"{"m1":1}"#, million / 4)],
            repeated(&["UPDATE", "$[*]", r#"{"m1":1}"#], MANY),
        ),
        worst(
            "MERGE that removes nothing",
            vec![objects("{}", million / 10)],
            repeated(&["MERGE", "$[*]", &members(1000, "null")], 4),
        ),
        worst(
            "MERGE of a large value",
            vec![set("k", "{}".into())],
            repeated(&["MERGE", "$", &members(2_000_000 / scale, "1")], 8),
        ),
        worst(
            "PATCH with 1,000 copies",
            vec![two("1", "2")],
            repeated(&["PATCH", "$", &copies], 100),
        ),
        worst(
            "PATCH with 1,000 tests",
            vec![objects(&format!(r#"{{"a":{}}}"#, list("1", 1000)), 100)],
            repeated(&["PATCH", "$[*]", &tests], 10),
        ),
        worst(
            "PATCH that moves into the middle",
            vec![numbers()],
            repeated(&["PATCH", "$", &moves.replace("500000", &(million / 2).to_string())], 10),
        ),
        worst(
            "INSERT in the middle",
            vec![numbers()],
            repeated(&["INSERT", "$", &(million / 2).to_string(), "[1]"], MANY),
        ),
        worst(
            "POP from the middle",
            vec![numbers()],
            repeated(&["POP", "$", &(million / 2).to_string()], MANY),
        ),
        worst("TRIM and APPEND", vec![numbers()], {
            let append = list("1", million / 10);
            let mut command = words("MODEL.FIELDOP k");
            (0..100).for_each(|_| {
                command.extend(words("TRIM $ 0 9 APPEND $"));
                command.push(append.clone());
            });
            command
        }),
        worst("DEL of every element", vec![numbers()], repeated(&["DEL", "$[?@ == 1]"], 4)),
        worst(
            "DEL of every member",
            vec![set("k", members(300_000 / scale, "1"))],
            repeated(&["DEL", "$.*"], 1),
        ),
        worst(
            "POPITEM again and again",
            vec![set("k", members(300_000 / scale, "1"))],
            repeated(&["POPITEM", "$"], MANY),
        ),
        worst(
            "CLEAR of many containers",
            vec![objects("[1,2,3]", million)],
            repeated(&["CLEAR", "$[*]"], 1),
        ),
        worst("SORT up and down", vec![shuffled(million)], {
            let mut command = words("MODEL.FIELDOP k");
            (0..MANY / 2).for_each(|_| command.extend(words("SORT $ ASC @ SORT $ DESC @")));
            command
        }),
        worst(
            "SORT of texts that begin alike",
            vec![alike(50_000 / scale, 1000)],
            repeated(&["SORT", "$", "ASC", "@"], MANY),
        ),
        worst(
            "SORT by what is deep inside",
            vec![objects(&nested(100), 200_000 / scale)],
            repeated(&["SORT", "$", "ASC", &format!("@{}", "[0]".repeat(100))], MANY),
        ),
        worst(
            "ADDUNIQ of texts that begin alike",
            vec![alike(50_000 / scale, 1000)],
            repeated(&["ADDUNIQ", "$", &list(&format!("\"{}\"", "x".repeat(1006)), 1)], MANY),
        ),
        worst(
            "ADDUNIQ of many",
            vec![alike(50_000 / scale, 1000)],
            repeated(&["ADDUNIQ", "$", "[1,2,3,4,5,6,7,8,9]"], MANY),
        ),
        worst(
            "PULL of a text like all",
            vec![alike(50_000 / scale, 1000)],
            repeated(&["PULL", "$", "0", &long[1..long.len() - 1]], MANY),
        ),
        worst(
            "PULLALL of many",
            vec![numbers()],
            repeated(&["PULLALL", "$", "[-1,-2,-3,-4,-5,-6,-7,-8,-9]"], MANY),
        ),
        worst("PULL of nothing", vec![numbers()], repeated(&["PULL", "$", "0", "2"], MANY)),
        worst(
            "TXN over 1,024 keys",
            (0..MANY).map(|nth| set(&format!("k{nth}"), r#"{"n":1}"#.into())).collect(),
            transaction(MANY, &["INCR", "$.n", "1"]),
        ),
        worst(
            "EVAL of slices of docs",
            (0..8).map(|nth| set(&format!("k{nth}"), list("1", million / 2))).collect(),
            transaction(8, &["EVAL", "$", "docs['k7'].slice(0, size(docs['k7']))"]),
        ),
    ]
}

fn texts(scale: usize) -> Vec<Worst> {
    let mib = (1 << 20) / scale;
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
    let wide = |bytes: usize| format!("\"{}\"", "é".repeat(bytes / 2));
    vec![
        worst(
            "LEN of a text of 60 MB",
            vec![set("k", text(60 * mib))],
            repeated(&["LEN", "$"], MANY),
        ),
        worst(
            "LEN of a text beyond ASCII",
            vec![set("k", wide(60 * mib))],
            repeated(&["LEN", "$"], MANY),
        ),
        worst(
            "LEN of texts of 1 MB",
            vec![set("k", list(&text(mib), 60))],
            repeated(&["LEN", "$[*]"], MANY),
        ),
        worst(
            "SWAP of equal texts",
            vec![set("k", list(&text(30 * mib), 2))],
            repeated(&["SWAP", "$[0]", "$[1]"], MANY),
        ),
        worst(
            "STRAPPEND to a long text",
            vec![set("k", wide(30 * mib))],
            repeated(&["STRAPPEND", "$", "\"\""], MANY),
        ),
        worst("STRREPEAT there and back", vec![set("k", text(mib))], {
            let mut command = words("MODEL.FIELDOP k");
            (0..MANY / 2).for_each(|_| command.extend(words("STRREPEAT $ 30 STRREPEAT $ 0")));
            command
        }),
        worst(
            "BYTESAPPEND to a long text",
            vec![set("k", format!("\"{}\"", "AAAA".repeat(10 * mib / 4)))],
            repeated(&["BYTESAPPEND", "$", ""], MANY),
        ),
        worst(
            "TIMEADD to a long text",
            vec![set("k", text(30 * mib))],
            repeated(&["TIMEADD", "$", "1s"], MANY),
        ),
        worst(
            "IF of equal texts",
            vec![set("k", format!(r#"{{"a":{0},"b":{0}}}"#, text(30 * mib)))],
            repeated(&["IF", "self.a == self.b"], MANY),
        ),
        worst(
            "IF of a text searched",
            vec![set("k", format!(r#"{{"a":{}}}"#, text(30 * mib)))],
            repeated(&["IF", "!self.a.contains('xxxxxxxxxxxxxxxxxxxxxy')"], MANY),
        ),
        worst("GET of a text", vec![set("k", text(mib))], read("$", MANY)),
        worst("GET of numbers", vec![set("k", list("1", 100_000 / scale))], read("$", MANY)),
        worst(
            "GET of doubles",
            vec![set("k", list("0.12345678901234567", 100_000 / scale))],
            read("$", MANY),
        ),
        worst(
            "GET of empty containers",
            vec![set("k", list("[]", 100_000 / scale))],
            read("$", MANY),
        ),
        worst(
            "MERGE that replies a document",
            vec![set("k", format!(r#"{{"a":{}}}"#, list("1", 1_000_000 / scale)))],
            repeated(&["MERGE", "$", "{}"], MANY),
        ),
    ]
}

fn queries(scale: usize) -> Vec<Worst> {
    let million = 1_000_000 / scale;
    let heavy = r"$[?search(@,'\\p{L}{57}')]";
    let text = format!("[\"{}\"]", "xy".repeat(500_000 / scale));
    let deep = list(&nested(100), million / 200);
    vec![
        worst(
            "GET with patterns to compile",
            vec![set("k", r#"["abcde"]"#.into())],
            read(heavy, MANY),
        ),
        worst("GET with different patterns", vec![set("k", r#"["abcde"]"#.into())], {
            let mut command = words("MODEL.GET k");
            command.extend(
                (0..MANY).map(|nth| format!("$[?match(@,'[a-z]{{{}}}[^b]*{nth}')]", nth % 50 + 1)),
            );
            command
        }),
        worst(
            "GET with patterns found in the document",
            vec![set("k", {
                let patterns: Vec<String> = (0..MANY)
                    .map(|nth| format!(r#"{{"t":"x","p":"\\p{{L}}{{20}}{nth}"}}"#))
                    .collect();
                format!("[{}]", patterns.join(","))
            })],
            read("$[?search(@.t,@.p)]", 10),
        ),
        worst(
            "GET with a pattern over a long text",
            vec![set("k", text.clone())],
            read(r"$[?search(@,'(x|y){30}[xy]{20}z')]", MANY),
        ),
        worst("GET with a heavy pattern over a long text", vec![set("k", text)], read(heavy, MANY)),
        worst("GET of everything below", vec![set("k", deep.clone())], read("$..*", MANY)),
        worst("GET of everything below everything", vec![set("k", deep)], read("$..*..*", MANY)),
        worst(
            "GET with filters in filters",
            vec![set("k", list("[1,2,3]", million / 4))],
            read("$[?@[?@ == 4]]", MANY),
        ),
        worst(
            "GET that compares with all",
            vec![set("k", list("1", million / 10))],
            read("$[?count($[*]) == 1]", MANY),
        ),
        worst("GET of a slice", vec![set("k", list("1", million))], read("$[0:1000000:3]", MANY)),
        worst(
            "GET of an element at the end",
            vec![set("k", list(&list("1", 500), million / 1000))],
            read("$[*][499]", MANY),
        ),
        worst(
            "GET in many ways of one order",
            vec![set("k", list(r#"{"a":1,"b":2}"#, million / 10))],
            read("$[*]['b','a','b','a']", MANY),
        ),
        worst(
            "MGET of many paths",
            (0..64).map(|nth| set(&format!("k{nth}"), list("1", million / 100))).collect(),
            {
                let mut command = words("MODEL.MGET 64");
                command.extend((0..64).map(|nth| format!("k{nth}")));
                command.extend(std::iter::repeat_n("$[*]".to_owned(), MANY));
                command
            },
        ),
    ]
}

fn expressions(scale: usize) -> Vec<Worst> {
    let million = 1_000_000 / scale;
    let whole = format!("self.all(x, x + {})", ["x"; 20].join(" * "));
    let numbers = || set("k", list("1", million / 10));
    let deep = || set("k", format!(r#"{{"a":{0},"b":{0}}}"#, list(&nested(100), million / 500)));
    vec![
        worst(
            "WHEN of some milliseconds",
            vec![numbers()],
            repeated(&["WHEN", "self.all(x, x * x - x + 1 == 1)", "LEN", "$"], MANY),
        ),
        worst(
            "WHEN near its own limit",
            vec![numbers()],
            repeated(&["WHEN", "!self.exists(x, self[0] + x * 2 - 1 != 2)", "LEN", "$"], MANY),
        ),
        worst("IF of deep equal values", vec![deep()], repeated(&["IF", "self.a == self.b"], MANY)),
        worst("IF of a value in a list", vec![numbers()], repeated(&["IF", "!(2 in self)"], MANY)),
        worst("IF that sorts", vec![numbers()], repeated(&["IF", "size(self.sort()) > 0"], MANY)),
        worst(
            "IF that tells apart",
            vec![numbers()],
            repeated(&["IF", "size(self.distinct()) == 1"], MANY),
        ),
        worst(
            "IF that makes lists",
            vec![numbers()],
            repeated(&["IF", "size(lists.range(100000).map(x, [x, x])) > 0"], MANY),
        ),
        worst(
            "IF that makes texts",
            vec![set("k", "\"x\"".into())],
            repeated(&["IF", "size(lists.range(10000).map(x, string(x)).join(', ')) > 0"], MANY),
        ),
        worst(
            "IF that formats",
            vec![set("k", "1".into())],
            repeated(
                &["IF", "size(lists.range(1000).map(x, '%s %d %f'.format([x, x, 1.5]))) > 0"],
                MANY,
            ),
        ),
        worst(
            "IF with a pattern over a long text",
            vec![set("k", format!("\"{}\"", "xy".repeat(5_000_000 / scale)))],
            repeated(&["IF", "!self.matches('(x|y){30}[xy]{20}z')"], MANY),
        ),
        worst(
            "IF with patterns to compile",
            vec![set("k", r#"["\\pL{3}a","\\pL{3}b"]"#.into())],
            repeated(&["IF", "!'abcde'.matches(self[0]) && !'abcde'.matches(self[1])"], MANY),
        ),
        worst("IF with a thousand different expressions", vec![set("k", "1".into())], {
            let mut command = words("MODEL.FIELDOP k");
            for nth in 0..MANY {
                command.push("IF".into());
                command.push(format!("size([{}]) == {nth} || true", vec!["self"; 700].join(",")));
            }
            command
        }),
        worst("IF with a thousand patterns in expressions", vec![set("k", "\"abcde\"".into())], {
            let mut command = words("MODEL.FIELDOP k");
            for nth in 0..MANY {
                command.extend(["IF".into(), format!(r"!self.matches('\\pL{{3}}{nth}')")]);
            }
            command
        }),
        worst(
            "EVAL of every element",
            vec![numbers()],
            repeated(&["EVAL", "$[*]", "value + 1"], MANY),
        ),
        worst("EVAL of a whole document", vec![numbers()], repeated(&["EVAL", "$", "self"], MANY)),
        worst("IF that is false of much", vec![numbers()], repeated(&["IF", &whole], MANY)),
    ]
}

fn models(scale: usize) -> Vec<Worst> {
    let million = 1_000_000 / scale;
    let of_model = |key: String, json: String| vec!["MODEL.SET".into(), key, "m".into(), json];
    let twenty = |json: &str| {
        (0..20).map(|nth| of_model(format!("k{nth}"), json.to_owned())).collect::<Vec<_>>()
    };
    let rule = "self.a.all(x, x * x - x + 1 == 1)";
    let options: Vec<String> = (0..50_000 / scale).map(|nth| format!(r#"{{"n":{nth}}}"#)).collect();
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
    vec![
        worst(
            "TXN over 20 documents with 64 rules",
            then(
                vec![define("m", "{}", &[rule; 64])],
                twenty(&format!(r#"{{"a":{},"n":1}}"#, list("1", million / 200))),
            ),
            transaction(20, &["SET", "$.a[0]", "0"]),
        ),
        worst(
            "TXN after an enum of 50,000 objects",
            then(
                then(
                    vec![define("m", "{}", &[])],
                    twenty(&format!(r#"{{"e":{},"n":1}}"#, list(r#"{"n":1}"#, 200))),
                ),
                vec![define("m", &options, &[])],
            ),
            transaction(20, &["INCR", "$.n", "1"]),
        ),
        worst(
            "TXN after a definition anew",
            then(
                then(vec![define("m", "{}", &[])], twenty(&heavy_document)),
                vec![define(
                    "m",
                    r#"{"properties":{"a":{"items":{"anyOf":[{"type":"string"},{"minimum":0}]},"uniqueItems":false}}}"#,
                    &[],
                )],
            ),
            transaction(20, &["INCR", "$.n", "1"]),
        ),
        worst(
            "TXN with oldSelf of large parts",
            then(
                vec![define("m", "{}", &["size(self.a) >= size(oldSelf.a)"])],
                twenty(&heavy_document),
            ),
            transaction(20, &["INCR", "$.n", "1"]),
        ),
        worst(
            "TXN that changes what oldSelf names",
            then(
                vec![define("m", "{}", &["size(self.a) >= size(oldSelf.a)"])],
                twenty(&heavy_document),
            ),
            transaction(20, &["APPEND", "$.a", "[1]"]),
        ),
        worst(
            "APPEND under uniqueItems",
            listed(r#"{"uniqueItems":true}"#, {
                let numbers: Vec<String> = (0..million).map(|n| n.to_string()).collect();
                format!("[{}]", numbers.join(","))
            }),
            repeated(&["APPEND", "$", "[-1]"], 1),
        ),
        worst(
            "SET under patterns of long texts",
            listed(
                r#"{"properties":{"s":{"pattern":"(x|y){30}[xy]{20}z|y$","minLength":5}}}"#,
                long.clone(),
            ),
            repeated(&["SET", "$.s", &format!("\"{}\"", "xy".repeat(million / 4))], 8),
        ),
        worst(
            "INCR under a pattern of a long text",
            listed(
                r#"{"anyOf":[{"properties":{"s":{"pattern":"(x|y){30}[xy]{20}z"}}},{"properties":{"s":{"pattern":"y$"}}}]}"#,
                long,
            ),
            repeated(&["INCR", "$.n", "1"], MANY),
        ),
        worst(
            "APPEND under many alternatives",
            listed(
                r#"{"items":{"anyOf":[{"type":"string"},{"type":"object"},{"minimum":3},{"minimum":0}]}}"#,
                "[]".into(),
            ),
            vec![
                "MODEL.FIELDOP".into(),
                "k".into(),
                "APPEND".into(),
                "$".into(),
                list("1", million),
            ],
        ),
        worst(
            "DEFINE of a large schema",
            vec![],
            define("m", &format!(r#"{{"properties":{{{}}}}}"#, many.join(",")), &[]),
        ),
        worst("DEFINE of an enum of 50,000 objects", vec![], define("m", &options, &[])),
        worst(
            "DEFINE with patterns in rules",
            vec![],
            define(
                "m",
                "{}",
                &[r"!'abcde'.matches('\\pL{3}') || !'abcde'.matches('\\pL{3}x')"; 64],
            ),
        ),
    ]
}
