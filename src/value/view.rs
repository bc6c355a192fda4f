//! Reading a value in place, whatever its representation.

use super::chunks::ChunkContent;
use super::leaf::PackedWay;
use super::names::{self, KeptName};
use super::number::Number;
use super::object::{LargeMembers, LargeObject};
use super::pack::{PackedBody, PackedItems, PackedMembers};
use super::tree::{LargeArray, LargeItems};
use crate::budget::weight;

/// A borrowed value. Cheap to copy.
#[derive(Clone, Copy)]
pub enum View<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Always finite.
    Float(f64),
    Str(Text<'a>),
    Array(ArrayView<'a>),
    Object(ObjectView<'a>),
}

/// The kinds of JSON values that operators tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }
}

/// UTF-8 text inside a document.
///
/// It is handed around as bytes because most readers print, compare or hash it; the few that need a
/// `str` pay for a check, which safe code cannot skip.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    #[inline]
    pub(super) fn new(utf8: &'a [u8]) -> Text<'a> {
        Text(utf8)
    }

    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    pub fn as_str(self) -> &'a str {
        std::str::from_utf8(self.0).expect("text in a document was UTF-8 when it was stored")
    }

    /// Unicode scalar values.
    pub fn code_points(self) -> usize {
        self.0.iter().filter(|byte| !(0x80..0xc0).contains(*byte)).count()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Text<'a> {
        Text(text.as_bytes())
    }
}

impl From<Number> for View<'_> {
    #[inline]
    fn from(number: Number) -> Self {
        match number {
            Number::Int(value) => View::Int(value),
            Number::Float(value) => View::Float(value),
        }
    }
}

impl<'a> View<'a> {
    pub fn kind(self) -> Kind {
        match self {
            View::Null => Kind::Null,
            View::Bool(_) => Kind::Boolean,
            View::Int(_) | View::Float(_) => Kind::Number,
            View::Str(_) => Kind::String,
            View::Array(_) => Kind::Array,
            View::Object(_) => Kind::Object,
        }
    }

    #[inline]
    pub fn as_number(self) -> Option<Number> {
        match self {
            View::Int(value) => Some(Number::Int(value)),
            View::Float(value) => Some(Number::Float(value)),
            _ => None,
        }
    }

    pub fn as_text(self) -> Option<Text<'a>> {
        match self {
            View::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_array(self) -> Option<ArrayView<'a>> {
        match self {
            View::Array(array) => Some(array),
            _ => None,
        }
    }

