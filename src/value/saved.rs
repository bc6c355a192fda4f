//! Packed containers in an RDB: as they are in memory, with the numbers of names that the file has a table of.
//!
//! The table is read before the documents, and its names get numbers here. In a process that had no names before these
//! are the same numbers, and packed bytes are kept as they are once they were checked; otherwise the value is
//! built again with the numbers of this process. Whatever is read may be corrupt: every length, text, number and name is
//! checked, and the form must be the one that [`super::pack`] writes, because equal values have equal bytes.

use smallvec::SmallVec;

use super::build::{Measured, ValueBuilder};
use super::leaf::Leaf;
use super::limits::DEPTH_MAX;
use super::names::{self, Mark, NameId};
use super::pack::{self, HEADER_BYTES, LEAF_BYTES_MAX, PackedBody, PackedName};
use super::quote::BLOCK;
use super::tree::{Repr, Value};
use super::view::{CONTAINER_BYTES, SCALAR_BYTES, Text, string_size, text_size};
use crate::error::Result;

/// The shared names of a file, by their numbers there. They are distinct.
#[derive(Debug, Default)]
pub struct FileNames(Vec<FileName>);

#[derive(Debug)]
struct FileName {
    text: Box<str>,
    mark: Mark,
    /// The number in this process; none where its table is full.
    here: Option<NameId>,
}

impl FileNames {
    /// The names of a file, each given a number of this process.
    pub fn admit<'n>(names: impl IntoIterator<Item = &'n str>) -> FileNames {
        let admit = |text: &str| FileName {
            text: text.into(),
            mark: Mark::of(text),
            here: names::admit_saved(text),
        };
        FileNames(names.into_iter().map(admit).collect())
    }

    /// The text of a name in bytes that were checked.
    fn text<'t>(&'t self, name: PackedName<'t>) -> &'t str {
        match name {
            PackedName::Shared(number) => &self.0[usize::from(number.get())].text,
            PackedName::Text(text) => Text::new(text).as_str(),
        }
    }
}

/// Appends a packed container, whose tag is given.
pub(super) fn put(tag: u8, body: PackedBody<'_>, out: &mut Vec<u8>) {
    let start = pack::open_container(tag, out);
    out.extend_from_slice(body.bytes());
    pack::close_container(start, body.len(), &mut out[..]);
}

/// The bytes that the container at the start of `bytes` takes by its header; none where there is no container.
pub(super) fn len(bytes: &[u8]) -> Option<usize> {
    let [pack::ARRAY | pack::OBJECT, low, high, _, _] = bytes.first_chunk::<HEADER_BYTES>()? else {
        return None;
    };
    let len = HEADER_BYTES + usize::from(u16::from_le_bytes([*low, *high]));
    (len <= LEAF_BYTES_MAX).then_some(len)
}

/// Adds a packed container to a value that is being built. None where the bytes are corrupt.
pub(super) fn build(
    node: &[u8],
    names: &FileNames,
    builder: &mut ValueBuilder,
) -> Option<Result<()>> {
    let check = PackedCheck::of(node, names)?;
    Some(match check.has_numbers_here {
        true => builder.packed(node, check.size, check.depth),
        false => build_again(node, 0, names, builder).map(|_| ()),
    })
}

/// A packed container as a value by itself, without a builder; none where it has to be built, or is corrupt.
pub(super) fn read_whole(node: &[u8], names: &FileNames) -> Option<Measured> {
    let PackedCheck { size, depth, .. } =
        PackedCheck::of(node, names).filter(|check| check.has_numbers_here)?;
    Some(Measured { value: Value(Repr::Leaf(Leaf::new(node))), size, depth })
}

