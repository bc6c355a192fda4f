//! The compiled indexes of one definition: which entries a document has.

use std::hash::{BuildHasher, Hash, Hasher};

use super::entries::{Entries, IndexMask};
use super::key;
use super::reads::IndexReads;
use super::source::{INDEXES_MAX, IndexSource, PART_VALUES_MAX, PARTS_MAX};
use crate::budget::Allowance;
use crate::error::{Error, Result};
use crate::expr::{
    AllowedNames, ExprLimits, Program, SELF, Scope, SelfStep, spell_index, spell_name,
};
use crate::path::{Path, PathLimits, PathStep, Singular};
use crate::value::View;
use crate::value::edit::PlaceChange;

/// The names that the expression of an index may use: `self` alone, so that an entry depends on the document alone.
const NAMES: AllowedNames =
    AllowedNames { args: false, docs: false, old_self: false, value: false };

/// The steps that all expressions of a definition may take on one document: about 25 ms.
const ALL_EVALUATION_STEPS: u64 = 2_000_000;
/// The most expressions of a definition among which these steps are divided. There are few sizes, because indexes of
/// expressions are built anew where it changes.
const EXPRESSIONS: [usize; 3] = [2, 16, INDEXES_MAX * (PARTS_MAX + 1)];

/// The bounds on evaluating one of so many expressions of a definition: the same on every server, whatever is configured, and
/// whatever the others take. A query evaluates within the same steps, so it fails on every document on which an
/// expression of an index fails.
fn evaluation_of_each(expressions: usize) -> ExprLimits {
    let among = EXPRESSIONS.into_iter().find(|most| expressions <= *most);
    let among = among.expect("a definition has at most so many expressions");
    ExprLimits { steps: ALL_EVALUATION_STEPS / among as u64, ..ExprLimits::NONE }
}

/// The steps of evaluating the condition of a query over a model with these indexes, on one document.
pub fn condition_steps(set: Option<&IndexSet>) -> u64 {
    set.map_or(ExprLimits::DEFAULT.steps, |set| set.evaluation.steps)
}

/// Longer values are not shown in errors.
const SHOWN_BYTES_MAX: usize = 256;

fn is_short(value: View<'_>) -> bool {
    value.size() <= SHOWN_BYTES_MAX as u64
}

/// About the bytes of a value in an entry.
const PART_BYTES: usize = 16;
/// The bytes in front of an entry.
const ENTRY_HEAD_BYTES: usize = 2;

/// All indexes of a definition.
#[derive(Debug)]
pub struct IndexSet {
    pub indexes: Vec<Index>,
    reads: IndexReads,
    has_unique: bool,
    /// The bounds on evaluating each expression.
    evaluation: ExprLimits,
    fingerprint: u64,
}

/// One index.
#[derive(Debug)]
pub struct Index {
    pub source: IndexSource,
    pub parts: Vec<Part>,
    only: Option<Program>,
    /// The bounds on evaluating each expression.
    evaluation: ExprLimits,
    /// The spellings of the terms of ONLY, all of which a query has to have; none if it has others.
    pub only_terms: Option<Vec<String>>,
}

/// One part of an index.
#[derive(Debug)]
pub struct Part {
    reader: PartReader,
    /// The subject whose terms it serves, see [`Program::spelling`]; none for one that serves none.
    pub subject: Option<String>,
    /// Flag: the part has a value for each item of an array.
    pub many: bool,
}

#[derive(Debug)]
enum PartReader {
    Path(Singular<'static>),
    Expression(Box<Program>),
}

impl IndexSet {
    /// Compiles the indexes of a definition. `ERR` for an invalid part, `EXPR` for an invalid expression. `None` where
    /// there are none.
    pub fn compile(
        sources: &[IndexSource],
        limits: &ExprLimits,
        allowance: &Allowance<'_>,
    ) -> Result<Option<IndexSet>> {
        if sources.is_empty() {
            return Ok(None);
        }
        let compile = |source: &IndexSource| {
            Index::compile(source, limits, allowance)
                .map_err(|error| error.text("index", source.name.as_bytes()))
        };
        let mut indexes = sources.iter().map(compile).collect::<Result<Vec<_>>>()?;
        let evaluation = evaluation_of_each(indexes.iter().map(Index::expressions).sum());
        indexes.iter_mut().for_each(|index| index.evaluation = evaluation);
        let mut reads = IndexReads::default();
        for (number, index) in indexes.iter().enumerate() {
            index.add_reads(number as u8, &mut reads);
        }
        let has_unique = sources.iter().any(|source| source.unique);
        let mut hasher = foldhash::quality::FixedState::with_seed(2).build_hasher();
        Hash::hash(sources, &mut hasher);
        let fingerprint = hasher.finish();
        Ok(Some(IndexSet { indexes, reads, has_unique, evaluation, fingerprint }))
    }

