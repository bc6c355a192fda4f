//! Tokens: what is kept of a committed transaction, so that a retry is recognised and gets the same reply.

use sha2::{Digest as _, Sha256};

/// SHA-256 over the arguments that identify a request, each with its length in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    pub fn of<'a>(args: impl Iterator<Item = &'a [u8]>) -> Digest {
        let mut hasher = Sha256::new();
        for arg in args {
            hasher.update((arg.len() as u64).to_le_bytes());
            hasher.update(arg);
        }
        Digest(hasher.finalize().into())
    }
}

/// The record of one committed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub digest: Digest,
    /// The recorded reply, encoded by [`crate::codec::token`], which has decoded it before.
    pub(crate) reply: Box<[u8]>,
}
