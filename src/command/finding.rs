//! Queries over the documents of a model: parsing, the plan, and looking at the entries it names.
//!
//! The condition is asked of every document that has an entry in the plan; indexes only make the way to them short.
//! Entries are read in pages, which are copied: looking at a document may delete it, when it has expired. A model without
//! indexes has no entries: [`walk`] visits the keys of the server.

mod walk;

use std::sync::Arc;

use smallvec::SmallVec;

use super::args::{Args, find_model};
use super::host::{Host, Settings};
use crate::budget::{Allowance, weight};
use crate::document::Document;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::{AllowedNames, ExprLimits, Program, QueryTerms, Scope, Term};
use crate::host::QueryEvent;
use crate::index::{
    Cursor, Direction, INDEXES_MAX, IndexPlan, IndexPlanner, IndexSet, ModelIndexes, Progress,
    QueryCursor, ReadyIndexes, condition_steps, hash_slot, suggested_index,
};
use crate::limit::Limit;
use crate::model::{Model, no_model};
use crate::value::Measured;

/// Steps of an entry, beside its bytes: opening the key of its document, which is mostly waiting for memory. In a database of
/// 150,000 documents, whose entries come in another order than their keys were written, it takes 0.8 microseconds.
const ENTRY_STEPS: u64 = 80;
/// Steps of an entry of another slot, whose key is not opened.
const OTHER_SLOT_STEPS: u64 = 20;
/// The most entries that are read at once.
const PAGE: usize = 64;
/// Each page is so many times as large as the one before.
const PAGE_GROWTH: usize = 4;

/// The parts of a query that all commands share.
#[derive(Default)]
pub struct DocumentQuery<'a> {
    pub model: &'a [u8],
    pub condition: Option<&'a [u8]>,
    pub order: Option<(&'a [u8], Direction)>,
    pub args: Option<Measured>,
    pub cursor: Option<QueryCursor>,
    /// A key whose hash slot all documents have to be in.
    pub slot: Option<&'a [u8]>,
    pub scans: bool,
    /// Flag: the documents are found to be changed. Those that the caller may not change are skipped.
    pub changes: bool,
}

/// A planned query.
pub struct DocumentSearch<'q> {
    /// None for the built-in one.
    model: Option<Arc<Model>>,
    /// None for a model without indexes: the keys of the server are visited.
    set: Option<Arc<IndexSet>>,
    program: Option<Arc<Program>>,
    pub plan: IndexPlan,
    query: &'q DocumentQuery<'q>,
    /// The hash slot that all documents have to be in.
    slot: Option<u16>,
    database: i32,
    now_us: Option<u64>,
    limits: ExprLimits,
    pub counts: SearchCounts,
}

/// The entries that a query looked at, and what became of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct SearchCounts {
    pub looked: u64,
    pub matched: u64,
    /// Documents on which the condition fails.
    pub failed: u64,
    /// Keys that the caller may not read.
    pub skipped: u64,
}

/// The answer to a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    GoOn,
    Stop,
}