    /// The bounds on evaluating each expression.
    pub fn evaluation(&self) -> &ExprLimits {
        &self.evaluation
    }

    /// A number that other indexes do not have, the same on every server that runs the same build of the module.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub fn has_unique(&self) -> bool {
        self.has_unique
    }

    /// The indexes with UNIQUE.
    pub fn unique(&self) -> IndexMask {
        let unique = self.of(IndexMask::ALL).filter(|(_, index)| index.source.unique);
        unique.fold(IndexMask::NONE, |mask, (number, _)| mask.with(IndexMask::one(number)))
    }

    /// Flag: the key of each index with UNIQUE has digests.
    pub fn digests(&self, index: u8) -> bool {
        self.indexes[usize::from(index)].source.unique
    }

    pub fn sources(&self) -> impl Iterator<Item = &IndexSource> {
        self.indexes.iter().map(|index| &index.source)
    }

    /// The indexes in which these changes can have altered the entries of a document, which is as they left it.
    pub fn touched(&self, document: View<'_>, changes: &[PlaceChange]) -> IndexMask {
        self.reads.touched(document, changes)
    }

    /// The entries of a document in these indexes. `allowance` pays for expressions; whoever gives one asks afterwards if it
    /// is exhausted.
    pub fn entries(
        &self,
        of: IndexMask,
        document: View<'_>,
        allowance: Option<&Allowance<'_>>,
    ) -> Entries {
        #[cfg(test)]
        COMPUTED.with(|computed| computed.set(computed.get() + self.of(of).count()));
        // A command that is going to be refused for too many values makes just one too many.
        let most = if allowance.is_some() { PART_VALUES_MAX + 1 } else { usize::MAX };
        self.compute(of, document, allowance, most)
    }

    /// As [`IndexSet::entries`], in all indexes and all of them, to verify what is known.
    pub fn expected(&self, document: View<'_>, allowance: Option<&Allowance<'_>>) -> Entries {
        self.compute(IndexMask::ALL, document, allowance, usize::MAX)
    }

    fn compute(
        &self,
        of: IndexMask,
        document: View<'_>,
        allowance: Option<&Allowance<'_>>,
        most: usize,
    ) -> Entries {
        // Numbers and short strings fit, so that the buffer is allocated once.
        let room = |(_, index): (u8, &Index)| ENTRY_HEAD_BYTES + index.parts.len() * PART_BYTES;
        let mut entries = Entries::new(of, self.fingerprint, self.of(of).map(room).sum());
        let scope = Scope { this: Some(document), allowance, ..Scope::EMPTY };
        for (number, index) in self.of(of) {
            let reading = Reading {
                scope: &scope,
                limits: &self.evaluation,
                digests: index.source.unique,
                most,
            };
            index.add(number, document, &reading, &mut entries);
        }
        entries
    }

    fn of(&self, of: IndexMask) -> impl Iterator<Item = (u8, &Index)> {
        let numbered = self.indexes.iter().enumerate().map(|(nth, index)| (nth as u8, index));
        numbered.filter(move |(number, _)| of.has(*number))
    }

    /// About the steps of putting a document into all indexes.
    pub fn arrival_steps(&self, document: View<'_>) -> u64 {
        const ENTRY_STEPS: u64 = 125;
        let entries = |index: &Index| index.parts.iter().map(|part| part.count(document)).max();
        self.indexes.iter().filter_map(entries).sum::<usize>() as u64 * ENTRY_STEPS
    }

    /// About the steps of [`IndexSet::entries`].
    pub fn cost(&self, of: IndexMask) -> u64 {
        const PART: u64 = 20;
        self.of(of).map(|(_, index)| index.parts.len() as u64 * PART).sum()
    }
}

