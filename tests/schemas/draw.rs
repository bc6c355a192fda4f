//! Draws schemas over all keywords, documents that fit them now and then, and changes.
//!
//! The pools are small on purpose, so that drawn schemas and documents match: few names, few numbers, few strings.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

const NAMES: [&str; 4] = ["a", "b", "c", "a1"];
const PATTERNS: [&str; 5] = ["^a", "1$", "^[a-c]*$", "^\\d+$", "."];
const FORMATS: [&str; 6] = ["date", "email", "ipv4", "uuid", "regex", "no-such-format"];
const TEXTS: [&str; 8] = ["", "a", "ab", "1", "2026-02-28", "a@b.cd", "[", "1.2.3.4"];
const REFERENCES: [&str; 8] = [
    "#",
    "#/$defs/p",
    "#/$defs/q",
    "#/$defs/r",
    "#anchored",
    "inner",
    "inner#/$defs/deep",
    "#/$defs/meta",
];
const METASCHEMA: &str = "https://json-schema.org/draft/2020-12/schema";

fn name() -> impl Strategy<Value = String> {
    select(&NAMES[..]).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => number(),
        3 => select(&TEXTS[..]).prop_map(Value::from),
        // Long enough to take what holds it out of the packed form.
        1 => Just(Value::from("a".repeat(1200))),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => (-1_i64..6).prop_map(Value::from),
        2 => select(vec![0.0, -0.0, 1.0, 1.5, 2.0, 0.5, 1e300, 9007199254740993.0]).prop_map(Value::from),
        1 => select(vec![i64::MIN, i64::MAX, (1 << 53) + 1]).prop_map(Value::from),
    ]
}

pub fn document() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..5).prop_map(Value::from),
            2 => members(inner, 0..5).prop_map(Value::from),
        ]
    })
}

/// A document that holds something, mostly.
pub fn large_document() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => document(),
        3 => vec(document(), 1..5).prop_map(Value::from),
        5 => members(document(), 1..5).prop_map(Value::from),
    ]
}

