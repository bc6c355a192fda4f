//! Positions in arrays as clients write them: negative ones count from the end.
//!
//! Any `i64` is a position; nothing here can overflow.

use std::ops::Range;

/// The element at a position, if it exists: `-1` is the last.
pub fn element(position: i64, len: usize) -> Option<usize> {
    usize::try_from(from_start(position, len)).ok().filter(|index| *index < len)
}

/// The gap between elements at a position, clamped as Python clamps slice bounds.
pub fn gap(position: i64, len: usize) -> usize {
    clamp(from_start(position, len), len)
}

/// The elements from `start` up to but without `stop`, as a Python slice.
pub fn slice(start: i64, stop: i64, len: usize) -> Range<usize> {
    let start = gap(start, len);
    start..gap(stop, len).max(start)
}

/// The elements from `start` to `stop`, both included, as Redis' `LTRIM` and `LRANGE` read them.
pub fn inclusive(start: i64, stop: i64, len: usize) -> Range<usize> {
    let start = gap(start, len);
    start..clamp(from_start(stop, len) + 1, len).max(start)
}

fn from_start(position: i64, len: usize) -> i128 {
    let position = i128::from(position);
    if position < 0 { position + len as i128 } else { position }
}

fn clamp(offset: i128, len: usize) -> usize {
    offset.clamp(0, len as i128) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        for (position, expected) in [
            (0, Some(0)),
            (2, Some(2)),
            (3, None),
            (-1, Some(2)),
            (-3, Some(0)),
            (-4, None),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            assert_eq!(element(position, 3), expected, "{position}");
        }
        assert_eq!(element(0, 0), None);
        assert_eq!(element(-1, 0), None);
    }

    #[test]
    fn slices_as_in_python() {
        for (start, stop, expected) in [
            (0, 3, 0..3),
            (1, 2, 1..2),
            (0, -1, 0..2),
            (-2, 3, 1..3),
            (2, 1, 2..2),
            (5, 9, 3..3),
            (-9, 1, 0..1),
            (i64::MIN, i64::MAX, 0..3),
            (i64::MAX, i64::MIN, 3..3),
        ] {
            assert_eq!(slice(start, stop, 3), expected, "{start} {stop}");
        }
        assert_eq!(slice(i64::MIN, i64::MAX, 0), 0..0);
    }

    #[test]
    fn ranges_as_in_ltrim() {
        for (start, stop, expected) in [
            (0, -1, 0..3),
            (1, 1, 1..2),
            (-2, -1, 1..3),
            (0, 99, 0..3),
            (-99, 0, 0..1),
            (2, 1, 2..2),
            (3, 5, 3..3),
            (0, -4, 0..0),
            (0, i64::MIN, 0..0),
            (i64::MIN, i64::MAX, 0..3),
        ] {
            assert_eq!(inclusive(start, stop, 3), expected, "{start} {stop}");
        }
        assert_eq!(inclusive(0, -1, 0), 0..0);
    }
}