#[cfg(test)]
thread_local! {
    /// The indexes in which entries of documents were computed, to count them in tests.
    pub static COMPUTED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Index {
    fn compile(
        source: &IndexSource,
        limits: &ExprLimits,
        allowance: &Allowance<'_>,
    ) -> Result<Index> {
        let compile = |text: &str| compile_expression(text, limits, allowance);
        let parts = source.parts.iter().map(|part| Part::compile(part, compile));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        if parts.iter().filter(|part| part.many).count() > 1 {
            return Err(Error::syntax("at most one part of an index may have many values"));
        }
        let only = source.only.as_deref().map(compile).transpose()?;
        let only_terms = match &only {
            Some(only) => only.term_spellings().into_iter().collect(),
            None => Some(Vec::new()),
        };
        let evaluation = evaluation_of_each(1);
        Ok(Index { source: source.clone(), parts, only, evaluation, only_terms })
    }

    /// The number of expressions that are evaluated for each document.
    pub fn expressions(&self) -> usize {
        let is_expression = |part: &&Part| matches!(part.reader, PartReader::Expression(_));
        usize::from(self.only.is_some()) + self.parts.iter().filter(is_expression).count()
    }

    /// Adds what entries in the index depend on.
    fn add_reads(&self, number: u8, reads: &mut IndexReads) {
        let mut programs: Vec<&Program> = self.only.iter().collect();
        for part in &self.parts {
            match &part.reader {
                PartReader::Path(path) => match path.steps() {
                    [PathStep::Name(name) | PathStep::Token(name), below @ ..] => {
                        reads.add(number, name, below);
                    }
                    _ => reads.add_all(number),
                },
                PartReader::Expression(program) => programs.push(program),
            }
        }
        for program in programs {
            match program.self_members() {
                Some(members) => members.iter().for_each(|name| reads.add(number, name, &[])),
                None => reads.add_all(number),
            }
        }
    }

    fn add(&self, number: u8, document: View<'_>, reading: &Reading<'_>, entries: &mut Entries) {
        // A condition that fails is not fulfilled.
        let fulfils = |only: &Program| only.test(reading.scope, reading.limits);
        if self.only.as_ref().is_some_and(|only| !fulfils(only).unwrap_or(false)) {
            return;
        }
        if self.many_part().is_none() {
            entries.values = entries.values.max(1);
            return entries.push_with(number, |key| {
                self.parts.iter().for_each(|part| part.put(document, reading, key));
            });
        }
        let mut keys = vec![Vec::with_capacity(16 * self.parts.len())];
        for part in &self.parts {
            part.extend(document, reading, &mut keys);
        }
        entries.values = entries.values.max(keys.len());
        keys.sort_unstable();
        keys.dedup();
        keys.iter().for_each(|key| entries.push(number, key));
    }

    /// The values of a document that a key has, as a JSON array; none where it is long.
    pub fn values_text(&self, document: View<'_>, key: &[u8]) -> Option<String> {
        let scope = Scope { this: Some(document), ..Scope::EMPTY };
        let mut rest = key;
        let values = self.parts.iter().map(|part| {
            let (own, behind) = rest.split_at(key::len(rest, self.source.unique)?);
            rest = behind;
            match &part.reader {
                PartReader::Path(path) => {
                    let value = path.find(document);
                    let value = if part.many { self.value_of(own, value?) } else { value };
                    value.filter(|value| is_short(*value)).map(crate::value::print::to_string)
                }
                PartReader::Expression(program) => {
                    let made = program.scalar(&scope, &self.evaluation).ok().flatten()?;
                    Some(crate::value::print::to_string(made.value.view()))
                }
            }
        });
        let text = format!("[{}]", values.collect::<Option<Vec<_>>>()?.join(","));
        (text.len() <= SHOWN_BYTES_MAX).then_some(text)
    }

    /// The one of the values of a part that has this encoding; none where it is long.
    fn value_of<'v>(&self, encoded: &[u8], values: View<'v>) -> Option<View<'v>> {
        let mut own = Vec::new();
        let is_it = |value: &View<'v>| {
            own.clear();
            // A long one is not shown, and its digest takes long.
            is_short(*value) && {
                key::put(Some(*value), self.source.unique, &mut own);
                own == encoded
            }
        };
        match values {
            View::Array(array) => array.iter().find(is_it),
            View::Object(object) => object.iter().map(|(name, _)| View::Str(name)).find(is_it),
            _ => None,
        }
    }

    /// The number of the part whose values are many.
    pub fn many_part(&self) -> Option<usize> {
        self.parts.iter().position(|part| part.many)
    }

    /// The bytes of an entry that are the values of the parts; behind them is the name of the key.
    pub fn key_len(&self, entry: &[u8]) -> Option<usize> {
        let mut at = 0;
        for _ in &self.parts {
            at += key::len(&entry[at..], self.source.unique)?;
        }
        Some(at)
    }
}

