//! The packed form: a whole small container in one buffer.
//!
//! ```text
//! node   := 0x00..=0x7f                      the integers 0 to 127
//!         | 0x80..=0xbf bytes                a string of 0 to 63 bytes
//!         | NULL | FALSE | TRUE
//!         | INT8 i8 | INT16 i16 | INT32 i32 | INT64 i64 | FLOAT f64
//!         | STRING u16 bytes
//!         | ARRAY  u16:body-bytes u16:count node*
//!         | OBJECT u16:body-bytes u16:count (name node)*
//! name   := 0b0nnnnnnn | 0b10nnnnnn nnnnnnnn number in the table of shared names
//!         | 0b11llllll bytes                 the name itself, 0 to 62 bytes
//!         | 0xff u16 bytes                   a longer one
//! ```
//!
//! Numbers are little-endian. The buffer of a leaf starts with the container's own tag and may be
//! longer than what is used, so that small growth needs no new buffer. Packed bytes hold numbers of shared names, which
//! are this process's own. They leave it in RDB files alone, which have a table of those names; [`super::saved`] checks
//! them when they are read. So what is in a buffer was written here or by [`super::leaf`], or was checked: a byte that
//! cannot be in one is a broken invariant, not an input error.

use super::leaf::PackedWay;
use super::names::{self, Mark, NameId};
use super::number::Number;
use super::view::{ArrayView, ObjectView, Text, View};
use crate::budget::weight;

/// A container whose packed form takes at most this many bytes is packed.
pub const LEAF_BYTES_MAX: usize = 1024;
/// Tag, body size and count of a container.
pub const HEADER_BYTES: usize = 5;

const SMALL_INT_MAX: i64 = 0x7f;
const SHORT_STRING: u8 = 0x80;
const SHORT_STRING_MAX: usize = 0x3f;
const NULL: u8 = 0xc0;
const FALSE: u8 = 0xc1;
const TRUE: u8 = 0xc2;
pub(super) const INT8: u8 = 0xc3;
pub(super) const INT16: u8 = 0xc4;
pub(super) const INT32: u8 = 0xc5;
pub(super) const INT64: u8 = 0xc6;
pub(super) const FLOAT: u8 = 0xc7;
pub(super) const STRING: u8 = 0xc8;
pub const ARRAY: u8 = 0xc9;
pub const OBJECT: u8 = 0xca;

pub(super) const NAME_WIDE: u8 = 0x80;
pub(super) const NAME_TEXT: u8 = 0xc0;
pub(super) const NAME_LONG: u8 = 0xff;
pub(super) const NAME_TEXT_MAX: usize = 62;

/// A member that is not there any more, in a run of a large object (see [`super::object`]): a name that no
/// name has, and null.
pub(super) const HOLE: [u8; 3] = [0xbf, 0xff, NULL];

/// Strings longer than this cannot be part of a packed container.
pub const STRING_BYTES_MAX: usize = LEAF_BYTES_MAX;

// --- Writing ---------------------------------------------------------------------------------

#[inline]
pub fn write_null(out: &mut Vec<u8>) {
    out.push(NULL);
}

#[inline]
pub fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.push(if value { TRUE } else { FALSE });
}

/// A packed value of a few bytes; a number always in its narrowest form.
pub struct PackedScalar {
    bytes: [u8; 24],
    len: u8,
}

impl PackedScalar {
    #[inline]
    pub fn number(number: Number) -> PackedScalar {
        match number {
            Number::Float(value) => PackedScalar::tagged(FLOAT, value.to_le_bytes()),
            Number::Int(value) => {
                let tag = match value {
                    0..=SMALL_INT_MAX => value as u8,
                    _ if i64::from(value as i8) == value => INT8,
                    _ if i64::from(value as i16) == value => INT16,
                    _ if i64::from(value as i32) == value => INT32,
                    _ => INT64,
                };
                // The low bytes are the narrower form: the tag says how many of them count.
                let wide = PackedScalar::tagged(tag, value.to_le_bytes());
                PackedScalar { len: NODE_BYTES[usize::from(tag)], ..wide }
            }
        }
    }

