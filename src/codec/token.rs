//! The encoding of a token: the digest of a transaction's request, and the recorded reply.
//!
//! ```text
//! token := 32 bytes:digest reply
//! reply := 0 null | 1 varint zigzag integer | 2 text | 3 varint:count reply* | 4 OK | 5 text:refusal of a native
//! text  := varint:bytes any bytes
//! ```
//!
//! A reply is kept as it is before any protocol, so that a retry over another connection reads it in
//! that connection's protocol. The version is the data type's encoding version, kept by the server.

use crate::error::{Error, Result};
use crate::limit;
use crate::reply::Reply;
use crate::token::{Digest, Token};
use crate::value::wire::{self, Reader};

/// The encoding written by this release.
pub const VERSION: u32 = 1;

/// Replies nest by blocks, operators, matches and a pair; no reply is twice as deep.
const REPLY_DEPTH_MAX: u32 = 8;

const NULL: u8 = 0;
const INT: u8 = 1;
const TEXT: u8 = 2;
const ARRAY: u8 = 3;
const OK: u8 = 4;
const REFUSED: u8 = 5;

impl Token {
    /// Records the reply of a transaction.
    pub fn new(digest: Digest, reply: &Reply) -> Token {
        let mut out = Vec::with_capacity(64);
        encode_reply(reply, &mut out);
        Token { digest, reply: out.into_boxed_slice() }
    }

    pub fn reply(&self) -> Reply {
        let mut reader = Reader::new(&self.reply);
        decode_reply(&mut reader, REPLY_DEPTH_MAX).expect("a token's reply was decoded before")
    }

    /// Bytes the recorded reply takes, encoded.
    pub fn reply_bytes(&self) -> usize {
        self.reply.len()
    }

    /// The buffer of the reply, for active defragmentation.
    pub fn reply_buffer(&mut self) -> &mut Box<[u8]> {
        &mut self.reply
    }

    pub fn encode(&self) -> Vec<u8> {
        [&self.digest.0, &*self.reply].concat()
    }

    /// `LIMIT` if the encoded reply is longer than `reply_bytes`; checked before decoding, which takes many
    /// times the memory. Tokens written by this server or its master are decoded without a limit, `u64::MAX`.
    pub fn decode(bytes: &[u8], reply_bytes: u64) -> Result<Token> {
        let mut reader = Reader::new(bytes);
        let digest = reader.bytes(32)?;
        let digest = Digest(digest.try_into().expect("so many were read"));
        let reply = reader.take_rest();
        if reply.len() as u64 > reply_bytes {
            return Err(Error::limit(limit::TOKEN_REPLY_BYTES, reply_bytes));
        }
        let mut reader = Reader::new(reply);
        decode_reply(&mut reader, REPLY_DEPTH_MAX)?;
        reader.finish()?;
        Ok(Token { digest, reply: reply.into() })
    }
}

fn encode_reply(reply: &Reply, out: &mut Vec<u8>) {
    match reply {
        Reply::Null => out.push(NULL),
        Reply::Int(value) => {
            out.push(INT);
            wire::put_varint((value << 1 ^ value >> 63) as u64, out);
        }
        Reply::Json(text) | Reply::Text(text) => {
            out.push(TEXT);
            wire::put_text(text, out);
        }
        Reply::Number(number) => {
            out.push(TEXT);
            number.with_text(|text| wire::put_text(text, out));
        }
        Reply::Ok => out.push(OK),
        Reply::Refused(text) => {
            out.push(REFUSED);
            wire::put_text(text, out);
        }
        Reply::Array(items) => {
            out.push(ARRAY);
            wire::put_varint(items.len() as u64, out);
            items.iter().for_each(|item| encode_reply(item, out));
        }
        // Measured before natives run; room for their replies is seen to apart.
        Reply::Native(_) => out.push(NULL),
        Reply::Revision | Reply::Map(_) => unreachable!("no reply of a transaction"),
    }
}

