//! Long texts, and replies of many large values.

use super::*;

pub(super) fn add(all: &mut List<'_>) {
    let scale = all.scale;
    let mib = (1 << 20) / scale;
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
    let wide = |bytes: usize| format!("\"{}\"", "é".repeat(bytes / 2));
    all.worst(
        "LEN of a text of 60 MB",
        || vec![set("k", text(60 * mib))],
        || repeated(&["LEN", "$"], MANY),
    );
    all.worst(
        "LEN of a text beyond ASCII",
        || vec![set("k", wide(60 * mib))],
        || repeated(&["LEN", "$"], MANY),
    );
    all.worst(
        "LEN of texts of 1 MB",
        || vec![set("k", list(&text(mib), 60))],
        || repeated(&["LEN", "$[*]"], MANY),
    );
    all.worst(
        "SWAP of equal texts",
        || vec![set("k", list(&text(30 * mib), 2))],
        || repeated(&["SWAP", "$[0]", "$[1]"], MANY),
    );
    all.worst(
        "STRAPPEND to a long text",
        || vec![set("k", wide(30 * mib))],
        || repeated(&["STRAPPEND", "$", "\"\""], MANY),
    );
    all.worst(
        "STRREPEAT there and back",
        || vec![set("k", text(mib))],
        || {
            let mut command = words("MODEL.FIELDOP k");
            (0..MANY / 2).for_each(|_| command.extend(words("STRREPEAT $ 30 STRREPEAT $ 0")));
            command
        },
    );
    all.worst(
        "BYTESAPPEND to a long text",
        || vec![set("k", format!("\"{}\"", "AAAA".repeat(10 * mib / 4)))],
        || repeated(&["BYTESAPPEND", "$", ""], MANY),
    );
    all.worst(
        "TIMEADD to a long text",
        || vec![set("k", text(30 * mib))],
        || repeated(&["TIMEADD", "$", "1s"], MANY),
    );
    all.worst(
        "IF of equal texts",
        || vec![set("k", format!(r#"{{"a":{0},"b":{0}}}"#, text(30 * mib)))],
        || repeated(&["IF", "self.a == self.b"], MANY),
    );
    all.worst(
        "IF of a text searched",
        || vec![set("k", format!(r#"{{"a":{}}}"#, text(30 * mib)))],
        || repeated(&["IF", "!self.a.contains('xxxxxxxxxxxxxxxxxxxxxy')"], MANY),
    );
    all.worst("GET of a text", || vec![set("k", text(mib))], || read("$", MANY));
    all.worst("GET of numbers", || vec![set("k", list("1", 100_000 / scale))], || read("$", MANY));
    all.worst(
        "GET of doubles",
        || vec![set("k", list("0.12345678901234567", 100_000 / scale))],
        || read("$", MANY),
    );
    all.worst(
        "GET of empty containers",
        || vec![set("k", list("[]", 100_000 / scale))],
        || read("$", MANY),
    );
    all.worst(
        "MERGE that replies a document",
        || vec![set("k", format!(r#"{{"a":{}}}"#, list("1", 1_000_000 / scale)))],
        || repeated(&["MERGE", "$", "{}"], MANY),
    );
}
