//! The record of an earlier request under a token.

use super::request::TokenOption;
use crate::error::{Error, ErrorCode, Result};
use crate::host::Host;
use crate::reply::Reply;
use crate::token::Digest;
use crate::txn::TokenRecord;

/// The record under the token's key.
pub enum Recorded {
    Nothing,
    Reply(Reply),
    /// Another request was committed under it.
    Another,
}

impl Recorded {
    /// Looks up the token of a request, if it has one.
    pub fn find(
        host: &mut dyn Host,
        token: Option<&TokenOption<'_>>,
        digest: Option<Digest>,
    ) -> Result<Recorded> {
        let Some((token, digest)) = token.zip(digest) else { return Ok(Recorded::Nothing) };
        let found = host.token(token.key).map_err(|error| error.text("key", token.key.name))?;
        Ok(match found {
            None => Recorded::Nothing,
            Some(found) if found.digest == digest => Recorded::Reply(found.reply()),
            Some(_) => Recorded::Another,
        })
    }

    /// The record to be made of a request that may run now: `TOKENMISMATCH` where another one was committed under the
    /// token, `TOKENEXPIRED` where its own record may be gone already.
    pub fn begin<'a>(
        self,
        host: &mut dyn Host,
        token: Option<&TokenOption<'a>>,
        digest: Option<Digest>,
    ) -> Result<Option<TokenRecord<'a>>> {
        let Some((token, digest)) = token.zip(digest) else { return Ok(None) };
        if let Recorded::Another = self {
            let message = "the token was used for a different request";
            return Err(Error::new(ErrorCode::TokenMismatch, message).text("key", token.key.name));
        }
        let now_us = host.now_us();
        token.check_window(now_us)?;
        Ok(Some(TokenRecord { key: token.key, digest, expiry: token.expiry(now_us) }))
    }
}
