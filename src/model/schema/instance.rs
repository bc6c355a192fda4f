//! Document values as the `jsonschema` crate sees them: read in place, nothing copied or converted.
//!
//! Nodes charge a [`Meter`]. Once it is spent, containers and texts look empty, iterators over them end, and nothing equals
//! anything, so that the crate returns soon.
//!
//! Must never convert a document to `serde_json`: the errors of the crate have a placeholder for the value, because we
//! make our own messages.

use std::borrow::Cow;

use jsonschema::JsonType;
use jsonschema::json::{self, Json, JsonNumber, NodeIdentity};
use serde_json::Value as Serde;

use super::meter::{Meter, NUMBER_DIGITS, TEXT_BYTES};
use super::unique::{is_unique, is_unique_within};
use crate::value::{self, ArrayView, ObjectView, View};

/// The representation of documents, for the generic validator of the crate.
pub(super) struct DocumentJson;

/// A value of a document, or an object around one.
#[derive(Clone, Copy)]
pub(super) struct ValueNode<'a> {
    what: NodeSource<'a>,
    meter: Option<&'a Meter>,
}

#[derive(Clone, Copy)]
enum NodeSource<'a> {
    View(View<'a>),
    /// An object with this one member, which selects a part.
    Member(&'a str, View<'a>),
}

impl<'a> ValueNode<'a> {
    pub fn member(name: &'a str, view: View<'a>, meter: &'a Meter) -> ValueNode<'a> {
        ValueNode { what: NodeSource::Member(name, view), meter: Some(meter) }
    }

    fn view(&self) -> Option<View<'a>> {
        match self.what {
            NodeSource::View(view) => Some(view),
            NodeSource::Member(..) => None,
        }
    }

    #[inline]
    fn enters(&self, len: usize) -> bool {
        self.meter.is_none_or(|meter| meter.enter(len))
    }
}

impl Json for DocumentJson {
    type Node<'a> = ValueNode<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = ();

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>((): &mut (), text: &str, f: impl FnOnce(ValueNode<'_>) -> T) -> T {
        f(ValueNode { what: NodeSource::View(View::Str(text.into())), meter: None })
    }
}

impl<'a> json::Node<'a, DocumentJson> for ValueNode<'a> {
    type Object = ObjectNode<'a>;
    type Array = ArrayNode<'a>;
    type Number = value::Number;

    #[inline]
    fn as_object(&self) -> Option<ObjectNode<'a>> {
        match self.what {
            NodeSource::View(View::Object(object)) if self.enters(0) => {
                Some(ObjectNode { what: ObjectSource::View(object), meter: self.meter })
            }
            NodeSource::View(View::Object(_)) => {
                Some(ObjectNode { what: ObjectSource::None, meter: None })
            }
            NodeSource::Member(name, view) => {
                Some(ObjectNode { what: ObjectSource::One(name, view), meter: self.meter })
            }
            NodeSource::View(_) => None,
        }
    }

    #[inline]
    fn as_array(&self) -> Option<ArrayNode<'a>> {
        let array = self.view()?.as_array()?;
        Some(ArrayNode { array: self.enters(0).then_some(array), meter: self.meter })
    }

    #[inline]
    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.view()?.as_text()?;
        if let Some(meter) = self.meter {
            meter.charge_matching(text.as_bytes().len());
            if meter.is_spent() {
                return Some(Cow::Borrowed(""));
            }
        }
        Some(Cow::Borrowed(text.as_str()))
    }

    #[inline]
    fn as_number(&self) -> Option<value::Number> {
        self.view()?.as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.view()? {
            View::Bool(value) => Some(value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.what, NodeSource::View(View::Null))
    }

    fn is_number(&self) -> bool {
        matches!(self.what, NodeSource::View(View::Int(_) | View::Float(_)))
    }

    fn is_string(&self) -> bool {
        matches!(self.what, NodeSource::View(View::Str(_)))
    }

    #[inline]
    fn json_type(&self) -> JsonType {
        match self.what {
            NodeSource::View(View::Null) => JsonType::Null,
            NodeSource::View(View::Bool(_)) => JsonType::Boolean,
            NodeSource::View(View::Int(_) | View::Float(_)) => JsonType::Number,
            NodeSource::View(View::Str(_)) => JsonType::String,
            NodeSource::View(View::Array(_)) => JsonType::Array,
            NodeSource::View(View::Object(_)) | NodeSource::Member(..) => JsonType::Object,
        }
    }

    fn string_length(&self) -> Option<u64> {
        let text = self.view()?.as_text()?;
        if let Some(meter) = self.meter {
            meter.charge((text.as_bytes().len() / TEXT_BYTES) as u64);
        }
        Some(text.code_points() as u64)
    }

    fn equals_value(&self, expected: &Serde) -> bool {
        self.view().is_some_and(|view| equals(view, expected, self.meter))
    }

    /// Used for errors only.
    fn to_value(&self) -> Cow<'a, Serde> {
        Cow::Owned(Serde::Null)
    }

    /// Only containers have one. Scalars need none, because a schema that applies itself to the same value again is
    /// refused when it is compiled.
    #[inline]
    fn identity(&self) -> Option<NodeIdentity> {
        match self.view()? {
            View::Array(array) => Some(NodeIdentity::new(array.address())),
            View::Object(object) => Some(NodeIdentity::new(object.address())),
            _ => None,
        }
    }
}

