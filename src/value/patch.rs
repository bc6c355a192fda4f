//! JSON Patches (RFC 6902) that lead from one value to another, as text.
//!
//! A patch mentions what differs and nothing else. Where the operations inside a container take more bytes than the
//! container's new text does, one `replace` stands in their place.

use smallvec::SmallVec;

use super::quote;
use super::view::{ArrayView, ObjectView, View};
use super::{Number, print};

/// Bytes of text that may be looked at to find out whether a container is shorter than the operations inside of it.
const COMPARED_BYTES: usize = 1 << 20;
/// Room for the text of a change of a field or two, and for the pointer to one.
const TEXT_BYTES: usize = 128;
const POINTER_BYTES: usize = 64;
/// Bytes of a `replace` without its pointer and its value.
const REPLACE_BYTES: usize = r#"{"op":"replace","path":"","value":}"#.len();

/// The patch that makes `new` of `old`, or none if its text would be longer than `most` bytes.
pub fn between(old: View<'_>, new: View<'_>, most: usize) -> Option<Vec<u8>> {
    let mut patch = PatchWriter::new(most);
    patch.difference(old, new);
    patch.finish()
}

/// Returns true if the JSON text of a value takes at most so many bytes. Looks at no more of it.
pub fn fits(view: View<'_>, most: usize) -> bool {
    let mut left = most;
    take(view, &mut left)
}

/// Subtracts the bytes of a value's text; false where there are more.
fn take(view: View<'_>, left: &mut usize) -> bool {
    match view {
        View::Null | View::Bool(true) => take_bytes(4, left),
        View::Bool(false) => take_bytes(5, left),
        View::Int(value) => Number::Int(value).with_text(|text| take_bytes(text.len(), left)),
        View::Float(value) => Number::Float(value).with_text(|text| take_bytes(text.len(), left)),
        View::Str(text) => take_text(text.as_bytes(), left),
        View::Array(array) => {
            take_bytes(1 + array.len().max(1), left) && array.iter().all(|item| take(item, left))
        }
        View::Object(object) => {
            take_bytes(1 + object.len().max(1), left)
                && object.iter().all(|(name, value)| {
                    take_text(name.as_bytes(), left) && take_bytes(1, left) && take(value, left)
                })
        }
    }
}

fn take_bytes(bytes: usize, left: &mut usize) -> bool {
    let rest = left.checked_sub(bytes);
    *left = rest.unwrap_or(0);
    rest.is_some()
}

fn take_text(text: &[u8], left: &mut usize) -> bool {
    if text.len() + 2 > *left {
        return false;
    }
    if quote::plain_len(text) == text.len() {
        return take_bytes(text.len() + 2, left);
    }
    let mut quoted = Vec::new();
    quote::string(text, &mut quoted);
    take_bytes(quoted.len(), left)
}

/// Writes the operations of a patch, at a pointer that moves through the value.
pub struct PatchWriter {
    out: Vec<u8>,
    pointer: SmallVec<[u8; POINTER_BYTES]>,
    most: usize,
    /// See [`COMPARED_BYTES`].
    compared_left: usize,
}

impl PatchWriter {
    /// For a patch of at most so many bytes.
    pub fn new(most: usize) -> PatchWriter {
        let mut out = Vec::with_capacity(TEXT_BYTES);
        out.push(b'[');
        PatchWriter { out, pointer: SmallVec::new(), most, compared_left: COMPARED_BYTES }
    }

