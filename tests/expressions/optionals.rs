//! Optionals: values that may be missing.

use super::{check_all, check_fails};

#[test]
fn optional_members_and_elements_may_be_missing() {
    check_all(&[
        ("self.?balance.value()", "20"),
        ("self.?missing.hasValue()", "false"),
        ("self.?missing.orValue(3)", "3"),
        ("self.?missing.a.b.orValue(3)", "3"),
        ("self.?limits.max.orValue(3)", "100"),
        ("self.?limits.?min.orValue(3)", "3"),
        ("self[?'limits'].max.value()", "100"),
        ("self.tags[?1].value()", r#""b""#),
        ("self.tags[?5].hasValue()", "false"),
        ("self.tags[?-1].hasValue()", "false"),
        ("self.?items[0].sku.value()", r#""x""#),
        ("self.?items[5].sku.hasValue()", "false"),
        ("self.?items[5].sku.size.hasValue()", "false"),
        ("self.?nothing.hasValue()", "true"),
        ("docs[?'a:1'].n.value() + docs[?'a:3'].n.orValue(5)", "6"),
        ("oldSelf.?balance.value()", "10"),
        ("oldSelf.?missing.orValue(1)", "1"),
        ("oldSelf.?missing.x.y.orValue(1)", "1"),
        ("oldSelf.a.?b[0].value()", "5"),
        ("oldSelf.a.?c.hasValue()", "false"),
        ("self.items.map(i, i.?note.orValue('-'))", r#"["-","hi"]"#),
        ("self.?limits.`a-b`.value()", "1"),
    ]);
    check_fails(&[
        "self.?balance.x.hasValue()",
        "self.balance.?x.hasValue()",
        "self.nothing.?x.hasValue()",
        "self.?missing.value()",
        "self.missing.?x.hasValue()",
        "oldSelf.missing.?x.hasValue()",
        "oldSelf.s.?x.hasValue()",
        "self.tags[?'a'].hasValue()",
        "self.?missing",
        "[self.?balance]",
        "{'a': self.?balance}",
        "self.?balance + 1",
        "self.?balance < 1",
    ]);
}

#[test]
fn optionals_are_made_and_taken_apart() {
    check_all(&[
        ("optional.of(1).value()", "1"),
        ("optional.of(null).hasValue()", "true"),
        ("optional.none().hasValue()", "false"),
        (
            "[null, false, 0, 0u, 0.0, '', b'', [], {}, duration('0')]
            .all(x, !optional.ofNonZeroValue(x).hasValue())",
            "true",
        ),
        (
            "[true, 1, -0.5, 'a', [0], {'a': 0}].all(x, optional.ofNonZeroValue(x).hasValue())",
            "true",
        ),
        ("optional.none().or(optional.of(2)).value()", "2"),
        ("optional.of(1).or(optional.of(2)).value()", "1"),
        ("optional.of(1).orValue(1 / 0)", "1"),
        ("optional.of(1).or(1 / 0).value()", "1"),
        ("optional.of(2).optMap(x, x + 1).value()", "3"),
        ("optional.none().optMap(x, x + 1).hasValue()", "false"),
        ("optional.of(self).optFlatMap(x, x.?missing).hasValue()", "false"),
        ("optional.of(self).optFlatMap(x, x.?balance).value()", "20"),
        ("[?self.?balance, ?self.?missing, 7]", "[20,7]"),
        ("{?'a': self.?balance, ?'b': self.?missing}", r#"{"a":20}"#),
        ("[1, 2].first().value() + [1, 2].last().value()", "3"),
        ("[].first().hasValue() || [].last().hasValue()", "false"),
        ("self.items.last().qty.orValue(0)", "5"),
        ("[optional.of(1), optional.none()].unwrapOpt()", "[1]"),
        ("optional.unwrap([optional.of(1), optional.none()])", "[1]"),
        ("optional.of(1) == optional.of(1.0)", "true"),
        ("optional.of([1]) == optional.of([1])", "true"),
        ("optional.of(1) == optional.none() || optional.of(1) == 1", "false"),
        ("optional.none() == optional.none()", "true"),
        ("[optional.of([1])] == [optional.of([2])]", "false"),
        ("type(optional.none()) == optional_type", "true"),
    ]);
    check_fails(&[
        "optional.none().value()",
        "optional.none().orValue(1 / 0)",
        "1.value()",
        "1.orValue(2)",
        "optional.none().or(1)",
        "optional.of(1).optFlatMap(x, x)",
        "1.optMap(x, x)",
        "[?1]",
        "{?'a': 1}",
        "[1].unwrapOpt()",
        "optional.of()",
        "optional.nope(1)",
        "'%s'.format([optional.of(1)])",
    ]);
}