fn members(
    inner: impl Strategy<Value = Value>,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Map<String, Value>> {
    vec((name(), inner), count).prop_map(Map::from_iter)
}

/// Some keywords with what they hold.
type Keywords = Vec<(&'static str, Value)>;

fn one<S: Strategy<Value = Value>>(
    keyword: &'static str,
    value: S,
) -> impl Strategy<Value = Keywords> {
    value.prop_map(move |value| vec![(keyword, value)])
}

fn limit() -> impl Strategy<Value = Value> {
    (0_u64..4).prop_map(Value::from)
}

fn names() -> impl Strategy<Value = Value> {
    proptest::sample::subsequence(&NAMES[..], 0..3).prop_map(Value::from)
}

fn kind() -> impl Strategy<Value = Value> {
    let kinds = ["null", "boolean", "integer", "number", "string", "array", "object"];
    prop_oneof![
        3 => select(kinds.to_vec()).prop_map(Value::from),
        2 => proptest::sample::subsequence(kinds.to_vec(), 1..5).prop_map(Value::from),
    ]
}

/// Keywords without schemas inside.
fn plain() -> impl Strategy<Value = Keywords> {
    let positive =
        select(vec![json!(1), json!(2), json!(1.5), json!(0.5), json!(3.0), json!(1e-7)]);
    let numeric = prop_oneof![
        one("minimum", number()),
        one("maximum", number()),
        one("exclusiveMinimum", number()),
        one("exclusiveMaximum", number()),
        one("multipleOf", positive),
    ];
    let text = prop_oneof![
        one("minLength", limit()),
        one("maxLength", limit()),
        one("pattern", select(&PATTERNS[..]).prop_map(Value::from)),
        one("format", select(&FORMATS[..]).prop_map(Value::from)),
    ];
    let container = prop_oneof![
        one("minItems", limit()),
        one("maxItems", limit()),
        one("minProperties", limit()),
        one("maxProperties", limit()),
        one("uniqueItems", any::<bool>().prop_map(Value::from)),
        one("required", names()),
        one(
            "dependentRequired",
            vec((name(), names()), 0..3).prop_map(|all| Value::from(Map::from_iter(all)))
        ),
    ];
    prop_oneof![
        2 => one("type", kind()),
        1 => one("const", document()),
        1 => one("enum", vec(document(), 1..5).prop_map(Value::from)),
        2 => numeric,
        2 => text,
        3 => container,
        1 => one("default", document()),
        2 => one("$ref", select(&REFERENCES[..]).prop_map(Value::from)),
        1 => one("$dynamicRef", Just(Value::from("#dynamic"))),
    ]
}

/// Keywords with schemas inside.
fn nesting(inner: BoxedStrategy<Value>) -> impl Strategy<Value = Keywords> {
    let list = vec(inner.clone(), 1..4).prop_map(Value::from);
    let named = members(inner.clone(), 0..4).prop_map(Value::from).boxed();
    let patterned = vec((select(&PATTERNS[..]).prop_map(str::to_owned), inner.clone()), 0..3)
        .prop_map(|all| Value::from(Map::from_iter(all)));
    let contains = (inner.clone(), proptest::option::of(limit()), proptest::option::of(limit()))
        .prop_map(|(contains, least, most)| {
            let mut keywords = vec![("contains", contains)];
            keywords.extend(least.map(|least| ("minContains", least)));
            keywords.extend(most.map(|most| ("maxContains", most)));
            keywords
        });
    let either = (inner.clone(), inner.clone(), inner.clone(), 0..3).prop_map(
        |(test, then, other, which)| {
            let mut keywords = vec![("if", test)];
            if which != 1 {
                keywords.push(("then", then));
            }
            if which != 2 {
                keywords.push(("else", other));
            }
            keywords
        },
    );
    let below = prop_oneof![
        5 => one("properties", named.clone()),
        2 => one("patternProperties", patterned),
        2 => one("additionalProperties", inner.clone()),
        1 => one("propertyNames", inner.clone()),
        3 => one("items", inner.clone()),
        1 => one("prefixItems", list.clone()),
        2 => (list.clone(), inner.clone())
            .prop_map(|(prefix, items)| vec![("prefixItems", prefix), ("items", items)]),
        1 => one("unevaluatedItems", inner.clone()),
        1 => one("unevaluatedProperties", inner.clone()),
        2 => one("uniqueItems", Just(true.into())),
    ];
    let here = prop_oneof![
        2 => one("allOf", list.clone()),
        1 => one("anyOf", list.clone()),
        1 => one("oneOf", list),
        1 => one("not", inner.clone()),
        1 => either,
        1 => contains,
        2 => one("dependentSchemas", named),
    ];
    let alternatives = prop_oneof![3 => union(inner.clone()), 1 => condition(inner)];
    prop_oneof![6 => below, 3 => here, 3 => alternatives]
}

/// Alternatives as generators write them: optional values, and unions told apart by a member.
fn union(inner: BoxedStrategy<Value>) -> impl Strategy<Value = Keywords> {
    let keyword = select(vec!["anyOf", "oneOf"]);
    let optional = (keyword.clone(), inner.clone(), kind()).prop_map(|(keyword, inner, kind)| {
        (keyword, vec![typed(inner, kind), json!({ "type": "null" })])
    });
    let tags =
        proptest::sample::subsequence(vec![json!("a"), json!("ab"), json!(1), Value::Null], 2..4);
    let tagged = (keyword.clone(), name(), tags, vec(inner.clone(), 3), any::<[bool; 3]>());
    let tagged = tagged.prop_map(|(keyword, name, tags, inner, required)| {
        let branches = tags.into_iter().zip(inner).zip(required);
        let branches = branches.map(|((tag, inner), required)| {
            let mut branch = object(inner);
            let properties = branch.entry("properties").or_insert_with(|| json!({}));
            properties[&name] = json!({ "enum": [tag] });
            if required {
                branch.insert("required".into(), json!([name]));
            }
            branch.into()
        });
        (keyword, branches.collect())
    });
    let present = (keyword.clone(), proptest::sample::subsequence(&NAMES[..], 2..4), inner.clone());
    let present = present.prop_map(|(keyword, names, inner)| {
        let branch = |name: &&str| {
            json!({ "type": "object", "properties": { *name: inner }, "required": [*name], "additionalProperties": false })
        };
        (keyword, names.iter().map(branch).collect())
    });
    let kinds = (keyword, kind(), kind(), inner.clone(), inner);
    let kinds = kinds
        .prop_map(|(keyword, one, other, a, b)| (keyword, vec![typed(a, one), typed(b, other)]));
    prop_oneof![3 => optional, 3 => tagged, 2 => present, 2 => kinds].prop_map(
        |(keyword, branches): (&'static str, Vec<Value>)| vec![(keyword, branches.into())],
    )
}

/// A schema with a type.
fn typed(schema: Value, kind: Value) -> Value {
    let mut schema = object(schema);
    schema.insert("type".into(), kind);
    schema.into()
}

/// A condition on a member, or on the kind of the value.
fn condition(inner: BoxedStrategy<Value>) -> impl Strategy<Value = Keywords> {
    let test = prop_oneof![
        (name(), scalar(), any::<bool>()).prop_map(|(name, value, required)| {
            let mut test = json!({ "properties": { &name: { "const": value } } });
            if required {
                test["required"] = json!([name]);
            }
            test
        }),
        kind().prop_map(|kind| json!({ "type": kind })),
        names().prop_map(|names| json!({ "required": names })),
    ];
    (test, inner.clone(), inner)
        .prop_map(|(test, then, other)| vec![("if", test), ("then", then), ("else", other)])
}

fn schema_of(parts: Vec<Keywords>) -> Value {
    Value::Object(
        parts.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect(),
    )
}

fn inner_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        2 => vec(plain(), 0..3).prop_map(schema_of),
        2 => (one("type", kind()), plain()).prop_map(|(kind, plain)| schema_of(vec![kind, plain])),
        1 => prop::bool::weighted(0.7).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        let inner = inner.boxed();
        (vec(nesting(inner), 1..4), vec(plain(), 0..2))
            .prop_map(|(nesting, plain)| schema_of([nesting, plain].concat()))
    })
}

