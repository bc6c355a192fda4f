//! The grammar of filters: logical expressions, comparisons and functions, with the types RFC 9535 gives them.

use super::super::filter::{
    Comparable, FilterComparison, Literal, Logical, Matcher, QueryStart, SingularQuery, SubQuery,
};
use super::super::pattern::{self, IRegexp, PATTERN_WEIGHT_MAX};
use super::super::query::Query;
use super::super::step::PathStep;
use super::{ARGS, Bound, PathParser};
use crate::error::{ErrorCode, Result};
use crate::value::Number;

/// An operand of a comparison, a test or an argument, with the types RFC 9535 gives it.
enum FilterOperand {
    /// A value; a singular query is one, and a list of nodes too.
    Value(Comparable),
    /// A list of nodes.
    Nodes(SubQuery),
    /// True or false.
    Logical(Logical),
}

impl PathParser<'_> {
    /// A logical expression: terms joined by `||`.
    pub(super) fn logical(&mut self) -> Result<Logical> {
        let mut terms = vec![self.conjunction()?];
        while self.eat_operator("||") {
            terms.push(self.conjunction()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Logical::Or(terms) })
    }

    fn conjunction(&mut self) -> Result<Logical> {
        let mut terms = vec![self.basic()?];
        while self.eat_operator("&&") {
            terms.push(self.basic()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Logical::And(terms) })
    }

    fn eat_operator(&mut self, operator: &str) -> bool {
        self.skip_space();
        self.eat_text(operator)
    }

    /// A parenthesis, a comparison, or a test; the first and the last may be negated.
    fn basic(&mut self) -> Result<Logical> {
        self.skip_space();
        let negated = self.eat(b'!');
        if negated {
            self.skip_space();
        }
        let term = if self.eat(b'(') {
            let inside = self.nested(Self::logical)?;
            self.skip_space();
            self.expect(b')', "expected ')'")?;
            inside
        } else if negated {
            let start = self.at;
            let operand = self.operand()?;
            self.as_test(operand, start)?
        } else {
            self.comparison_or_test()?
        };
        Ok(if negated { Logical::Not(Box::new(term)) } else { term })
    }

    fn comparison_or_test(&mut self) -> Result<Logical> {
        let start = self.at;
        let left = self.operand()?;
        self.skip_space();
        let Some(comparison) = self.comparison() else { return self.as_test(left, start) };
        let left = self.as_value(left, start)?;
        self.skip_space();
        let start = self.at;
        let right = self.operand()?;
        let right = self.as_value(right, start)?;
        Ok(Logical::Compare { left, comparison, right })
    }

    fn comparison(&mut self) -> Option<FilterComparison> {
        // Those of two characters first: some begin with one of the others.
        const ALL: [(&str, FilterComparison); 6] = [
            ("==", FilterComparison::Equal),
            ("!=", FilterComparison::NotEqual),
            ("<=", FilterComparison::LessOrEqual),
            (">=", FilterComparison::GreaterOrEqual),
            ("<", FilterComparison::Less),
            (">", FilterComparison::Greater),
        ];
        ALL.iter().find(|(text, _)| self.eat_text(text)).map(|(_, comparison)| *comparison)
    }

    fn as_test(&self, operand: FilterOperand, start: usize) -> Result<Logical> {
        match operand {
            FilterOperand::Logical(logical) => Ok(logical),
            FilterOperand::Nodes(query) => Ok(Logical::Exists(query)),
            FilterOperand::Value(Comparable::Singular(query)) => {
                Ok(Logical::Exists(SubQuery::Singular(query)))
            }
            FilterOperand::Value(_) => {
                Err(self.error_at(start, "a value is neither true nor false: compare it"))
            }
        }
    }

    fn as_value(&self, operand: FilterOperand, start: usize) -> Result<Comparable> {
        match operand {
            FilterOperand::Value(value) => Ok(value),
            FilterOperand::Nodes(_) => {
                Err(self.error_at(start, "expected a query with one result at most"))
            }
            FilterOperand::Logical(_) => {
                Err(self.error_at(start, "true or false is no value here"))
            }
        }
    }

    fn as_nodes(&self, operand: FilterOperand, start: usize) -> Result<SubQuery> {
        match operand {
            FilterOperand::Nodes(query) => Ok(query),
            FilterOperand::Value(Comparable::Singular(query)) => Ok(SubQuery::Singular(query)),
            _ => Err(self.error_at(start, "expected a query")),
        }
    }

    fn operand(&mut self) -> Result<FilterOperand> {
        match self.peek() {
            Some(b'$') => self.sub_query(QueryStart::Root),
            Some(b'@') => self.sub_query(QueryStart::Current),
            Some(b'\'' | b'"') => Ok(literal(Literal::Text(self.string()?.into()))),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'a'..=b'z') => self.word(),
            _ => Err(self.error("expected a query, a literal or a function")),
        }
    }

    fn sub_query(&mut self, origin: QueryStart) -> Result<FilterOperand> {
        self.at += 1;
        let query = Query::new(self.segments()?);
        Ok(match query.into_singular() {
            Ok(singular) => {
                let steps: Box<[PathStep<'static>]> = singular.into_steps().into_boxed_slice();
                FilterOperand::Value(Comparable::Singular(SingularQuery { origin, steps }))
            }
            Err(query) => FilterOperand::Nodes(SubQuery::Query(origin, query)),
        })
    }

    fn number(&mut self) -> Result<FilterOperand> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        match Number::parse(&self.bytes[start..self.at]) {
            Ok(number) => Ok(literal(Literal::Number(number))),
            Err(error) if error.code() == ErrorCode::Range => {
                Err(self.error_at(start, "a number that no document can hold"))
            }
            Err(_) => Err(self.error_at(start, "not a JSON number")),
        }
    }

    /// A literal's name, or a function with its arguments.
    fn word(&mut self) -> Result<FilterOperand> {
        let start = self.at;
        while matches!(self.peek(), Some(b'a'..=b'z' | b'0'..=b'9' | b'_')) {
            self.at += 1;
        }
        let name = &self.text[start..self.at];
        if self.eat(b'(') {
            return self.nested(|parser| parser.function(name, start));
        }
        match name {
            "true" => Ok(literal(Literal::Bool(true))),
            "false" => Ok(literal(Literal::Bool(false))),
            "null" => Ok(literal(Literal::Null)),
            ARGS => self.bound_comparable(start),
            _ => Err(self.error_at(start, "expected true, false, null, args or a function")),
        }
    }

    /// The arguments of a function, behind the parenthesis.
    fn function(&mut self, name: &str, start: usize) -> Result<FilterOperand> {
        let function = match name {
            "length" => FilterOperand::Value(Comparable::Length(Box::new(self.value_argument()?))),
            "count" => FilterOperand::Value(Comparable::Count(Box::new(self.nodes_argument()?))),
            "value" => FilterOperand::Value(Comparable::Value(Box::new(self.nodes_argument()?))),
            "match" | "search" => {
                let text = self.value_argument()?;
                self.skip_space();
                self.expect(b',', "expected a second argument")?;
                let source = self.value_argument()?;
                let pattern = self.matcher(source, name == "match")?;
                FilterOperand::Logical(Logical::Matches { text, pattern })
            }
            _ => return Err(self.error_at(start, "no such function")),
        };
        self.skip_space();
        self.expect(b')', "expected ')' behind the function's last argument")?;
        Ok(function)
    }

    fn value_argument(&mut self) -> Result<Comparable> {
        self.skip_space();
        let start = self.at;
        let operand = self.operand()?;
        self.as_value(operand, start)
    }

    fn nodes_argument(&mut self) -> Result<SubQuery> {
        self.skip_space();
        let start = self.at;
        let operand = self.operand()?;
        self.as_nodes(operand, start)
    }

    /// A pattern that is written out is compiled once, here.
    fn matcher(&mut self, source: Comparable, whole: bool) -> Result<Matcher> {
        let Comparable::Literal(literal) = source else {
            return Ok(Matcher::Dynamic { source: Box::new(source), whole });
        };
        let Literal::Text(text) = literal else { return Ok(Matcher::Constant(None)) };
        let pattern = IRegexp::parse(&text, whole)?;
        self.pattern_weight += pattern.as_ref().map_or(0, IRegexp::weight);
        if self.pattern_weight > PATTERN_WEIGHT_MAX {
            return Err(pattern::too_heavy());
        }
        Ok(Matcher::Constant(pattern))
    }

    fn bound_comparable(&mut self, start: usize) -> Result<FilterOperand> {
        let value = match (self.bound(start)?, self.binding) {
            (Bound::Value(found), Some(binding)) => Some(binding.copy(found)?),
            _ => None,
        };
        Ok(FilterOperand::Value(Comparable::Bound(value)))
    }
}

fn literal(literal: Literal) -> FilterOperand {
    FilterOperand::Value(Comparable::Literal(literal))
}