/// JSON Schema's equality of a value with one written in the schema, charged by what it reads. The crate calls it for
/// each value of an `enum` that does not consist of texts or integers only.
fn equals(view: View<'_>, expected: &Serde, meter: Option<&Meter>) -> bool {
    let more = match (view, expected) {
        (View::Str(a), Serde::String(b)) if a.as_bytes().len() == b.len() => b.len() / TEXT_BYTES,
        (View::Int(_) | View::Float(_), Serde::Number(b)) => b.as_str().len() / NUMBER_DIGITS,
        _ => 0,
    };
    if !meter.is_none_or(|meter| meter.compare(more)) {
        return false;
    }
    match (view, expected) {
        (View::Null, Serde::Null) => true,
        (View::Bool(a), Serde::Bool(b)) => a == *b,
        (View::Str(a), Serde::String(b)) => a.as_bytes() == b.as_bytes(),
        (View::Int(_) | View::Float(_), Serde::Number(b)) => {
            let a = view.as_number().expect("integers and doubles are numbers");
            json::cmp::equal_numbers(&a, b)
        }
        (View::Array(a), Serde::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| equals(x, y, meter))
        }
        (View::Object(a), Serde::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, x)| b.get(name.as_str()).is_some_and(|y| equals(x, y, meter)))
        }
        _ => false,
    }
}

impl JsonNumber for value::Number {
    #[inline]
    fn as_u64(&self) -> Option<u64> {
        match self {
            value::Number::Int(value) => u64::try_from(*value).ok(),
            value::Number::Float(_) => None,
        }
    }

    #[inline]
    fn as_i64(&self) -> Option<i64> {
        match self {
            value::Number::Int(value) => Some(*value),
            value::Number::Float(_) => None,
        }
    }

    #[inline]
    fn as_f64(&self) -> Option<f64> {
        Some(value::Number::as_f64(*self))
    }

    fn as_str(&self) -> Cow<'_, str> {
        match self {
            value::Number::Int(value) => Cow::Owned(value.to_string()),
            // Spelled as the crate spells its own numbers, because it computes with the digits.
            value::Number::Float(value) => {
                let number = serde_json::Number::from_f64(*value).expect("doubles are finite");
                Cow::Owned(number.to_string())
            }
        }
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        Cow::Owned(match self {
            value::Number::Int(value) => (*value).into(),
            value::Number::Float(value) => {
                serde_json::Number::from_f64(*value).expect("doubles are finite")
            }
        })
    }

    #[inline]
    fn is_integer(&self) -> bool {
        match self {
            value::Number::Int(_) => true,
            value::Number::Float(value) => value.trunc() == *value,
        }
    }
}

