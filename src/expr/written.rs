//! The text of a term's subject, as it is written as the part of an index.

use std::fmt::Write;

use super::code::{AccessStep, Code, ExprNode, Global, NodeId, Span};
use super::datum::Constant;
use super::known_terms::Term;
use super::program::Program;

impl Program {
    /// The subject of one of its terms as a part of an index: a JSONPath for a path of `self`, otherwise an expression.
    /// `None` for one that is hard to write.
    pub fn part_of(&self, term: &Term) -> Option<String> {
        let code = self.code();
        let (base, steps) = match code.node(term.subject_node()) {
            ExprNode::Path { base, steps } | ExprNode::Has { base, steps, .. } => (base, steps),
            _ => return expression(code, term.subject_node()),
        };
        match code.node(base) {
            ExprNode::Root(Global::This) => with_steps("$".to_owned(), code, steps),
            _ => with_steps(expression(code, base)?, code, steps),
        }
    }
}

/// Adds members and elements, as both JSONPath and expressions write them.
fn with_steps(mut out: String, code: &Code, steps: Span) -> Option<String> {
    for step in code.steps(steps) {
        match step {
            AccessStep::Name(name) => put_name(code.name(*name), &mut out)?,
            AccessStep::Index(index) => match constant(code, *index)? {
                Constant::Str(name) => put_name(name, &mut out)?,
                Constant::Int(index) => write!(out, "[{index}]").ok()?,
                _ => return None,
            },
            AccessStep::MaybeName(_) | AccessStep::MaybeIndex(_) => return None,
        }
    }
    Some(out)
}

fn constant(code: &Code, id: NodeId) -> Option<&Constant> {
    match code.node(id) {
        ExprNode::Constant(number) => Some(&code.constants[number as usize]),
        _ => None,
    }
}

fn put_name(name: &str, out: &mut String) -> Option<()> {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_plain =
        name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit());
    match is_plain {
        true => write!(out, ".{name}").ok(),
        false => write!(out, "[{}]", quoted(name)).ok(),
    }
}

/// The text as both JSONPath and expressions read it, without a single quote or a control character in it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\'' | '\0'..' ' | '\x7f' => {
                write!(out, "\\u{:04x}", c as u32).expect("a string takes all")
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Nesting is bounded by the compiler.
fn expression(code: &Code, id: NodeId) -> Option<String> {
    match code.node(id) {
        ExprNode::Root(root) => Some(root.name().to_owned()),
        ExprNode::Constant(_) => match constant(code, id)? {
            Constant::Null => Some("null".to_owned()),
            Constant::Bool(value) => Some(value.to_string()),
            Constant::Int(value) => Some(value.to_string()),
            Constant::Double(value) => Some(format!("{value:?}")),
            Constant::Str(text) => Some(quoted(text)),
            _ => None,
        },
        ExprNode::Path { base, steps } => with_steps(expression(code, base)?, code, steps),
        ExprNode::Chain { first, terms } => {
            let mut out = format!("({}", expression(code, first)?);
            for (operator, id) in code.terms(terms) {
                write!(out, " {} {}", operator.symbol(), expression(code, *id)?).ok()?;
            }
            Some(out + ")")
        }
        ExprNode::Call { function, arguments } => {
            let arguments = code.links(arguments).iter().map(|id| expression(code, *id));
            let arguments = arguments.collect::<Option<Vec<_>>>()?;
            match arguments.split_first() {
                Some((on, others)) if function.is_member() => {
                    Some(format!("{on}.{}({})", function.name, others.join(", ")))
                }
                _ => Some(format!("{}({})", function.name, arguments.join(", "))),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{AllowedNames, ExprLimits};

    #[test]
    fn a_subject_is_written_as_it_is_typed() {
        for (condition, part) in [
            ("self.a == 1", Some("$.a")),
            ("1 < self['a'].b[0]", Some("$.a.b[0]")),
            ("self['a b'] == 1", Some(r#"$["a b"]"#)),
            ("self['a\"b'] == 1", Some(r#"$["a\"b"]"#)),
            (r#"self["it's \n \\"] == 1"#, Some(r#"$["it\u0027s \u000a \\"]"#)),
            ("has(self.a.b)", Some("$.a.b")),
            ("self.mail.lowerAscii() == 'x'", Some("self.mail.lowerAscii()")),
            ("size(self.name) > 3", Some("size(self.name)")),
            ("self.a.replace(' ', '') == 'x'", Some(r#"self.a.replace(" ", "")"#)),
            ("self.a + self.b * 2 < 3", Some("(self.a + (self.b * 2))")),
            ("self.text.split(',')[0] == 'x'", Some(r#"self.text.split(",")[0]"#)),
        ] {
            let names = AllowedNames::CONDITION;
            let program = Program::compile(condition, names, &ExprLimits::DEFAULT).unwrap();
            let terms = &program.terms().known;
            assert_eq!(program.part_of(&terms[0]).as_deref(), part, "{condition}");
        }
    }
}
