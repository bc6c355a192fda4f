//! The terms of a condition, for those who look for documents that fulfil it: what each compares with what.
//!
//! A term is an operand of the `&&` at the top. Its *subject* reads the document, its value does not: that is computed
//! once. Subjects are told apart by their spelling, which is the same for the same steps, however they are written.

use std::fmt::Write;

use super::code::{AccessStep, Code, ExprNode, Global, NodeId};
use super::datum::{Constant, Datum};
use super::eval::Eval;
use super::known_terms::{QueryTerms, Term, TermTest};
use super::limits::ExprLimits;
use super::operator::Comparison;
use super::program::Program;
use super::scope::Scope;
use super::{produce, refusal};
use crate::error::Result;
use crate::value::Measured;

/// A step of a path of `self`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfStep<'p> {
    Name(&'p str),
    Index(i64),
}

/// The spelling of the document itself; a member adds `."name"`, an element `[0]`.
pub const SELF: &str = "self";

/// Adds a member to the spelling of a path.
pub fn spell_name(name: &str, out: &mut String) {
    let _ = write!(out, ".{name:?}");
}

/// Adds an element to the spelling of a path.
pub fn spell_index(index: i64, out: &mut String) {
    let _ = write!(out, "[{index}]");
}

impl Program {
    /// The spelling of the whole expression; `None` for one whose parts have no spelling, such as macros.
    pub fn spelling(&self) -> Option<String> {
        let mut out = String::new();
        spell(self.code(), self.root(), &mut out).then_some(out)
    }

    /// The terms that it consists of, which are looked for once.
    pub fn terms(&self) -> &QueryTerms {
        self.kept_terms().get_or_init(|| QueryTerms {
            known: self.operands().into_iter().filter_map(|id| term(self.code(), id)).collect(),
            spellings: self.term_spellings().into_iter().flatten().collect(),
        })
    }

    /// The members and elements that the expression consists of, if it is a path of `self` and nothing else.
    pub fn self_path(&self) -> Option<Vec<SelfStep<'_>>> {
        let ExprNode::Path { base, steps } = self.code().node(self.root()) else { return None };
        let ExprNode::Root(Global::This) = self.code().node(base) else { return None };
        let step = |step: &AccessStep| match step {
            AccessStep::Name(name) => Some(SelfStep::Name(self.code().name(*name))),
            AccessStep::Index(index) => match self.code().node(*index) {
                ExprNode::Constant(number) => match &self.code().constants[number as usize] {
                    Constant::Str(name) => Some(SelfStep::Name(name)),
                    Constant::Int(index @ 0..) => Some(SelfStep::Index(*index)),
                    _ => None,
                },
                _ => None,
            },
            AccessStep::MaybeName(_) | AccessStep::MaybeIndex(_) => None,
        };
        self.code().steps(steps).iter().map(step).collect()
    }

    /// The spellings of all operands of the `&&` at the top; none in the place of one without a spelling.
    pub fn term_spellings(&self) -> Vec<Option<String>> {
        let spelling = |id| {
            let mut out = String::new();
            spell(self.code(), id, &mut out).then_some(out)
        };
        self.operands().into_iter().map(spelling).collect()
    }

    fn operands(&self) -> Vec<NodeId> {
        let (mut operands, mut open) = (Vec::new(), vec![self.root()]);
        while let Some(id) = open.pop() {
            match self.code().node(id) {
                ExprNode::And(parts) => open.extend(self.code().links(parts).iter().rev()),
                _ => operands.push(id),
            }
        }
        operands
    }

    /// The value of a term: a scalar that JSON has, or a list of such. `None` for any other: what it is compared with is
    /// no part of a document. `EXPR` where it fails.
    pub fn term_value(
        &self,
        term: &Term,
        scope: &Scope<'_>,
        limits: &ExprLimits,
    ) -> Result<Option<Measured>> {
        term.value.map_or(Ok(None), |value| self.plain(value, scope, limits))
    }

    /// As [`Program::evaluate`], of a value that is a scalar, as JSON has it; `None` for any other value.
    pub fn scalar(&self, scope: &Scope<'_>, limits: &ExprLimits) -> Result<Option<Measured>> {
        let made = self.plain(self.root(), scope, limits)?;
        Ok(made.filter(|made| made.value.view().as_array().is_none()))
    }

    fn plain(
        &self,
        id: NodeId,
        scope: &Scope<'_>,
        limits: &ExprLimits,
    ) -> Result<Option<Measured>> {
        let mut evaluation = Eval::new(self.code(), scope, limits.steps);
        let made = evaluation.node(id).and_then(|datum| match is_plain(&datum) {
            true => produce::measured(&mut evaluation, &datum).map(Some),
            false => Ok(None),
        });
        evaluation.budget.settle(scope.allowance);
        made.map_err(|fault| {
            refusal::of_fault(fault, |name| self.code().name(name), self.source(), limits.steps)
        })
    }
}