/// An object of a document, an object around a value, or an empty one if the meter is spent.
pub(super) struct ObjectNode<'a> {
    what: ObjectSource<'a>,
    meter: Option<&'a Meter>,
}

#[derive(Clone, Copy)]
enum ObjectSource<'a> {
    View(ObjectView<'a>),
    One(&'a str, View<'a>),
    None,
}

impl<'a> json::Object<'a, DocumentJson> for ObjectNode<'a> {
    type Node = ValueNode<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    #[inline]
    fn len(&self) -> usize {
        match self.what {
            ObjectSource::View(object) => object.len(),
            ObjectSource::One(..) => 1,
            ObjectSource::None => 0,
        }
    }

    #[inline]
    fn get(&self, key: &Box<str>) -> Option<ValueNode<'a>> {
        let view = match self.what {
            ObjectSource::View(object) => object.get(key)?,
            ObjectSource::One(name, view) if *name == **key => view,
            ObjectSource::One(..) | ObjectSource::None => return None,
        };
        Some(ValueNode { what: NodeSource::View(view), meter: self.meter })
    }

    fn members(&self) -> MembersIter<'a> {
        let members = match self.what {
            ObjectSource::View(object)
                if self.meter.is_none_or(|meter| meter.enter_members(object.len())) =>
            {
                Rest::Members(object.iter())
            }
            ObjectSource::One(name, view) => Rest::One(name, view),
            ObjectSource::View(_) | ObjectSource::None => Rest::None,
        };
        MembersIter { members, meter: self.meter }
    }
}

pub(super) struct MembersIter<'a> {
    members: Rest<'a>,
    meter: Option<&'a Meter>,
}

enum Rest<'a> {
    Members(value::Members<'a>),
    One(&'a str, View<'a>),
    None,
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, ValueNode<'a>);

    #[inline]
    fn next(&mut self) -> Option<(&'a str, ValueNode<'a>)> {
        if self.meter.is_some_and(Meter::is_spent) {
            return None;
        }
        let (name, view) = match &mut self.members {
            Rest::Members(members) => members.next_str()?,
            Rest::One(name, view) => {
                let only = (*name, *view);
                self.members = Rest::None;
                only
            }
            Rest::None => return None,
        };
        if let Some(meter) = self.meter {
            meter.charge_name(name.len());
            if meter.is_spent() {
                return None;
            }
        }
        Some((name, ValueNode { what: NodeSource::View(view), meter: self.meter }))
    }
}

/// An array of a document; none if the meter is spent.
pub(super) struct ArrayNode<'a> {
    array: Option<ArrayView<'a>>,
    meter: Option<&'a Meter>,
}

impl<'a> json::Array<'a, DocumentJson> for ArrayNode<'a> {
    type Node = ValueNode<'a>;
    type ElementsIter = ElementsIter<'a>;

    #[inline]
    fn len(&self) -> usize {
        self.array.map_or(0, ArrayView::len)
    }

    fn elements(&self) -> ElementsIter<'a> {
        let array = self
            .array
            .filter(|array| self.meter.is_none_or(|meter| meter.enter_elements(array.len())));
        ElementsIter { items: array.map(ArrayView::iter), meter: self.meter }
    }

    fn is_unique(&self) -> bool {
        self.array.is_none_or(|array| match self.meter {
            Some(meter) => is_unique_within(array, meter),
            None => is_unique(array),
        })
    }
}

pub(super) struct ElementsIter<'a> {
    items: Option<value::Items<'a>>,
    meter: Option<&'a Meter>,
}

impl<'a> Iterator for ElementsIter<'a> {
    type Item = ValueNode<'a>;

