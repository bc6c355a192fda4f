//! Macros: loops over a list or a map.

use super::{Eval, Evaluated};
use crate::expr::code::{Loop, MacroKind, NodeId};
use crate::expr::datum::{Datum, Map};
use crate::expr::fault::Fault;
use crate::expr::functions;

impl<'a> Eval<'a> {
    #[inline(never)]
    pub(super) fn looped(&mut self, number: u32) -> Evaluated<'a> {
        let code = self.code;
        let own = &code.loops[number as usize];
        match own.kind {
            MacroKind::All => self.any(own, false),
            MacroKind::Exists => self.any(own, true),
            MacroKind::ExistsOne => self.exists_one(own),
            MacroKind::List => self.list_macro(own),
            MacroKind::Map => self.transform_map(own),
            MacroKind::Entries => self.transform_entries(own),
            MacroKind::SortBy => self.sort_by(own),
            MacroKind::Reduce => self.reduce(own),
        }
    }

    /// Calls `body` for every element of the range, with the variables set to it, until it says that
    /// it is done.
    fn each(
        &mut self,
        own: &Loop,
        mut body: impl FnMut(&mut Self) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let range = self.node(own.range)?;
        let first = own.variable as usize;
        match &range {
            Datum::List(list) => {
                for (at, item) in list.iter().enumerate() {
                    self.budget.charge(1)?;
                    if own.two {
                        self.variables[first] = Datum::Int(at as i64);
                        self.variables[first + 1] = item;
                    } else {
                        self.variables[first] = item;
                    }
                    if body(self)? {
                        break;
                    }
                }
            }
            Datum::Map(map) => {
                for (key, value) in map.entries() {
                    self.budget.charge(1)?;
                    self.variables[first] = key;
                    if own.two {
                        self.variables[first + 1] = value;
                    }
                    if body(self)? {
                        break;
                    }
                }
            }
            other => return Err(no_range(other)),
        }
        Ok(())
    }

    fn passes(&mut self, own: &Loop) -> Result<bool, Fault> {
        own.test.map_or(Ok(true), |test| self.boolean(test))
    }

    /// `all` and `exists`: as `&&` and `||` of the tests of all elements.
    #[inline(never)]
    fn any(&mut self, own: &Loop, decisive: bool) -> Evaluated<'a> {
        let test = test_of(own);
        let mut fault = None;
        let mut decided = false;
        self.each(own, |eval| {
            match eval.boolean(test) {
                Ok(value) => decided = value == decisive,
                Err(last) if last.is_final() => return Err(last),
                Err(next) => {
                    fault.get_or_insert(next);
                }
            }
            Ok(decided)
        })?;
        match fault {
            Some(fault) if !decided => Err(fault),
            _ => Ok(Datum::Bool(decided == decisive)),
        }
    }

    #[inline(never)]
    fn exists_one(&mut self, own: &Loop) -> Evaluated<'a> {
        let test = test_of(own);
        let mut count = 0u64;
        self.each(own, |eval| {
            count += u64::from(eval.boolean(test)?);
            Ok(false)
        })?;
        Ok(Datum::Bool(count == 1))
    }

    #[inline(never)]
    fn list_macro(&mut self, own: &Loop) -> Evaluated<'a> {
        let item = item_of(own);
        let mut made = Vec::new();
        self.each(own, |eval| {
            if eval.passes(own)? {
                eval.budget.make_list(1)?;
                made.push(eval.node(item)?);
            }
            Ok(false)
        })?;
        Datum::list(made)
    }

    /// The keys of the range differ, and so do the indexes of a list.
    #[inline(never)]
    fn transform_map(&mut self, own: &Loop) -> Evaluated<'a> {
        let item = item_of(own);
        let mut entries = Vec::new();
        self.each(own, |eval| {
            if eval.passes(own)? {
                eval.budget.make_list(2)?;
                let value = eval.node(item)?;
                entries.push((eval.variables[own.variable as usize].clone(), value));
            }
            Ok(false)
        })?;
        Datum::map(entries)
    }

    #[inline(never)]
    fn transform_entries(&mut self, own: &Loop) -> Evaluated<'a> {
        let item = item_of(own);
        let mut entries = Vec::new();
        self.each(own, |eval| {
            if eval.passes(own)? {
                let Datum::Map(map) = eval.node(item)? else {
                    return Err("transformMapEntry() wants a map for each element".into());
                };
                eval.add_entries(&mut entries, &map)?;
            }
            Ok(false)
        })?;
        Datum::map(entries)
    }

    fn add_entries(
        &mut self,
        entries: &mut Vec<(Datum<'a>, Datum<'a>)>,
        map: &Map<'a>,
    ) -> Result<(), Fault> {
        for (key, value) in map.entries() {
            self.add_entry(entries, key, value)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn sort_by(&mut self, own: &Loop) -> Evaluated<'a> {
        let key = item_of(own);
        let mut keyed = Vec::new();
        self.each(own, |eval| {
            eval.budget.make_list(2)?;
            keyed.push((eval.node(key)?, eval.variables[own.variable as usize].clone()));
            Ok(false)
        })?;
        functions::list::sort_pairs(&mut keyed, &mut self.budget)?;
        Datum::list(keyed.into_iter().map(|(_, item)| item).collect())
    }

    /// The variable of the value so far has the number before the one of the element.
    #[inline(never)]
    fn reduce(&mut self, own: &Loop) -> Evaluated<'a> {
        let step = item_of(own);
        let total = own.variable as usize - 1;
        let start = own.start.expect("reduce() has a first value");
        self.variables[total] = self.node(start)?;
        self.each(own, |eval| {
            eval.budget.charge(1)?;
            eval.variables[total] = eval.node(step)?;
            Ok(false)
        })?;
        Ok(std::mem::replace(&mut self.variables[total], Datum::Null))
    }
}

fn test_of(own: &Loop) -> NodeId {
    own.test.expect("the compiler gave it a test")
}

fn item_of(own: &Loop) -> NodeId {
    own.item.expect("the compiler gave it an item")
}

#[cold]
fn no_range(value: &Datum<'_>) -> Fault {
    Fault::text(format!("a macro needs a list or a map, not {}", value.described()))
}
