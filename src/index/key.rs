//! Order-preserving bytes of the values of an index: they compare as the values do, byte by byte.
//!
//! ```text
//! value  := 1 missing | 2 null | 3 false | 4 true | 5 number | 6 string | 7 array or object
//! number := double (0x80 | 0x7f less | 0x81 more)
//! less, more := 2:integer minus double, plus 32768
//! string := escaped (0 1 | 0 2 [16:digest])
//! ```
//!
//! A number is the nearest double, its bits arranged so that they sort, and the exact rest that an integer has beyond
//! it: so integers of 64 bits and doubles compare exactly. In a string, `0 255` stands for NUL. A string ends with
//! `0 1`; a longer one than [`STRING_BYTES_MAX`] is cut there and ends with `0 2`, and queries look at the document
//! itself. An index with `UNIQUE` adds a digest of the whole string, so that equal keys are equal strings.
//!
//! No encoding of a value is the beginning of another one's: values in a row compare in their order.

use sha2::{Digest, Sha256};

use crate::value::{Number, View};

/// The bytes of a string that take part in the order.
pub const STRING_BYTES_MAX: usize = 128;

pub const MISSING: u8 = 1;
pub const NULL: u8 = 2;
const FALSE: u8 = 3;
const TRUE: u8 = 4;
const NUMBER: u8 = 5;
const STRING: u8 = 6;
const CONTAINER: u8 = 7;
/// Above every value: ends the range of all values.
const BEYOND: u8 = 8;

const ESCAPE: u8 = 0;
const NUL: u8 = 255;
const END: u8 = 1;
const CUT: u8 = 2;
const DIGEST_BYTES: usize = 16;
/// Most values take no more.
const SHORT_BYTES: usize = 32;

const EXACT: u8 = 0x80;
const LESS: u8 = 0x7f;
const MORE: u8 = 0x81;
const REST_ZERO: i32 = 1 << 15;

/// Appends a value; none is a missing one. `digests` says that cut strings have digests.
pub fn put(value: Option<View<'_>>, digests: bool, out: &mut Vec<u8>) {
    match value {
        None => out.push(MISSING),
        Some(View::Null) => out.push(NULL),
        Some(View::Bool(false)) => out.push(FALSE),
        Some(View::Bool(true)) => out.push(TRUE),
        Some(View::Int(value)) => put_number(Number::Int(value), out),
        Some(View::Float(value)) => put_number(Number::Float(value), out),
        Some(View::Str(text)) => put_string(text.as_bytes(), digests, out),
        Some(View::Array(_) | View::Object(_)) => out.push(CONTAINER),
    }
}

/// A value alone, as [`put`] writes it.
fn encoded(value: View<'_>, digests: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(SHORT_BYTES);
    put(Some(value), digests, &mut out);
    out
}

/// The bytes that all entries with this value begin with; none of a value that has no order.
pub fn equal(value: View<'_>, digests: bool) -> Option<Vec<u8>> {
    Some(encoded(value, digests)).filter(|encoded| encoded[0] != CONTAINER)
}

fn put_number(number: Number, out: &mut Vec<u8>) {
    let (double, rest) = match number {
        Number::Float(value) => (value, 0),
        Number::Int(value) => {
            let double = value as f64;
            (double, (i128::from(value) - double as i128) as i32)
        }
    };
    // Zero has one encoding.
    let bits = if double == 0.0 { 0 } else { double.to_bits() };
    let sorted = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    out.push(NUMBER);
    out.extend_from_slice(&sorted.to_be_bytes());
    let rest_bytes = ((rest + REST_ZERO) as u16).to_be_bytes();
    match rest {
        0 => out.push(EXACT),
        ..0 => out.extend_from_slice(&[LESS, rest_bytes[0], rest_bytes[1]]),
        1.. => out.extend_from_slice(&[MORE, rest_bytes[0], rest_bytes[1]]),
    }
}

fn put_string(text: &[u8], digests: bool, out: &mut Vec<u8>) {
    put_beginning(text, out);
    if text.len() <= STRING_BYTES_MAX {
        return out.extend_from_slice(&[ESCAPE, END]);
    }
    out.extend_from_slice(&[ESCAPE, CUT]);
    if digests {
        out.extend_from_slice(&Sha256::digest(text)[..DIGEST_BYTES]);
    }
}

/// Appends the beginning of all strings that begin with this text.
fn put_beginning(text: &[u8], out: &mut Vec<u8>) {
    out.push(STRING);
    for byte in &text[..text.len().min(STRING_BYTES_MAX)] {
        out.push(*byte);
        if *byte == ESCAPE {
            out.push(NUL);
        }
    }
}

