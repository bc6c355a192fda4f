//! The functions and macros as the documentation lists them.

use super::FAMILIES;

/// One function or macro.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    pub family: &'static str,
    /// The way it is called.
    pub form: &'static str,
    pub summary: &'static str,
    /// The growth of its cost in steps, beside the steps of its operands.
    pub cost: &'static str,
    /// An expression that runs, and its value as JSON text.
    pub example: (&'static str, &'static str),
}

const fn listed_macro(row: [&'static str; 5]) -> Listed {
    let [form, summary, cost, source, value] = row;
    Listed { family: "Macros", form, summary, cost, example: (source, value) }
}

static MACROS: [Listed; 17] = [
    listed_macro([
        "has(x.y)",
        "the member is there, and every one before it",
        "1",
        "has({'a': 1}.b.c)",
        "false",
    ]),
    listed_macro([
        "x.all(e, test)",
        "no element fails the test",
        "elements",
        "[1, 2].all(e, e > 0)",
        "true",
    ]),
    listed_macro([
        "x.exists(e, test)",
        "an element passes the test",
        "elements",
        "[1, 2].exists(e, e > 1)",
        "true",
    ]),
    listed_macro([
        "x.exists_one(e, test)",
        "exactly one element passes the test; also existsOne",
        "elements",
        "[1, 2].exists_one(e, e > 1)",
        "true",
    ]),
    listed_macro([
        "x.filter(e, test)",
        "elements that pass the test",
        "elements",
        "[1, 2, 3].filter(e, e > 1)",
        "[2,3]",
    ]),
    listed_macro([
        "x.map(e, item)",
        "list of an item for each element",
        "elements",
        "[1, 2].map(e, e * 2)",
        "[2,4]",
    ]),
    listed_macro([
        "x.map(e, test, item)",
        "the same of elements that pass the test",
        "elements",
        "[1, 2].map(e, e > 1, e * 2)",
        "[4]",
    ]),
    listed_macro([
        "x.all(k, v, test)",
        "all, exists, exists_one with index and element of a list, or key and value of a map",
        "elements",
        "{'a': 1}.all(k, v, k == 'a' && v == 1)",
        "true",
    ]),
    listed_macro([
        "x.transformList(k, v, item)",
        "list of an item for each; with a test before the item, of those that pass",
        "elements",
        "[5, 7].transformList(i, v, i > 0, [i, v])",
        "[[1,7]]",
    ]),
    listed_macro([
        "x.transformMap(k, v, item)",
        "map with the same keys, indexes of a list; with a test as above",
        "elements",
        "{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 10)",
        "{\"b\":20}",
    ]),
    listed_macro([
        "x.transformMapEntry(k, v, map)",
        "the entries of all maps, whose keys have to differ; with a test as above",
        "elements, and keys x keys",
        "['a', 'b'].transformMapEntry(i, v, {v: i})",
        "{\"a\":0,\"b\":1}",
    ]),
    listed_macro([
        "x.reduce(total, e, start, step)",
        "total after each element gave a new one, from start",
        "elements",
        "[1, 2, 3].reduce(total, e, 10, total + e)",
        "16",
    ]),
    listed_macro([
        "list.sortBy(e, key)",
        "in the order of the keys",
        "comparisons",
        "['aa', 'b'].sortBy(e, size(e))",
        "[\"b\",\"aa\"]",
    ]),
    listed_macro([
        "cel.bind(name, value, expression)",
        "the expression with a name for a value",
        "1",
        "cel.bind(x, 1 + 2, x * x)",
        "9",
    ]),
    listed_macro([
        "optional.optMap(e, item)",
        "optional of an item made of the value",
        "1",
        "optional.of(2).optMap(e, e * 2).value()",
        "4",
    ]),
    listed_macro([
        "optional.optFlatMap(e, optional)",
        "the same, where the item is an optional itself",
        "1",
        "optional.of({'a': 1}).optFlatMap(e, e.?b).hasValue()",
        "false",
    ]),
    listed_macro([
        "x.?y, x[?y]",
        "optional of a member or element; [?optional] and {?key: optional} in literals leave out what is missing",
        "1",
        "[?{'a': 1}.?a, ?[1][?5]]",
        "[1]",
    ]),
];

/// Tests for the name of a macro.
pub(super) fn is_macro(name: &str) -> bool {
    let named = |form: &str| {
        let called = form.split_once('(').map_or("", |(called, _)| called);
        called == name || called.rsplit('.').next() == Some(name)
    };
    name == "existsOne" || MACROS.iter().any(|own| named(own.form))
}

/// All macros and functions, family by family.
pub fn listed() -> impl Iterator<Item = Listed> {
    let functions = FAMILIES.iter().flat_map(|(family, functions)| {
        functions.iter().map(move |function| {
            let [form, summary, cost, source, value] = function.listing;
            Listed { family, form, summary, cost, example: (source, value) }
        })
    });
    MACROS.iter().copied().chain(functions).filter(|listed| !listed.form.is_empty())
}
