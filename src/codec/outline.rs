//! Messages by which the nodes of a cluster compare their definitions, see [`crate::model::exchange`].
//!
//! ```text
//! outline := text:after last varint:count item*
//! last    := 0 | 1 text
//! item    := text:name varint:version 8 bytes:hash
//! ```
//!
//! A summary is 8 bytes. Integers of fixed length are little-endian.

use crate::error::Result;
use crate::model::OutlineItem;
use crate::model::exchange::Outline;
use crate::value::wire::{self, Reader};

use super::definition::read_version;

pub fn encode(outline: &Outline) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_text(outline.after.as_bytes(), &mut out);
    out.push(outline.last.is_some().into());
    if let Some(last) = &outline.last {
        wire::put_text(last.as_bytes(), &mut out);
    }
    wire::put_varint(outline.items.len() as u64, &mut out);
    for item in &outline.items {
        wire::put_text(item.name.as_bytes(), &mut out);
        wire::put_varint(item.version.into(), &mut out);
        out.extend(item.hash.to_le_bytes());
    }
    out
}

pub fn decode(bytes: &[u8]) -> Result<Outline> {
    let mut reader = Reader::new(bytes);
    let after = reader.text()?.into();
    let last = match reader.byte()? {
        0 => None,
        1 => Some(reader.text()?.into()),
        _ => return Err(wire::corrupt("an invalid outline")),
    };
    let mut items = Vec::new();
    for _ in 0..reader.count()? {
        let name = reader.text()?.into();
        let version = read_version(&mut reader)?;
        items.push(OutlineItem { name, version, hash: fixed(reader.bytes(8)?)? });
    }
    reader.finish()?;
    Ok(Outline { after, last, items })
}

/// Reads a summary, or the hash of an item.
pub fn fixed(bytes: &[u8]) -> Result<u64> {
    let bytes = bytes.try_into().map_err(|_| wire::corrupt("a number that is not 8 bytes long"))?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_reverts_encoding_and_truncated_outlines_are_refused() {
        let item = |name: &str| OutlineItem { name: name.into(), version: 300, hash: 1 << 63 };
        let items = vec![item("\0"), item("a")];
        for last in [None, Some("a".into())] {
            let outline = Outline { after: "".into(), last, items: items.clone() };
            let bytes = encode(&outline);
            assert_eq!(decode(&bytes).unwrap(), outline);
            for cut in 0..bytes.len() {
                assert!(decode(&bytes[..cut]).is_err());
            }
        }
        assert!(decode(&[0, 2, 0]).is_err());
        assert!(fixed(&[0; 7]).is_err() && fixed(&[0; 9]).is_err());
    }
}
