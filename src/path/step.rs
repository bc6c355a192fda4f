//! The steps of singular paths.

use std::borrow::Cow;

use crate::value::{ArrayView, PackedWay, View};

/// One step down from a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep<'a> {
    /// A JSONPath name: a member of an object.
    Name(Cow<'a, str>),
    /// A JSONPath index: an item of an array, from the end when negative.
    Index(i64),
    /// A JSON Pointer token: a member's name in an object; in an array an index, or `-` for the one
    /// past the end.
    Token(Cow<'a, str>),
}

impl<'a> PathStep<'a> {
    /// The step with its text borrowed.
    #[inline]
    pub(super) fn lend(&self) -> PathStep<'_> {
        match self {
            PathStep::Name(name) => PathStep::Name(Cow::Borrowed(name)),
            PathStep::Index(index) => PathStep::Index(*index),
            PathStep::Token(token) => PathStep::Token(Cow::Borrowed(token)),
        }
    }

    /// The step with its text in memory of its own.
    pub(super) fn into_owned(self) -> PathStep<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            PathStep::Name(name) => PathStep::Name(owned(name)),
            PathStep::Index(index) => PathStep::Index(index),
            PathStep::Token(token) => PathStep::Token(owned(token)),
        }
    }

    /// The member this step names in an object.
    #[inline]
    pub fn name(&self) -> Option<&str> {
        match self {
            PathStep::Name(name) | PathStep::Token(name) => Some(name),
            PathStep::Index(_) => None,
        }
    }

    /// The child of `view` that this step leads to, with its position.
    #[inline]
    pub(super) fn child<'v>(&self, view: View<'v>) -> Option<(u32, View<'v>)> {
        match view {
            View::Object(object) => object.find(self.name()?),
            View::Array(array) => {
                let index = self.index_in(array)?;
                Some((u32::try_from(index).ok()?, array.get(index)?))
            }
            _ => None,
        }
    }

    /// Goes on from `view` to the child that [`PathStep::child`] gives, also with the way to `view` where that is packed.
    /// Gives the child's position.
    #[inline]
    pub(super) fn go(&self, view: &mut View<'_>, way: &mut PackedWay) -> Option<u32> {
        match view {
            View::Object(_) => view.go_to_member(self.name()?, way),
            View::Array(array) => {
                let index = self.index_in(*array)?;
                let position = u32::try_from(index).ok()?;
                *view = array.get_on_way(index, way)?;
                Some(position)
            }
            _ => None,
        }
    }

    /// As [`PathStep::index`]. The length of a large array is at its end, which no index from the beginning needs to read.
    #[inline]
    fn index_in(&self, array: ArrayView<'_>) -> Option<usize> {
        match self {
            PathStep::Index(index @ 0..) => Some(*index as usize),
            _ => self.index(array.len()),
        }
    }

    /// The index this step stands for in an array of that length, which may be out of range; `None` for a
    /// name, [`usize::MAX`] for one before the beginning.
    pub(super) fn index(&self, len: usize) -> Option<usize> {
        match self {
            PathStep::Name(_) => None,
            PathStep::Index(index) => Some(from_end(*index, len).unwrap_or(usize::MAX)),
            PathStep::Token(token) if token == "-" => Some(len),
            PathStep::Token(token) => array_index(token),
        }
    }
}

/// The array index that a JSON Pointer token is: decimal digits without leading zeros. One too large for any array is
/// the largest there is.
fn array_index(token: &str) -> Option<usize> {
    let digits = token.as_bytes();
    let plain = digits.iter().all(u8::is_ascii_digit);
    if digits.is_empty() || !plain || (digits.len() > 1 && digits[0] == b'0') {
        return None;
    }
    Some(token.parse().unwrap_or(usize::MAX))
}

/// A JSONPath index as an offset from the beginning; `None` before it.
#[inline]
pub(super) fn from_end(index: i64, len: usize) -> Option<usize> {
    let offset = if index < 0 { index + len as i64 } else { index };
    usize::try_from(offset).ok()
}
