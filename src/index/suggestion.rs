//! The index that a refused query lacks, in the words of a definition.

use super::planner::IndexPlanner;
use super::ready::ReadyIndexes;
use super::set::IndexSet;
use super::source::{IndexSource, PARTS_MAX};
use crate::budget::Allowance;
use crate::expr::{ExprLimits, Program, Term, TermTest};
use crate::value::Measured;

/// The most bytes of a suggested name.
const NAME_BYTES: usize = 40;

/// The index that would serve these terms of a condition: those of equality first, then one of a range. `others` are the
/// indexes of the model. `None` where no index serves any of them, and where one of the others has the same parts.
pub fn suggested_index(
    program: &Program,
    terms: &[(&Term, Option<Measured>)],
    others: &[&IndexSource],
) -> Option<String> {
    let (mut equal, mut many, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
    for nth in 0..terms.len() {
        let Some(part) = program.part_of(terms[nth].0) else { continue };
        let (kind, part) = match terms[nth].0.test {
            TermTest::Equal | TermTest::In => (&mut equal, part),
            TermTest::Contains => (&mut many, format!("{part}[*]")),
            _ => (&mut ranges, part),
        };
        // A comparison that no index serves would make the whole suggestion wrong.
        if serves(&source("i", std::slice::from_ref(&part)), &terms[nth..=nth])
            && !kind.contains(&part)
        {
            kind.push(part);
        }
    }
    ranges.retain(|part| !equal.contains(part));
    many.truncate(1);
    ranges.truncate(1);
    let mut parts = [equal, many, ranges].concat();
    parts.truncate(PARTS_MAX);
    let is_same = |other: &&IndexSource| {
        other.only.is_none() && other.parts.iter().map(|part| &**part).eq(parts.iter())
    };
    if others.iter().any(is_same) {
        return None;
    }
    let index = source(&name_of(&parts, others), &parts);
    (!parts.is_empty() && serves(&index, terms)).then(|| words(&index))
}

fn source(name: &str, parts: &[String]) -> IndexSource {
    let parts = parts.iter().map(|part| part.as_str().into()).collect();
    IndexSource { name: name.into(), parts, ..IndexSource::default() }
}

/// Returns true if the index can be defined and serves these terms.
fn serves(index: &IndexSource, terms: &[(&Term, Option<Measured>)]) -> bool {
    let index = std::slice::from_ref(index);
    let compiled = IndexSet::compile(index, &ExprLimits::DEFAULT, &Allowance::unlimited());
    let Ok(Some(set)) = compiled else { return false };
    let planner = IndexPlanner {
        set: &set,
        ready: ReadyIndexes::ALL,
        terms,
        spellings: &[],
        filters: true,
        order: None,
        scans: false,
    };
    planner.plan(|_, _| 0).is_ok_and(|plan| plan.bound == set.indexes[0].parts.len())
}

/// A name of the letters in the parts, which no other index has.
fn name_of(parts: &[String], others: &[&IndexSource]) -> String {
    let letters = |part: &String| -> String {
        let words = part.split(|c: char| !c.is_ascii_alphanumeric());
        words.filter(|word| !word.is_empty() && *word != "self").collect::<Vec<_>>().join("_")
    };
    let mut name = format!("by_{}", parts.iter().map(letters).collect::<Vec<_>>().join("_"));
    name.truncate(NAME_BYTES);
    let numbered = (2..).map(|nth| format!("{name}_{nth}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    let is_free = |name: &String| others.iter().all(|other| *other.name != **name);
    names.find(is_free).expect("few names are taken")
}

/// `INDEX name numparts part ...`, quoted as a shell and redis-cli read it.
fn words(index: &IndexSource) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    let parts = index.parts.iter().map(|part| match part.chars().all(is_plain) {
        true => part.to_string(),
        false if part.contains('"') => format!("'{part}'"),
        false => format!("\"{part}\""),
    });
    let parts: Vec<String> = parts.collect();
    format!("INDEX {} {} {}", index.name, parts.len(), parts.join(" "))
}