/// Builds the node at `at`, which was checked, and returns where it ends.
fn build_again(
    node: &[u8],
    at: usize,
    names: &FileNames,
    builder: &mut ValueBuilder,
) -> Result<usize> {
    let is_object = match node[at] {
        pack::ARRAY => false,
        pack::OBJECT => true,
        _ => {
            let (scalar, end) = pack::read(node, at);
            return builder.events(scalar).map(|()| end);
        }
    };
    let body = PackedBody::at(node, at);
    if is_object { builder.begin_object() } else { builder.begin_array() }?;
    let mut at = at + HEADER_BYTES;
    for _ in 0..body.len() {
        if is_object {
            let (name, value_at) = pack::name_at(node, at);
            builder.name(names.text(name))?;
            at = value_at;
        }
        at = build_again(node, at, names, builder)?;
    }
    builder.end();
    Ok(at)
}

/// Checks one packed container and measures it.
struct PackedCheck<'c> {
    node: &'c [u8],
    names: &'c FileNames,
    /// The marks of the names in each open object that has others than [`OpenObject::numbers`].
    seen: SmallVec<[Mark; 48]>,
    size: u64,
    depth: u32,
    /// Flag: the numbers of names are those of this process.
    has_numbers_here: bool,
}

/// One object that is being checked.
struct OpenObject {
    start: usize,
    seen_start: usize,
    /// The numbers of its names, of which most have one that is this small.
    numbers: u128,
    /// Flag: a name has another number or none, and the marks of all names are in [`PackedCheck::seen`].
    has_others: bool,
}

/// Returns true for text that is UTF-8. Short text that is ASCII is seen to be so in one step.
#[inline(always)]
fn is_utf8(bytes: &[u8], start: usize, end: usize) -> bool {
    const HIGH: u128 = u128::MAX / 0xff * 0x80;
    let block = bytes.get(start..).and_then(<[u8]>::first_chunk::<BLOCK>);
    match block {
        Some(block) if end - start < BLOCK => {
            let behind = u128::MAX << (8 * (end - start));
            u128::from_le_bytes(*block) & HIGH & !behind == 0
                || std::str::from_utf8(&bytes[start..end]).is_ok()
        }
        _ => std::str::from_utf8(&bytes[start..end]).is_ok(),
    }
}