impl Part {
    fn compile(text: &str, compile: impl Fn(&str) -> Result<Program>) -> Result<Part> {
        let refused = |error: Error| error.text("part", text.as_bytes());
        if !text.starts_with(['$', '/']) {
            let program = compile(text).map_err(refused)?;
            // An expression that is a path has its values, those that are no scalars too.
            if let Some(steps) = program.self_path() {
                let path = Singular::of_steps(steps.into_iter().map(|step| match step {
                    SelfStep::Name(name) => PathStep::Name(name.to_owned().into()),
                    SelfStep::Index(index) => PathStep::Index(index),
                }));
                return Ok(Part::of_path(path, false));
            }
            let subject = program.spelling();
            return Ok(Part {
                reader: PartReader::Expression(program.into()),
                subject,
                many: false,
            });
        }
        let (text, many) = match text.strip_suffix("[*]") {
            Some(array) if text.starts_with('$') => (array, true),
            _ => (text, false),
        };
        let path = Path::parse(text.as_bytes(), &PathLimits::NONE).map_err(refused)?;
        let Path::Singular(path) = path else {
            let message =
                "a part is a singular path, perhaps with [*] at its end, or an expression";
            return Err(refused(Error::syntax(message)));
        };
        let steps = path.steps().iter().map(|step| match step {
            PathStep::Name(name) => PathStep::Name(name.clone().into_owned().into()),
            PathStep::Index(index) => PathStep::Index(*index),
            PathStep::Token(token) => PathStep::Token(token.clone().into_owned().into()),
        });
        Ok(Part::of_path(Singular::of_steps(steps), many))
    }

    fn of_path(path: Singular<'static>, many: bool) -> Part {
        Part { subject: Some(subject(&path)), reader: PartReader::Path(path.into_kept()), many }
    }

    /// The number of values of this part.
    fn count(&self, document: View<'_>) -> usize {
        match &self.reader {
            PartReader::Path(path) if self.many => match path.find(document) {
                Some(View::Array(array)) => array.len().max(1),
                Some(View::Object(object)) => object.len().max(1),
                _ => 1,
            },
            _ => 1,
        }
    }

    /// Appends the value of this part, which is one.
    #[inline]
    fn put(&self, document: View<'_>, reading: &Reading<'_>, key: &mut Vec<u8>) {
        let mut put = |value: Option<View<'_>>| {
            key::put(value.filter(|value| reading.pays_for(*value)), reading.digests, key);
        };
        match &self.reader {
            PartReader::Path(path) => put(path.find(document)),
            PartReader::Expression(program) => {
                // An expression that fails has no value.
                let made = program.scalar(reading.scope, reading.limits).ok().flatten();
                put(made.as_ref().map(|made| made.value.view()));
            }
        }
    }

    /// Adds the values of this part to each of the keys; a part with many values multiplies them.
    fn extend(&self, document: View<'_>, reading: &Reading<'_>, keys: &mut Vec<Vec<u8>>) {
        let mut own = Vec::new();
        match &self.reader {
            PartReader::Path(path) if self.many => match path.find(document) {
                Some(View::Array(array)) if !array.is_empty() => {
                    return multiply(keys, array.iter(), reading);
                }
                // `in` asks an object for its names.
                Some(View::Object(object)) if !object.is_empty() => {
                    let names = object.iter().map(|(name, _)| View::Str(name));
                    return multiply(keys, names, reading);
                }
                _ => key::put(None, reading.digests, &mut own),
            },
            _ => self.put(document, reading, &mut own),
        }
        keys.iter_mut().for_each(|key| key.extend_from_slice(&own));
    }
}

/// How the values of an index are read from a document.
struct Reading<'r> {
    scope: &'r Scope<'r>,
    /// The bounds on evaluating an expression.
    limits: &'r ExprLimits,
    /// Flag: the key has digests.
    digests: bool,
    /// The most values of one part.
    most: usize,
}

impl Reading<'_> {
    /// Pays for the digest of a long string. Returns false if the command cannot, which is refused then whatever its entries
    /// are.
    fn pays_for(&self, value: View<'_>) -> bool {
        const DIGESTED_BYTES: u64 = 2;
        let Some(allowance) = self.scope.allowance.filter(|_| self.digests) else { return true };
        match value.as_text().map(|text| text.as_bytes().len()) {
            Some(len) if len > key::STRING_BYTES_MAX => {
                allowance.spend(len as u64 / DIGESTED_BYTES).is_ok()
            }
            _ => true,
        }
    }
}

/// Makes a key of each key and each value.
fn multiply<'v>(
    keys: &mut Vec<Vec<u8>>,
    values: impl Iterator<Item = View<'v>>,
    reading: &Reading<'_>,
) {
    let prefixes = std::mem::take(keys);
    for value in values.take(reading.most) {
        let value = Some(value).filter(|value| reading.pays_for(*value));
        keys.extend(prefixes.iter().map(|prefix| {
            let mut key = prefix.clone();
            key::put(value, reading.digests, &mut key);
            key
        }));
    }
}