    #[inline]
    pub fn null() -> PackedScalar {
        PackedScalar::tagged(NULL, [])
    }

    #[inline]
    pub fn bool(value: bool) -> PackedScalar {
        PackedScalar::tagged(if value { TRUE } else { FALSE }, [])
    }

    /// None of a longer text, which is UTF-8.
    #[inline]
    pub fn string(text: &[u8]) -> Option<PackedScalar> {
        let mut packed = PackedScalar::tagged(SHORT_STRING | text.len() as u8, []);
        packed.bytes.get_mut(1..=text.len())?.copy_from_slice(text);
        packed.len += text.len() as u8;
        Some(packed)
    }

    #[inline]
    fn tagged<const N: usize>(tag: u8, payload: [u8; N]) -> PackedScalar {
        let mut packed = PackedScalar { bytes: [0; 24], len: 1 + N as u8 };
        packed.bytes[0] = tag;
        packed.bytes[1..=N].copy_from_slice(&payload);
        packed
    }

    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}

#[inline]
pub fn write_number(number: Number, out: &mut Vec<u8>) {
    match number {
        Number::Int(value) if (0..=SMALL_INT_MAX).contains(&value) => out.push(value as u8),
        Number::Float(value) => {
            out.push(FLOAT);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Number::Int(_) => {
            let PackedScalar { bytes, len } = PackedScalar::number(number);
            let bytes = bytes.first_chunk::<9>().expect("a number has no more bytes");
            out.extend_from_slice(bytes);
            out.truncate(out.len() - bytes.len() + usize::from(len));
        }
    }
}

/// As [`write_string`], of the first `len` bytes behind the first one of a block.
#[inline(always)]
pub(super) fn write_block_string<const N: usize>(
    mut block: [u8; N],
    len: usize,
    out: &mut Vec<u8>,
) {
    debug_assert!(len < N && len <= SHORT_STRING_MAX);
    block[0] = SHORT_STRING | len as u8;
    out.extend_from_slice(&block);
    out.truncate(out.len() - N + 1 + len);
}

/// `text` is UTF-8 of at most 65,535 bytes.
#[inline]
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    if text.len() <= SHORT_STRING_MAX {
        out.push(SHORT_STRING | text.len() as u8);
    } else {
        let len = u16::try_from(text.len()).expect("a packed string is short");
        out.push(STRING);
        out.extend_from_slice(&len.to_le_bytes());
    }
    out.extend_from_slice(text);
}

#[inline]
pub fn write_name_id(id: NameId, out: &mut Vec<u8>) {
    let number = id.get();
    if number < u16::from(NAME_WIDE) {
        out.push(number as u8);
    } else {
        out.push(NAME_WIDE | (number >> 8) as u8);
        out.push(number as u8);
    }
}

/// `text` is UTF-8 of at most 65,535 bytes.
pub fn write_name_text(text: &[u8], out: &mut Vec<u8>) {
    if text.len() <= NAME_TEXT_MAX {
        out.push(NAME_TEXT | text.len() as u8);
    } else {
        let len = u16::try_from(text.len()).expect("a packed name is short");
        out.push(NAME_LONG);
        out.extend_from_slice(&len.to_le_bytes());
    }
    out.extend_from_slice(text);
}

/// Writes a header to be completed by [`close_container`]; gives its offset.
#[inline]
pub fn open_container(tag: u8, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[tag, 0, 0, 0, 0]);
    start
}

pub fn close_container(start: usize, count: usize, out: &mut [u8]) {
    let body = out.len() - start - HEADER_BYTES;
    set_header(&mut out[start..], body, count);
}

#[inline]
pub(super) fn set_header(header: &mut [u8], body: usize, count: usize) {
    header[1..3].copy_from_slice(&u16::try_from(body).expect("a leaf is small").to_le_bytes());
    header[3..5].copy_from_slice(&u16::try_from(count).expect("a leaf is small").to_le_bytes());
}

