//! The hash slot of a key in a cluster.

/// The hash slot of a key: CRC16 of its hash tag, modulo 16384.
pub fn hash_slot(key: &[u8]) -> u16 {
    crc16(hashed_part(key)) % 16384
}

/// The part of a key that decides its slot: what is between its first `{` and the next `}`, or all of it.
fn hashed_part(key: &[u8]) -> &[u8] {
    let tag = || {
        let start = key.iter().position(|byte| *byte == b'{')? + 1;
        let len = key[start..].iter().position(|byte| *byte == b'}')?;
        (len > 0).then(|| &key[start..start + len])
    };
    tag().unwrap_or(key)
}

/// Another name in the slot of a key, which ends with `end`. `None` where no hash tag can name the slot.
pub fn in_slot_of(key: &[u8], end: &[u8]) -> Option<Vec<u8>> {
    let part = hashed_part(key);
    (!part.is_empty() && !part.contains(&b'}')).then(|| [b"{", part, b"}", end].concat())
}

/// The CRC of each byte.
const BYTES: [u16; 256] = {
    let (mut table, mut byte) = ([0; 256], 0);
    while byte < 256 {
        let (mut crc, mut bit) = ((byte as u16) << 8, 0);
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| crc << 8 ^ BYTES[usize::from((crc >> 8) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_servers() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, slot) in
            [("foo", 12182), ("{foo}bar", 12182), ("a{foo}{b}", 12182), ("{}foo", 9500)]
        {
            assert_eq!(hash_slot(key.as_bytes()), slot, "{key}");
            let other = in_slot_of(key.as_bytes(), b"{x}").map(|other| hash_slot(&other));
            assert!(other.is_none_or(|other| other == slot), "{key}");
        }
        assert_eq!(in_slot_of(b"a{t}b", b"c"), Some(b"{t}c".to_vec()));
        for key in ["", "{}a", "a}b"] {
            assert_eq!(in_slot_of(key.as_bytes(), b""), None, "{key}");
        }
    }
}
