//! A hash that agrees with [`View::equals`]: equal values hash alike, whatever they look like.
//!
//! `1`, `1.0` and, for zero, `-0.0` are one number, and the order of an object's members does not
//! count. The hash depends on the hasher's state, which may be random: no result may depend on it.

use std::hash::{BuildHasher, Hash, Hasher};

use super::view::View;

impl View<'_> {
    /// The value's hash under `state`; equal values have equal hashes.
    pub fn hash_with<S: BuildHasher>(self, state: &S) -> u64 {
        let mut hasher = state.build_hasher();
        self.feed(state, &mut hasher);
        hasher.finish()
    }

    fn feed<S: BuildHasher>(self, state: &S, hasher: &mut S::Hasher) {
        self.kind().hash(hasher);
        match self {
            View::Null => {}
            View::Bool(value) => value.hash(hasher),
            View::Int(value) => value.hash(hasher),
            View::Float(value) => match exact_integer(value) {
                Some(value) => value.hash(hasher),
                None => value.to_bits().hash(hasher),
            },
            View::Str(text) => text.hash(hasher),
            View::Array(array) => {
                array.len().hash(hasher);
                array.iter().for_each(|item| item.feed(state, hasher));
            }
            View::Object(object) => {
                object.len().hash(hasher);
                // A sum has no order; what is added was hashed whole, so that members do not mix.
                let member = |(name, value): (super::Text<'_>, View<'_>)| {
                    let mut hasher = state.build_hasher();
                    name.hash(&mut hasher);
                    value.feed(state, &mut hasher);
                    hasher.finish()
                };
                object.iter().map(member).fold(0, u64::wrapping_add).hash(hasher);
            }
        }
    }
}

/// The integer a double equals, if there is one in the range of integers.
fn exact_integer(value: f64) -> Option<i64> {
    const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;
    let fits = (-TWO_POW_63..TWO_POW_63).contains(&value) && value.trunc() == value;
    fits.then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Limits, Value, parse};
    use proptest::prelude::*;

    fn value(json: &str) -> Value {
        parse::json(json.as_bytes(), &Limits::NONE).unwrap().value
    }

    fn hash(json: &str) -> u64 {
        // A fixed seed: that unequal values differ below is then no matter of luck.
        let state = foldhash::fast::FixedState::with_seed(1);
        value(json).view().hash_with(&state)
    }

    #[test]
    fn equal_values_hash_alike() {
        for (a, b) in [
            ("1", "1.0"),
            ("0", "-0.0"),
            ("0.0", "-0.0"),
            ("100", "1e2"),
            ("-9223372036854775808", "-9223372036854775808.0"),
            ("[1,[2]]", "[1.0,[2.0]]"),
            (r#"{"a":1,"b":[null]}"#, r#"{"b":[null],"a":1.0}"#),
            (r#"{"a":{"x":1,"y":2}}"#, r#"{"a":{"y":2,"x":1}}"#),
        ] {
            assert_eq!(value(a), value(b), "{a} {b}");
            assert_eq!(hash(a), hash(b), "{a} {b}");
        }
    }

    #[test]
    fn unequal_values_hash_apart() {
        let all = [
            "null",
            "false",
            "true",
            "0",
            "1",
            "1.5",
            "\"\"",
            "\"1\"",
            "[]",
            "{}",
            "[1]",
            "[[]]",
            "[1,2]",
            "[2,1]",
            "[[1],2]",
            "[[1,2]]",
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            r#"{"b":1}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            r#"{"a":{"b":1}}"#,
            "9007199254740993",
            "9007199254740992",
            "9223372036854775807",
            "9223372036854775808.0",
            "1e300",
            "-1e300",
        ];
        for (nth, a) in all.iter().enumerate() {
            for b in &all[..nth] {
                assert_ne!(value(a), value(b), "{a} {b}");
                assert_ne!(hash(a), hash(b), "{a} {b}");
            }
        }
    }

    #[test]
    fn the_representation_does_not_count() {
        let long = format!(r#"{{"a":"{}","b":[1,2]}}"#, "x".repeat(2000));
        let other = format!(r#"{{"b":[1.0,2],"a":"{}"}}"#, "x".repeat(2000));
        assert_eq!(hash(&long), hash(&other));
    }

    proptest! {
        #[test]
        fn numbers_agree_with_equality(int in prop_oneof![any::<i64>(), -3i64..3], float in any::<f64>()) {
            let state = foldhash::fast::FixedState::with_seed(1);
            let candidates = [View::Int(int), View::Float(int as f64), View::Float(if float.is_finite() { float } else { 0.5 })];
            for a in candidates {
                for b in candidates {
                    prop_assert!(!a.equals(b) || a.hash_with(&state) == b.hash_with(&state));
                }
            }
        }
    }
}
