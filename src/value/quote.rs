//! JSON strings as text: which bytes have to be escaped, and writing strings.

/// Appends UTF-8 text as a JSON string. Only what must be escaped is.
pub fn string(text: &[u8], out: &mut Vec<u8>) {
    let mut writer = TextWriter::new(out, text.len() + 2);
    writer.string(text);
    writer.finish();
}

/// Appends to a buffer that is longer than the text, so that short pieces are copied in blocks of a fixed size and
/// the buffer is asked for room once for each piece.
pub(super) struct TextWriter<'o> {
    /// The printed bytes, with room for more.
    pub(super) buffer: &'o mut Vec<u8>,
    /// Where the text ends.
    pub(super) at: usize,
}

impl<'o> TextWriter<'o> {
    pub fn new(buffer: &'o mut Vec<u8>, hint: usize) -> TextWriter<'o> {
        let at = buffer.len();
        // No more than this value needs: texts of many values are written one after the other into one buffer.
        buffer.resize(at + hint, 0);
        TextWriter { buffer, at }
    }

    pub fn finish(self) {
        self.buffer.truncate(self.at);
    }

    /// Makes room for so many bytes more.
    #[inline(always)]
    pub fn room(&mut self, bytes: usize) {
        if self.buffer.len() - self.at < bytes {
            self.grow(bytes);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, bytes: usize) {
        self.buffer.resize((self.at + bytes).max(self.buffer.len() * 2), 0);
    }

    #[inline(always)]
    pub fn byte(&mut self, byte: u8) {
        self.room(1);
        self.buffer[self.at] = byte;
        self.at += 1;
    }

    #[inline(always)]
    pub fn text(&mut self, text: &[u8]) {
        self.room(text.len());
        self.buffer[self.at..self.at + text.len()].copy_from_slice(text);
        self.at += text.len();
    }

    /// Writes a string with its quotes.
    pub fn string(&mut self, text: &[u8]) {
        self.room(text.len() + 2);
        let to = &mut self.buffer[self.at..self.at + text.len() + 2];
        if !copy_plain(text, &mut to[1..=text.len()]) {
            return self.escaped_string(text);
        }
        to[0] = b'"';
        to[text.len() + 1] = b'"';
        self.at += text.len() + 2;
    }

    #[cold]
    fn escaped_string(&mut self, text: &[u8]) {
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

/// Copies text into as many bytes; says whether all of it may stand in a JSON string as it is.
#[inline]
fn copy_plain(text: &[u8], to: &mut [u8]) -> bool {
    let mut special = 0;
    if let (Some(last), Some(last_to)) = (text.last_chunk::<8>(), to.last_chunk_mut::<8>()) {
        // The last eight bytes may overlap those copied below; they are the same.
        *last_to = *last;
        special |= specials(u64::from_le_bytes(*last));
        for (from, to) in text.chunks_exact(8).zip(to.chunks_exact_mut(8)) {
            let chunk: [u8; 8] = from.try_into().expect("a chunk has eight bytes");
            to.copy_from_slice(&chunk);
            special |= specials(u64::from_le_bytes(chunk));
        }
        return special == 0;
    }
    let mut word = [b' '; 8];
    for ((from, to), copy) in text.iter().zip(to).zip(&mut word) {
        *to = *from;
        *copy = *from;
    }
    specials(u64::from_le_bytes(word)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_a_large_buffer_is_touched_than_a_value_needs() {
        let mut buffer = Vec::with_capacity(1 << 20);
        assert_eq!(TextWriter::new(&mut buffer, 32).buffer.len(), 32);
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
