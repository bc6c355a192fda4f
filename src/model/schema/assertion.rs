//! What one keyword asserts of one value.
//!
//! The keywords of the validation vocabulary that cost less to answer than to ask about are answered
//! here, over values in place and without allocating; all others by a part of the crate's validator.
//! Both give the same verdict: the property tests compare them.

use std::cmp::Ordering;

use hashbrown::HashTable;
use jsonschema::JsonType;
use serde_json::{Map, Value as Serde};

use super::parts::SchemaParts;
use crate::error::{Error, Result};
use crate::value::number::Number;
use crate::value::{Limits, Value, View, parse};

/// The names of members.
type MemberNames = Box<[Box<str>]>;
/// By the name of a member, the names of those it needs.
type Dependents = Box<[(Box<str>, MemberNames)]>;

/// One assertion.
pub(super) enum SchemaAssertion {
    /// The schema `false`.
    Never,
    Type(Types),
    Minimum(Number),
    Maximum(Number),
    ExclusiveMinimum(Number),
    ExclusiveMaximum(Number),
    /// By an integer from 1 to 2^53, asked of integers; of other numbers the part is asked.
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
    /// Whatever the crate says.
    Part(u32),
}

/// The values of an `enum`.
pub(super) struct Options {
    all: Box<[Value]>,
    /// Their numbers by hash, where they are many.
    index: HashTable<u32>,
    state: foldhash::quality::RandomState,
}

impl Options {
    /// Up to this many are compared one by one.
    const SCANNED_MAX: usize = 8;

    pub fn new(all: Box<[Value]>) -> Options {
        let state = foldhash::quality::RandomState::default();
        let mut index = HashTable::new();
        if all.len() > Options::SCANNED_MAX {
            let hash = |nth: &u32| all[*nth as usize].view().hash_with(&state);
            for nth in 0..all.len() as u32 {
                index.insert_unique(hash(&nth), nth, hash);
            }
        }
        Options { all, index, state }
    }

    #[inline]
    pub fn have(&self, view: View<'_>) -> bool {
        self.position(view).is_some()
    }

    /// Which of the values is equal to this one.
    #[inline]
    pub fn position(&self, view: View<'_>) -> Option<usize> {
        if self.index.is_empty() {
            return self.all.iter().position(|value| value.view().equals(view));
        }
        let hash = view.hash_with(&self.state);
        let found = self.index.find(hash, |nth| self.all[*nth as usize].view().equals(view))?;
        Some(*found as usize)
    }

    pub fn all(&self) -> &[Value] {
        &self.all
    }

    pub fn heap_bytes(&self) -> usize {
        let values = self.all.iter().map(|value| size_of::<Value>() + value.heap_bytes());
        values.sum::<usize>() + self.index.allocation_size()
    }
}

/// A set of JSON types. An integer is a number too, and `1.0` is an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    fn parse(types: &Serde) -> Option<Types> {
        let bit = |name: &Serde| Some(name.as_str()?.parse::<JsonType>().ok()? as u8);
        match types {
            Serde::Array(names) => names.iter().try_fold(0, |set, name| Some(set | bit(name)?)),
            name => bit(name),
        }
        .map(Types)
    }

    /// As they are written, for a message.
    pub fn names(self) -> String {
        const ALL: [JsonType; 7] = [
            JsonType::Null,
            JsonType::Boolean,
            JsonType::Integer,
            JsonType::Number,
            JsonType::String,
            JsonType::Array,
            JsonType::Object,
        ];
        let names = ALL.into_iter().filter(|kind| self.has(*kind)).map(JsonType::as_str);
        names.collect::<Vec<_>>().join(" or ")
    }

    #[inline]
    fn has(self, kind: JsonType) -> bool {
        self.0 & kind as u8 != 0
    }

    #[inline]
    fn admits(self, view: View<'_>) -> bool {
        match view {
            View::Null => self.has(JsonType::Null),
            View::Bool(_) => self.has(JsonType::Boolean),
            View::Int(_) => self.0 & (JsonType::Integer as u8 | JsonType::Number as u8) != 0,
            View::Float(value) => {
                self.has(JsonType::Number) || self.has(JsonType::Integer) && value.trunc() == value
            }
            View::Str(_) => self.has(JsonType::String),
            View::Array(_) => self.has(JsonType::Array),
            View::Object(_) => self.has(JsonType::Object),
        }
    }
}