// --- Reading ---------------------------------------------------------------------------------

#[inline]
pub(super) fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

#[inline]
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has N bytes")
}

/// The length of a node by its tag; 0 where the bytes behind the tag say it.
static NODE_BYTES: [u8; 256] = by_tag(false);
/// The length of a member's name by its tag, likewise.
static NAME_BYTES: [u8; 256] = by_tag(true);

/// One entry for each tag. The lengths of most nodes and names are one load away: walks over packed bytes do
/// little else than add them up.
const fn by_tag(names: bool) -> [u8; 256] {
    let mut lengths = [0; 256];
    let mut tag = 0;
    while tag < 256 {
        lengths[tag] = if names { name_bytes(tag as u8) } else { node_bytes(tag as u8) };
        tag += 1;
    }
    lengths
}

const fn node_bytes(tag: u8) -> u8 {
    match tag {
        0..SHORT_STRING => 1,
        SHORT_STRING..NULL => 1 + (tag & 0x3f),
        NULL | FALSE | TRUE => 1,
        INT8 => 2,
        INT16 => 3,
        INT32 => 5,
        INT64 | FLOAT => 9,
        _ => 0,
    }
}

const fn name_bytes(tag: u8) -> u8 {
    match tag {
        0..NAME_WIDE => 1,
        NAME_WIDE..NAME_TEXT => 2,
        NAME_LONG => 0,
        _ => 1 + (tag & 0x3f),
    }
}

/// The size of the node at `at`.
#[inline(always)]
pub fn node_len(bytes: &[u8], at: usize) -> usize {
    match NODE_BYTES[usize::from(bytes[at])] {
        0 => long_node_len(bytes, at),
        len => len.into(),
    }
}

#[inline]
fn long_node_len(bytes: &[u8], at: usize) -> usize {
    match bytes[at] {
        STRING => 3 + u16_at(bytes, at + 1),
        ARRAY | OBJECT => HEADER_BYTES + u16_at(bytes, at + 1),
        tag => unreachable!("packed bytes hold no tag {tag:#x}"),
    }
}

/// The node at `at`.
#[inline]
pub fn view(bytes: &[u8], at: usize) -> View<'_> {
    read(bytes, at).0
}

/// The length of the string that a tag begins, where the tag says it.
#[inline(always)]
pub(super) fn short_string_len(tag: u8) -> Option<usize> {
    (SHORT_STRING..NULL).contains(&tag).then(|| usize::from(tag & 0x3f))
}

/// The length of a string that is short enough for the tag to say it.
pub(super) fn short_string_of(len: usize) -> Option<u8> {
    (len <= SHORT_STRING_MAX).then_some(SHORT_STRING | len as u8)
}

/// The size of a number, a boolean or null by its tag; none for another tag.
#[inline]
pub(super) fn scalar_len(tag: u8) -> Option<usize> {
    (tag < SHORT_STRING || (NULL..=FLOAT).contains(&tag))
        .then(|| NODE_BYTES[usize::from(tag)].into())
}

