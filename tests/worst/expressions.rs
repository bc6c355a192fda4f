//! Expressions of conditions and of `EVAL`.

use super::*;

pub(super) fn add(all: &mut List<'_>) {
    let scale = all.scale;
    let million = 1_000_000 / scale;
    let whole = format!("self.all(x, x + {})", ["x"; 20].join(" * "));
    let numbers = || set("k", list("1", million / 10));
    let deep = || set("k", format!(r#"{{"a":{0},"b":{0}}}"#, list(&nested(100), million / 500)));
    all.worst(
        "WHEN of some milliseconds",
        || vec![set("k", list("1", million / 13))],
        || repeated(&["WHEN", "self.all(x, x * x - x + 1 == 1)", "LEN", "$"], MANY),
    );
    all.worst(
        "WHEN near its own limit",
        || vec![numbers()],
        || repeated(&["WHEN", "!self.exists(x, self[0] + x * 2 - 1 != 2)", "LEN", "$"], MANY),
    );
    all.worst(
        "IF of deep equal values",
        || vec![deep()],
        || repeated(&["IF", "self.a == self.b"], MANY),
    );
    all.worst(
        "IF of a value in a list",
        || vec![numbers()],
        || repeated(&["IF", "!(2 in self)"], MANY),
    );
    all.worst(
        "IF that sorts",
        || vec![numbers()],
        || repeated(&["IF", "size(self.sort()) > 0"], MANY),
    );
    all.worst(
        "IF that tells apart",
        || vec![numbers()],
        || repeated(&["IF", "size(self.distinct()) == 1"], MANY),
    );
    all.worst(
        "IF that makes lists",
        || vec![numbers()],
        || repeated(&["IF", "size(lists.range(100000).map(x, [x, x])) > 0"], MANY),
    );
    all.worst(
        "IF that makes texts",
        || vec![set("k", "\"x\"".into())],
        || repeated(&["IF", "size(lists.range(10000).map(x, string(x)).join(', ')) > 0"], MANY),
    );
    all.worst(
        "IF that formats",
        || vec![set("k", "1".into())],
        || {
            repeated(
                &["IF", "size(lists.range(1000).map(x, '%s %d %f'.format([x, x, 1.5]))) > 0"],
                MANY,
            )
        },
    );
    all.worst(
        "IF with a pattern over a long text",
        || vec![set("k", format!("\"{}\"", "xy".repeat(5_000_000 / scale)))],
        || repeated(&["IF", "!self.matches('(x|y){30}[xy]{20}z')"], MANY),
    );
    all.worst(
        "IF with patterns to compile",
        || vec![set("k", r#"["\\pL{3}a","\\pL{3}b"]"#.into())],
        || repeated(&["IF", "!'abcde'.matches(self[0]) && !'abcde'.matches(self[1])"], MANY),
    );
    all.worst(
        "IF with a thousand different expressions",
        || vec![set("k", "1".into())],
        || {
            let mut command = words("MODEL.FIELDOP k");
            for nth in 0..MANY {
                command.push("IF".into());
                command.push(format!("size([{}]) == {nth} || true", vec!["self"; 700].join(",")));
            }
            command
        },
    );
    all.worst(
        "IF with a thousand patterns in expressions",
        || vec![set("k", "\"abcde\"".into())],
        || {
            let mut command = words("MODEL.FIELDOP k");
            for nth in 0..MANY {
                command.extend(["IF".into(), format!(r"!self.matches('\\pL{{3}}{nth}')")]);
            }
            command
        },
    );
    all.worst(
        "EVAL of every element",
        || vec![numbers()],
        || repeated(&["EVAL", "$[*]", "value + 1"], MANY),
    );
    all.worst(
        "EVAL of a whole document",
        || vec![numbers()],
        || repeated(&["EVAL", "$", "self"], MANY),
    );
    all.worst("IF that is false of much", || vec![numbers()], || repeated(&["IF", &whole], MANY));
    all.worst(
        "IF that reduces",
        || vec![numbers()],
        || repeated(&["IF", "self.reduce(t, x, 0, t + x) > 0"], MANY),
    );
    all.worst(
        "IF that reduces to a list",
        || vec![numbers()],
        || repeated(&["IF", "size(self.reduce(t, x, [0], t + [x])) > 0"], MANY),
    );
    all.worst(
        "IF with macros in macros",
        || vec![set("k", list("1", 1000))],
        || {
            repeated(
                &["IF", "!self.exists(x, self.exists(y, self.exists(z, x + y + z == 1)))"],
                MANY,
            )
        },
    );
    all.worst(
        "IF with names bound in a row",
        || vec![numbers()],
        || {
            let bound = (0..20).fold("size(a19)".to_owned(), |inner, nth| {
                let nth = 19 - nth;
                let before = if nth == 0 { "self".into() } else { format!("a{}", nth - 1) };
                format!("cel.bind(a{nth}, {before} + {before}, {inner})")
            });
            repeated(&["IF", &format!("{bound} > 0")], MANY)
        },
    );
    all.worst(
        "IF with macros of two variables",
        || vec![set("k", members(million / 10, "1"))],
        || repeated(&["IF", "!self.exists(k, v, k == 'x' && v > 1)"], MANY),
    );
    all.worst(
        "IF that makes maps",
        || vec![set("k", members(million / 20, "1"))],
        || repeated(&["IF", "size(self.transformMap(k, v, [v])) > 0"], MANY),
    );
    all.worst(
        "IF that makes maps of entries",
        || vec![set("k", ascending(1000))],
        || repeated(&["IF", "size(self.transformMapEntry(i, v, {string(v): i})) > 0"], MANY),
    );
    all.worst(
        "IF that replaces parts of a text",
        || vec![set("k", format!("\"{}\"", "ab".repeat(million / 20)))],
        || repeated(&["IF", "size(self.replace('a', 'cc')) > 0"], MANY),
    );
    all.worst(
        "IF that sorts by a key",
        || vec![set("k", ascending(million / 20))],
        || repeated(&["IF", "self.sortBy(x, -x)[0] > 0 || true"], MANY),
    );
    all.worst(
        "IF that finds all",
        || vec![set("k", format!("\"{}\"", "a1".repeat(million / 200)))],
        || repeated(&["IF", "size(self.findAll('[a-z]([0-9])')) > 0"], MANY),
    );
    all.worst(
        "IF with sets",
        || vec![set("k", ascending(million / 20))],
        || repeated(&["IF", "sets.contains(self, self.map(x, x))"], MANY),
    );
    all.worst(
        "IF with an explained condition of much",
        || vec![set("k", format!(r#"{{"a":[{}],"n":1}}"#, list("\"xxxxxxxx\"", million / 10)))],
        || {
            let many = vec!["size(self.a) > 0"; 190].join(" && ");
            words("MODEL.FIELDOP k IF")
                .into_iter()
                .chain([format!("{many} && self.a == [1]")])
                .collect()
        },
    );
}
