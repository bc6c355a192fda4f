//! The work that touching a whole value takes, in steps of a command's budget.

use super::chunks::{ChildName, ChunkContent, ContentIter};
use super::view::{ArrayView, ObjectView, View};
use crate::budget::weight::{self, PACKED_BYTES, TEXT_BYTES};

impl<'a> View<'a> {
    /// Steps that reading, comparing, copying or dropping everything in the value takes: none for a scalar,
    /// whose own step is its container's; for a text or a packed container by its bytes; for a tree those of
    /// its runs, as packed containers, and at least one for each child.
    #[inline]
    pub fn work(self) -> u64 {
        self.work_within(u64::MAX)
    }

    /// As [`View::work`], where more than `most` need not be told apart: finding out takes no more time.
    #[inline]
    pub fn work_within(self, most: u64) -> u64 {
        match self {
            View::Null | View::Bool(_) | View::Int(_) | View::Float(_) => 0,
            View::Str(text) => text.as_bytes().len() as u64 / TEXT_BYTES,
            View::Array(ArrayView::Packed(body)) | View::Object(ObjectView::Packed(body)) => {
                body.bytes().len() as u64 / PACKED_BYTES
            }
            View::Array(_) | View::Object(_) => self.work_of_tree(most),
        }
    }

    #[inline(never)]
    fn work_of_tree(self, most: u64) -> u64 {
        let mut work = 0;
        let mut stack = vec![self];
        while let Some(view) = stack.pop() {
            // The children of one container are counted before any of them is looked at.
            match view {
                View::Array(ArrayView::Tree(array)) => {
                    if work + array.len() as u64 > most {
                        return work + array.len() as u64;
                    }
                    work += work_of_parts(array.chunks.parts(), 1, &mut stack);
                }
                View::Object(ObjectView::Tree(object)) => {
                    if work + object.len() as u64 > most {
                        return work + object.len() as u64;
                    }
                    let each = 1 + weight::MEMBER_OF_TREE;
                    work += work_of_parts(object.chunks.parts(), each, &mut stack);
                }
                other => work += other.work(),
            }
            if work > most {
                break;
            }
        }
        work
    }
}

/// Steps for the chunks of a tree node, whose children take `each` beside what is in them. A run is not looked
/// into: it takes as many as a packed container of its bytes, or its children at least. What is a chunk of its
/// own is put on the stack.
fn work_of_parts<'v, N: ChildName>(
    parts: ContentIter<'v, N>,
    each: u64,
    stack: &mut Vec<View<'v>>,
) -> u64 {
    let mut work = 0;
    for part in parts {
        work += match part {
            ChunkContent::Run(leaf) => {
                let body = leaf.get().body();
                (body.len() as u64 * each).max(body.bytes().len() as u64 / PACKED_BYTES)
            }
            ChunkContent::One(name, value) => {
                stack.push(value.view());
                each + name.text_len() as u64 / TEXT_BYTES
            }
        };
    }
    work
}

/// Steps that comparing a value with one whose work is `most` takes at most: no more than looking through
/// the smaller one.
pub fn comparison(value: View<'_>, most: u64) -> u64 {
    1 + value.work_within(most).min(most)
}

/// Steps that comparing every element with a value whose work is `most` takes at most.
pub fn comparisons(array: ArrayView<'_>, most: u64) -> u64 {
    array.iter().map(|item| comparison(item, most)).sum()
}

#[cfg(test)]
mod tests {
    use crate::value::{Limits, parse};

    fn work(json: &str) -> u64 {
        parse::json(json.as_bytes(), &Limits::NONE).unwrap().value.view().work()
    }

    #[test]
    fn work_grows_with_what_is_inside() {
        assert_eq!([work("null"), work("1"), work("1.5"), work(r#""short""#)], [0; 4]);
        assert_eq!(work(&format!("\"{}\"", "x".repeat(1600))), 100);
        assert!(work("[1,2,3]") <= 6);
        let numbers = format!("[{}]", vec!["12345"; 10_000].join(","));
        assert!((10_000..16_000).contains(&work(&numbers)), "{}", work(&numbers));
        let nested = format!("[{numbers},{numbers}]");
        assert_eq!(work(&nested), 2 * work(&numbers) + 2);
        let members: Vec<String> = (0..1000).map(|n| format!("\"n{n}\":{n}")).collect();
        assert_eq!(work(&format!("{{{}}}", members.join(","))), 9000);
    }

    #[test]
    fn counting_stops_where_the_rest_makes_no_difference() {
        let numbers = format!("[{}]", vec!["12345"; 10_000].join(","));
        let value = parse::json(format!("[{numbers},{numbers}]").as_bytes(), &Limits::NONE);
        let value = value.unwrap().value;
        assert!((101..20_000).contains(&value.view().work_within(100)));
        assert_eq!(value.view().work_within(50_000), value.view().work());
    }
}
