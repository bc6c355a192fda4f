//! The index that a refused query lacks, in the words of a definition.

use super::planner::IndexPlanner;
use super::ready::ReadyIndexes;
use super::set::IndexSet;
use super::source::{IndexSource, PARTS_MAX};
use super::tree::Direction;
use crate::budget::Allowance;
use crate::expr::{ExprLimits, Program, Term, TermTest};
use crate::value::Measured;

/// The most bytes of a suggested name.
const NAME_BYTES: usize = 40;

/// The index that would serve these terms of a condition: those of equality first, then one of a range, or the parts of the
/// index of `ORDER`. `others` are the indexes of the model. `None` where no index serves any of them, and where one of the others
/// has the same parts. It compiles within these limits, as a definition has to.
pub fn suggested_index(
    program: &Program,
    terms: &[(&Term, Option<Measured>)],
    others: &[&IndexSource],
    order: Option<&IndexSource>,
    limits: &ExprLimits,
) -> Option<String> {
    let (mut equal, mut many, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
    for nth in 0..terms.len() {
        let Some(part) = program.part_of(terms[nth].0) else { continue };
        let (kind, part) = match terms[nth].0.test {
            // Documents with one of several values are in the order of these values first.
            TermTest::In if order.is_some() => continue,
            TermTest::Equal | TermTest::In => (&mut equal, part),
            TermTest::Contains => (&mut many, format!("{part}[*]")),
            _ => (&mut ranges, part),
        };
        // A comparison that no index serves would make the whole suggestion wrong.
        let own = source("i", std::slice::from_ref(&part));
        if bound(&own, &terms[nth..=nth], false, limits) == 1 && !kind.contains(&part) {
            kind.push(part);
        }
    }
    ranges.retain(|part| !equal.contains(part));
    many.truncate(1);
    ranges.truncate(1);
    let mut parts = [equal, many].concat();
    let leading = parts.len();
    match order {
        None => parts.append(&mut ranges),
        Some(IndexSource { only: Some(_), .. }) => return None,
        Some(order) => {
            let own = order.parts.iter().map(|part| part.to_string());
            let own: Vec<String> = own.filter(|part| !parts.contains(part)).collect();
            parts.extend(own);
        }
    }
    let wanted = match order {
        None => parts.len().clamp(1, PARTS_MAX),
        // A part that is left out would be missing in the order.
        Some(_) if parts.len() > PARTS_MAX => return None,
        Some(_) => leading.max(1),
    };
    parts.truncate(PARTS_MAX);
    let is_same = |other: &&IndexSource| {
        other.only.is_none() && other.parts.iter().map(|part| &**part).eq(parts.iter())
    };
    if others.iter().any(is_same) {
        return None;
    }
    let index = source(&name_of(&parts, others), &parts);
    (bound(&index, terms, order.is_some(), limits) >= wanted).then(|| words(&index))
}

fn source(name: &str, parts: &[String]) -> IndexSource {
    let parts = parts.iter().map(|part| part.as_str().into()).collect();
    IndexSource { name: name.into(), parts, ..IndexSource::default() }
}

/// The number of parts of an index that these terms bind, where it is named by `ORDER` or not; 0 where it cannot be defined or does
/// not serve them.
fn bound(
    index: &IndexSource,
    terms: &[(&Term, Option<Measured>)],
    is_order: bool,
    limits: &ExprLimits,
) -> usize {
    let compiled = IndexSet::compile(std::slice::from_ref(index), limits, &Allowance::unlimited());
    let Ok(Some(set)) = compiled else { return 0 };
    let planner = IndexPlanner {
        set: &set,
        ready: ReadyIndexes::ALL,
        terms,
        spellings: &[],
        filters: true,
        order: is_order.then_some((index.name.as_bytes(), Direction::Ascending)),
        scans: false,
    };
    planner.plan(|_, _| 0).map_or(0, |plan| plan.bound)
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

/// `INDEX name numparts part ...`, quoted as a shell and redis-cli read it: between single quotes, which no part of a suggestion
/// has in it.
fn words(index: &IndexSource) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    let parts = index.parts.iter().map(|part| match part.chars().all(is_plain) {
        true => part.to_string(),
        false => format!("'{part}'"),
    });
    let parts: Vec<String> = parts.collect();
    format!("INDEX {} {} {}", index.name, parts.len(), parts.join(" "))
}
