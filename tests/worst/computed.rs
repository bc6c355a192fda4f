//! Computed operands: values that an expression gives, for every path or for every place.

use super::*;

pub(super) fn add(all: &mut List<'_>) {
    let scale = all.scale;
    let million = 1_000_000 / scale;
    let numbers = || set("k", list("1", million / 10));
    all.worst(
        "SET of every element to a computed value",
        || vec![numbers()],
        || repeated(&["SET", "$[*]", "=[self[0], size(self)]"], MANY),
    );
    all.worst(
        "SET to a list computed from the document",
        || vec![set("k", format!(r#"{{"a":{},"b":1}}"#, list("1", million / 10)))],
        || repeated(&["SET", "$.b", "=self.a.map(x, x + 1)"], MANY),
    );
    all.worst(
        "INCR by a computed sum",
        || vec![numbers()],
        || repeated(&["INCR", "$[0]", "=self.sum()"], MANY),
    );
    all.worst(
        "APPEND of the whole document",
        || vec![set("k", format!(r#"{{"a":{},"b":[]}}"#, list("1", million / 10)))],
        || repeated(&["APPEND", "$.b", "=self.a"], MANY),
    );
    all.worst(
        "ADDUNIQ of a computed list",
        || vec![set("k", ascending(million / 10))],
        || repeated(&["ADDUNIQ", "$", "=self"], MANY),
    );
    all.worst(
        "PATCH computed from the document",
        || vec![numbers()],
        || {
            let patch = "=self.map(x, {'op': 'test', 'path': '/0', 'value': x})";
            repeated(&["PATCH", "$", patch], MANY)
        },
    );
    all.worst(
        "STRAPPEND of computed texts",
        || vec![set("k", r#"{"s":"","n":[1,2,3]}"#.into())],
        || {
            let joined = "=lists.range(10000).map(x, string(x)).join(',')";
            repeated(&["STRAPPEND", "$.s", joined], MANY)
        },
    );
}