fn compile_expression(
    text: &str,
    limits: &ExprLimits,
    allowance: &Allowance<'_>,
) -> Result<Program> {
    let program = Program::compile_within(text, NAMES, limits, allowance)?;
    if program.self_members().is_none() {
        let message = "an expression of an index reads members of self and nothing else";
        return Err(Error::syntax(message).text("expr", text.as_bytes()));
    }
    Ok(program)
}

/// The subject of the terms that a path serves.
fn subject(path: &Singular<'_>) -> String {
    let mut out = SELF.to_owned();
    for step in path.steps() {
        match step {
            PathStep::Name(name) | PathStep::Token(name) => spell_name(name, &mut out),
            PathStep::Index(index) => spell_index(*index, &mut out),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::WorkLimits;
    use crate::budget::weight::EXPRESSION_STEP;
    use crate::value::{Limits, Value, parse};

    fn set(parts: &[&str], unique: bool) -> IndexSet {
        let parts = parts.iter().map(|part| (*part).into()).collect();
        let source = IndexSource { name: "i".into(), parts, unique, only: None };
        let compiled = IndexSet::compile(&[source], &ExprLimits::DEFAULT, &Allowance::unlimited());
        compiled.expect("the index is valid").expect("there is one")
    }

    fn document(tags: usize, text: usize) -> Value {
        let all: Vec<String> = (0..tags).map(|nth| nth.to_string()).collect();
        let json = format!(r#"{{"t":[{}],"s":"{}"}}"#, all.join(","), "x".repeat(text));
        parse::json(json.as_bytes(), &Limits::NONE).expect("it is JSON").value
    }

    #[test]
    fn a_command_makes_one_entry_too_many_at_most() {
        let (set, document) = (set(&["$.t[*]"], false), document(5000, 0));
        let allowance = Allowance::new(&WorkLimits::DEFAULT);
        let made = set.entries(IndexMask::ALL, document.view(), Some(&allowance));
        assert_eq!((made.values, made.count()), (PART_VALUES_MAX + 1, PART_VALUES_MAX + 1));
        // Existing documents are indexed whatever the number of their values.
        let made = set.entries(IndexMask::ALL, document.view(), None);
        assert_eq!((made.values, made.count()), (5000, 5000));
    }

    /// The most parts and indexes, each with an expression that takes as many steps as it may.
    fn heavy(indexes: usize, parts: usize) -> IndexSet {
        let part = "self.t.map(x, self.t.map(y, x + y).sum()).sum()";
        let sources: Vec<IndexSource> = (0..indexes)
            .map(|nth| IndexSource {
                name: nth.to_string().into(),
                parts: vec![part.into(); parts],
                unique: false,
                only: Some("self.t.all(x, self.t.exists(y, x == y)) || true".into()),
            })
            .collect();
        let compiled = IndexSet::compile(&sources, &ExprLimits::DEFAULT, &Allowance::unlimited());
        compiled.expect("the indexes are valid").expect("there are some")
    }

    #[test]
    fn all_expressions_of_a_definition_take_no_more_steps_on_a_document_than_few_may() {
        let document = document(3000, 0);
        for (indexes, parts) in [(1, 1), (2, 1), (8, 1), (16, 1), (INDEXES_MAX, PARTS_MAX)] {
            let allowance = Allowance::unlimited();
            heavy(indexes, parts).expected(document.view(), Some(&allowance));
            let spent = (u64::MAX - allowance.steps_left()) / EXPRESSION_STEP;
            assert!(spent <= ALL_EVALUATION_STEPS + 10_000, "{indexes} of {parts}: {spent}");
            assert!(spent > 20_000, "{indexes} of {parts}: {spent}");
        }
    }

    #[test]
    fn a_long_text_is_digested_once_for_all_entries_and_paid_for() {
        let (set, document) = (set(&["$.t[*]", "$.s"], true), document(1000, 100_000));
        let allowance = Allowance::new(&WorkLimits::DEFAULT);
        let made = set.entries(IndexMask::ALL, document.view(), Some(&allowance));
        assert_eq!(made.count(), 1000);
        let spent = WorkLimits::DEFAULT.command_steps - allowance.steps_left();
        assert_eq!(spent, 50_000);
        assert_eq!(made, set.entries(IndexMask::ALL, document.view(), None));
        let limits = WorkLimits { command_steps: 49_999, ..WorkLimits::DEFAULT };
        let allowance = Allowance::new(&limits);
        set.entries(IndexMask::ALL, document.view(), Some(&allowance));
        assert!(allowance.spend(1).is_err(), "the command is refused");
    }
}
