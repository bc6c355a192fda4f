//! The values that a false condition had read.
//!
//! The first operand of `&&` that is false is looked into, and every operand of `||`; there, each
//! place in a document is shown with its value. Everything is bounded: entries, their texts, and the
//! steps it takes to find the values again.

use super::code::{AccessStep, Code, ExprNode, NodeId, Span};
use super::datum::{Datum, Map};
use super::eval::Eval;
use super::functions;
use super::native::NATIVE_METHODS;
use super::scope::Scope;
use crate::value::{Number, print};

const ENTRIES_MAX: usize = 8;
/// Bytes of a value's text.
const VALUE_BYTES_MAX: usize = 64;
/// The most steps it takes to find the values again: about a millisecond.
const STEPS_MAX: u64 = 100_000;
/// Bytes of a place's text.
const PLACE_BYTES_MAX: usize = 64;

pub(super) fn explain(
    code: &Code,
    root: NodeId,
    scope: &Scope<'_>,
    steps: u64,
) -> Vec<(String, String)> {
    let eval = Eval::new(code, scope, steps.min(STEPS_MAX));
    let mut explainer = Explainer { code, eval, found: Vec::new() };
    explainer.false_node(root);
    explainer.found
}

struct Explainer<'a> {
    code: &'a Code,
    eval: Eval<'a>,
    found: Vec<(String, String)>,
}

impl<'a> Explainer<'a> {
    /// Looks into a node that is false.
    fn false_node(&mut self, id: NodeId) {
        match self.code.node(id) {
            ExprNode::And(parts) => {
                for part in self.code.links(parts) {
                    if matches!(self.eval.node(*part), Ok(Datum::Bool(false))) {
                        return self.false_node(*part);
                    }
                }
            }
            ExprNode::Or(parts) => {
                self.code.links(parts).iter().for_each(|part| self.false_node(*part))
            }
            _ => self.read(id),
        }
    }

    /// Shows every place that a node reads.
    fn read(&mut self, id: NodeId) {
        if self.found.len() >= ENTRIES_MAX {
            return;
        }
        if self.is_place(id) {
            return self.show(id);
        }
        match self.code.node(id) {
            ExprNode::Not(operand) | ExprNode::Negate(operand) => self.read(operand),
            ExprNode::And(parts)
            | ExprNode::Or(parts)
            | ExprNode::List(parts)
            | ExprNode::Map(parts) => {
                self.read_all(parts);
            }
            ExprNode::Call { arguments, .. } => self.read_all(arguments),
            ExprNode::Compare { left, right, .. } => {
                self.read(left);
                self.read(right);
            }
            ExprNode::In { item, container } => {
                self.read(item);
                self.read(container);
            }
            ExprNode::Choose { test, then, other } => {
                self.read(test);
                match self.eval.node(test) {
                    Ok(Datum::Bool(true)) => self.read(then),
                    Ok(_) => self.read(other),
                    Err(_) => {}
                }
            }
            ExprNode::Chain { first, terms } => {
                self.read(first);
                self.code.terms(terms).iter().for_each(|(_, operand)| self.read(*operand));
            }
            ExprNode::Search { text, .. } => self.read(text),
            ExprNode::Native { key, operand, .. } => {
                self.read(key);
                operand.into_iter().for_each(|operand| self.read(operand));
            }
            ExprNode::IfPresent(optional) => self.read(optional),
            ExprNode::OrElse { optional, other, .. } => {
                self.read(optional);
                self.read(other);
            }
            // The places it reads behind its range depend on its variable.
            ExprNode::Loop(number) => self.read(self.code.loops[number as usize].range),
            ExprNode::OptionalMap { optional, .. } => self.read(optional),
            ExprNode::Bind { value, .. } => self.read(value),
            // A whole document would say little.
            ExprNode::Has { parent, .. } if matches!(self.code.node(parent), ExprNode::Root(_)) => {
            }
            ExprNode::Has { parent, .. } => self.read(parent),
            ExprNode::Path { base, .. } => self.read(base),
            ExprNode::Constant(_)
            | ExprNode::Variable(_)
            | ExprNode::Root(_)
            | ExprNode::Old(_)
            | ExprNode::MaybeOld(_)
            | ExprNode::HasOld(_) => {}
        }
    }

    fn read_all(&mut self, parts: Span) {
        self.code.links(parts).iter().for_each(|part| self.read(*part));
    }

    /// Tests for a place that its source tells completely: a name, or members and elements of one.
    fn is_place(&self, id: NodeId) -> bool {
        let plain = |step: &AccessStep| match step {
            AccessStep::Name(_) | AccessStep::MaybeName(_) => true,
            AccessStep::Index(index) | AccessStep::MaybeIndex(index) => {
                matches!(self.code.node(*index), ExprNode::Constant(_)) || self.is_place(*index)
            }
        };
        match self.code.node(id) {
            ExprNode::Root(_) | ExprNode::Old(_) | ExprNode::MaybeOld(_) => true,
            ExprNode::Path { base, steps } => {
                self.is_place(base) && self.code.steps(steps).iter().all(plain)
            }
            ExprNode::Native { key, operand, .. } => {
                let constant = |id| matches!(self.code.node(id), ExprNode::Constant(_));
                let told = |id| constant(id) || self.is_place(id);
                told(key) && operand.is_none_or(told)
            }
            ExprNode::Call { function, arguments } => {
                function.name == "size" && self.is_place(self.code.links(arguments)[0])
            }
            _ => false,
        }
    }

