//! Texts under regular expressions.

use super::{Eval, Evaluated};
use crate::expr::code::{NodeId, RegexSearch};
use crate::expr::datum::Datum;
use crate::expr::fault::Fault;
use crate::expr::pattern::Pattern;

impl<'a> Eval<'a> {
    /// A text under a pattern that was compiled with the expression.
    #[inline(never)]
    pub(super) fn search_constant(
        &mut self,
        search: RegexSearch,
        text: NodeId,
        pattern: u32,
        limit: Option<NodeId>,
    ) -> Evaluated<'a> {
        let text = self.node(text)?;
        let limit = match limit {
            Some(limit) => Some(self.node(limit)?),
            None => None,
        };
        let code = self.code;
        self.apply_pattern(search, &text, &code.patterns[pattern as usize], limit.as_ref())
    }

    /// A text under a pattern that only the evaluation knows. The last one is kept.
    #[inline(never)]
    pub fn search(
        &mut self,
        search: RegexSearch,
        text: &Datum<'a>,
        pattern: &str,
        limit: Option<&Datum<'a>>,
    ) -> Evaluated<'a> {
        self.budget.scan(pattern.len())?;
        let known = match self.pattern.take() {
            Some(known) if known.is(pattern) => known,
            _ => Box::new(Pattern::compile_within(pattern, &mut self.budget)?),
        };
        let found = self.apply_pattern(search, text, &known, limit);
        self.pattern = Some(known);
        found
    }

    fn apply_pattern(
        &mut self,
        search: RegexSearch,
        text: &Datum<'a>,
        pattern: &Pattern,
        limit: Option<&Datum<'a>>,
    ) -> Evaluated<'a> {
        let text = text.as_str().ok_or(Fault::Because("a pattern is matched with a string"))?;
        let budget = &mut self.budget;
        match search {
            RegexSearch::Matches => pattern.is_match(text.as_bytes(), budget).map(Datum::Bool),
            RegexSearch::Find => {
                let found = pattern.find(text, 0, budget)?.map_or("", |range| &text[range]);
                budget.make(found.len())?;
                Ok(Datum::string(found))
            }
            RegexSearch::FindAll => {
                let limit = match limit {
                    None => usize::MAX,
                    Some(Datum::Int(limit)) => usize::try_from(*limit).unwrap_or(usize::MAX),
                    Some(_) => return Err(Fault::Because("the limit of findAll() is an int")),
                };
                let mut found = Vec::new();
                let mut at = 0;
                while found.len() < limit
                    && at <= text.len()
                    && let Some(range) = pattern.find(text, at, budget)?
                {
                    budget.make_list(1)?;
                    budget.make(range.len())?;
                    // Behind an empty match the search goes on with the next character.
                    at = match range.is_empty() {
                        true => range.end + next_len(text, range.end),
                        false => range.end,
                    };
                    found.push(Datum::string(&text[range]));
                }
                Datum::list(found)
            }
        }
    }
}

/// The bytes of the character at this place; one at the end.
fn next_len(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}
