//! Error texts: each names the argument that is wrong, and what would have been right.

use redis_model::error::Detail;
use redis_model::testing::MemoryHost;

/// A host with a document `d` and a lock on it that `ann` holds.
fn host() -> MemoryHost {
    let mut host = MemoryHost::default();
    let document = r#"{"name":"Ann","n":1,"l":[1,2]}"#;
    host.call(&["MODEL.SET", "d", "any", document]).unwrap();
    host.call(&["MODEL.LOCK", "d", "n", "ann"]).unwrap();
    host.settle();
    host
}

/// Each command is refused with a line that has all of these parts.
fn check_on(host: &mut MemoryHost, cases: &[(&[&str], &[&str])]) {
    for (command, parts) in cases {
        let error = host.call(command).expect_err(&format!("{command:?} is refused"));
        let line = error.line();
        for part in *parts {
            assert!(line.contains(part), "{command:?} lacks {part}: {line}");
        }
    }
}

fn check(cases: &[(&[&str], &[&str])]) {
    check_on(&mut host(), cases);
}

#[test]
fn limits_have_their_name_their_value_and_what_is_beyond_them() {
    let mut host = host();
    host.settings.work.query_nodes = 2;
    host.settings.expressions.steps = 5;
    host.settings.locks.lease_ms_min = 100;
    check_on(
        &mut host,
        &[
            (&["MODEL.GET", "d", "$..*"], &["model.query-nodes", r#""path":"$..*","key":"d""#]),
            (
                &["MODEL.GET", "d", "$.n", "$..*"],
                &["model.query-nodes", r#""path":"$..*","key":"d""#],
            ),
            (
                &["MODEL.MGET", "1", "d", "$..*"],
                &["model.query-nodes", r#""path":"$..*","key":"d""#],
            ),
            (
                &["MODEL.FIELDOP", "d", "IF", "self.l.all(x, x > 0 && x < 9)", "GET", "$"],
                &["EXPR", r#""limit":"model.expression-steps","value":5"#, r#""key":"d""#],
            ),
            (
                &["MODEL.LOCK", "d", "m", "bob", "LEASE", "86400001"],
                &[
                    "LIMIT",
                    r#""limit":"model.lock-lease-max","value":86400000,"argument":"86400001","key":"d""#,
                ],
            ),
            (
                &["MODEL.LOCK", "d", "m", "bob", "LEASE", "99"],
                &[
                    "LIMIT",
                    r#""limit":"model.lock-lease-min","value":100,"argument":"99","key":"d""#,
                ],
            ),
            (
                &["MODEL.RENEW", "d", "n", "ann", "1", "LEASE", "99"],
                &[r#""argument":"99","key":"d""#],
            ),
            (
                &["MODEL.LOCK", "d", "m", "bob", "WAIT", "999999999999"],
                &["lock-wait", r#""argument":"999999999999""#],
            ),
        ],
    );
    host.settings.work.reply_bytes = 10;
    check_on(&mut host, &[(&["MODEL.GET", "d"], &["model.reply-bytes", r#""key":"d""#])]);
}

#[test]
fn a_wrong_argument_is_answered_with_the_syntax() {
    check(&[
        (
            &["MODEL.MLOCK", "1", "d", "n", "o", "INIT", "any", "{}"],
            &[
                "unexpected argument",
                r#""argument":"INIT","usage":"MODEL.MLOCK numkeys key [key ...] name owner [SHARED]"#,
            ],
        ),
        (&["MODEL.LOCK", "d", "n", "o", "EXCLUSIVE"], &["[SHARED] [LEASE milliseconds]"]),
        (&["MODEL.EVAL", "d", "1", "ARG", "{}"], &["MODEL.EVAL key expr [ARGS args]"]),
        (
            &["MODEL.MGET", "9", "d"],
            &["numkeys is not the number of keys that follow", "MODEL.MGET numkeys key"],
        ),
        (
            &["MODEL.TXN", "1", "a", "b", "ON", "a"],
            &["behind the keys that numkeys counts", r#""numkeys":"1","argument":"b""#],
        ),
        (
            &["MODEL.TXN", "3", "a", "b", "ON", "a"],
            &["behind the keys that numkeys counts", r#""numkeys":"3","argument":"a""#],
        ),
        (
            &["MODEL.TXN", "2", "a", "t", "TOKEN", "t", "ON", "t"],
            &["TOKEN needs a key of its own", r#""key":"t""#],
        ),
        (
            &["MODEL.FIELDOP", "d", "PULL", "$.l", "1"],
            &[r#""operator":"PULL","usage":"PULL path count json""#],
        ),
        (&["MODEL.FIELDOP", "d", "SORT", "$.l"], &[r#""usage":"SORT path ASC|DESC by""#]),
        (&["MODEL.TXN", "1", "s", "AT", "s", "SADD"], &[r#""usage":"SADD member""#]),
        (&["MODEL.FIELDOP", "d", "INCRR", "$.n", "1"], &["unknown operator: is INCR meant?"]),
        (&["MODEL.FIELDOP", "d", "EXIST"], &["is EXISTS meant?"]),
        (
            &["MODEL.DEFINE", "m", "{}", "INDEX", "by_day", "$.day"],
            &[r#""not an integer","argument":"$.day","expected":"numparts""#],
        ),
        (&["MODEL.DEFINE", "m", "{}", "TTL", "1h"], &[r#""argument":"1h","expected":"seconds""#]),
        (
            &["MODEL.FIELDOP", "d", "STRICT", "WHEN", "true", "INCR", "$.n", "1"],
            &["WHEN stands once, before STRICT"],
        ),
        (
            &["MODEL.FIELDOP", "d", "INCR", "$.n", "='x'"],
            &["n has to be a number, the expression gives a string"],
        ),
        (&["MODEL.FIELDOP", "d", "APPEND", "$.l", "={}"], &["gives an object"]),
        (&["MODEL.FIELDOP", "d", "SET", "$.n", "True"], &["expected a JSON value: write true"]),
        (&["MODEL.FIELDOP", "d", "SET", "$.n", "[None]"], &["expected a JSON value: write null"]),
        (&["MODEL.FIELDOP", "d", "SET", "$.n", "Trueness"], &["as '\\\"Trueness\\\"' in a shell"]),
        (&["MODEL.DEFINE", "m", "{}", "FORMATS", "MAYBE"], &[r#""argument":"MAYBE""#]),
        (&["MODEL.DEFINE", "m", "{}", "NODEFAULT"], &["[RULE name expr [RULE name expr ...]]"]),
        (&["MODEL.FIELDOP", "d", "PUSH", "$.l", "1"], &["is APPEND meant?"]),
        (&["MODEL.FIELDOP", "d", "arrappend", "$.l", "1"], &["is APPEND meant?"]),
        (&["MODEL.FIELDOP", "d", "DECR", "$.n", "1"], &["is INCR with a negative number meant?"]),
        (&["MODEL.FIELDOP", "d", "INCRBY", "$.n", "1"], &["behind AT and its key", "it is INCR"]),
        (&["MODEL.FIELDOP", "d", "ZADD", "1", "a"], &["stands behind AT and its key"]),
        (&["MODEL.FIELDOP", "d", "NOSUCH", "$.l"], &[r#""unknown operator","operator":"NOSUCH""#]),
        (&["MODEL.SET", "d", "any", "{'a':1}"], &["expected a member name in double quotes"]),
        (
            &["MODEL.FIELDOP", "d", "SET", "$.n.a", "1"],
            &["expected an object or an array on the way, found number"],
        ),
        (&["MODEL.FIELDOP", "d", "SET", "$.l.a", "1"], &["expected an object on the way, found"]),
        (&["MODEL.FIELDOP", "d", "SET", "$[0]", "1"], &["expected an array on the way, found"]),
    ]);
}

#[test]
fn paths_and_expressions_of_other_languages_are_answered_with_the_spelling_here() {
    let condition = |expr| ["MODEL.FIELDOP", "d", "IF", expr, "GET", "$"];
    check(&[
        (&["MODEL.GET", "d", "name"], &["a path begins with '$' or '/': $.name"]),
        (&["MODEL.GET", "d", ".l[0]"], &["a path begins with '$' or '/': $.l[0]"]),
        (&["MODEL.GET", "d", "-"], &[r#"a path begins with '$' or '/'","#]),
        (&["MODEL.GET", "d", "$[?@.n=1]"], &["'=' is not a comparison: write '=='"]),
        (&condition("self.n = 1"), &["'=' is not an operator: write '==', at line 1 column 8"]),
        (&condition("self.n === 1"), &["write '=='"]),
        (&condition("self.n == 1 and true"), &["'and' is not an operator: write '&&'"]),
        (&condition("self.n == 1 or true"), &["write '||'"]),
        (&condition("not self.n"), &["'not' is not an operator: write '!'"]),
        (&condition("self.n is null"), &["'is' is not an operator: write '=='"]),
        (&condition("self.n !== 1"), &["write '!='"]),
        (&condition("$.n == 1"), &["an expression has no '$': write self for the document"]),
        (&condition("'é' == $.n"), &["write self for the document, at line 1 column 8"]),
        (&condition("self.n == None"), &["unknown name (is null meant?): None"]),
        (&condition("value == 1"), &["this expression cannot read: value, at line 1"]),
        (&condition("this.n == 1"), &["unknown name (is self meant?): this"]),
        (&condition("self.l.length == 1"), &["not a list: length; size(x) counts"]),
        (&condition("self.n >="), &["Syntax error"]),
        (&condition("self.n == == 1"), &["unexpected token"]),
        (&condition("self.n land 1"), &["Syntax error"]),
        (&condition("len(self.l) == 2"), &["unknown function (is size meant?): len"]),
        (&condition("self.name.startWith('A')"), &["unknown function (is startsWith meant?)"]),
        (&condition("self.name.foo()"), &["unknown function: foo"]),
        (&condition("self.name.startsWith()"), &["this function takes other arguments, as in "]),
        (&condition("self.n"), &["expected a bool, not an int"]),
        (&condition("self.name.startsWith(1)"), &["expected a string, not an int"]),
        (&condition("size(self.n) == 1"), &["an int has no size"]),
        (&condition("1 in 2"), &["'in' needs a list or a map on its right, not an int"]),
        (&condition("'a' + 1 == 2"), &["'+' does not take a string and an int"]),
        (&condition("null < 1"), &["null and an int have no order"]),
    ]);
}

#[test]
fn natives_in_the_syntax_of_the_server_are_answered_with_that_here() {
    let native = |words: &[&'static str]| [&["MODEL.TXN", "1", "s", "AT", "s"], words].concat();
    let condition = |expr| ["MODEL.TXN", "1", "d", "ON", "d", "IF", expr, "GET", "$"];
    check(&[
        (
            &native(&["XADD", "*", "a", "b"]),
            &[r#"ERR {"message":"here it is XADD maxlen object: not an integer","argument":"*""#],
        ),
        (&native(&["XADD", "10", "a"]), &["here it is XADD maxlen object: "]),
        (&native(&["ZADD", "ann", "5"]), &["here it is ZADD score member: "]),
        (&native(&["SET"]), &["SET needs the operand value"]),
        (&condition("native == 1"), &["name a key and ask about it, as in native['key'].size()"]),
        (&condition("native['d'] == 1"), &["name a key and ask about it"]),
        (&condition("native.d == 1"), &["name a key and ask about it"]),
        (
            &["MODEL.FIELDOP", "d", "IF", "native['d'].size() == 1", "GET", "$"],
            &["structures are read in transactions and actions alone"],
        ),
    ]);
}

#[test]
fn a_wrong_type_in_a_schema_is_answered_with_the_types() {
    let define = |schema| ["MODEL.DEFINE", "m", schema];
    const ALL: &str = "the types are array, boolean, integer, null, number, object, string";
    check(&[
        (&define(r#"{"type":"strng"}"#), &["'strng' is not a type", ALL, r#""schema":"/type""#]),
        (
            &define(r#"{"properties":{"a":{"type":["null","int"]}}}"#),
            &["int", ALL, "/properties/a/type"],
        ),
        (&define(r#"{"type":["null","null"]}"#), &["each once"]),
        (&define(r#"{"type":1}"#), &["a type is one of array, "]),
        // A member of that name is a schema.
        (&define(r#"{"properties":{"type":"string"}}"#), &["\"boolean\\\", \\\"object\\\""]),
    ]);
}

#[test]
fn a_lock_of_another_owner_is_released_by_force() {
    let mut host = host();
    let unlock = ["MODEL.UNLOCK", "d", "n", "bob", "1"];
    let error = host.call(&unlock).unwrap_err();
    assert_eq!(error.code().word(), "LOCKLOST");
    let hint = Detail::Text("MODEL.UNLOCK key name FORCE releases the grants of all owners".into());
    assert_eq!(error.detail("hint"), Some(&hint));
    host.call(&["MODEL.UNLOCK", "d", "n", "FORCE"]).unwrap();
}

#[test]
fn options_of_a_search_are_answered_with_their_place() {
    let mut host = host();
    let indexes = ["INDEX", "due", "1", "$.due", "INDEX", "state", "1", "$.state"];
    host.call(&[&["MODEL.DEFINE", "job", "{}"], &indexes[..]].concat()).unwrap();
    host.call(&["MODEL.DEFINE", "bare", "{}"]).unwrap();
    host.call(&["MODEL.SET", "j", "job", r#"{"due":1}"#]).unwrap();
    let findop = |options: &'static [&'static str]| -> &'static [&'static str] {
        [&["MODEL.FINDOP", "0", "job"], options].concat().leak()
    };
    for command in ["MODEL.FIND", "MODEL.FINDOP 0"] {
        for option in ["WHERE true", "ORDER due", "ARGS {}", "LIMIT 1", "SCAN", "WAIT 0"] {
            let word = option.split(' ').next().unwrap();
            if word == "WAIT" && command == "MODEL.FIND" {
                continue;
            }
            let line = format!("{command} job {option} {} DO DELETE", option.to_lowercase());
            let args: Vec<&str> = line.split(' ').collect();
            let argument = format!(r#""argument":"{}""#, word.to_lowercase());
            check_on(&mut host, &[(&args, &["this option may be given once", &argument])]);
        }
    }
    let in_front = |option: &'static str, operand: &'static str| -> (&[&str], &[&str]) {
        let parts = vec![format!("{option} needs {operand} in front of DO").leak() as &str];
        (findop(vec![option, "DO", "SET", "$.a", "1"].leak()), parts.leak())
    };
    check_on(
        &mut host,
        &[
            (&["MODEL.FIND", "job", "EXPLAIN", "EXPLAIN"], &["may be given once"]),
            (&["MODEL.FIND", "job", "SLOT", "a", "SLOT", "b"], &["may be given once"]),
            (&["MODEL.COUNT", "job", "SCAN", "SCAN"], &["may be given once"]),
            (&["MODEL.FIND", "job", "GET"], &["GET needs a path", "[GET path [path ...]]"]),
            (
                &["MODEL.FIND", "job", "GET", "$.a", "GET", "$.b"],
                &["GET is given once, and its paths come last", r#""argument":"GET""#],
            ),
            (
                &["MODEL.FIND", "job", "GET", "$.a", "limit", "1"],
                &["its paths come last", r#""argument":"limit""#],
            ),
            in_front("WHERE", "an expression"),
            in_front("ORDER", "an index"),
            in_front("ARGS", "a JSON object"),
            in_front("LIMIT", "a number"),
            in_front("WAIT", "a time in milliseconds"),
            (
                findop(&["DO", "SET", "$.a", "1", "LIMIT", "5"]),
                &["options of the search stand in front of DO", r#""argument":"LIMIT""#],
            ),
            (findop(&["DO", "where", "true", "DELETE"]), &["stand in front of DO"]),
            (
                &["MODEL.FINDOP", "0", "WHERE", "self.due < 3", "DO", "DELETE"],
                &["is the model missing in front of the options?"],
            ),
            (
                findop(&["WAIT", "315360000001", "DO", "DELETE"]),
                &["LIMIT", r#""limit":"findop-wait","value":315360000000"#],
            ),
            (
                findop(&["WHERE", "self.due == args.due", "DO", "DELETE"]),
                &["EXPR", "the expression reads args, and the command has no ARGS"],
            ),
            (
                findop(&["DO", "SET", "$.due", "=args.due"]),
                &["EXPR", "the expression reads args, and the command has no ARGS"],
            ),
            (
                findop(&["WHERE", "true", "DO", "DELETE"]),
                &["NOINDEX", "leave WHERE out to take every document"],
            ),
            (
                &["MODEL.FIND", "job", "WHERE", "1 < 2"],
                &["NOINDEX", "leave WHERE out to take every document"],
            ),
            (
                &["MODEL.FIND", "job", "WHERE", "self.due == 1", "ORDER", "state"],
                &[
                    "NOINDEX",
                    "the index of ORDER does not serve the condition",
                    r#""index":"state","add":"INDEX by_due_state 2 $.due $.state"}"#,
                ],
            ),
            // Without an index every condition needs SCAN.
            (&["MODEL.FIND", "bare", "WHERE", "true"], &["NOINDEX", "the model has no index"]),
            (&["MODEL.FIND", "job", "WHERE", "key == 'j'"], &["no index can serve the condition"]),
        ],
    );
    // An index may have any name.
    let define = ["MODEL.DEFINE", "other", "{}", "INDEX", "do", "1", "$.n"];
    host.call(&define).unwrap();
    host.call(&["MODEL.FINDOP", "0", "other", "ORDER", "do", "DO", "DELETE"]).unwrap();
}
