//! The operand of `PATCH`: a JSON Patch (RFC 6902), checked whole before anything is looked up.

use crate::error::{Error, Result};
use crate::limit;
use crate::path::{PathLimits, Singular};
use crate::value::{Limits, Measured, ObjectView, View, parse};

/// The most operations one patch may have.
pub const PATCH_OPERATIONS_MAX: usize = limit::PATCH_OPERATIONS.default as usize;

/// A patch that was checked: every operation is one of the standard's, with all its members.
#[derive(Clone)]
pub struct Patch {
    json: Measured,
    paths: PathLimits,
}

/// One operation, as it is applied.
pub(super) enum Operation<'p> {
    Add { path: Singular<'p>, value: View<'p> },
    Remove { path: Singular<'p> },
    Replace { path: Singular<'p>, value: View<'p> },
    Move { from: Singular<'p>, path: Singular<'p> },
    Copy { from: Singular<'p>, path: Singular<'p> },
    Test { path: Singular<'p>, value: View<'p> },
}

impl Patch {
    /// Parses and checks a whole patch.
    pub fn parse(text: &[u8], limits: &Limits, paths: &PathLimits) -> Result<Patch> {
        let patch = Patch { json: parse::json(text, limits)?, paths: *paths };
        let Some(operations) = patch.json.value.view().as_array() else {
            return Err(
                Error::syntax("a JSON Patch is an array of operations").text("argument", text)
            );
        };
        if operations.len() > PATCH_OPERATIONS_MAX {
            return Err(Error::limit(limit::PATCH_OPERATIONS, PATCH_OPERATIONS_MAX as u64));
        }
        for (number, operation) in patch.operations().enumerate() {
            operation.map_err(|error| error.integer("operation", number as i64))?;
        }
        Ok(patch)
    }

    /// The operations in order; none is an error once the patch was checked.
    pub(super) fn operations(&self) -> impl Iterator<Item = Result<Operation<'_>>> {
        let operations = self.json.value.view().as_array().expect("a patch is an array");
        operations.iter().map(|operation| Operation::read(operation, &self.paths))
    }
}

impl<'p> Operation<'p> {
    fn read(operation: View<'p>, paths: &PathLimits) -> Result<Operation<'p>> {
        let Some(members) = operation.as_object() else {
            return Err(Error::syntax("an operation of a JSON Patch is an object"));
        };
        let pointer = |name| Singular::parse_pointer(text(members, name)?.as_bytes(), paths);
        let value = || members.get("value").ok_or_else(|| missing("value"));
        let path = pointer("path")?;
        match text(members, "op")? {
            "add" => Ok(Operation::Add { path, value: value()? }),
            "remove" if path.is_root() => Err(target_stays()),
            "remove" => Ok(Operation::Remove { path }),
            "replace" => Ok(Operation::Replace { path, value: value()? }),
            "move" => {
                let from = pointer("from")?;
                if from != path && path.steps().starts_with(from.steps()) {
                    return Err(Error::syntax("a value cannot be moved into itself"));
                }
                Ok(Operation::Move { from, path })
            }
            "copy" => Ok(Operation::Copy { from: pointer("from")?, path }),
            "test" => Ok(Operation::Test { path, value: value()? }),
            other => {
                Err(Error::syntax("unknown operation of a JSON Patch").text("op", other.as_bytes()))
            }
        }
    }
}

fn text<'p>(members: ObjectView<'p>, name: &'static str) -> Result<&'p str> {
    let value = members.get(name).ok_or_else(|| missing(name))?;
    let text = value
        .as_text()
        .ok_or_else(|| Error::syntax(format!("the member {name} has to be a string")))?;
    Ok(text.as_str())
}

fn missing(name: &'static str) -> Error {
    Error::syntax(format!("the operation lacks the member {name}"))
}

fn target_stays() -> Error {
    Error::syntax("the value that is patched cannot be removed by the patch")
}