/// The node at `at`, and the offset behind it.
#[inline(always)]
pub(super) fn read(bytes: &[u8], at: usize) -> (View<'_>, usize) {
    let text =
        |start: usize, len: usize| (View::Str(Text::new(&bytes[start..start + len])), start + len);
    match bytes[at] {
        small @ 0..SHORT_STRING => (View::Int(small.into()), at + 1),
        tag @ SHORT_STRING..NULL => text(at + 1, usize::from(tag & 0x3f)),
        NULL => (View::Null, at + 1),
        FALSE => (View::Bool(false), at + 1),
        TRUE => (View::Bool(true), at + 1),
        INT8 => (View::Int(i8::from_le_bytes(array_at(bytes, at + 1)).into()), at + 2),
        INT16 => (View::Int(i16::from_le_bytes(array_at(bytes, at + 1)).into()), at + 3),
        INT32 => (View::Int(i32::from_le_bytes(array_at(bytes, at + 1)).into()), at + 5),
        INT64 => (View::Int(i64::from_le_bytes(array_at(bytes, at + 1))), at + 9),
        FLOAT => (View::Float(f64::from_le_bytes(array_at(bytes, at + 1))), at + 9),
        STRING => text(at + 3, u16_at(bytes, at + 1)),
        ARRAY => {
            let body = PackedBody::at(bytes, at);
            (View::Array(ArrayView::Packed(body)), at + HEADER_BYTES + body.bytes.len())
        }
        OBJECT => {
            let body = PackedBody::at(bytes, at);
            (View::Object(ObjectView::Packed(body)), at + HEADER_BYTES + body.bytes.len())
        }
        tag => unreachable!("packed bytes hold no tag {tag:#x}"),
    }
}

/// The inside of a packed container.
#[derive(Clone, Copy)]
pub struct PackedBody<'a> {
    bytes: &'a [u8],
    count: u16,
}

impl<'a> PackedBody<'a> {
    #[inline(always)]
    pub(super) fn at(bytes: &'a [u8], at: usize) -> PackedBody<'a> {
        let start = at + HEADER_BYTES;
        let end = start + u16_at(bytes, at + 1);
        PackedBody { bytes: &bytes[start..end], count: u16_at(bytes, at + 3) as u16 }
    }

    /// `count` packed nodes (for an object, members) at the start of `bytes`.
    pub fn new(bytes: &'a [u8], count: usize) -> PackedBody<'a> {
        PackedBody { bytes, count: u16::try_from(count).expect("a leaf is small") }
    }

    pub fn len(self) -> usize {
        self.count.into()
    }

    pub(super) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Returns true if both have the same packed bytes: then they are identical. Adds the steps that it took.
    pub fn is_stored_as(self, other: PackedBody<'_>, count: &mut u64) -> bool {
        if self.bytes.len() != other.bytes.len() {
            return false;
        }
        *count += self.bytes.len() as u64 / weight::TEXT_BYTES;
        self.count == other.count && self.bytes == other.bytes
    }

    /// Where the container's tag stands in memory: no other container that is there at the same time
    /// has the same address, not even one of no bytes at the end of a buffer.
    pub fn address(self) -> usize {
        self.bytes.as_ptr() as usize - HEADER_BYTES
    }

    /// The elements of an array, in order.
    #[inline]
    pub fn items(self) -> PackedItems<'a> {
        PackedItems { bytes: self.bytes, at: 0, left: self.count }
    }

    pub fn item(self, index: usize) -> Option<View<'a>> {
        if index >= self.len() {
            return None;
        }
        Some(view(self.bytes, self.item_offset(index)))
    }

    pub(super) fn item_offset(self, index: usize) -> usize {
        (0..index).fold(0, |at, _| at + node_len(self.bytes, at))
    }

    /// As [`PackedBody::items`], inlined: for the hottest of loops.
    #[inline(always)]
    pub fn each_item(self, mut each: impl FnMut(View<'a>)) {
        let mut at = 0;
        for _ in 0..self.count {
            let (item, end) = read(self.bytes, at);
            each(item);
            at = end;
        }
    }

    /// As [`PackedBody::members`], inlined: for the hottest of loops.
    #[inline(always)]
    pub fn each_member(self, mut each: impl FnMut(PackedName<'a>, View<'a>)) {
        let mut at = 0;
        for _ in 0..self.count {
            let (name, value_at) = name_at(self.bytes, at);
            let (value, end) = read(self.bytes, value_at);
            each(name, value);
            at = end;
        }
    }

    /// The members of an object, in order.
    #[inline]
    pub fn members(self) -> PackedMembers<'a> {
        PackedMembers { bytes: self.bytes, at: 0, left: self.count }
    }