    fn show(&mut self, id: NodeId) {
        let mut place = String::new();
        self.spell(id, &mut place);
        if place.len() > PLACE_BYTES_MAX {
            place = format!("{}…", cut(&place, PLACE_BYTES_MAX));
        }
        if self.found.iter().any(|(known, _)| *known == place) {
            return;
        }
        let value = self.eval.node(id).and_then(|value| match value {
            Datum::Timestamp(_) | Datum::Duration(_) => {
                let string = functions::find("string", false, 1).expect("string() is declared");
                string.call(&mut self.eval, &[value])
            }
            other => Ok(other),
        });
        if let Ok(value) = value {
            self.found.push((place, text(&value)));
        }
    }

    fn spell_index(&self, index: NodeId, open: &str, out: &mut String) {
        out.push_str(open);
        self.spell(index, out);
        out.push(']');
    }

    fn spell(&self, id: NodeId, out: &mut String) {
        match self.code.node(id) {
            ExprNode::Root(root) => out.push_str(root.name()),
            ExprNode::Old(path) | ExprNode::MaybeOld(path) => {
                out.push_str("oldSelf");
                self.code.old_paths[path as usize]
                    .iter()
                    .for_each(|name| spell_name(name, "", out));
            }
            ExprNode::Path { base, steps } => {
                self.spell(base, out);
                for step in self.code.steps(steps) {
                    match step {
                        AccessStep::Name(name) => spell_name(self.code.name(*name), "", out),
                        AccessStep::MaybeName(name) => spell_name(self.code.name(*name), "?", out),
                        AccessStep::Index(index) => self.spell_index(*index, "[", out),
                        AccessStep::MaybeIndex(index) => self.spell_index(*index, "[?", out),
                    }
                }
            }
            ExprNode::Native { method, key, operand } => {
                out.push_str("native");
                self.spell_index(key, "[", out);
                out.push('.');
                out.push_str(NATIVE_METHODS[method as usize].0);
                out.push('(');
                operand.into_iter().for_each(|operand| self.spell(operand, out));
                out.push(')');
            }
            ExprNode::Call { function, arguments } => {
                out.push_str(function.name);
                out.push('(');
                self.spell(self.code.links(arguments)[0], out);
                out.push(')');
            }
            ExprNode::Constant(number) => {
                out.push_str(&text(&self.code.constants[number as usize].lend()));
            }
            _ => {}
        }
    }
}

/// `.name`, or in brackets a name that is no identifier; with the mark of an optional, if it is one.
fn spell_name(name: &str, mark: &str, out: &mut String) {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && !name.is_empty() {
        out.push('.');
        out.push_str(mark);
        out.push_str(name);
    } else {
        out.push('[');
        out.push_str(mark);
        out.push_str(&string_text(name));
        out.push(']');
    }
}

fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    print::string(text.as_bytes(), &mut out);
    String::from_utf8(out).expect("JSON text of UTF-8 is UTF-8")
}

fn string_text(text: &str) -> String {
    if text.len() <= VALUE_BYTES_MAX {
        return quoted(text);
    }
    quoted(&format!("{}…", cut(text, VALUE_BYTES_MAX)))
}

/// JSON text of a value. What is too long becomes a string of its beginning.
fn text(value: &Datum<'_>) -> String {
    if let Datum::Optional(Some(value)) = value {
        return text(value);
    }
    if let Some(text) = value.as_str() {
        return string_text(text);
    }
    let mut out = String::new();
    put(value, &mut out);
    if out.len() <= VALUE_BYTES_MAX {
        return out;
    }
    quoted(&format!("{}…", cut(&out, VALUE_BYTES_MAX)))
}

/// Appends until there is enough, which bounds the recursion too.
fn put(value: &Datum<'_>, out: &mut String) {
    if out.len() > VALUE_BYTES_MAX {
        return;
    }
    match value {
        Datum::Null => out.push_str("null"),
        Datum::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Datum::Int(value) => out.push_str(&value.to_string()),
        Datum::Uint(value) => out.push_str(&value.to_string()),
        Datum::Double(value) if value.is_finite() => {
            Number::Float(*value).with_text(|text| out.push_str(&String::from_utf8_lossy(text)));
        }
        Datum::Double(value) => out.push_str(&quoted(&value.to_string())),
        Datum::Str(_) | Datum::MadeStr(_) => {
            let text = value.as_str().unwrap_or_default();
            out.push_str(&quoted(cut(text, VALUE_BYTES_MAX + 1)));
        }
        Datum::Bytes(_) | Datum::MadeBytes(_) => {
            let bytes = value.as_bytes().unwrap_or_default();
            let start = &bytes[..bytes.len().min(VALUE_BYTES_MAX)];
            out.push_str(&quoted(&String::from_utf8_lossy(start)));
        }
        Datum::List(list) => {
            out.push('[');
            for (at, item) in list.iter().enumerate() {
                if out.len() > VALUE_BYTES_MAX {
                    return;
                }
                if at > 0 {
                    out.push(',');
                }
                put(&item, out);
            }
            out.push(']');
        }
        Datum::Map(map) => put_map(map, out),
        // These stand in no document; shown alone they are text already.
        Datum::Timestamp(_) | Datum::Duration(_) => out.push_str("null"),
        Datum::Type(name) => out.push_str(&quoted(name)),
        Datum::Optional(value) => match value {
            Some(value) => put(value, out),
            None => out.push_str("null"),
        },
    }
}

fn put_map(map: &Map<'_>, out: &mut String) {
    out.push('{');
    for (at, (key, value)) in map.entries().enumerate() {
        if out.len() > VALUE_BYTES_MAX {
            return;
        }
        if at > 0 {
            out.push(',');
        }
        match key.as_str() {
            Some(name) => out.push_str(&quoted(cut(name, VALUE_BYTES_MAX + 1))),
            None => {
                out.push('"');
                put(&key, out);
                out.push('"');
            }
        }
        out.push(':');
        put(&value, out);
    }
    out.push('}');
}