/// A whole schema, with what references can lead to.
pub fn schema() -> impl Strategy<Value = Value> {
    let definitions =
        (inner_schema(), inner_schema(), inner_schema(), inner_schema(), inner_schema());
    let marks = (
        any::<bool>(),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.3),
    );
    let root = (vec(nesting(inner_schema().boxed()), 1..4), vec(plain(), 0..2))
        .prop_map(|(nesting, plain)| schema_of([nesting, plain].concat()));
    (root, definitions, marks).prop_map(|(root, (p, q, r, s, deep), marks)| {
        let (anchors, dynamic, resource, named) = marks;
        let mut root = object(root);
        let mut r = object(r);
        let mut s = object(s);
        if anchors {
            r.insert("$anchor".into(), "anchored".into());
        }
        if dynamic {
            s.insert("$dynamicAnchor".into(), "dynamic".into());
        }
        let mut inner = json!({ "$defs": { "deep": deep } });
        if resource {
            inner["$id"] = "inner".into();
            // A schema inside a resource of its own does not see the definitions around it.
            mend(&mut inner, &|target| match target {
                "#dynamic" => !(dynamic && anchors),
                target => target.starts_with("#/") || target == "#anchored",
            });
            inner["$ref"] = "#/$defs/deep".into();
            if dynamic && anchors {
                inner["$defs"]["deep"] = object(inner["$defs"]["deep"].clone()).into();
                inner["$defs"]["deep"]["$dynamicAnchor"] = "dynamic".into();
            }
        }
        if named {
            root.insert("$id".into(), "https://example.com/root".into());
        }
        root.insert("$defs".into(), json!({ "p": p, "q": q, "r": r, "s": s, "inner": inner, "meta": { "$ref": METASCHEMA } }));
        let mut root = Value::Object(root);
        mend(&mut root, &|target| match target {
            "#anchored" => !anchors,
            "#dynamic" => !dynamic,
            target => target.starts_with("inner") && !resource,
        });
        root
    })
}

fn object(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(map) => map,
        other => Map::from_iter([("allOf".to_owned(), json!([other]))]),
    }
}

/// Takes out references to what is not there.
fn mend(value: &mut Value, leads_nowhere: &impl Fn(&str) -> bool) {
    match value {
        Value::Object(map) => {
            map.retain(|name, target| {
                let reference = ["$ref", "$dynamicRef"].contains(&name.as_str());
                !reference || !target.as_str().is_some_and(leads_nowhere)
            });
            map.values_mut().for_each(|value| mend(value, leads_nowhere));
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|value| mend(value, leads_nowhere));
        }
        _ => {}
    }
}

/// A change, to be fitted to whatever document it meets.
#[derive(Clone, Debug)]
pub enum Edit {
    Replace(Way, Value),
    InsertMember(Way, String, Value),
    RemoveMember(Way, Index),
    InsertItems(Way, Index, Vec<Value>),
    RemoveItems(Way, Index, Index),
    RemoveEach(Way, Vec<Index>),
}

/// How to walk down from the root: which child at each step, and where to stop.
pub type Way = Vec<Index>;

fn way() -> impl Strategy<Value = Way> {
    vec(any::<Index>(), 0..5)
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (way(), document()).prop_map(|(way, value)| Edit::Replace(way, value)),
        3 => (way(), name(), document())
            .prop_map(|(way, name, value)| Edit::InsertMember(way, name, value)),
        2 => (way(), any::<Index>()).prop_map(|(way, which)| Edit::RemoveMember(way, which)),
        3 => (way(), any::<Index>(), vec(document(), 1..3))
            .prop_map(|(way, at, values)| Edit::InsertItems(way, at, values)),
        2 => (way(), any::<Index>(), any::<Index>())
            .prop_map(|(way, at, count)| Edit::RemoveItems(way, at, count)),
        1 => (way(), vec(any::<Index>(), 1..4)).prop_map(|(way, all)| Edit::RemoveEach(way, all)),
    ]
}

/// Several commands, each of several changes.
pub fn edits() -> impl Strategy<Value = Vec<Vec<Edit>>> {
    vec(vec(edit(), 1..4), 1..12)
}
