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
        "true if the member exists, and every member before it",
        "1",
        "has({'a': 1}.b.c)",
        "false",
    ]),
    listed_macro([
        "x.all(e, test)",
        "true if all elements pass the test",
        "elements",
        "[1, 2].all(e, e > 0)",
        "true",
    ]),
    listed_macro([
        "x.exists(e, test)",
        "true if at least one element passes the test",
        "elements",
        "[1, 2].exists(e, e > 1)",
        "true",
    ]),
    listed_macro([
        "x.exists_one(e, test)",
        "true if exactly one element passes the test; also existsOne",
        "elements",
        "[1, 2].exists_one(e, e > 1)",
        "true",
    ]),
    listed_macro([
        "x.filter(e, test)",
        "list of the elements that pass the test",
        "elements",
        "[1, 2, 3].filter(e, e > 1)",
        "[2,3]",
    ]),
    listed_macro([
        "x.map(e, item)",
        "list of the item of each element",
        "elements",
        "[1, 2].map(e, e * 2)",
        "[2,4]",
    ]),
    listed_macro([
        "x.map(e, test, item)",
        "list of the item of each element that passes the test",
        "elements",
        "[1, 2].map(e, e > 1, e * 2)",
        "[4]",
    ]),
    listed_macro([
        "x.all(k, v, test)",
        "all, exists and exists_one with index and element of a list, or key and value of a map",
        "elements",
        "{'a': 1}.all(k, v, k == 'a' && v == 1)",
        "true",
    ]),
    listed_macro([
        "x.transformList(k, v, item)",
        "list of the item of each element; with a test in front of the item, of those that pass it",
        "elements",
        "[5, 7].transformList(i, v, i > 0, [i, v])",
        "[[1,7]]",
    ]),
    listed_macro([
        "x.transformMap(k, v, item)",
        "map of the item of each element, by its key or index; with a test as above",
        "elements",
        "{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 10)",
        "{\"b\":20}",
    ]),
    listed_macro([
        "x.transformMapEntry(k, v, map)",
        "one map of all entries; equal keys are an error; with a test as above",
        "elements, and keys x keys",
        "['a', 'b'].transformMapEntry(i, v, {v: i})",
        "{\"a\":0,\"b\":1}",
    ]),
    listed_macro([
        "x.reduce(total, e, start, step)",
        "last total: start, replaced by step for each element",
        "elements",
        "[1, 2, 3].reduce(total, e, 10, total + e)",
        "16",
    ]),
    listed_macro([
        "list.sortBy(e, key)",
        "elements in ascending order of their keys",
        "comparisons",
        "['aa', 'b'].sortBy(e, size(e))",
        "[\"b\",\"aa\"]",
    ]),
    listed_macro([
        "cel.bind(name, value, expression)",
        "value of the expression, in which the name stands for the value",
        "1",
        "cel.bind(x, 1 + 2, x * x)",
        "9",
    ]),
    listed_macro([
        "optional.optMap(e, item)",
        "optional of the item; none if the optional is none",
        "1",
        "optional.of(2).optMap(e, e * 2).value()",
        "4",
    ]),
    listed_macro([
        "optional.optFlatMap(e, optional)",
        "the optional that the expression gives; none if the optional is none",
        "1",
        "optional.of({'a': 1}).optFlatMap(e, e.?b).hasValue()",
        "false",
    ]),
    listed_macro([
        "x.?y, x[?y]",
        "optional of a member or element; in literals, [?optional] and {?key: optional} leave out elements without a value",
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