    #[inline]
    fn next(&mut self) -> Option<ValueNode<'a>> {
        if self.meter.is_some_and(Meter::is_spent) {
            return None;
        }
        let view = self.items.as_mut()?.next()?;
        Some(ValueNode { what: NodeSource::View(view), meter: self.meter })
    }
}

#[cfg(test)]
mod tests {
    use jsonschema::json::{Array as _, Node as _, Object as _};
    use serde_json::json;

    use super::*;
    use crate::value::{Limits, Value, parse};

    fn value(json: &str) -> Value {
        parse::json(json.as_bytes(), &Limits::NONE).unwrap().value
    }

    /// The charge for one comparison, and its result.
    fn comparison(document: &str, expected: &Serde, steps: u64) -> (u64, bool) {
        let (document, meter) = (value(document), Meter::new(steps, 1, usize::MAX));
        let node = ValueNode { what: NodeSource::View(document.view()), meter: Some(&meter) };
        let equal = node.equals_value(expected);
        (meter.spent(), equal)
    }

    #[test]
    fn comparisons_are_paid_for_as_far_as_they_look() {
        let long = "x".repeat(320);
        for (document, expected, cost, equal) in [
            ("null", json!(null), 4, true),
            ("1", json!("1"), 4, false),
            ("1", json!(1), 4, true),
            ("1.5", json!(1.5), 4, true),
            ("\"a\"", json!("a"), 4, true),
            (&*format!("\"{long}\""), json!(long), 14, true),
            (&*format!("\"{long}y\""), json!(long), 4, false),
            ("[1,2,3]", json!([1, 2, 3]), 16, true),
            ("[1,2,3]", json!([0, 2, 3]), 8, false),
            ("[1,2,3]", json!([1, 2]), 4, false),
            ("{\"a\":[1]}", json!({"a": [1]}), 12, true),
            ("{\"a\":1}", json!({"b": 1}), 4, false),
        ] {
            assert_eq!(comparison(document, &expected, 1000), (cost, equal), "{document}");
        }
        let digits = serde_json::from_str(&format!("0.{}", "0".repeat(798))).unwrap();
        assert_eq!(comparison("0.5", &digits, 1000), (104, false));
    }

    #[test]
    fn telling_elements_apart_is_paid_for() {
        for (document, cost, unique) in [
            ("[]", 1, true),
            ("[1,2,[3,{\"a\":4}]]", 7, true),
            (&*format!("[\"{}\",1,1]", "x".repeat(320)), 14, false),
        ] {
            let document = value(document);
            let unique_within = |steps| {
                let meter = Meter::new(steps, 1, usize::MAX);
                let array = ArrayNode { array: document.view().as_array(), meter: Some(&meter) };
                meter.verdict(array.is_unique()).ok()
            };
            assert_eq!(unique_within(cost), None);
            assert_eq!(unique_within(cost + 1), Some(unique));
        }
    }

    #[test]
    fn a_spent_meter_ends_comparisons_iterators_and_matching() {
        assert_eq!(comparison("[1,2,3]", &json!([1, 2, 3]), 17), (16, true));
        assert_eq!(comparison("[1,2,3]", &json!([1, 2, 3]), 16), (16, false));
        let (array, object) = (value("[1,1,1,1]"), value(r#"{"a":1,"b":1,"c":1}"#));
        let meter = Meter::new(1000, 1, usize::MAX);
        let node = |view| ValueNode { what: NodeSource::View(view), meter: Some(&meter) };
        let mut items = node(array.view()).as_array().unwrap().elements();
        let mut members = node(object.view()).as_object().unwrap().members();
        assert!(items.next().is_some() && members.next().is_some());
        let text = value("\"abc\"");
        assert_eq!(node(text.view()).as_string().as_deref(), Some("abc"));
        while meter.compare(0) {}
        assert!(items.next().is_none() && members.next().is_none());
        assert_eq!(node(text.view()).as_string().as_deref(), Some(""));
        assert!(meter.verdict(true).is_err());
    }
}
