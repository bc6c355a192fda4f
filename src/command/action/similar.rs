//! The name that was meant by one that is not known.

/// Longer names are not compared.
const BYTES_MAX: usize = 64;
/// At most so many names are compared.
const NAMES_MAX: usize = 4096;

/// The known name that differs from this one by the fewest changed, added and missing bytes, up to a third of its
/// length. Of several, the first.
pub fn most_similar<'n>(name: &[u8], known: &mut dyn Iterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > BYTES_MAX {
        return None;
    }
    let most = (name.len() / 3).max(1);
    let comparable = |known: &&str| known.len().abs_diff(name.len()) <= most;
    let distances = known
        .take(NAMES_MAX)
        .filter(comparable)
        .map(|known| (distance(name, known.as_bytes()), known));
    let (distance, found) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= most).then_some(found)
}

/// The number of bytes to change, add or remove to get from one name to the other, in any case of letters.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (nth, byte) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = nth + 1;
        for (at, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(!byte.eq_ignore_ascii_case(other));
            diagonal = row[at + 1];
            row[at + 1] = changed.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_name_is_found() {
        let known = ["cart:add", "reserve", "transfer", "é"];
        let similar = |name: &str| most_similar(name.as_bytes(), &mut known.into_iter());
        for (name, expected) in [
            ("transfr", Some("transfer")),
            ("TRANSFER", Some("transfer")),
            ("tranfsers", Some("transfer")),
            ("reverse", Some("reserve")),
            ("cart-add", Some("cart:add")),
            ("level-up", None),
            ("", None),
            ("e", None),
        ] {
            assert_eq!(similar(name), expected, "{name}");
        }
        assert_eq!(similar(&"x".repeat(65)), None);
        assert_eq!(most_similar(b"a", &mut std::iter::empty()), None);
    }

    #[test]
    fn distances_count_changed_added_and_missing_bytes() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "BA", 2)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
        }
    }
}