    /// The member at a position.
    pub fn member(self, position: usize) -> Option<(PackedName<'a>, View<'a>)> {
        if position >= self.len() {
            return None;
        }
        let (name, value_at) = name_at(self.bytes, self.member_offset(position));
        Some((name, view(self.bytes, value_at)))
    }

    pub(super) fn member_offset(self, position: usize) -> usize {
        (0..position).fold(0, |at, _| {
            let value_at = at + name_len(self.bytes, at);
            value_at + node_len(self.bytes, value_at)
        })
    }

    /// The position and value of the member with that name.
    #[inline]
    pub fn find(self, name: &str) -> Option<(usize, View<'a>)> {
        self.find_named(names::find(name), name.as_bytes())
    }

    /// Goes on to the member with that name, and with the way to this object. Gives the member's position.
    pub(super) fn go_to_member(
        self,
        id: Option<NameId>,
        name: &[u8],
        way: &mut PackedWay,
        view: &mut View<'a>,
    ) -> Option<u32> {
        let (position, name_at, start) = self.find_offset(id, name)?;
        let end;
        (*view, end) = read(self.bytes, start);
        way.step_to_member(name_at, start, end);
        Some(position as u32)
    }

    /// As [`PackedBody::item`], going on with a way to this array.
    #[inline]
    pub(super) fn item_on_way(self, index: usize, way: &mut PackedWay) -> Option<View<'a>> {
        if index >= self.len() {
            return None;
        }
        let start = self.item_offset(index);
        let (view, end) = read(self.bytes, start);
        way.step(start, end);
        Some(view)
    }

    /// As [`PackedBody::find`], with the number of the name if it has one.
    #[inline]
    pub(super) fn find_named(self, id: Option<NameId>, name: &[u8]) -> Option<(usize, View<'a>)> {
        let (position, _, value_at) = self.find_offset(id, name)?;
        Some((position, view(self.bytes, value_at)))
    }

    /// The position of the member with that name, and the offsets of its name and of its value.
    #[inline(always)]
    fn find_offset(self, id: Option<NameId>, name: &[u8]) -> Option<(usize, usize, usize)> {
        let probe = NameProbe::new(id, name);
        let bytes = self.bytes;
        let (mut position, mut at) = (0, 0);
        while let Some(&tag) = bytes.get(at) {
            debug_assert!(position < self.len(), "the bytes are those of the children");
            // Most names are numbers of one byte.
            let (value_at, is_found) = if tag < NAME_WIDE {
                (at + 1, tag == probe.number)
            } else {
                let value_at = at + name_len(bytes, at);
                (value_at, probe.is_at(bytes, at, value_at))
            };
            if is_found {
                return Some((position, at, value_at));
            }
            at = value_at + node_len(bytes, value_at);
            position += 1;
        }
        None
    }
}

/// Iterates the elements of a packed array.
#[derive(Clone, Default)]
pub struct PackedItems<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u16,
}

impl<'a> Iterator for PackedItems<'a> {
    type Item = View<'a>;

    #[inline]
    fn next(&mut self) -> Option<View<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (item, end) = read(self.bytes, self.at);
        self.at = end;
        Some(item)
    }
}

/// Iterates the members of a packed object.
#[derive(Clone, Default)]
pub struct PackedMembers<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u16,
}

impl<'a> Iterator for PackedMembers<'a> {
    type Item = (PackedName<'a>, View<'a>);

    #[inline]
    fn next(&mut self) -> Option<(PackedName<'a>, View<'a>)> {
        self.left = self.left.checked_sub(1)?;
        let (name, value_at) = name_at(self.bytes, self.at);
        let (value, end) = read(self.bytes, value_at);
        self.at = end;
        Some((name, value))
    }
}

/// A member's name inside a packed object.
#[derive(Clone, Copy)]
pub enum PackedName<'a> {
    Shared(NameId),
    /// UTF-8.
    Text(&'a [u8]),
}