// Each function returns the offset behind what it checked, and none where the bytes are corrupt.
impl<'c> PackedCheck<'c> {
    /// Checks the whole of a container.
    fn of(node: &'c [u8], names: &'c FileNames) -> Option<PackedCheck<'c>> {
        let seen = SmallVec::new();
        let mut check =
            PackedCheck { node, names, seen, size: 0, depth: 0, has_numbers_here: true };
        (check.container(0, 1)? == node.len()).then_some(check)
    }

    /// The container at `at`, which is the `depth`th one around its content.
    fn container(&mut self, at: usize, depth: u32) -> Option<usize> {
        let end = at + len(&self.node[at..])?;
        if depth > DEPTH_MAX || end > self.node.len() {
            return None;
        }
        self.size += CONTAINER_BYTES;
        self.depth = self.depth.max(depth);
        let count = pack::u16_at(self.node, at + 3);
        let (is_object, mut at) = (self.node[at] == pack::OBJECT, at + HEADER_BYTES);
        let seen_start = self.seen.len();
        let mut object = OpenObject { start: at, seen_start, numbers: 0, has_others: false };
        for _ in 0..count {
            if is_object {
                at = self.name(at, &mut object)?;
            }
            at = self.value(at, depth)?;
        }
        self.seen.truncate(seen_start);
        // A child that is longer than what is left of its container ends elsewhere.
        (at == end).then_some(end)
    }

    #[inline]
    fn value(&mut self, at: usize, depth: u32) -> Option<usize> {
        let tag = *self.node.get(at)?;
        if let Some(len) = pack::short_string_len(tag) {
            return self.string(at + 1, len);
        }
        let end = match tag {
            pack::ARRAY | pack::OBJECT => return self.container(at, depth + 1),
            pack::STRING => {
                let len = usize::from(u16::from_le_bytes(self.array(at + 1)?));
                let is_long = pack::short_string_of(len).is_none();
                return if is_long { self.string(at + 3, len) } else { None };
            }
            _ => at + pack::scalar_len(tag)?,
        };
        // A number that could be shorter is one that was not written here.
        let is_narrowest = match tag {
            pack::INT8 => i8::from_le_bytes(self.array(at + 1)?) < 0,
            pack::INT16 => {
                let value = i16::from_le_bytes(self.array(at + 1)?);
                i8::try_from(value).is_err()
            }
            pack::INT32 => i16::try_from(i32::from_le_bytes(self.array(at + 1)?)).is_err(),
            pack::INT64 => i32::try_from(i64::from_le_bytes(self.array(at + 1)?)).is_err(),
            pack::FLOAT => f64::from_le_bytes(self.array(at + 1)?).is_finite(),
            _ => true,
        };
        self.size += SCALAR_BYTES;
        (is_narrowest && end <= self.node.len()).then_some(end)
    }

    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.node.get(at..)?.first_chunk().copied()
    }

    #[inline]
    fn string(&mut self, start: usize, len: usize) -> Option<usize> {
        let end = start + len;
        if end > self.node.len() || !is_utf8(self.node, start, end) {
            return None;
        }
        self.size += string_size(Text::new(&self.node[start..end]));
        Some(end)
    }

    #[inline]
    fn name(&mut self, at: usize, object: &mut OpenObject) -> Option<usize> {
        let number @ 0..pack::NAME_WIDE = *self.node.get(at)? else {
            return self.other_name(at, object);
        };
        let name = self.numbered(number.into())?;
        let bit = 1 << number;
        if object.numbers & bit != 0 {
            return None;
        }
        object.numbers |= bit;
        if object.has_others {
            self.distinct_name(&name.text, name.mark, at, object)?;
        }
        Some(at + 1)
    }

    /// The name of this number.
    #[inline]
    fn numbered(&mut self, number: u16) -> Option<&'c FileName> {
        let name = self.names.0.get(usize::from(number))?;
        self.has_numbers_here &= name.here.map(NameId::get) == Some(number);
        self.size += text_size(Text::new(name.text.as_bytes()));
        Some(name)
    }

    /// A name with a number of two bytes, or without one.
    fn other_name(&mut self, at: usize, object: &mut OpenObject) -> Option<usize> {
        if !object.has_others {
            object.has_others = true;
            self.see_names(object.start, at);
        }
        let tag = self.node[at];
        if tag >= pack::NAME_TEXT {
            return self.name_text(at, tag, object);
        }
        let number = u16::from_be_bytes([tag & 0x3f, *self.node.get(at + 1)?]);
        if number < u16::from(pack::NAME_WIDE) {
            return None;
        }
        let name = self.numbered(number)?;
        self.distinct_name(&name.text, name.mark, at, object)?;
        Some(at + 2)
    }

    /// Adds the marks of the members between two offsets, which have small numbers.
    fn see_names(&mut self, mut at: usize, end: usize) {
        while at < end {
            let number = usize::from(self.node[at]);
            self.seen.push(self.names.0[number].mark);
            at += 1 + pack::node_len(self.node, at + 1);
        }
    }

    fn name_text(&mut self, at: usize, tag: u8, object: &mut OpenObject) -> Option<usize> {
        let (start, len) = match tag {
            pack::NAME_LONG => {
                let len = usize::from(u16::from_le_bytes(self.array(at + 1)?));
                (at + 3, (len > pack::NAME_TEXT_MAX).then_some(len)?)
            }
            _ => (at + 1, usize::from(tag & 0x3f)),
        };
        let text = std::str::from_utf8(self.node.get(start..start + len)?).ok()?;
        self.size += text_size(text.into());
        self.distinct_name(text, Mark::of(text), at, object)?;
        Some(start + len)
    }

    /// Refuses a name that the object has already in front of the member at `at`.
    fn distinct_name(
        &mut self,
        text: &str,
        mark: Mark,
        at: usize,
        object: &OpenObject,
    ) -> Option<()> {
        let is_repeated =
            self.seen[object.seen_start..].contains(&mark) && self.has_name(text, object.start, at);
        self.seen.push(mark);
        (!is_repeated).then_some(())
    }

    /// Returns true if one of the members between two offsets, which were checked, has this name.
    #[cold]
    fn has_name(&self, text: &str, mut at: usize, end: usize) -> bool {
        while at < end {
            let (name, value_at) = pack::name_at(self.node, at);
            if self.names.text(name) == text {
                return true;
            }
            at = value_at + pack::node_len(self.node, value_at);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Limits, Measured, parse, print, wire};

    const TEXTS: [&str; 9] = [
        "{}",
        "[]",
        "[0,127,128,-1,-128,-129,32767,32768,-2147483648,2147483648,-9223372036854775808]",
        r#"[null,true,false,0.1,-0.0,1e300,"","é","\u0000"]"#,
        r#"{"saved-a":1,"saved-b":{"saved-a":[{"saved-b":[]}]},"":2,"é":"x"}"#,
        r#"["0123456789012345678901234567890123456789012345678901234567890123456789"]"#,
        r#"{"0123456789012345678901234567890123456789012345678901234567890123456789":{"saved-c":1}}"#,
        r#"[[[[[[[[1]]]]]]]]"#,
        r#"{"saved-c":1,"saved-b":2,"saved-a":"text","saved-d":[1,2,3],"saved-e":-5000}"#,
    ];

    fn parsed(json: &str) -> Measured {
        parse::json(json.as_bytes(), &Limits::NONE).unwrap()
    }

    fn admit_names() {
        for _ in 0..names::SIGHTINGS {
            TEXTS.iter().for_each(|json| drop(parsed(json)));
        }
    }

    fn read(bytes: &[u8], names: &FileNames) -> Result<Measured> {
        let mut reader = wire::Reader::new(bytes).with_names(Some(names));
        let value = reader.value(&Limits::NONE)?;
        reader.finish()?;
        Ok(value)
    }

    fn saved(value: &Measured) -> Vec<u8> {
        let mut bytes = Vec::new();
        wire::put_value_for_file(value.value.view(), &mut bytes);
        bytes
    }

    /// A value of more than one leaf, with containers inside.
    fn large() -> String {
        let item = r#"{"saved-a":1,"saved-b":{"saved-c":[1,2,3]},"unshared":"text"}"#;
        let items = [item; 60].join(",");
        format!(r#"{{"items":[{items}],"saved-b":[{items}],"n":1}}"#)
    }

    /// More names than there are numbers of one byte.
    fn wide() -> String {
        let members: Vec<_> = (0..200).map(|nth| format!(r#""saved-wide-{nth}":{nth}"#)).collect();
        format!("{{{}}}", members.join(","))
    }

    #[test]
    fn values_survive_with_the_same_numbers_and_with_others() {
        admit_names();
        for _ in 0..names::SIGHTINGS {
            drop((parsed(&wide()), parsed(&large())));
        }
        for json in TEXTS.iter().map(|json| String::from(*json)).chain([large(), wide()]) {
            let value = parsed(&json);
            let bytes = saved(&value);
            let texts: Vec<_> = names::all().collect();
            let again = read(&bytes, &FileNames::admit(texts.iter().copied())).unwrap();
            assert_eq!(print::to_string(again.value.view()), json);
            assert_eq!((again.size, again.depth), (value.size, value.depth), "{json}");
            assert_eq!(saved(&again), bytes, "{json}");
            // The same bytes mean other names: what the file calls number 0 is the last one here.
            let other = FileNames::admit(texts.iter().rev().copied());
            let other_again = read(&bytes, &other).unwrap();
            assert_eq!(other_again.size, other_again.value.view().size());
            let bytes = saved(&other_again);
            let mapped = read(&bytes, &FileNames::admit(names::all())).unwrap();
            assert!(mapped.value.view().identical(other_again.value.view()), "{json}");
        }
    }

    #[test]
    fn names_without_a_number_here_are_kept_as_text() {
        admit_names();
        let mut names = FileNames::admit(["saved-x", "saved-y"]);
        names.0.iter_mut().for_each(|name| name.here = None);
        let bytes = [&[8, pack::OBJECT, 4, 0, 2, 0][..], &[0, 5, 1, 6]].concat();
        let value = read(&bytes, &names).unwrap();
        assert_eq!(print::to_string(value.value.view()), r#"{"saved-x":5,"saved-y":6}"#);
    }

    #[test]
    fn corrupt_bytes_are_refused_or_give_a_value_that_survives() {
        admit_names();
        let names = FileNames::admit(names::all());
        for json in TEXTS.iter().filter(|json| json.len() < 64) {
            let bytes = saved(&parsed(json));
            for at in 0..bytes.len() {
                assert!(read(&bytes[..at], &names).is_err(), "{json} cut at {at}");
                for byte in 0..=255 {
                    let mut changed = bytes.clone();
                    changed[at] = byte;
                    let Ok(value) = read(&changed, &names) else { continue };
                    assert_eq!(value.size, value.value.view().size());
                    assert_eq!(value.depth, value.value.view().depth());
                    let text = print::to_string(value.value.view());
                    let again = parsed(&text);
                    assert!(again.value.view().identical(value.value.view()), "{text}");
                    assert_eq!(again.size, value.size, "no name is repeated: {text}");
                }
            }
        }
    }

    #[test]
    fn forms_that_are_never_written_are_refused() {
        let names = FileNames::admit(["saved-x", "saved-y"]);
        let node = |tag: u8, count: u8, body: &[u8]| {
            let bytes = [&[8, tag, body.len() as u8, 0, count, 0], body].concat();
            read(&bytes, &names).is_ok()
        };
        let (array, object) = (pack::ARRAY, pack::OBJECT);
        assert!(node(array, 1, &[5]) && node(object, 1, &[0, 5]) && node(object, 2, &[0, 5, 1, 5]));
        let cases: [(u8, u8, &[u8]); 18] = [
            // Counts that do not agree with the bytes.
            (array, 0, &[5]),
            (array, 2, &[5]),
            (object, 1, &[0]),
            // Numbers in a wider form than they need, and one that is not finite.
            (array, 1, &[pack::INT8, 5]),
            (array, 1, &[pack::INT16, 5, 0]),
            (array, 1, &[pack::INT32, 5, 0, 0, 0]),
            (array, 1, &[pack::INT64, 5, 0, 0, 0, 0, 0, 0, 0]),
            (array, 1, &[pack::FLOAT, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f]),
            // Texts in a longer form, and one that is not UTF-8.
            (array, 1, &[pack::STRING, 1, 0, b'a']),
            (array, 1, &[0x81, 0xff]),
            (object, 1, &[pack::NAME_LONG, 1, 0, b'a', 5]),
            (object, 1, &[0xc1, 0xff, 5]),
            // Names: unknown, in a wider form, repeated by number, by text, by both; a hole.
            (object, 1, &[3, 5]),
            (object, 1, &[pack::NAME_WIDE, 1, 5]),
            (object, 2, &[0, 5, 0, 5]),
            (object, 2, &[0, 5, 0xc7, b's', b'a', b'v', b'e', b'd', b'-', b'x', 5]),
            (object, 2, &[0xc7, b's', b'a', b'v', b'e', b'd', b'-', b'x', 5, 0, 5]),
            (object, 2, &[0xc1, b'a', 5, 0xc1, b'a', 5]),
        ];
        for (tag, count, body) in cases {
            assert!(!node(tag, count, body), "{body:?}");
        }
        assert!(!node(object, 1, &pack::HOLE) && !node(array, 1, &[0xff]));
        let deep = [&[8][..], &[array, 0, 0, 1, 0].repeat(200)].concat();
        assert!(read(&deep, &names).is_err());
        // A file without a table has no packed containers.
        let bare = [8, array, 1, 0, 1, 0, 5];
        assert!(read(&bare, &names).is_ok());
        assert!(wire::Reader::new(&bare).value(&Limits::NONE).is_err());
    }
}
