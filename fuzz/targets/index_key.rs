//! Keys of indexes: two JSON texts in two lines. Their encodings compare as the values do, no encoding begins another one,
//! and each range has every value for which its comparison holds. The input itself, as bytes, has a length or none.

#![no_main]

use std::cmp::Ordering;

use libfuzzer_sys::fuzz_target;
use redis_model::index::key::{self, Range, Relation, STRING_BYTES_MAX};
use redis_model::value::{Limits, View, parse};

/// The order of the contract: missing, null, false, true, numbers, strings, containers.
fn rank(view: Option<View<'_>>) -> u8 {
    match view {
        None => 0,
        Some(View::Null) => 1,
        Some(View::Bool(false)) => 2,
        Some(View::Bool(true)) => 3,
        Some(View::Int(_) | View::Float(_)) => 4,
        Some(View::Str(_)) => 5,
        Some(View::Array(_) | View::Object(_)) => 6,
    }
}

fn is_cut(view: View<'_>) -> bool {
    view.as_text().is_some_and(|text| text.as_bytes().len() > STRING_BYTES_MAX)
}

/// The order of two values; none where only a prefix of both counts, and that is the same.
fn compare(a: Option<View<'_>>, b: Option<View<'_>>) -> Option<Ordering> {
    let ranks = rank(a).cmp(&rank(b));
    let (Some(x), Some(y)) = (a, b) else { return Some(ranks) };
    match (x.as_number(), y.as_number(), x.as_text(), y.as_text()) {
        (Some(x), Some(y), _, _) => Some(x.compare(y)),
        (_, _, Some(s), Some(t)) => {
            let (s, t) = (s.as_bytes(), t.as_bytes());
            let same = is_cut(x) && is_cut(y) && s[..STRING_BYTES_MAX] == t[..STRING_BYTES_MAX];
            (!same).then(|| s.cmp(t))
        }
        _ => Some(ranks),
    }
}

fn encode(view: Option<View<'_>>, digests: bool) -> Vec<u8> {
    let mut out = Vec::new();
    key::put(view, digests, &mut out);
    assert_eq!(key::len(&out, digests), Some(out.len()));
    out
}

fuzz_target!(|input: &[u8]| {
    for digests in [false, true] {
        if let Some(len) = key::len(input, digests) {
            assert!(0 < len && len <= input.len());
        }
    }
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let mut value = || parse::json(lines.next()?, &Limits::DEFAULT).ok();
    let (a, b) = (value(), value());
    let (a, b) = (a.as_ref().map(|a| a.value.view()), b.as_ref().map(|b| b.value.view()));
    for digests in [false, true] {
        let (x, y) = (encode(a, digests), encode(b, digests));
        match compare(a, b) {
            Some(ordering) => assert_eq!(x.cmp(&y), ordering),
            None if digests => assert_eq!(x == y, a.map(text_of) == b.map(text_of)),
            None => assert_eq!(x, y),
        }
        assert!(x == y || (!x.starts_with(&y) && !y.starts_with(&x)));
        // Values in a row compare one after the other, whatever is behind.
        let rows = [[&x[..], &y, b"name"].concat(), [&y[..], &x, b"name"].concat()];
        assert_eq!(rows[0].cmp(&rows[1]), x.cmp(&y));
        let Some(bound) = b else { continue };
        let entry = [&x[..], b"name"].concat();
        let is_in = |relation| {
            Range::of(relation, bound, digests).is_none_or(|r| r.low <= entry && entry < r.high)
        };
        let exact = a.and_then(|a| match (a.as_number(), bound.as_number()) {
            (Some(a), Some(b)) => Some(a.compare(b)),
            _ => a.as_text().zip(bound.as_text()).map(|(a, b)| a.as_bytes().cmp(b.as_bytes())),
        });
        let relations: &[Relation] = match exact {
            Some(Ordering::Less) => &[Relation::Less, Relation::LessEqual],
            Some(Ordering::Greater) => &[Relation::Greater, Relation::GreaterEqual],
            Some(Ordering::Equal) => &[Relation::LessEqual, Relation::GreaterEqual],
            None => &[],
        };
        assert!(relations.iter().all(|relation| is_in(*relation)));
        let begins = a.and_then(View::as_text).zip(bound.as_text());
        let begins = begins.is_some_and(|(a, b)| a.as_bytes().starts_with(b.as_bytes()));
        assert!(!begins || is_in(Relation::StartsWith));
    }
});

fn text_of(view: View<'_>) -> Option<Vec<u8>> {
    view.as_text().map(|text| text.as_bytes().to_vec())
}