impl<'a> DocumentQuery<'a> {
    /// Takes an option of every query, if one comes next.
    pub fn option(&mut self, args: &mut Args<'a>, settings: &Settings) -> Result<bool> {
        if args.option("WHERE", self.condition.is_some())? {
            self.condition = Some(args.next("an expression")?);
        } else if args.option("ARGS", self.args.is_some())? {
            self.args = Some(args.object(settings)?);
        } else if args.option("SCAN", self.scans)? {
            self.scans = true;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes `SLOT key`, if it comes next.
    pub fn slot_option(&mut self, args: &mut Args<'a>) -> Result<bool> {
        if !args.option("SLOT", self.slot.is_some())? {
            return Ok(false);
        }
        self.slot = Some(args.next("a key")?);
        Ok(true)
    }

    /// Takes `ORDER index [DESC]`, if it comes next.
    pub fn order_option(&mut self, args: &mut Args<'a>) -> Result<bool> {
        if !args.option("ORDER", self.order.is_some())? {
            return Ok(false);
        }
        let name = args.next("an index")?;
        let descends = args.keyword("DESC");
        let direction = if descends { Direction::Descending } else { Direction::Ascending };
        self.order = Some((name, direction));
        Ok(true)
    }
}

/// The operand of `LIMIT`: from 1 to that of `most`.
pub fn parse_limit(limit: i64, most: Limit) -> Result<usize> {
    if limit < 1 {
        return Err(Error::syntax("a limit is at least 1").integer("limit", limit));
    }
    match usize::try_from(limit) {
        Ok(limit) if limit as u64 <= most.default => Ok(limit),
        _ => Err(Error::limit(most, most.default)),
    }
}

impl<'q> DocumentSearch<'q> {
    /// Plans a query: `NOMODEL`, `INDEXING`, `NOINDEX`, `TRYAGAIN` for a slot that is being moved, `EXPR` for a condition
    /// that does not compile or whose values fail, `ERR` for a cursor of another query.
    pub fn plan(
        host: &mut dyn Host,
        query: &'q DocumentQuery<'q>,
        settings: &Settings,
        allowance: &Allowance<'_>,
    ) -> Result<DocumentSearch<'q>> {
        let planned = DocumentSearch::plan_uncounted(host, query, settings, allowance);
        host.note_query(match &planned {
            Err(error) => QueryEvent::Refused(error.code()),
            Ok(search) if search.set.is_none() => QueryEvent::OverKeys,
            Ok(search) if search.plan.index.is_none() => QueryEvent::OverDocuments,
            Ok(_) => QueryEvent::ByIndex,
        });
        planned
    }

    fn plan_uncounted(
        host: &mut dyn Host,
        query: &'q DocumentQuery<'q>,
        settings: &Settings,
        allowance: &Allowance<'_>,
    ) -> Result<DocumentSearch<'q>> {
        let mut search = DocumentSearch::unplanned(host, query, settings, allowance)?;
        search.plan = search.choose(allowance)?;
        Ok(search)
    }