/// Returns true for a scalar that is the same in JSON, and for a list of such.
fn is_plain(datum: &Datum<'_>) -> bool {
    let is_scalar = |datum: &Datum<'_>| match datum {
        Datum::Double(value) => value.is_finite(),
        Datum::Uint(value) => i64::try_from(*value).is_ok(),
        Datum::Null | Datum::Bool(_) | Datum::Int(_) => true,
        other => other.as_str().is_some(),
    };
    match datum {
        Datum::List(list) => list.iter().all(|item| is_scalar(&item)),
        scalar => is_scalar(scalar),
    }
}

fn term(code: &Code, id: NodeId) -> Option<Term> {
    let (subject, test, value) = match code.node(id) {
        ExprNode::Compare { comparison, left, right } => {
            let (subject, value, comparison) = match (is_fixed(code, left), is_fixed(code, right)) {
                (false, true) => (left, right, comparison),
                (true, false) => (right, left, flipped(comparison)),
                _ => return None,
            };
            let test = match comparison {
                Comparison::Equal => TermTest::Equal,
                Comparison::NotEqual => return None,
                Comparison::Less => TermTest::Less,
                Comparison::LessEqual => TermTest::LessEqual,
                Comparison::Greater => TermTest::Greater,
                Comparison::GreaterEqual => TermTest::GreaterEqual,
            };
            (subject, test, Some(value))
        }
        ExprNode::In { item, container } => match (is_fixed(code, item), is_fixed(code, container))
        {
            (false, true) => (item, TermTest::In, Some(container)),
            (true, false) => (container, TermTest::Contains, Some(item)),
            _ => return None,
        },
        ExprNode::Call { function, arguments } if function.name == "startsWith" => {
            let [text, prefix] = code.links(arguments) else { return None };
            if is_fixed(code, *text) || !is_fixed(code, *prefix) {
                return None;
            }
            (*text, TermTest::StartsWith, Some(*prefix))
        }
        ExprNode::Has { base, steps, .. } => {
            let mut subject = String::new();
            let spelled = spell(code, base, &mut subject)
                && spell_steps(code, code.steps(steps), &mut subject);
            let test = TermTest::Present;
            return spelled.then_some(Term { subject, test, node: id, value: None });
        }
        _ => return None,
    };
    let mut spelling = String::new();
    let spelled = spell(code, subject, &mut spelling);
    spelled.then_some(Term { subject: spelling, test, node: subject, value })
}

fn flipped(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal => Comparison::Equal,
        Comparison::NotEqual => Comparison::NotEqual,
        Comparison::Less => Comparison::Greater,
        Comparison::LessEqual => Comparison::GreaterEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterEqual => Comparison::LessEqual,
    }
}

/// Returns true if the value of the node is the same for every document.
fn is_fixed(code: &Code, id: NodeId) -> bool {
    match code.node(id) {
        ExprNode::Constant(_) => true,
        ExprNode::Root(root) => matches!(root, Global::Args | Global::Now),
        ExprNode::Path { base, steps } => {
            let fixed = |step: &AccessStep| match step {
                AccessStep::Name(_) => true,
                AccessStep::Index(index) => is_fixed(code, *index),
                AccessStep::MaybeName(_) | AccessStep::MaybeIndex(_) => false,
            };
            is_fixed(code, base) && code.steps(steps).iter().all(fixed)
        }
        ExprNode::Negate(operand) => is_fixed(code, operand),
        ExprNode::Chain { first, terms } => {
            is_fixed(code, first) && code.terms(terms).iter().all(|(_, id)| is_fixed(code, *id))
        }
        ExprNode::Call { arguments: parts, .. } | ExprNode::List(parts) => {
            code.links(parts).iter().all(|id| is_fixed(code, *id))
        }
        _ => false,
    }
}

