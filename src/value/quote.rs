//! JSON strings as text: which bytes have to be escaped, and writing strings.

/// Appends UTF-8 text as a JSON string. Only what must be escaped is.
pub fn string(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    TextWriter::new(out).string(text);
}

/// The size of the blocks in which short pieces are copied: their number is known to the compiler, that of the bytes
/// of a piece is not.
pub(super) const BLOCK: usize = 16;

/// The most bytes of a string that are printed as one block, with its quotes.
const BLOCK_STRING_MAX: usize = BLOCK - 2;

/// Appends JSON text to a buffer.
pub(super) struct TextWriter<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> TextWriter<'o> {
    pub fn new(out: &'o mut Vec<u8>) -> TextWriter<'o> {
        TextWriter { out }
    }

    #[inline(always)]
    pub fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    #[inline(always)]
    pub fn text(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    /// Writes the first `len` bytes of a block.
    #[inline(always)]
    pub fn block(&mut self, block: &[u8; BLOCK], len: usize) {
        self.out.extend_from_slice(block);
        self.out.truncate(self.out.len() - BLOCK + len);
    }

    /// Ends a container; the comma behind its last child gives way.
    #[inline(always)]
    pub fn close(&mut self, bracket: u8) {
        match self.out.last_mut() {
            Some(last @ b',') => *last = bracket,
            _ => self.byte(bracket),
        }
    }

    /// Writes a string of `len` bytes with its quotes, which stand in `bytes` behind the one at `before`.
    #[inline(always)]
    pub fn string_at(&mut self, bytes: &[u8], before: usize, len: usize) {
        let block = bytes.get(before..).and_then(<[u8]>::first_chunk::<BLOCK>);
        match block {
            Some(block) if len <= BLOCK_STRING_MAX => {
                let mut block = *block;
                // Bytes behind the string count as some that need no escape.
                let text = u128::from_le_bytes(block) >> 8 | u128::MAX << (8 * len);
                if specials(text as u64) | specials((text >> 64) as u64) == 0 {
                    block[0] = b'"';
                    block[len + 1] = b'"';
                    return self.block(&block, len + 2);
                }
            }
            _ => {}
        }
        self.string(&bytes[before + 1..before + 1 + len]);
    }

    /// Writes a string with its quotes.
    pub fn string(&mut self, text: &[u8]) {
        self.byte(b'"');
        let mut rest = text;
        loop {
            let plain = plain_len(rest);
            self.text(&rest[..plain]);
            let Some(special) = rest.get(plain) else { break };
            self.escape(*special);
            rest = &rest[plain + 1..];
        }
        self.byte(b'"');
    }

    #[cold]
    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        match byte {
            b'"' => self.text(b"\\\""),
            b'\\' => self.text(b"\\\\"),
            b'\n' => self.text(b"\\n"),
            b'\r' => self.text(b"\\r"),
            b'\t' => self.text(b"\\t"),
            0x08 => self.text(b"\\b"),
            0x0c => self.text(b"\\f"),
            _ => {
                self.text(b"\\u00");
                self.byte(HEX[usize::from(byte >> 4)]);
                self.byte(HEX[usize::from(byte & 15)]);
            }
        }
    }
}

/// How many bytes at the start of `bytes` may stand in a JSON string as they are.
#[inline]
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    for chunk in bytes.chunks_exact(8) {
        let special = specials(u64::from_le_bytes(chunk.try_into().expect("eight bytes")));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    // The last word overlaps the one before it, all of whose bytes are plain.
    if let Some(last) = bytes.last_chunk::<8>() {
        let special = specials(u64::from_le_bytes(*last));
        return match special {
            0 => bytes.len(),
            _ => bytes.len() - 8 + special.trailing_zeros() as usize / 8,
        };
    }
    let rest = &bytes[at..];
    at + rest.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\').unwrap_or(rest.len())
}

/// Sets the high bit of the first byte (counted from the lowest) that may not stand in a JSON string
/// as it is; those of the bytes before it stay clear, those behind it may be anything.
#[inline]
pub(super) fn specials(word: u64) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let below = |word: u64, least: u64| word.wrapping_sub(LOW * least) & !word & HIGH;
    below(word, 0x20)
        | below(word ^ (LOW * u64::from(b'"')), 1)
        | below(word ^ (LOW * u64::from(b'\\')), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_inside_a_buffer_is_printed_as_one_of_its_own() {
        for len in 0..40 {
            for special in [b'x', b'"', b'\\', b'\n', 0] {
                for at in 0..=len {
                    // Bytes around it would need escapes.
                    let mut bytes = vec![b'"'; len + 3];
                    bytes[2..2 + len].fill(b'y');
                    bytes[1 + at] = special;
                    for behind in [0, 1, 20] {
                        bytes.truncate(len + 2);
                        bytes.resize(len + 2 + behind, b'\n');
                        let (mut inside, mut own) = (b"before".to_vec(), b"before".to_vec());
                        TextWriter::new(&mut inside).string_at(&bytes, 1, len);
                        string(&bytes[2..2 + len], &mut own);
                        assert_eq!(inside, own);
                    }
                }
            }
        }
    }

    #[test]
    fn a_byte_that_must_be_escaped_is_found_wherever_it_stands() {
        let escaped = [(b'"', "\\\""), (b'\\', "\\\\"), (b'\n', "\\n"), (0x1f, "\\u001f")];
        for len in 0..40 {
            let plain = "é7".repeat(len).as_bytes()[..len / 3 * 3].to_vec();
            for at in 0..=plain.len() {
                if plain.get(at).is_some_and(|byte| (0x80..0xc0).contains(byte)) {
                    continue;
                }
                for (byte, text) in escaped {
                    let (before, after) = plain.split_at(at);
                    let mut out = b"before".to_vec();
                    string(&[before, &[byte], after].concat(), &mut out);
                    let expected = [b"before\"", before, text.as_bytes(), after, b"\""].concat();
                    assert_eq!(out, expected);
                }
            }
            let mut out = Vec::new();
            string(&plain, &mut out);
            assert_eq!(out, [b"\"", &plain[..], b"\""].concat());
        }
    }
}
