//! Questions about the server's own structures.

use super::{Eval, Evaluated};
use crate::expr::code::NodeId;
use crate::expr::datum::Datum;
use crate::expr::fault::Fault;
use crate::expr::native::{NativeAnswer, NativeQuestion};
use crate::value::Number;

/// Steps of one question: the server looks the key up and reads it, some of it by a command of its own.
const QUESTION: u64 = 100;

impl<'a> Eval<'a> {
    #[inline(never)]
    pub(super) fn native(
        &mut self,
        method: u8,
        key: NodeId,
        operand: Option<NodeId>,
    ) -> Evaluated<'a> {
        let source = self.scope.docs.ok_or("there are no structures of the server here")?;
        let key = self.node(key)?;
        let key = key.utf8().ok_or("the key of a structure is a string")?;
        let operand = match operand {
            Some(operand) => {
                let operand = self.node(operand)?;
                member(&operand)?
            }
            None => Vec::new(),
        };
        self.budget.charge(QUESTION)?;
        self.budget.scan(operand.len())?;
        let question = NativeQuestion::of_method(method.into(), &operand);
        let answer = source.native(key, question);
        match answer.map_err(|error| Fault::text(error.message().to_owned()))? {
            NativeAnswer::Missing => Ok(Datum::Null),
            NativeAnswer::Bool(value) => Ok(Datum::Bool(value)),
            NativeAnswer::Int(value) => Ok(Datum::Int(value)),
            NativeAnswer::Double(value) => Ok(Datum::Double(value)),
            NativeAnswer::Bytes(bytes) => {
                self.budget.make(bytes.len())?;
                let text = std::str::from_utf8(&bytes);
                Ok(Datum::string(text.map_err(|_| "the value is not UTF-8")?))
            }
        }
    }
}

/// A member or a field, as an operand of a native is written: a string as its text, a number and a bool as JSON.
fn member(datum: &Datum<'_>) -> Result<Vec<u8>, Fault> {
    let number = match datum {
        Datum::Int(value) => Number::Int(*value),
        Datum::Double(value) => {
            Number::from_f64(*value).map_err(|_| "no member is a number that is not finite")?
        }
        Datum::Bool(value) => return Ok(value.to_string().into()),
        _ => {
            let bytes = datum.utf8().or_else(|| datum.as_bytes());
            return Ok(bytes.ok_or("a member is a string, a number or a bool")?.to_vec());
        }
    };
    Ok(number.with_text(<[u8]>::to_vec))
}
