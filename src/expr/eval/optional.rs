//! Optionals: operands that are evaluated only if they are needed.

use super::{Eval, Evaluated};
use crate::expr::code::NodeId;
use crate::expr::datum::Datum;
use crate::expr::fault::Fault;

impl<'a> Eval<'a> {
    /// The value of an optional, if it has one.
    #[inline(never)]
    pub(super) fn if_present(&mut self, optional: NodeId) -> Result<Option<Datum<'a>>, Fault> {
        match self.node(optional)? {
            Datum::Optional(value) => Ok(value.map(|value| (*value).clone())),
            other => Err(Fault::text(format!("expected an optional, not {}", other.described()))),
        }
    }

    #[inline(never)]
    pub(super) fn or_else(
        &mut self,
        optional: NodeId,
        other: NodeId,
        unwrap: bool,
    ) -> Evaluated<'a> {
        let value = self.if_present(optional)?;
        if unwrap {
            return value.map_or_else(|| self.node(other), Ok);
        }
        match value {
            Some(value) => Datum::present(value),
            None => self.if_present(other).and_then(Datum::optional),
        }
    }

    #[inline(never)]
    pub(super) fn optional_map(
        &mut self,
        optional: NodeId,
        variable: u32,
        body: NodeId,
        flat: bool,
    ) -> Evaluated<'a> {
        let Some(value) = self.if_present(optional)? else { return Ok(Datum::Optional(None)) };
        self.variables[variable as usize] = value;
        if flat {
            return self.if_present(body).and_then(Datum::optional);
        }
        self.node(body).and_then(Datum::present)
    }
}
