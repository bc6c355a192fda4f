//! The assertion that one keyword makes about one value.
//!
//! Keywords of the validation vocabulary that are cheaper to evaluate than to ask the crate about are evaluated here,
//! over values in place and without allocation; all others by a part of the crate's validator. Property tests compare
//! the verdicts of both.

pub(super) mod literal;
mod options;
mod types;

use std::cmp::Ordering;

use serde_json::Value as Serde;

use self::literal::{Dependents, MemberNames, count, dependent, names, number};
pub(super) use self::options::Options;
pub(super) use self::types::Types;
use super::parts::{Checker, SchemaParts};
use crate::error::Result;
use crate::value::number::Number;
use crate::value::{Value, View};

/// One assertion.
pub(super) enum SchemaAssertion {
    /// The schema `false`.
    Never,
    Type(Types),
    Minimum(Number),
    Maximum(Number),
    ExclusiveMinimum(Number),
    ExclusiveMaximum(Number),
    /// A multiple of an integer from 1 to 2^53. Evaluated for integers; the part is asked about other numbers.
    MultipleOf(i64, u32),
    MinLength(u64),
    MaxLength(u64),
    MinItems(u64),
    MaxItems(u64),
    MinProperties(u64),
    MaxProperties(u64),
    Required(MemberNames),
    DependentRequired(Dependents),
    UniqueItems,
    /// `const` and `enum`.
    OneOf(Options),
    /// The verdict of the crate on a part.
    Part(u32),
}

/// One keyword with its assertion.
pub(super) struct Check {
    pub keyword: &'static str,
    pub assertion: SchemaAssertion,
}

impl SchemaAssertion {
    /// The assertion of a keyword that is evaluated here; `None` if the crate has to be asked.
    pub fn native(keyword: &str, value: &Serde) -> Option<SchemaAssertion> {
        Some(match keyword {
            "type" => SchemaAssertion::Type(Types::parse(value)?),
            "minimum" => SchemaAssertion::Minimum(number(value)?),
            "maximum" => SchemaAssertion::Maximum(number(value)?),
            "exclusiveMinimum" => SchemaAssertion::ExclusiveMinimum(number(value)?),
            "exclusiveMaximum" => SchemaAssertion::ExclusiveMaximum(number(value)?),
            "minLength" => SchemaAssertion::MinLength(count(value)?),
            "maxLength" => SchemaAssertion::MaxLength(count(value)?),
            "minItems" => SchemaAssertion::MinItems(count(value)?),
            "maxItems" => SchemaAssertion::MaxItems(count(value)?),
            "minProperties" => SchemaAssertion::MinProperties(count(value)?),
            "maxProperties" => SchemaAssertion::MaxProperties(count(value)?),
            "required" => SchemaAssertion::Required(names(value)?),
            "dependentRequired" => {
                SchemaAssertion::DependentRequired(dependent(value.as_object()?)?)
            }
            "uniqueItems" => SchemaAssertion::UniqueItems,
            "const" => SchemaAssertion::OneOf(Options::new(Box::new([literal::value(value)?]))),
            "enum" => SchemaAssertion::OneOf(Options::new(
                value.as_array()?.iter().map(literal::value).collect::<Option<Box<[Value]>>>()?,
            )),
            _ => return None,
        })
    }

    /// Returns true if a change anywhere below the value can alter the verdict.
    pub fn looks_below(&self) -> bool {
        match self {
            SchemaAssertion::UniqueItems => true,
            SchemaAssertion::OneOf(options) => options
                .all()
                .iter()
                .any(|value| matches!(value.view(), View::Array(_) | View::Object(_))),
            _ => false,
        }
    }

    /// Returns true if the verdict depends on the names of members or the number of children.
    pub fn counts_children(&self) -> bool {
        matches!(
            self,
            SchemaAssertion::MinItems(_)
                | SchemaAssertion::MaxItems(_)
                | SchemaAssertion::MinProperties(_)
                | SchemaAssertion::MaxProperties(_)
                | SchemaAssertion::Required(_)
                | SchemaAssertion::DependentRequired(_)
        )
    }