/// The length of the first value of these bytes, which [`put`] wrote. `None` if they are no such bytes.
pub fn len(bytes: &[u8], digests: bool) -> Option<usize> {
    let len = match *bytes.first()? {
        MISSING | NULL | FALSE | TRUE | CONTAINER => 1,
        NUMBER => 9 + if *bytes.get(9)? == EXACT { 1 } else { 3 },
        STRING => {
            let mut at = 1;
            loop {
                at += 1 + memchr::memchr(ESCAPE, bytes.get(at..)?)?;
                let mark = *bytes.get(at)?;
                at += 1;
                match mark {
                    NUL => {}
                    CUT if digests => break at + DIGEST_BYTES,
                    END | CUT => break at,
                    _ => return None,
                }
            }
        }
        _ => return None,
    };
    (len <= bytes.len()).then_some(len)
}

/// Returns true if UNIQUE says nothing of this key, which has digests: a value is missing, null, or an array or object, all of
/// which have one encoding.
pub fn is_exempt(mut key: &[u8]) -> bool {
    while let Some(tag) = key.first() {
        if matches!(*tag, MISSING | NULL | CONTAINER) {
            return true;
        }
        let len = len(key, true).unwrap_or(key.len());
        key = &key[len..];
    }
    false
}

/// The smallest bytes that are greater than all that begin with these. There are some, because no tag is 255.
pub fn successor(mut bytes: Vec<u8>) -> Vec<u8> {
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            return bytes;
        }
    }
    vec![u8::MAX]
}

/// In front of the names of documents, which no value is in front of.
pub const NAME_TAG: u8 = 0;

/// A comparison of a part with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    StartsWith,
}

/// A range of encoded values: from `low` on and before `high`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    pub low: Vec<u8>,
    pub high: Vec<u8>,
}

impl Range {
    /// All entries that begin with these bytes.
    pub fn of_prefix(prefix: Vec<u8>) -> Range {
        Range { high: successor(prefix.clone()), low: prefix }
    }

    /// The names of all documents.
    pub fn names() -> Range {
        Range::of_prefix(vec![NAME_TAG])
    }

    /// This entry alone.
    pub fn of_one(entry: &[u8]) -> Range {
        Range { low: entry.to_vec(), high: [entry, &[0]].concat() }
    }

    /// All values, missing ones too.
    pub fn values() -> Range {
        Range { low: vec![MISSING], high: vec![BEYOND] }
    }

    /// All values that are present.
    pub fn present() -> Range {
        Range { low: vec![NULL], high: vec![BEYOND] }
    }

    /// A range that has every value for which the comparison holds, and perhaps a few more where strings were cut.
    /// `None` where it is not narrower than all values: the value has no order.
    pub fn of(relation: Relation, value: View<'_>, digests: bool) -> Option<Range> {
        let mut equal = encoded(value, digests);
        let tag = equal[0];
        if relation == Relation::StartsWith {
            let mut beginning = Vec::new();
            put_beginning(value.as_text()?.as_bytes(), &mut beginning);
            return Some(Range::of_prefix(beginning));
        }
        if tag != NUMBER && tag != STRING {
            return None;
        }
        let cut = value.as_text().is_some_and(|text| text.as_bytes().len() > STRING_BYTES_MAX);
        if cut && digests {
            equal.truncate(equal.len() - DIGEST_BYTES);
        }
        let (smallest, greatest) = (|| vec![tag], || vec![tag + 1]);
        Some(match relation {
            // Strings that are cut alike may be on either side.
            Relation::Less if !cut => Range { low: smallest(), high: equal },
            Relation::Less | Relation::LessEqual => {
                Range { low: smallest(), high: successor(equal) }
            }
            Relation::Greater if !cut => Range { low: successor(equal), high: greatest() },
            _ => Range { low: equal, high: greatest() },
        })
    }