    /// The text of the patch, unless it is longer than allowed.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        self.out.push(b']');
        (self.out.len() <= self.most).then_some(self.out)
    }

    /// The position in the text, see [`PatchWriter::shorten`].
    pub fn mark(&self) -> usize {
        self.out.len()
    }

    /// Calls with the pointer at a member.
    pub fn at_member(&mut self, name: &str, write: impl FnOnce(&mut PatchWriter)) {
        let len = self.pointer.len();
        self.pointer.push(b'/');
        for byte in name.bytes() {
            match byte {
                b'~' => self.pointer.extend_from_slice(b"~0"),
                b'/' => self.pointer.extend_from_slice(b"~1"),
                byte => self.pointer.push(byte),
            }
        }
        write(self);
        self.pointer.truncate(len);
    }

    /// Calls with the pointer at an element.
    pub fn at_item(&mut self, index: usize, write: impl FnOnce(&mut PatchWriter)) {
        let len = self.pointer.len();
        self.pointer.push(b'/');
        self.pointer.extend_from_slice(itoa::Buffer::new().format(index).as_bytes());
        write(self);
        self.pointer.truncate(len);
    }

    pub fn add(&mut self, value: View<'_>) {
        self.operation("add", Some(value));
    }

    pub fn remove(&mut self) {
        self.operation("remove", None);
    }

    pub fn replace(&mut self, value: View<'_>) {
        self.operation("replace", Some(value));
    }

    fn operation(&mut self, name: &str, value: Option<View<'_>>) {
        // A patch that is too long already is not given out, see `finish`.
        if self.out.len() > self.most {
            return;
        }
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        self.out.extend_from_slice(b"{\"op\":\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\",\"path\":");
        quote::string(&self.pointer, &mut self.out);
        if let Some(value) = value {
            self.out.extend_from_slice(b",\"value\":");
            print::json(value, &mut self.out);
        }
        self.out.push(b'}');
    }

    /// Replaces the container at the pointer, if that is shorter than the operations written since the mark.
    pub fn shorten(&mut self, mark: usize, new: View<'_>) {
        let written = self.out.len() - mark;
        let room = written.saturating_sub(REPLACE_BYTES + self.pointer.len());
        if room == 0 || room > self.compared_left {
            return;
        }
        self.compared_left -= room;
        if fits(new, room - 1) {
            self.out.truncate(mark);
            self.replace(new);
        }
    }

    /// The operations that make `new` of `old`, which is at the pointer.
    pub fn difference(&mut self, old: View<'_>, new: View<'_>) {
        let mark = self.mark();
        match (old, new) {
            (View::Object(before), View::Object(after)) => self.members(before, after),
            (View::Array(before), View::Array(after)) => self.items(before, after),
            _ if old.identical(new) => return,
            _ => return self.replace(new),
        }
        self.shorten(mark, new);
    }

    fn members(&mut self, before: ObjectView<'_>, after: ObjectView<'_>) {
        for (name, _) in before.iter() {
            if after.get(name.as_str()).is_none() {
                self.at_member(name.as_str(), PatchWriter::remove);
            }
        }
        for (name, new) in after.iter() {
            self.at_member(name.as_str(), |patch| match before.get(name.as_str()) {
                Some(old) => patch.difference(old, new),
                None => patch.add(new),
            });
        }
    }

    /// Elements that are the same at both ends stay; of those between, the first ones are compared one by one.
    fn items(&mut self, before: ArrayView<'_>, after: ArrayView<'_>) {
        let (old_len, new_len) = (before.len(), after.len());
        let shared = old_len.min(new_len);
        let same = |(old, new): &(View<'_>, View<'_>)| old.identical(*new);
        let head = before.iter().zip(after.iter()).take_while(same).count();
        let from_end = |nth: usize| (before.get(old_len - 1 - nth), after.get(new_len - 1 - nth));
        let is_same_tail = |nth: &usize| match from_end(*nth) {
            (Some(old), Some(new)) => old.identical(new),
            _ => false,
        };
        let tail = if old_len == new_len {
            0
        } else {
            (0..shared - head).take_while(is_same_tail).count()
        };
        let (old_end, new_end) = (old_len - tail, new_len - tail);
        let compared = old_end.min(new_end);
        let pairs = before.iter().zip(after.iter()).enumerate().take(compared).skip(head);
        for (index, (old, new)) in pairs {
            self.at_item(index, |patch| patch.difference(old, new));
        }
        for index in (compared..old_end).rev() {
            self.at_item(index, PatchWriter::remove);
        }
        for (index, new) in after.iter().enumerate().take(new_end).skip(compared) {
            self.at_item(index, |patch| patch.add(new));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Limits, parse};

    #[track_caller]
    fn check(old: &str, new: &str, expected: &str) {
        let value = |json: &str| parse::json(json.as_bytes(), &Limits::NONE).unwrap().value;
        let patch = between(value(old).view(), value(new).view(), usize::MAX).unwrap();
        assert_eq!(String::from_utf8(patch).unwrap(), expected, "{old} to {new}");
    }

    #[test]
    fn a_patch_mentions_what_differs() {
        for (old, new, expected) in [
            ("1", "1", "[]"),
            ("1", "1.0", r#"[{"op":"replace","path":"","value":1.0}]"#),
            (r#"{"a":1,"b":[1,2]}"#, r#"{"b":[1,2],"a":1}"#, "[]"),
            (
                r#"{"a":1,"long":"xxxxxxxxxxxxxxxxxxxxxxx"}"#,
                r#"{"a":2,"long":"xxxxxxxxxxxxxxxxxxxxxxx"}"#,
                r#"[{"op":"replace","path":"/a","value":2}]"#,
            ),
            (
                r#"{"~/":1,"a":{"b":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}"#,
                r#"{"a":{"b":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","é\"":[]}}"#,
                r#"[{"op":"remove","path":"/~0~1"},{"op":"add","path":"/a/é\"","value":[]}]"#,
            ),
            (
                r#"{"a":1,"b":2}"#,
                r#"{"a":2,"b":3}"#,
                r#"[{"op":"replace","path":"","value":{"a":2,"b":3}}]"#,
            ),
            (
                "[1111111111111111,2,3,4,5,6666666666666666,77777777777777777777.5]",
                "[1111111111111111,3,4,5,6666666666666666,77777777777777777777.5]",
                r#"[{"op":"remove","path":"/1"}]"#,
            ),
            (
                "[1111111111111111,2222222222222222,3333333333333333]",
                "[1111111111111111,5,2222222222222222,3333333333333333]",
                r#"[{"op":"add","path":"/1","value":5}]"#,
            ),
            ("[]", "[[]]", r#"[{"op":"add","path":"/0","value":[]}]"#),
        ] {
            check(old, new, expected);
        }
    }

    #[test]
    fn a_text_is_measured_as_it_is_printed() {
        for json in [
            "null",
            "false",
            "-12",
            "1e300",
            "[]",
            "{}",
            r#"{"a\n":[1,"é\u0001\"",{"b":true}],"":0.5}"#,
        ] {
            let value = parse::json(json.as_bytes(), &Limits::NONE).unwrap().value;
            let len = print::to_string(value.view()).len();
            assert!(fits(value.view(), len) && !fits(value.view(), len - 1), "{json}");
        }
    }

    #[test]
    fn a_patch_longer_than_allowed_is_none() {
        let value = |json: &str| parse::json(json.as_bytes(), &Limits::NONE).unwrap().value;
        let (old, new) = (value(r#"{"a":[1,2,3]}"#), value(r#"{"a":[1,2,4]}"#));
        let patch = between(old.view(), new.view(), usize::MAX).unwrap();
        assert_eq!(between(old.view(), new.view(), patch.len()), Some(patch.clone()));
        assert_eq!(between(old.view(), new.view(), patch.len() - 1), None);
    }
}