    #[inline]
    pub fn passes(&self, view: View<'_>, checker: &Checker<'_>) -> Result<bool> {
        Ok(match self {
            SchemaAssertion::Never => false,
            SchemaAssertion::Type(types) => types.admits(view),
            SchemaAssertion::Minimum(bound) => {
                view.as_number().is_none_or(|number| number.compare(*bound).is_ge())
            }
            SchemaAssertion::Maximum(bound) => {
                view.as_number().is_none_or(|number| number.compare(*bound).is_le())
            }
            SchemaAssertion::ExclusiveMinimum(bound) => {
                view.as_number().is_none_or(|number| number.compare(*bound).is_gt())
            }
            SchemaAssertion::ExclusiveMaximum(bound) => {
                view.as_number().is_none_or(|number| number.compare(*bound).is_lt())
            }
            SchemaAssertion::MultipleOf(divisor, part) => match view {
                View::Int(value) => value % divisor == 0,
                View::Float(_) => checker.passes(*part, view)?,
                _ => true,
            },
            SchemaAssertion::MinLength(least) => {
                checker.spend(text_work(view))?;
                view.as_text().is_none_or(|text| text.code_points() as u64 >= *least)
            }
            SchemaAssertion::MaxLength(most) => {
                checker.spend(text_work(view))?;
                view.as_text().is_none_or(|text| text.code_points() as u64 <= *most)
            }
            SchemaAssertion::MinItems(least) => {
                view.as_array().is_none_or(|array| array.len() as u64 >= *least)
            }
            SchemaAssertion::MaxItems(most) => {
                view.as_array().is_none_or(|array| array.len() as u64 <= *most)
            }
            SchemaAssertion::MinProperties(least) => {
                view.as_object().is_none_or(|object| object.len() as u64 >= *least)
            }
            SchemaAssertion::MaxProperties(most) => {
                view.as_object().is_none_or(|object| object.len() as u64 <= *most)
            }
            SchemaAssertion::Required(_) | SchemaAssertion::DependentRequired(_) => {
                self.missing(view).is_none()
            }
            SchemaAssertion::UniqueItems => match view {
                View::Array(array) => checker.is_unique(array)?,
                _ => true,
            },
            SchemaAssertion::OneOf(options) => {
                // The value is compared with a few values, or hashed.
                checker.spend(view.work())?;
                options.have(view)
            }
            SchemaAssertion::Part(part) => checker.passes(*part, view)?,
        })
    }

    /// The first required member that is missing.
    pub fn missing(&self, view: View<'_>) -> Option<&str> {
        let object = view.as_object()?;
        let lacking =
            |names: &'_ [Box<str>]| names.iter().position(|name| object.find(name).is_none());
        match self {
            SchemaAssertion::Required(names) => lacking(names).map(|nth| &*names[nth]),
            SchemaAssertion::DependentRequired(all) => all
                .iter()
                .filter(|(name, _)| object.find(name).is_some())
                .find_map(|(_, names)| lacking(names).map(|nth| &*names[nth])),
            _ => None,
        }
    }

    /// All required members that are missing, for a message.
    pub fn all_missing<'s>(&'s self, view: View<'_>) -> Vec<&'s str> {
        let Some(object) = view.as_object() else { return Vec::new() };
        let is_missing = |name: &&str| object.find(name).is_none();
        match self {
            SchemaAssertion::Required(names) => {
                names.iter().map(|name| &**name).filter(is_missing).collect()
            }
            SchemaAssertion::DependentRequired(all) => all
                .iter()
                .filter(|(name, _)| object.find(name).is_some())
                .flat_map(|(_, names)| names.iter().map(|name| &**name))
                .filter(is_missing)
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Returns true if [`SchemaAssertion::decide`] evaluates it.
    pub fn is_plain(&self) -> bool {
        match self {
            SchemaAssertion::Never
            | SchemaAssertion::Type(_)
            | SchemaAssertion::Minimum(_)
            | SchemaAssertion::Maximum(_)
            | SchemaAssertion::ExclusiveMinimum(_)
            | SchemaAssertion::ExclusiveMaximum(_)
            | SchemaAssertion::Required(_) => true,
            SchemaAssertion::OneOf(_) => !self.looks_below(),
            _ => false,
        }
    }

    /// The verdict of an assertion that [is plain](SchemaAssertion::is_plain), in constant time.
    pub fn decide(&self, view: View<'_>) -> bool {
        let number = |is: fn(Ordering) -> bool, bound: &Number| {
            view.as_number().is_none_or(|number| is(number.compare(*bound)))
        };
        match self {
            SchemaAssertion::Type(types) => types.admits(view),
            SchemaAssertion::Minimum(bound) => number(Ordering::is_ge, bound),
            SchemaAssertion::Maximum(bound) => number(Ordering::is_le, bound),
            SchemaAssertion::ExclusiveMinimum(bound) => number(Ordering::is_gt, bound),
            SchemaAssertion::ExclusiveMaximum(bound) => number(Ordering::is_lt, bound),
            SchemaAssertion::Required(_) => self.missing(view).is_none(),
            SchemaAssertion::OneOf(options) => options.have(view),
            _ => false,
        }
    }

    /// The members that are required.
    pub fn names(&self) -> &[Box<str>] {
        match self {
            SchemaAssertion::Required(names) => names,
            _ => &[],
        }
    }

    /// The bytes allocated for it.
    pub fn heap_bytes(&self) -> usize {
        let texts = |names: &[Box<str>]| names.iter().map(|name| name.len() + 16).sum::<usize>();
        match self {
            SchemaAssertion::Required(names) => texts(names),
            SchemaAssertion::DependentRequired(all) => {
                all.iter().map(|(name, names)| name.len() + 32 + texts(names)).sum()
            }
            SchemaAssertion::OneOf(options) => options.heap_bytes(),
            _ => 0,
        }
    }
}

/// The steps of a command for counting the characters of a text.
#[inline]
fn text_work(view: View<'_>) -> u64 {
    view.as_text().map_or(0, |text| View::Str(text).work())
}

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<SchemaAssertion>();
    shared::<SchemaParts>();
};