    /// The values that both ranges have.
    pub fn and(self, other: Range) -> Range {
        Range { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    /// The range with these bytes in front.
    pub fn behind(&self, prefix: &[u8]) -> Range {
        let with = |bytes: &[u8]| [prefix, bytes].concat();
        Range { low: with(&self.low), high: with(&self.high) }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;
    use crate::value::{Limits, Measured, Text, parse};

    fn value(json: &str) -> Measured {
        parse::json(json.as_bytes(), &Limits::NONE).unwrap()
    }

    fn encode(view: Option<View<'_>>) -> Vec<u8> {
        let mut out = Vec::new();
        put(view, false, &mut out);
        assert_eq!(len(&[&out[..], b"\0\x01name"].concat(), false), Some(out.len()));
        out
    }

    #[test]
    fn values_sort_by_kind_and_within_it() {
        let ascending = [
            "null",
            "false",
            "true",
            "-1e300",
            "-9223372036854775808",
            "-9007199254740993",
            "-9007199254740992.0",
            "-1.5",
            "-1",
            "-1e-300",
            "0",
            "5e-324",
            "0.5",
            "1",
            "1.5",
            "9007199254740992",
            "9007199254740993",
            "9007199254740994.0",
            "9223372036854774783",
            "9223372036854775806",
            "9223372036854775807",
            "9223372036854775808.0",
            "1e300",
            r#""""#,
            r#""\u0000""#,
            r#""\u0000a""#,
            r#""\u0001""#,
            r#""a""#,
            r#""a\u0000""#,
            r#""a\u0000b""#,
            r#""aa""#,
            r#""b""#,
            "[]",
        ];
        let mut before = encode(None);
        for json in ascending {
            let next = encode(Some(value(json).value.view()));
            assert!(before < next, "{json}");
            before = next;
        }
        for (a, b) in
            [("1", "1.0"), ("0", "-0.0"), ("4611686018427387904", "4611686018427387904.0")]
        {
            assert_eq!(encode(Some(value(a).value.view())), encode(Some(value(b).value.view())));
        }
    }

    #[test]
    fn strings_are_cut_and_equal_ones_told_apart_by_digests() {
        let texts = ["", "a", "b"].map(|end| format!("{}{end}", "x".repeat(STRING_BYTES_MAX)));
        let [whole, a, b] = texts.each_ref().map(|text| View::Str(Text::from(&**text)));
        assert!(encode(Some(whole)) < encode(Some(a)));
        assert_eq!(encode(Some(a)), encode(Some(b)));
        let digested = |view| {
            let mut out = Vec::new();
            put(Some(view), true, &mut out);
            assert_eq!(len(&out, true), Some(out.len()));
            out
        };
        assert_ne!(digested(a), digested(b));
    }

    #[test]
    fn other_bytes_have_no_length() {
        for bytes in [&[][..], &[0], &[8], &[5, 1, 2], &[6, 97], &[6, 97, 0], &[6, 0, 7], &[6, 0]] {
            assert_eq!(len(bytes, false), None, "{bytes:?}");
        }
        assert_eq!(len(&[6, 0, 2, 1, 2, 3], true), None);
    }

    fn scalar() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            (-3_i64..3).prop_map(|n| n.to_string()),
            ((1_i64 << 53) - 3..(1 << 53) + 3).prop_map(|n| n.to_string()),
            any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
            prop::collection::vec(
                prop_oneof![Just("a"), Just("b"), Just("\\u0000"), Just("\\u0001")],
                0..4
            )
            .prop_map(|parts| format!("\"{}\"", parts.concat())),
            (126_usize..131, "[ab]{0,2}")
                .prop_map(|(len, end)| format!("\"{}{end}\"", "x".repeat(len))),
        ]
    }

    fn compare(a: View<'_>, b: View<'_>) -> Option<Ordering> {
        match (a.as_number(), b.as_number(), a.as_text(), b.as_text()) {
            (Some(a), Some(b), _, _) => Some(a.compare(b)),
            (_, _, Some(a), Some(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            _ => None,
        }
    }

    proptest! {
        #[test]
        fn keys_compare_as_values_do(a in scalar(), b in scalar()) {
            let (a, b) = (value(&a), value(&b));
            let (a, b) = (a.value.view(), b.value.view());
            let ordering = encode(Some(a)).cmp(&encode(Some(b)));
            let cut = |view: View<'_>| view.as_text().is_some_and(|t| t.as_bytes().len() > STRING_BYTES_MAX);
            match compare(a, b) {
                Some(_) if cut(a) && cut(b) && ordering == Ordering::Equal => {}
                Some(expected) => prop_assert_eq!(ordering, expected),
                None => prop_assert!(ordering != Ordering::Equal),
            }
        }

        #[test]
        fn a_range_has_every_value_for_which_the_comparison_holds(a in scalar(), b in scalar(), digests in any::<bool>()) {
            let (a, b) = (value(&a), value(&b));
            let (a, b) = (a.value.view(), b.value.view());
            let mut key = Vec::new();
            put(Some(a), digests, &mut key);
            key.extend_from_slice(b"name");
            let has = |relation| {
                Range::of(relation, b, digests).is_some_and(|range| range.low <= key && key < range.high)
            };
            let has_equal = equal(b, digests).is_some_and(|equal| key.starts_with(&equal));
            use Relation::*;
            let ordering = compare(a, b);
            let is = |wanted: &[Ordering]| ordering.is_some_and(|o| wanted.contains(&o));
            let o = Ordering::Less;
            prop_assert!(!is(&[o]) || (has(Less) && has(LessEqual)));
            prop_assert!(!is(&[o.reverse()]) || (has(Greater) && has(GreaterEqual)));
            prop_assert!(!is(&[Ordering::Equal]) || (has_equal && has(LessEqual) && has(GreaterEqual)));
            let begins = a.as_text().zip(b.as_text()).is_some_and(|(a, b)| a.as_bytes().starts_with(b.as_bytes()));
            prop_assert!(!begins || has(StartsWith));
            // Where nothing was cut, the range is exact.
            let cut = |view: View<'_>| view.as_text().is_some_and(|t| t.as_bytes().len() > STRING_BYTES_MAX);
            if !cut(a) && !cut(b) {
                prop_assert_eq!(has(Less), is(&[o]));
                prop_assert_eq!(has(GreaterEqual), is(&[Ordering::Equal, o.reverse()]));
                prop_assert_eq!(has_equal, is(&[Ordering::Equal]));
                prop_assert_eq!(has(StartsWith), begins);
            }
        }
    }
}