fn decode_reply(reader: &mut Reader<'_>, depth: u32) -> Result<Reply> {
    Ok(match reader.byte()? {
        NULL => Reply::Null,
        INT => {
            let value = reader.varint()?;
            Reply::Int((value >> 1) as i64 ^ -((value & 1) as i64))
        }
        TEXT => {
            let len = reader.count()?;
            Reply::Json(reader.bytes(len)?.into())
        }
        ARRAY => {
            let depth =
                depth.checked_sub(1).ok_or_else(|| wire::corrupt("a reply nests too deeply"))?;
            // Grows with the bytes read, never with the claimed count.
            let mut items = Vec::new();
            for _ in 0..reader.count()? {
                items.push(decode_reply(reader, depth)?);
            }
            Reply::Array(items)
        }
        OK => Reply::Ok,
        REFUSED => {
            let len = reader.count()?;
            Reply::Refused(reader.bytes(len)?.into())
        }
        _ => return Err(wire::corrupt("an unknown kind of reply")),
    })
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::error::ErrorCode;
    use crate::value::Number;

    fn digest(args: &[&str]) -> Digest {
        Digest::of(args.iter().map(|arg| arg.as_bytes()))
    }

    #[test]
    fn decoding_reverts_encoding_and_truncated_tokens_are_refused() {
        let reply = Reply::Array(vec![
            Reply::Null,
            Reply::Array(vec![
                Reply::Int(i64::MIN),
                Reply::Int(i64::MAX),
                Reply::Json(b"\"x\"".into()),
            ]),
            Reply::Array(vec![]),
            Reply::Number(Number::Int(-7)),
            Reply::Text(b"\xff\0".into()),
            Reply::Refused(b"ERR no".into()),
            Reply::Ok,
        ]);
        let token = Token::new(digest(&["a"]), &reply);
        assert_eq!(token.reply().notation(), reply.notation());
        let bytes = token.encode();
        assert_eq!(Token::decode(&bytes, u64::MAX).unwrap(), token);
        for cut in 0..bytes.len() {
            assert!(Token::decode(&bytes[..cut], u64::MAX).is_err());
        }
        assert!(Token::decode(&[&bytes[..], &[0]].concat(), u64::MAX).is_err());
    }

    #[test]
    fn invalid_replies_are_refused() {
        let with = |reply: &[u8]| Token::decode(&[&[7; 32], reply].concat(), u64::MAX);
        assert!(with(&[NULL]).is_ok());
        assert!(with(&[9]).is_err());
        assert!(with(&[ARRAY, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
        assert!(with(&[TEXT, 5, b'x']).is_err());
        assert!(with(&[[ARRAY, 1].repeat(8), vec![NULL]].concat()).is_ok());
        assert!(with(&[[ARRAY, 1].repeat(9), vec![NULL]].concat()).is_err());
        assert!(with(&[ARRAY, 1].repeat(100_000)).is_err());
    }

    #[test]
    fn a_reply_is_as_long_as_the_limit_and_no_longer() {
        // Damage behind the limit is not found, because nothing was decoded.
        let with = |reply: &[u8], most| Token::decode(&[&[7; 32], reply].concat(), most);
        assert!(with(&[ARRAY, 2, NULL, NULL], 4).is_ok());
        let refused = |reply| with(reply, 3).unwrap_err();
        assert_eq!(refused(&[ARRAY, 2, NULL, NULL]).code(), ErrorCode::Limit);
        assert_eq!(refused(&[9; 4]).code(), ErrorCode::Limit);
        assert_ne!(refused(&[9; 3]).code(), ErrorCode::Limit);
    }

    /// A digest outlives a release: this is SHA-256 of the bytes written out.
    #[test]
    fn digests_tell_arguments_apart_and_stay_the_same() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["a", ""]), digest(&["a"]));
        let Digest(bytes) = digest(&["abc"]);
        let mut hasher = Sha256::new();
        hasher.update(b"\x03\0\0\0\0\0\0\0abc");
        assert_eq!(bytes[..], hasher.finalize()[..]);
    }
}
