//! Sets of JSON types.

use jsonschema::JsonType;
use serde_json::Value as Serde;

use crate::value::View;

/// A set of JSON types. An integer is a number too, and `1.0` is an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Types(u8);

impl Types {
    pub fn parse(types: &Serde) -> Option<Types> {
        let bit = |name: &Serde| Some(name.as_str()?.parse::<JsonType>().ok()? as u8);
        match types {
            Serde::Array(names) => names.iter().try_fold(0, |set, name| Some(set | bit(name)?)),
            name => bit(name),
        }
        .map(Types)
    }

    /// The names as a schema spells them, for a message.
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
    pub fn admits(self, view: View<'_>) -> bool {
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