/// Writes the spelling of a node. Returns false if it has none. Nesting is bounded by the compiler.
fn spell(code: &Code, id: NodeId, out: &mut String) -> bool {
    match code.node(id) {
        ExprNode::Constant(number) => {
            let _ = write!(out, "{:?}", code.constants[number as usize]);
            true
        }
        ExprNode::Root(root) => {
            out.push_str(root.name());
            true
        }
        ExprNode::Path { base, steps } => {
            spell(code, base, out) && spell_steps(code, code.steps(steps), out)
        }
        ExprNode::Has { base, steps, .. } => {
            out.push_str("has(");
            let spelled = spell(code, base, out) && spell_steps(code, code.steps(steps), out);
            out.push(')');
            spelled
        }
        ExprNode::Not(operand) => {
            out.push('!');
            spell_list(code, &[operand], out)
        }
        ExprNode::Negate(operand) => {
            out.push('-');
            spell_list(code, &[operand], out)
        }
        ExprNode::And(parts) => {
            out.push_str("and");
            spell_list(code, code.links(parts), out)
        }
        ExprNode::Or(parts) => {
            out.push_str("or");
            spell_list(code, code.links(parts), out)
        }
        ExprNode::List(parts) => {
            out.push_str("list");
            spell_list(code, code.links(parts), out)
        }
        ExprNode::Compare { comparison, left, right } => {
            let _ = write!(out, "{comparison:?}");
            spell_list(code, &[left, right], out)
        }
        ExprNode::In { item, container } => {
            out.push_str("in");
            spell_list(code, &[item, container], out)
        }
        ExprNode::Chain { first, terms } => {
            out.push('(');
            let mut spelled = spell(code, first, out);
            for (operator, id) in code.terms(terms) {
                out.push_str(operator.symbol());
                spelled = spelled && spell(code, *id, out);
            }
            out.push(')');
            spelled
        }
        ExprNode::Call { function, arguments } => {
            out.push_str(function.name);
            spell_list(code, code.links(arguments), out)
        }
        _ => false,
    }
}

fn spell_list(code: &Code, ids: &[NodeId], out: &mut String) -> bool {
    out.push('(');
    let spelled = ids.iter().all(|id| {
        let spelled = spell(code, *id, out);
        out.push(',');
        spelled
    });
    out.push(')');
    spelled
}

fn spell_steps(code: &Code, steps: &[AccessStep], out: &mut String) -> bool {
    steps.iter().all(|step| match step {
        AccessStep::Name(name) => {
            spell_name(code.name(*name), out);
            true
        }
        AccessStep::Index(index) => match code.node(*index) {
            ExprNode::Constant(number) => match &code.constants[number as usize] {
                Constant::Str(name) => {
                    spell_name(name, out);
                    true
                }
                Constant::Int(index) => {
                    spell_index(*index, out);
                    true
                }
                _ => false,
            },
            _ => false,
        },
        AccessStep::MaybeName(_) | AccessStep::MaybeIndex(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::AllowedNames;

    fn compile(source: &str) -> Program {
        Program::compile(source, AllowedNames::CONDITION, &ExprLimits::DEFAULT).unwrap()
    }

    fn terms(source: &str) -> Vec<(String, TermTest)> {
        compile(source).terms().known.iter().map(|term| (term.subject.clone(), term.test)).collect()
    }

    fn one(source: &str, subject: &str, test: TermTest) {
        assert_eq!(terms(source), [(subject.to_owned(), test)], "{source}");
    }

    #[test]
    fn terms_are_found_whatever_side_the_document_is_on() {
        one("self.a == 1", "self.\"a\"", TermTest::Equal);
        one("1 < self.a", "self.\"a\"", TermTest::Greater);
        one("self.a <= args.n + 1", "self.\"a\"", TermTest::LessEqual);
        one("self.a.b[0] in ['x', args.y]", "self.\"a\".\"b\"[0]", TermTest::In);
        one("args.tag in self['tags']", "self.\"tags\"", TermTest::Contains);
        one("self.name.startsWith('A')", "self.\"name\"", TermTest::StartsWith);
        one("has(self.a.b)", "self.\"a\".\"b\"", TermTest::Present);
        let both = terms("self.a == 1 && (self.b > 2 && self.c == 3)");
        assert_eq!(both.len(), 3);
    }

    #[test]
    fn what_says_nothing_of_one_subject_is_no_term() {
        for source in [
            "self.a == self.b",
            "self.a != 1",
            "self.a == 1 || self.b == 2",
            "!(self.a == 1)",
            "1 == 1",
            "self.?a.orValue(1) == 1",
            "self.tags.exists(t, t == 'x')",
        ] {
            assert_eq!(terms(source), [], "{source}");
        }
    }

    #[test]
    fn a_path_of_self_is_known() {
        let steps = [SelfStep::Name("a"), SelfStep::Index(0), SelfStep::Name("b")];
        assert_eq!(compile("self.a[0]['b']").self_path().as_deref(), Some(&steps[..]));
        for source in ["self", "args.a", "self.a + 1", "self.?a", "self.a[self.b]", "self.a[-1]"] {
            assert_eq!(compile(source).self_path(), None, "{source}");
        }
    }

    #[test]
    fn a_spelling_is_the_same_for_the_same_steps() {
        let spelling = |source: &str| compile(source).spelling();
        assert_eq!(spelling("self.a['b']"), spelling("self['a'].b"));
        assert_eq!(spelling("self.email.lowerAscii()"), spelling("(self.email).lowerAscii( )"));
        assert_ne!(spelling("self.a + 1"), spelling("self.a - 1"));
        assert_ne!(spelling("self.a == 'b'"), spelling("self.a == \"c\""));
        assert_eq!(spelling("self.tags.exists(t, t == 'x')"), None);
    }
}