    #[inline]
    pub fn as_object(self) -> Option<ObjectView<'a>> {
        match self {
            View::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The child at a position of a container; `None` where there is none.
    pub fn child(self, position: u32) -> Option<View<'a>> {
        match self {
            View::Array(array) => array.get(position as usize),
            View::Object(object) => object.member(position).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The value at a place; `None` where there is none.
    pub fn at(self, place: &[u32]) -> Option<View<'a>> {
        place.iter().try_fold(self, |view, position| view.child(*position))
    }

    /// Returns true for a container that is packed, with everything in it.
    #[inline]
    pub fn is_packed(self) -> bool {
        matches!(self, View::Array(ArrayView::Packed(_)) | View::Object(ObjectView::Packed(_)))
    }

    /// Goes on to the member with that name, also with the way to this object where it is packed. Gives the member's
    /// position; none where this is no object that has the member.
    #[inline]
    pub fn go_to_member(&mut self, name: &str, way: &mut PackedWay) -> Option<u32> {
        match *self {
            View::Object(ObjectView::Packed(body)) => {
                body.go_to_member(names::find(name), name.as_bytes(), way, self)
            }
            View::Object(ObjectView::Tree(object)) => self.go_to_child(object.find(name)?),
            _ => None,
        }
    }

    /// As [`View::go_to_member`], of a name that is looked up again and again.
    #[inline]
    pub fn go_to_kept(&mut self, name: &KeptName, way: &mut PackedWay) -> Option<u32> {
        match *self {
            View::Object(ObjectView::Packed(body)) => {
                body.go_to_member(name.number(), name.as_str().as_bytes(), way, self)
            }
            View::Object(ObjectView::Tree(object)) => {
                let (id, mark) = name.find_marked();
                self.go_to_child(object.find_marked(name.as_str(), id, mark)?)
            }
            _ => None,
        }
    }

    #[inline]
    fn go_to_child(&mut self, (position, child): (u32, Self)) -> Option<u32> {
        *self = child;
        Some(position)
    }

    /// Deep JSON equality: `1 == 1.0`, member order does not count.
    pub fn equals(self, other: View<'_>) -> bool {
        match (self, other) {
            (View::Null, View::Null) => true,
            (View::Bool(a), View::Bool(b)) => a == b,
            (View::Str(a), View::Str(b)) => a == b,
            (View::Array(a), View::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(x, y)| x.equals(y))
            }
            (View::Object(a), View::Object(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(name, x)| b.find(name.as_str()).is_some_and(|(_, y)| x.equals(y)))
            }
            _ => match (self.as_number(), other.as_number()) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            },
        }
    }

    /// Flag: both are the same document text. `1` and `1.0` differ, and so does member order.
    pub fn identical(self, other: View<'_>) -> bool {
        self.identical_counting(other, &mut 0)
    }

    /// As [`View::identical`]; adds the steps that it took to `count`: for each value compared, and for long texts by
    /// their bytes.
    #[inline]
    pub fn identical_counting(self, other: View<'_>, count: &mut u64) -> bool {
        *count += weight::IDENTICAL;
        match (self, other) {
            (View::Int(a), View::Int(b)) => a == b,
            _ => self.is_identical_to(other, count),
        }
    }

    /// As [`View::identical_counting`], which has counted the two values themselves.
    fn is_identical_to(self, other: View<'_>, count: &mut u64) -> bool {
        match (self, other) {
            (View::Int(a), View::Int(b)) => a == b,
            (View::Float(a), View::Float(b)) => a.to_bits() == b.to_bits(),
            (View::Int(_), View::Float(_)) | (View::Float(_), View::Int(_)) => false,
            (View::Array(a), View::Array(b)) => {
                let stored_alike = match (a, b) {
                    (ArrayView::Packed(a), ArrayView::Packed(b)) => a.is_stored_as(b, count),
                    (ArrayView::Tree(a), ArrayView::Tree(b)) => {
                        a.chunks.are_stored_as(&b.chunks, count)
                    }
                    _ => false,
                };
                let mut pairs = a.iter().zip(b.iter());
                stored_alike
                    || (a.len() == b.len() && pairs.all(|(x, y)| x.identical_counting(y, count)))
            }
            (View::Object(a), View::Object(b)) => {
                let stored_alike = match (a, b) {
                    (ObjectView::Packed(a), ObjectView::Packed(b)) => a.is_stored_as(b, count),
                    (ObjectView::Tree(a), ObjectView::Tree(b)) => {
                        a.chunks.are_stored_as(&b.chunks, count)
                    }
                    _ => false,
                };
                let mut pairs = a.iter().zip(b.iter());
                stored_alike
                    || (a.len() == b.len()
                        && pairs.all(|((n, x), (m, y))| n == m && x.identical_counting(y, count)))
            }
            (View::Str(a), View::Str(b)) => {
                if a.as_bytes().len() == b.as_bytes().len() {
                    *count += self.work();
                }
                a == b
            }
            _ => self.equals(other),
        }
    }

    /// How deep the value nests: 0 for a scalar, 1 for `[]`.
    pub fn depth(self) -> u32 {
        self.depth_counting(&mut 0)
    }

    /// As [`View::depth`]; adds the number of values looked at to `count`.
    pub fn depth_counting(self, count: &mut u64) -> u32 {
        *count += 1;
        match self {
            View::Array(array) => {
                let mut depth = 0;
                array.each(|item| depth = depth.max(item.depth_counting(count)));
                1 + depth
            }
            View::Object(object) => {
                let depths = object.iter().map(|(_, value)| value.depth_counting(count));
                1 + depths.max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// The value's size in bytes, as limits and `MODEL.META` count it: 9 for null, a boolean and a number; 2 and
    /// its UTF-8 bytes for a string, but at least 9; 2 and its UTF-8 bytes for a member's name; 4 for a
    /// container and its parts. The same for equal content everywhere, whatever the representation. Scalars
    /// weigh alike because touching one takes as long as touching another.
    #[inline]
    pub fn size(self) -> u64 {
        match self {
            View::Array(_) | View::Object(_) => self.container_size(),
            scalar => scalar.scalar_size(),
        }
    }

    fn container_size(self) -> u64 {
        let mut size = CONTAINER_BYTES;
        match self {
            View::Array(array) => array.each(|item| size += item.size()),
            View::Object(object) => {
                for (name, value) in object.iter() {
                    size += text_size(name) + value.size();
                }
            }
            _ => unreachable!("a scalar is no container"),
        }
        size
    }

    /// As [`View::size`], of a value that is no container.
    #[inline]
    pub(super) const fn scalar_size(self) -> u64 {
        match self {
            View::Null | View::Bool(_) | View::Int(_) | View::Float(_) => SCALAR_BYTES,
            View::Str(text) => string_size(text),
            View::Array(_) | View::Object(_) => panic!("a container is no scalar"),
        }
    }

    /// About as many bytes as the value's JSON text takes, found in constant time: what a buffer for
    /// it should begin with.
    pub fn text_hint(self) -> usize {
        const LARGE: usize = 8192;
        match self {
            View::Str(text) => text.as_bytes().len() + 8,
            View::Array(ArrayView::Packed(body)) | View::Object(ObjectView::Packed(body)) => {
                body.bytes().len() * 2 + 16
            }
            View::Array(_) | View::Object(_) => LARGE,
            _ => 32,
        }
    }
}

/// The size of a scalar, and the least of a string.
pub(super) const SCALAR_BYTES: u64 = 9;

/// The size of an array or object, beside its parts.
pub(super) const CONTAINER_BYTES: u64 = 4;

/// The size of a string.
pub(super) const fn string_size(text: Text<'_>) -> u64 {
    let size = text_size(text);
    if size < SCALAR_BYTES { SCALAR_BYTES } else { size }
}

/// The size of a member's name.
pub(super) const fn text_size(text: Text<'_>) -> u64 {
    2 + text.0.len() as u64
}

/// A borrowed array.
#[derive(Clone, Copy)]
pub enum ArrayView<'a> {
    #[doc(hidden)]
    Packed(PackedBody<'a>),
    #[doc(hidden)]
    Tree(&'a LargeArray),
}

impl<'a> ArrayView<'a> {
    pub fn len(self) -> usize {
        match self {
            ArrayView::Packed(body) => body.len(),
            ArrayView::Tree(array) => array.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub fn get(self, index: usize) -> Option<View<'a>> {
        match self {
            ArrayView::Packed(body) => body.item(index),
            ArrayView::Tree(array) => array.get(index),
        }
    }

    /// As [`ArrayView::get`], going on with a way to this array where it is packed.
    #[inline]
    pub fn get_on_way(self, index: usize, way: &mut PackedWay) -> Option<View<'a>> {
        match self {
            ArrayView::Packed(body) => body.item_on_way(index, way),
            ArrayView::Tree(array) => array.get(index),
        }
    }

    pub fn iter(self) -> Items<'a> {
        match self {
            ArrayView::Packed(body) => Items(EitherIter::Packed(body.items())),
            ArrayView::Tree(array) => Items(EitherIter::Tree(array.iter())),
        }
    }

    /// Calls with each element: faster than the iterator where all of them are read.
    pub(super) fn each(self, mut call: impl FnMut(View<'a>)) {
        let array = match self {
            ArrayView::Packed(body) => return body.each_item(call),
            ArrayView::Tree(array) => array,
        };
        for part in array.chunks.parts() {
            match part {
                ChunkContent::Run(leaf) => leaf.get().body().each_item(&mut call),
                ChunkContent::One(_, value) => call(value.view()),
            }
        }
    }

    /// An identity that no other container has at the same time.
    pub fn address(self) -> usize {
        match self {
            ArrayView::Packed(body) => body.address(),
            ArrayView::Tree(array) => std::ptr::from_ref(array) as usize,
        }
    }
}

/// A borrowed object.
#[derive(Clone, Copy)]
pub enum ObjectView<'a> {
    #[doc(hidden)]
    Packed(PackedBody<'a>),
    #[doc(hidden)]
    Tree(&'a LargeObject),
}

impl<'a> ObjectView<'a> {
    pub fn len(self) -> usize {
        match self {
            ObjectView::Packed(body) => body.len(),
            ObjectView::Tree(object) => object.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub fn get(self, name: &str) -> Option<View<'a>> {
        self.find(name).map(|(_, value)| value)
    }

    /// As [`ObjectView::get`], of a name that is looked up again and again.
    #[inline]
    pub fn get_kept(self, name: &KeptName) -> Option<View<'a>> {
        let (id, mark) = name.find_marked();
        let text = name.as_str();
        match self {
            ObjectView::Packed(body) => body.find_named(id, text.as_bytes()).map(|found| found.1),
            ObjectView::Tree(object) => object.find_marked(text, id, mark).map(|found| found.1),
        }
    }

    /// The position and value of the member with that name.
    #[inline]
    pub fn find(self, name: &str) -> Option<(u32, View<'a>)> {
        match self {
            ObjectView::Packed(body) => {
                body.find(name).map(|(position, value)| (position as u32, value))
            }
            ObjectView::Tree(object) => object.find(name),
        }
    }

    /// The member at a position.
    pub fn member(self, position: u32) -> Option<(Text<'a>, View<'a>)> {
        match self {
            ObjectView::Packed(body) => {
                body.member(position as usize).map(|(name, value)| (name.text(), value))
            }
            ObjectView::Tree(object) => {
                object.member(position).map(|(name, value)| (name.text(), value))
            }
        }
    }

    /// The last member, with its position.
    pub fn last(self) -> Option<(u32, Text<'a>, View<'a>)> {
        match self {
            ObjectView::Packed(body) => {
                let position = body.len().checked_sub(1)? as u32;
                self.member(position).map(|(name, value)| (position, name, value))
            }
            ObjectView::Tree(object) => {
                object.last().map(|(position, name, value)| (position, name.text(), value))
            }
        }
    }

    /// Name and value of every member, in order.
    pub fn iter(self) -> Members<'a> {
        match self {
            ObjectView::Packed(body) => Members(EitherIter::Packed(body.members())),
            ObjectView::Tree(object) => Members(EitherIter::Tree(object.members())),
        }
    }

    /// An identity that no other container has at the same time.
    pub fn address(self) -> usize {
        match self {
            ObjectView::Packed(body) => body.address(),
            ObjectView::Tree(object) => std::ptr::from_ref(object) as usize,
        }
    }

    /// Position, name and value of every member, in order.
    pub fn entries(self) -> impl Iterator<Item = (u32, Text<'a>, View<'a>)> + 'a {
        match self {
            ObjectView::Packed(body) => EitherIter::Packed(
                (0..)
                    .zip(body.members())
                    .map(|(position, (name, value))| (position, name.text(), value)),
            ),
            ObjectView::Tree(object) => EitherIter::Tree(
                object.members().map(|(position, name, value)| (position, name.text(), value)),
            ),
        }
    }
}

/// Iterates the elements of an array.
#[derive(Clone)]
pub struct Items<'a>(EitherIter<PackedItems<'a>, LargeItems<'a>>);

impl<'a> Iterator for Items<'a> {
    type Item = View<'a>;

    #[inline]
    fn next(&mut self) -> Option<View<'a>> {
        match &mut self.0 {
            EitherIter::Packed(items) => items.next(),
            EitherIter::Tree(items) => items.next(),
        }
    }
}

/// Iterates the members of an object.
#[derive(Clone)]
pub struct Members<'a>(EitherIter<PackedMembers<'a>, LargeMembers<'a>>);

impl<'a> Members<'a> {
    /// As the iterator, with the name as a `str`: that of a shared name was checked when it was admitted.
    #[inline]
    pub fn next_str(&mut self) -> Option<(&'a str, View<'a>)> {
        match &mut self.0 {
            EitherIter::Packed(members) => {
                members.next().map(|(name, value)| (name.as_str(), value))
            }
            EitherIter::Tree(members) => {
                members.next().map(|(_, name, value)| (name.as_str(), value))
            }
        }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Text<'a>, View<'a>);

    #[inline]
    fn next(&mut self) -> Option<(Text<'a>, View<'a>)> {
        match &mut self.0 {
            EitherIter::Packed(members) => members.next().map(|(name, value)| (name.text(), value)),
            EitherIter::Tree(members) => {
                members.next().map(|(_, name, value)| (name.text(), value))
            }
        }
    }
}

/// One of two iterators over the same items.
#[derive(Clone)]
enum EitherIter<A, B> {
    Packed(A),
    Tree(B),
}

impl<T, A: Iterator<Item = T>, B: Iterator<Item = T>> Iterator for EitherIter<A, B> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match self {
            EitherIter::Packed(items) => items.next(),
            EitherIter::Tree(items) => items.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::error::ErrorCode;
    use crate::value::{Limits, parse};

    #[test]
    fn scalars_weigh_alike_and_no_less_than_their_memory() {
        for (json, size) in [
            ("null", 9),
            ("true", 9),
            ("1", 9),
            ("1.5", 9),
            (r#""""#, 9),
            (r#""1234567""#, 9),
            (r#""12345678""#, 10),
            ("[]", 4),
            ("[null,[]]", 17),
            (r#"{"":false}"#, 15),
        ] {
            let parsed = parse::json(json.as_bytes(), &Limits::NONE).unwrap();
            assert_eq!((parsed.size, parsed.value.view().size()), (size, size), "{json}");
            assert!(parsed.value.heap_bytes() as u64 <= size + 16, "{json}");
        }
    }

    #[test]
    fn identical_values_are_found_by_their_bytes_and_others_element_by_element() {
        let parsed = |json: &str| parse::json(json.as_bytes(), &Limits::NONE).unwrap().value;
        let compare = |a: &str, b: &str| {
            let mut steps = 0;
            let identical = parsed(a).view().identical_counting(parsed(b).view(), &mut steps);
            (identical, steps)
        };
        for members in [20, 10_000] {
            let list = |last: &str| format!("[{}{last}]", "5,".repeat(members));
            let object = |last: &str| {
                let members: String = (0..members).map(|nth| format!("\"m{nth}\":1,")).collect();
                format!("{{{members}\"last\":{last}}}")
            };
            let texts: [&dyn Fn(&str) -> String; 2] = [&list, &object];
            for text in texts {
                let (value, mut steps) = (parsed(&text("1")), 0);
                let identical = value.view().identical_counting(value.clone().view(), &mut steps);
                assert!(identical && steps <= members as u64, "{steps}");
                let (identical, steps) = compare(&text("1"), &text("1.0"));
                assert!(!identical && steps >= 3 * members as u64, "{steps}");
            }
        }
        assert!(!compare(r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#).0);
    }

    /// The limit on bytes bounds the number of values, and so the work of any walk.
    #[test]
    fn many_small_values_reach_the_limit() {
        for scalar in ["null", "false", "\"\""] {
            let text = |count: usize| format!("[{}]", vec![scalar; count].join(","));
            let limits = Limits { bytes: 9004, ..Limits::DEFAULT };
            assert!(parse::json(text(1000).as_bytes(), &limits).is_ok());
            let refused = parse::json(text(1001).as_bytes(), &limits).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::Limit);
            let parsed = parse::json(text(1000).as_bytes(), &limits).unwrap();
            assert!(
                parsed.value.heap_bytes() as u64 <= parsed.size,
                "memory is no more than the size"
            );
        }
    }
}