    /// As [`DocumentSearch::plan`], to examine single documents.
    pub fn unplanned(
        host: &mut dyn Host,
        query: &'q DocumentQuery<'q>,
        settings: &Settings,
        allowance: &Allowance<'_>,
    ) -> Result<DocumentSearch<'q>> {
        let model = find_model(host.models(), query.model)?;
        let set = model.as_ref().and_then(|model| model.indexes().declared());
        if let Some(model) = &model
            && set.is_none()
            && model.read().get().is_none()
        {
            return Err(no_model(query.model));
        }
        if let Some(key) = query.slot.filter(|key| !host.has_whole_slot(key)) {
            let message = "the hash slot is being moved: its documents are on two nodes";
            return Err(Error::new(ErrorCode::TryAgain, message).text("key", key));
        }
        let program = match query.condition {
            Some(text) => {
                Some(host.compile(text, AllowedNames::QUERY, &settings.expressions, allowance)?)
            }
            None => None,
        };
        let reads_clock = program.as_ref().is_some_and(|program| program.reads_clock());
        let now_us = reads_clock.then(|| host.now_us());
        let limits = ExprLimits {
            steps: settings.expressions.steps.min(condition_steps(set.as_deref())),
            ..settings.expressions
        };
        let database = host.database();
        let plan = IndexPlan::default();
        let counts = SearchCounts::default();
        let slot = query.slot.map(hash_slot);
        Ok(DocumentSearch {
            model,
            set,
            program,
            plan,
            query,
            slot,
            database,
            now_us,
            limits,
            counts,
        })
    }

    fn choose(&self, allowance: &Allowance<'_>) -> Result<IndexPlan> {
        let mut terms: SmallVec<[(&Term, Option<Measured>); 4]> = SmallVec::new();
        let mut spellings: &[String] = &[];
        if let Some(program) = &self.program {
            let scope = Scope { this: None, revision: None, ..self.scope(None, b"", allowance) };
            let QueryTerms { known, spellings: all } = program.terms();
            for term in known {
                terms.push((term, program.term_value(term, &scope, &self.limits)?));
            }
            spellings = all;
        }
        let plan = match &self.set {
            Some(set) => self.choose_index(set, &terms, spellings),
            None => self.choose_walk(),
        };
        plan.map_err(|error| self.with_suggestion(error, &terms))
    }

    fn choose_index(
        &self,
        set: &IndexSet,
        terms: &[(&Term, Option<Measured>)],
        spellings: &[String],
    ) -> Result<IndexPlan> {
        let ready = self.indexes().ready();
        let plan = self.plan_among(ready, set, terms, spellings)?;
        match ready.has(plan.index) {
            true => Ok(plan),
            false => Err(self.is_building()),
        }
    }

    /// The plan with the indexes that are ready; `INDEXING` if another one might serve.
    fn plan_among(
        &self,
        ready: ReadyIndexes,
        set: &IndexSet,
        terms: &[(&Term, Option<Measured>)],
        spellings: &[String],
    ) -> Result<IndexPlan> {
        let planner = IndexPlanner {
            set,
            ready,
            terms,
            spellings,
            filters: self.program.is_some(),
            order: self.query.order,
            scans: self.query.scans,
        };
        let Some(cursor) = &self.query.cursor else {
            let indexes = self.indexes();
            let plan =
                planner.plan(|index, range| indexes.count(self.database, Some(index), range));
            return plan.map_err(|error| match error.code() {
                ErrorCode::NoIndex if indexes.progress() == Progress::Building => {
                    self.is_building()
                }
                _ => error,
            });
        };
        let refused = |why| refused_cursor(cursor, why);
        let QueryCursor::Entry(position) = cursor else { return Err(refused(DEFINED_ANEW)) };
        if position.fingerprint != set.fingerprint() {
            return Err(refused(DEFINED_ANEW));
        }
        let plan = planner.resumed(position.index, position.direction);
        let mut plan = plan.ok_or_else(|| refused("the cursor is that of another query"))?;
        position.cut(&mut plan);
        Ok(plan)
    }

    #[cold]
    fn is_building(&self) -> Error {
        self.indexes().is_building().text("model", self.query.model)
    }

    /// The plan without an index: `NOINDEX` unless `SCAN` is said.
    fn choose_walk(&self) -> Result<IndexPlan> {
        if let Some((name, _)) = self.query.order {
            return Err(Error::syntax("the model has no such index").text("index", name));
        }
        if !self.query.scans {
            return Err(self.without_index());
        }
        match &self.query.cursor {
            Some(cursor @ QueryCursor::Entry(_)) => Err(refused_cursor(cursor, DEFINED_ANEW)),
            _ => Ok(IndexPlan::default()),
        }
    }

    #[cold]
    fn without_index(&self) -> Error {
        let message = match self.model {
            Some(_) => {
                "the model has no index; add one, or say SCAN to visit all keys of the database"
            }
            None => "the built-in model has no indexes; say SCAN to visit all keys of the database",
        };
        Error::new(ErrorCode::NoIndex, message).text("model", self.query.model)
    }

    /// Adds the index that would serve to a refusal with `NOINDEX`, or says why there is none.
    #[cold]
    fn with_suggestion(&self, error: Error, terms: &[(&Term, Option<Measured>)]) -> Error {
        let Some(program) = self.program.as_ref().filter(|_| self.model.is_some()) else {
            return error;
        };
        if error.code() != ErrorCode::NoIndex {
            return error;
        }
        if self.set.is_some() && self.query.order.is_none() && program.is_constant() {
            let message = "the condition does not depend on the document: leave WHERE out to take every document, or say SCAN";
            return Error::new(ErrorCode::NoIndex, message);
        }
        let others: Vec<_> = self.set.iter().flat_map(|set| set.sources()).collect();
        let order = self.query.order.and_then(|(name, _)| {
            others.iter().copied().find(|other| other.name.as_bytes() == name)
        });
        match suggested_index(program, terms, &others, order, &self.limits) {
            Some(index) if others.len() < INDEXES_MAX => error.whole_text("add", index),
            Some(index) => error.with_message(FULL.to_owned()).whole_text("put", index),
            // A condition without the document is fulfilled by all or none, which an index would list.
            None if order.is_some() || program.is_constant() => error,
            None => error.with_message(UNSERVED.to_owned()),
        }
    }

    /// The entries of the model.
    fn indexes(&self) -> &ModelIndexes {
        self.model.as_ref().expect("a model with indexes").indexes()
    }

    /// Returns true if the keys of the server are visited, in no order.
    pub fn is_walk(&self) -> bool {
        self.set.is_none()
    }

    fn scope<'s>(
        &'s self,
        document: Option<&'s Document>,
        key: &'s [u8],
        allowance: &'s Allowance<'s>,
    ) -> Scope<'s> {
        Scope {
            this: document.map(|document| document.root.view()),
            args: self.query.args.as_ref().map(|args| args.value.view()),
            now_us: self.now_us,
            key,
            revision: document.map(|document| document.revision),
            allowance: Some(allowance),
            ..Scope::EMPTY
        }
    }

    /// Returns true if an index of the model is being built.
    pub fn awaits_index(&self) -> bool {
        self.set.is_some() && self.indexes().progress() == Progress::Building
    }

    /// Returns true if the condition reads the clock.
    pub fn reads_clock(&self) -> bool {
        self.now_us.is_some()
    }

    /// The name of the index; none for all documents by their names.
    pub fn index_name(&self) -> Option<&str> {
        let (index, set) = (self.plan.index?, self.set.as_ref()?);
        Some(&set.indexes[usize::from(index)].source.name)
    }

    /// The entries in the ranges of the plan.
    pub fn entries(&self) -> usize {
        let count = |range| self.indexes().count(self.database, self.plan.index, range);
        self.plan.ranges.iter().map(count).sum()
    }

    /// Looks at documents until `matched` stops it, which is expected after `wanted` of them, or `pauses` says so after an
    /// entry. Returns the position behind the last entry, if there are more.
    pub fn run(
        &mut self,
        host: &mut dyn Host,
        allowance: &Allowance<'_>,
        wanted: usize,
        pauses: impl FnMut(&SearchCounts) -> bool,
        matched: impl FnMut(&[u8], &Document) -> Result<Next>,
    ) -> Result<Option<QueryCursor>> {
        let ran = match self.is_walk() {
            true => self.walk(host, allowance, pauses, matched),
            false => self.follow_plan(host, allowance, wanted, pauses, matched),
        };
        host.note_query(QueryEvent::Looked(self.counts.looked, self.counts.matched));
        if let Err(error) = &ran {
            host.note_query(QueryEvent::Refused(error.code()));
        }
        ran
    }

    fn follow_plan(
        &mut self,
        host: &mut dyn Host,
        allowance: &Allowance<'_>,
        wanted: usize,
        mut pauses: impl FnMut(&SearchCounts) -> bool,
        mut matched: impl FnMut(&[u8], &Document) -> Result<Next>,
    ) -> Result<Option<QueryCursor>> {
        let ranges = std::mem::take(&mut self.plan.ranges);
        // Most entries match: with one more than those it is known if there are more.
        let mut most = wanted.saturating_add(1).min(PAGE);
        for (nth, range) in ranges.iter().enumerate() {
            let mut rest = None;
            loop {
                let (index, direction) = (self.plan.index, self.plan.direction);
                let left = rest.as_ref().unwrap_or(range);
                let page = self.indexes().page(self.database, index, left, direction, most);
                let full = page.len() == most;
                for (at, entry) in page.iter().enumerate() {
                    let next = self.look(host, allowance, entry, &mut matched)?;
                    if next == Next::Stop || pauses(&self.counts) {
                        let more = full || at + 1 < page.len() || nth + 1 < ranges.len();
                        return Ok(more.then(|| QueryCursor::Entry(self.cursor(entry))));
                    }
                }
                let Some(last) = page.last().filter(|_| full) else { break };
                let mut plan = IndexPlan { ranges: vec![left.clone()], ..self.plan.clone() };
                self.cursor(last).cut(&mut plan);
                rest = plan.ranges.pop();
                if rest.is_none() {
                    break;
                }
                most = (most * PAGE_GROWTH).min(PAGE);
            }
        }
        Ok(None)
    }

    fn cursor(&self, entry: &[u8]) -> Cursor {
        let IndexPlan { index, direction, .. } = self.plan;
        let fingerprint = self.set.as_ref().map_or(0, |set| set.fingerprint());
        Cursor { fingerprint, index, direction, entry: entry.to_vec() }
    }

    /// Looks at the document of one entry.
    fn look(
        &mut self,
        host: &mut dyn Host,
        allowance: &Allowance<'_>,
        entry: &[u8],
        matched: &mut impl FnMut(&[u8], &Document) -> Result<Next>,
    ) -> Result<Next> {
        self.counts.looked += 1;
        allowance.spend(entry.len() as u64 / weight::TEXT_BYTES)?;
        let key_len = match (self.plan.index, &self.set) {
            (Some(index), Some(set)) => set.indexes[usize::from(index)].key_len(entry),
            _ => Some(1),
        };
        self.examine(host, allowance, &entry[key_len.expect("an entry is whole")..], matched)
    }

    /// Looks at the document of one name.
    pub fn examine(
        &mut self,
        host: &mut dyn Host,
        allowance: &Allowance<'_>,
        name: &[u8],
        matched: &mut impl FnMut(&[u8], &Document) -> Result<Next>,
    ) -> Result<Next> {
        if self.slot.is_some_and(|slot| hash_slot(name) != slot) {
            allowance.spend(OTHER_SLOT_STEPS)?;
            return Ok(Next::GoOn);
        }
        allowance.spend(ENTRY_STEPS)?;
        let permitted = match self.query.changes {
            true => host.may_change(name),
            false => host.may_look(name),
        };
        if !permitted {
            self.counts.skipped += 1;
            return Ok(Next::GoOn);
        }
        // A document that has expired is not there any more.
        let document = match self.query.changes {
            true => host.look_to_change(name),
            false => host.look(name),
        };
        let Some(document) = document else { return Ok(Next::GoOn) };
        let is_of_model = match (&document.model, &self.model) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        if !is_of_model {
            return Ok(Next::GoOn);
        }
        if let Some(program) = &self.program {
            match program.test(&self.scope(Some(document), name, allowance), &self.limits) {
                Ok(true) => {}
                Ok(false) => return Ok(Next::GoOn),
                Err(error) if allowance.steps_left() == 0 => return Err(error),
                Err(_) => {
                    self.counts.failed += 1;
                    return Ok(Next::GoOn);
                }
            }
        }
        self.counts.matched += 1;
        let next = matched(name, document)?;
        if self.query.changes {
            host.keep_looked();
        }
        Ok(next)
    }
}

/// The model has as many indexes as one may have.
const FULL: &str = "no index serves the query, and the model has all 16 indexes that it may have; put this one in the place of another, or say SCAN to look at all documents";
const UNSERVED: &str = "no index can serve the condition: of the operands of its outermost && none compares a part of the document with a value as an index does; say SCAN to look at all documents";
const DEFINED_ANEW: &str = "the indexes of the model were defined anew since the cursor was made";

#[cold]
fn refused_cursor(cursor: &QueryCursor, why: &'static str) -> Error {
    Error::syntax(why).text("argument", cursor.encode().as_bytes())
}
