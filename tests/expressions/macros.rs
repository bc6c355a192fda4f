//! Macros with two variables, `reduce`, `cel.bind`.

use super::{check_all, check_fails};

#[test]
fn macros_of_two_variables_see_indexes_and_elements() {
    check_all(&[
        ("[5, 7].all(i, v, v > i)", "true"),
        ("[5, 7].exists(i, v, i == 1 && v == 7)", "true"),
        ("[5, 7].exists_one(i, v, v > i)", "false"),
        ("[5, 7].existsOne(i, v, i > 0)", "true"),
        ("[5, 7].transformList(i, v, i * v)", "[0,7]"),
        ("[5, 7].transformList(i, v, i > 0, v)", "[7]"),
        ("[5, 7].transformMap(i, v, v + 1)", r#"{"0":6,"1":8}"#),
        ("[5, 7].transformMap(i, v, i > 0, v + 1)", r#"{"1":8}"#),
        ("['a', 'b'].transformMapEntry(i, v, {v: i})", r#"{"a":0,"b":1}"#),
        ("['a', 'b'].transformMapEntry(i, v, i > 0, {v: i})", r#"{"b":1}"#),
        ("['a'].transformMapEntry(i, v, {})", "{}"),
        ("[1, 2].transformMap(i, v, v)[1]", "2"),
    ]);
}

#[test]
fn macros_of_two_variables_see_keys_and_values() {
    check_all(&[
        ("self.limits.all(k, v, v > 0)", "true"),
        ("self.limits.exists(k, v, k == 'max' && v == 100)", "true"),
        ("self.limits.exists_one(k, v, v == 1)", "true"),
        ("self.limits.transformList(k, v, v)", "[100,1]"),
        ("self.limits.transformMap(k, v, v * 2)", r#"{"max":200,"a-b":2}"#),
        ("self.limits.transformMap(k, v, v > 1, v)", r#"{"max":100}"#),
        ("self.limits.transformMapEntry(k, v, {string(v): k})", r#"{"100":"max","1":"a-b"}"#),
        ("docs.transformList(k, v, [k, size(v)])", r#"[["a:1",1],["a:2",2]]"#),
        ("{1: 2, true: 3}.transformMap(k, v, v + 1)", r#"{"1":3,"true":4}"#),
        ("self.items.transformMapEntry(i, v, {v.sku: v.qty})", r#"{"x":1,"y":5}"#),
        // Variables shadow each other and names of documents.
        ("[1].transformList(i, self, self + i)", "[1]"),
        ("[1, 2].transformList(i, v, [v].transformList(i, v, v * 10 + i))", "[[10],[20]]"),
        (
            "[[1, 2], [3]].transformList(i, v, v.transformList(j, w, [i, j, w]))",
            "[[[0,0,1],[0,1,2]],[[1,0,3]]]",
        ),
    ]);
    check_fails(&[
        "1.all(i, v, true)",
        "[1].all(i, i, true)",
        "[1].all(1, v, true)",
        "[1].all(.i, v, true)",
        "[1].all(i, v, v)",
        "[1].transformMapEntry(i, v, [v])",
        "[1, 1].transformMapEntry(i, v, {v: i})",
        "[1].transformMapEntry(i, v, {[1]: i})",
        "[1].transformList(i, v, w)",
        "[1].transformList(i, v, true, v, v)",
        "[0, 1].exists(i, v, 1 / v == 5)",
        "transformList([1], i, v, v)",
    ]);
    check_all(&[
        ("[0, 1].exists(i, v, 1 / v == 1)", "true"),
        ("[0, 5].all(i, v, 1 / v == 7)", "false"),
    ]);
}

#[test]
fn reduce_carries_a_value_from_element_to_element() {
    check_all(&[
        ("self.items.reduce(total, item, 0, total + item.qty)", "6"),
        ("[1, 2, 3].reduce(list, x, [], [x] + list)", "[3,2,1]"),
        ("['a', 'b'].reduce(text, x, '', text + x)", r#""ab""#),
        ("[].reduce(total, x, 5, total + x)", "5"),
        ("self.limits.reduce(total, k, 0, total + self.limits[k])", "101"),
        ("[[1, 2], [3]].reduce(t, x, 0, t + x.reduce(t, x, 100, t + x))", "206"),
        ("[1, 2].reduce(t, x, 0, t + [10, 20].reduce(u, y, x, u + y + t))", "125"),
        (
            "[3, 1, 2].reduce(m, x, optional.none(), optional.of(x > m.orValue(0) ? x : m.value())).value()",
            "3",
        ),
        ("[1, 2].map(x, [x].reduce(t, y, x, t + y))", "[2,4]"),
    ]);
    check_fails(&[
        "1.reduce(t, x, 0, t)",
        "[1].reduce(t, t, 0, t)",
        "[1].reduce(1, x, 0, t)",
        "[1].reduce(t, x, t, t)",
        "[1].reduce(t, x, 0, u)",
        "[1].reduce(t, x, 0, t) + t",
        "[1, 'a'].reduce(t, x, 0, t + x)",
    ]);
}

#[test]
fn bind_gives_a_value_a_name() {
    check_all(&[
        ("cel.bind(x, self.balance, x * x + x)", "420"),
        ("cel.bind(x, 1, cel.bind(y, x + 1, [x, y]))", "[1,2]"),
        ("cel.bind(x, 1, cel.bind(x, x + 1, x))", "2"),
        ("[1, 2].map(x, cel.bind(y, x * 2, y + x))", "[3,6]"),
        ("cel.bind(valid, [1, 2], 2 in valid && 3 in valid)", "false"),
        ("cel.bind(self, 1, self)", "1"),
    ]);
    check_fails(&[
        "cel.bind(x, 1, y)",
        "cel.bind(1, x, 1)",
        "cel.bind(x, 1)",
        "cel.bind(x, 1 / 0, x)",
    ]);
}