/// A number written in the schema. Only those a document could hold can be compared here.
pub(super) fn number(value: &Serde) -> Option<Number> {
    let Serde::Number(number) = value else { return None };
    if let Some(value) = number.as_i64() {
        return Some(Number::Int(value));
    }
    // An integer past i64 is left to the crate, which knows u64.
    if number.as_u64().is_some() {
        return None;
    }
    number.as_f64().filter(|value| value.is_finite()).map(Number::Float)
}

/// A divisor for which the remainder of integers is exact, as the crate computes it.
pub(super) fn small_divisor(number: Number) -> Option<i64> {
    const SAFE_MAX: i64 = 1 << 53;
    let divisor = match number {
        Number::Int(value) => value,
        Number::Float(value) if value.trunc() == value && value <= SAFE_MAX as f64 => value as i64,
        Number::Float(_) => return None,
    };
    (1..=SAFE_MAX).contains(&divisor).then_some(divisor)
}

/// A bound on a count, as the crate reads it.
fn count(value: &Serde) -> Option<u64> {
    if let Some(count) = value.as_u64() {
        return Some(count);
    }
    let float = value.as_f64().filter(|count| *count >= 0.0 && count.trunc() == *count)?;
    Some(float as u64)
}

fn names(value: &Serde) -> Option<MemberNames> {
    value.as_array()?.iter().map(|name| Some(name.as_str()?.into())).collect()
}

fn dependent(map: &Map<String, Serde>) -> Option<Dependents> {
    map.iter().map(|(name, needed)| Some((name.as_str().into(), names(needed)?))).collect()
}

/// A value of the schema as one of ours. `None` where no document could hold it.
pub(super) fn value(value: &Serde) -> Option<Value> {
    let text = serde_json::to_vec(value).ok()?;
    parse::json(&text, &Limits::NONE).ok().map(|parsed| parsed.value)
}

impl SchemaAssertion {
    /// The native test of a keyword; `None` where the crate is to be asked.
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
            "const" => SchemaAssertion::OneOf(Options::new(Box::new([self::value(value)?]))),
            "enum" => SchemaAssertion::OneOf(Options::new(
                value.as_array()?.iter().map(self::value).collect::<Option<Box<[Value]>>>()?,
            )),
            _ => return None,
        })
    }

    /// Whether a change anywhere below the value can change the answer.
    pub fn looks_below(&self) -> bool {
        match self {
            SchemaAssertion::UniqueItems => true,
            SchemaAssertion::OneOf(options) => options
                .all
                .iter()
                .any(|value| matches!(value.view(), View::Array(_) | View::Object(_))),
            _ => false,
        }
    }

    /// Whether the answer is about which members or elements there are.
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
    pub fn passes(&self, view: View<'_>, checker: &super::parts::Checker<'_>) -> Result<bool> {
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
                // It is compared with a few values, or hashed.
                checker.spend(view.work())?;
                options.have(view)
            }
            SchemaAssertion::Part(part) => checker.passes(*part, view)?,
        })
    }

    /// The first member that has to be there and is not.
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

    /// Whether [`SchemaAssertion::decide`] can tell.
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

    /// The verdict of an assertion that takes constant time, for a condition.
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

    /// The members that have to be present.
    pub fn names(&self) -> &[Box<str>] {
        match self {
            SchemaAssertion::Required(names) => names,
            _ => &[],
        }
    }

    /// What is allocated behind it.
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

/// Steps of a command that counting the characters of a text takes.
#[inline]
fn text_work(view: View<'_>) -> u64 {
    view.as_text().map_or(0, |text| View::Str(text).work())
}

/// Numbers a schema writes must be numbers a document could be compared with.
pub(super) fn refuse_odd_numbers(schema: &Serde) -> Result<()> {
    let mut stack = vec![schema];
    while let Some(value) = stack.pop() {
        match value {
            Serde::Number(number) if !number.as_f64().is_some_and(f64::is_finite) => {
                return Err(Error::syntax("a number in the schema is out of range"));
            }
            Serde::Array(items) => stack.extend(items),
            Serde::Object(map) => stack.extend(map.values()),
            _ => {}
        }
    }
    Ok(())
}

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<SchemaAssertion>();
    shared::<SchemaParts>();
};