impl<'a> PackedName<'a> {
    #[inline]
    pub fn text(self) -> Text<'a> {
        match self {
            PackedName::Shared(id) => Text::new(id.text().as_bytes()),
            PackedName::Text(text) => Text::new(text),
        }
    }

    /// Returns true for the name with that number, if it has one, and that text.
    #[inline]
    pub(super) fn is(self, id: Option<NameId>, name: &[u8]) -> bool {
        match self {
            PackedName::Shared(number) => Some(number) == id,
            PackedName::Text(text) => text == name,
        }
    }

    #[inline]
    pub fn as_str(self) -> &'a str {
        match self {
            PackedName::Shared(id) => id.text(),
            PackedName::Text(text) => Text::new(text).as_str(),
        }
    }

    /// The mark of the name, which is not a hole's.
    #[inline]
    pub(super) fn mark(self) -> Mark {
        match self {
            PackedName::Shared(id) => id.mark(),
            PackedName::Text(_) => Mark::of(self.as_str()),
        }
    }

    /// Returns true for the marker before the value of a [`HOLE`].
    #[inline]
    pub(super) fn is_hole(self) -> bool {
        matches!(self, PackedName::Shared(NameId::NONE))
    }
}

/// The name at `at` and the offset of the value behind it.
#[inline(always)]
pub(super) fn name_at(bytes: &[u8], at: usize) -> (PackedName<'_>, usize) {
    match bytes[at] {
        number @ 0..NAME_WIDE => (PackedName::Shared(NameId::from_packed(number.into())), at + 1),
        high @ NAME_WIDE..NAME_TEXT => {
            let number = u16::from(high & 0x3f) << 8 | u16::from(bytes[at + 1]);
            (PackedName::Shared(NameId::from_packed(number)), at + 2)
        }
        NAME_LONG => {
            let end = at + 3 + u16_at(bytes, at + 1);
            (PackedName::Text(&bytes[at + 3..end]), end)
        }
        tag => {
            let end = at + 1 + usize::from(tag & 0x3f);
            (PackedName::Text(&bytes[at + 1..end]), end)
        }
    }
}

#[inline(always)]
pub(super) fn name_len(bytes: &[u8], at: usize) -> usize {
    match NAME_BYTES[usize::from(bytes[at])] {
        0 => 3 + u16_at(bytes, at + 1),
        len => len.into(),
    }
}

/// A name that is looked for among packed ones: what it looks like as a number, and as text. A member that was
/// stored before its name was admitted has the text.
struct NameProbe<'n> {
    /// The first byte as a number, or one that no number begins with.
    number: u8,
    number_low: u8,
    /// The first byte as text.
    text: u8,
    name: &'n [u8],
}

impl<'n> NameProbe<'n> {
    #[inline]
    fn new(id: Option<NameId>, name: &'n [u8]) -> NameProbe<'n> {
        let (number, number_low) = match id.map(NameId::get) {
            None => (NAME_LONG, 0),
            Some(number) if number < u16::from(NAME_WIDE) => (number as u8, 0),
            Some(number) => (NAME_WIDE | (number >> 8) as u8, number as u8),
        };
        let text =
            if name.len() <= NAME_TEXT_MAX { NAME_TEXT | name.len() as u8 } else { NAME_LONG };
        NameProbe { number, number_low, text, name }
    }

    /// Returns true if the name in `start..end`, which is no number of one byte, is the one that is looked for.
    #[inline(always)]
    fn is_at(&self, bytes: &[u8], start: usize, end: usize) -> bool {
        let tag = bytes[start];
        if tag < NAME_TEXT {
            tag == self.number && bytes[start + 1] == self.number_low
        } else {
            tag == self.text && self.is_text(&bytes[start + 1..end])
        }
    }

    /// Names of one length often differ in their last byte alone.
    #[inline]
    fn is_text(&self, text: &[u8]) -> bool {
        let text = if self.text == NAME_LONG { &text[2..] } else { text };
        text.last() == self.name.last() && text == self.name
    }
}
