//! The names of change streams.
//!
//! In a cluster each hash slot has a stream of its own, so that it moves with the documents of the slot. Its tag is
//! the smallest number in decimal digits that hashes to the slot: everyone can compute it, and nothing has to be looked
//! up.

use std::sync::OnceLock;

use crate::index::hash_slot;

/// The slots of a cluster.
const SLOTS: usize = 16384;
/// Behind the name of the model.
const SUFFIX: &str = "!changes";
/// Every slot has a tag below this number, which the test computes.
const TAGS_END: u32 = 200_000;

/// The stream of the documents of a model outside of a cluster.
pub fn name(model: &str) -> Vec<u8> {
    [model.as_bytes(), SUFFIX.as_bytes()].concat()
}

/// Returns true if this is the stream of the documents of a model outside of a cluster.
pub fn is_name_of(name: &[u8], model: &str) -> bool {
    name.strip_suffix(SUFFIX.as_bytes()) == Some(model.as_bytes())
}

/// The stream of the documents of a model in the hash slot of a key. The name of the model has no brace.
pub fn name_in_slot(model: &str, slot: u16) -> Vec<u8> {
    format!("{model}!changes:{{{}}}", tag(slot)).into_bytes()
}

/// The name of the model whose change stream would have this key; none for any other key.
pub fn model_of(key: &[u8], clustered: bool) -> Option<&str> {
    // Most keys end in another way.
    if !key.ends_with(if clustered { b"}" } else { SUFFIX.as_bytes() }) {
        return None;
    }
    let key_text = std::str::from_utf8(key).ok()?;
    if !clustered {
        return key_text.strip_suffix(SUFFIX);
    }
    let (model, own) = key_text.strip_suffix('}')?.rsplit_once("!changes:{")?;
    (own == tag(hash_slot(key)).to_string()).then_some(model)
}

/// The tag of a hash slot.
pub fn tag(slot: u16) -> u32 {
    static TAGS: OnceLock<Vec<u32>> = OnceLock::new();
    TAGS.get_or_init(tags)[usize::from(slot)]
}

fn tags() -> Vec<u32> {
    let mut tags = vec![u32::MAX; SLOTS];
    let mut digits = itoa::Buffer::new();
    for number in (0..TAGS_END).rev() {
        tags[usize::from(hash_slot(digits.format(number).as_bytes()))] = number;
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_in_the_slot_of_its_documents() {
        for slot in 0..SLOTS as u16 {
            let number = tag(slot);
            assert!(number < TAGS_END, "slot {slot} has no tag");
            assert_eq!(hash_slot(&name_in_slot("order", slot)), slot);
        }
        assert_eq!(tag(hash_slot(b"7")), 7);
        assert_eq!(model_of(b"order!changes:{7}", true), Some("order"));
        assert_eq!(model_of(b"a!changes:{7}!changes", false), Some("a!changes:{7}"));
        assert_eq!(model_of(b"order!changes", false), Some("order"));
        for (key, clustered) in [
            (&b"order!changes:{7}"[..], false),
            (b"order!changes", true),
            (b"order!changes:{x}", true),
            (b"order!changes:{07}", true),
            (b"\xff!changes", false),
            (b"order", false),
        ] {
            assert_eq!(model_of(key, clustered), None, "{}", key.escape_ascii());
        }
        assert_eq!(name("order"), b"order!changes");
    }
}
