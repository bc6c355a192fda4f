//! The branches of one `anyOf` or `oneOf`, and how the branch for a value is picked.

use std::collections::HashMap;

use serde_json::Value as Serde;

use super::super::assertion::{Check, Options, literal};
use super::super::named::NamedSubschemas;
use super::super::subschema::SubschemaId;
use super::discriminator::{ByPresence, ByValue, Discriminator, Touched};
use super::facts::{Facts, Study};
use super::kinds;
use super::pick::Pick;
use crate::error::Result;
use crate::value::View;

/// The branches of one keyword.
pub(in super::super) struct Branches {
    /// The keyword, validated whole by the crate if the choice is undecided.
    pub check: Check,
    all: Box<[SubschemaId]>,
    by_kind: [Pick; kinds::COUNT],
    /// If several branches are for objects.
    discriminator: Option<Box<Discriminator>>,
}

impl Branches {
    #[inline]
    pub fn pick(&self, view: View<'_>) -> Pick {
        match (&self.discriminator, view) {
            (Some(discriminator), View::Object(object)) => discriminator.pick(object),
            _ => self.by_kind[kinds::index(view)],
        }
    }

    #[inline]
    pub fn by_kind(&self, view: View<'_>) -> Option<SubschemaId> {
        match self.by_kind[kinds::index(view)] {
            Pick::Branch(id) => Some(id),
            _ => None,
        }
    }

    pub fn ids(&self) -> &[SubschemaId] {
        &self.all
    }

    /// The member that decides the branch, if the object has it with a value that no branch permits.
    pub fn wrong_member(&self, view: View<'_>) -> Option<&str> {
        match (self.discriminator.as_deref(), view) {
            (Some(Discriminator::Value(by)), View::Object(object)) => {
                let is_wrong =
                    object.find(&by.member).is_some() && self.pick(view) == Pick::Nothing;
                is_wrong.then_some(&*by.member)
            }
            _ => None,
        }
    }

    /// Returns true if the kind of a value alone decides its branch.
    pub fn is_by_kind(&self) -> bool {
        self.discriminator.is_none() && !self.by_kind.contains(&Pick::Undecided)
    }

    pub(super) fn is_altered(&self, touched: &Touched<'_>) -> bool {
        self.discriminator.as_ref().is_some_and(|by| by.is_altered(touched))
    }

    pub fn heap_bytes(&self) -> usize {
        let discriminator = self.discriminator.as_ref().map_or(0, |by| by.heap_bytes());
        self.all.len() * size_of::<SubschemaId>() + discriminator
    }
}

/// Determines how the branches differ. `hint`: the member that `discriminator` names.
pub(in super::super) fn study_branches(
    study: &mut Study<'_, '_>,
    check: Check,
    all: Vec<SubschemaId>,
    hint: Option<&str>,
) -> Result<Branches> {
    let mut facts = Vec::with_capacity(all.len());
    for id in &all {
        facts.push((*id, study.facts(*id)?));
    }
    let mut by_kind = [Pick::Nothing; kinds::COUNT];
    for (nth, pick) in by_kind.iter_mut().enumerate() {
        let fitting = facts.iter().filter(|(_, facts)| facts.kinds & 1 << nth != 0);
        *pick = only(fitting.map(|(id, _)| *id));
    }
    let objects = kinds::COUNT - 1;
    let discriminator = match by_kind[objects] {
        Pick::Undecided => {
            facts.retain(|(_, facts)| facts.kinds & kinds::OBJECT != 0);
            discriminate(study, &facts, hint)?
        }
        _ => None,
    };
    Ok(Branches { check, all: all.into(), by_kind, discriminator: discriminator.map(Box::new) })
}

/// The pick among branches that may be valid.
fn only(mut fitting: impl Iterator<Item = SubschemaId>) -> Pick {
    match (fitting.next(), fitting.next()) {
        (None, _) => Pick::Nothing,
        (Some(id), None) => Pick::Branch(id),
        (Some(_), Some(_)) => Pick::Undecided,
    }
}

type Candidates<'c, 's> = &'c [(SubschemaId, Facts<'s>)];

/// The best discriminator of the branches for objects, if there is one.
fn discriminate(
    study: &mut Study<'_, '_>,
    candidates: Candidates<'_, '_>,
    hint: Option<&str>,
) -> Result<Option<Discriminator>> {
    /// The most members that are tried.
    const TRIED_MAX: usize = 6;
    let mut names: HashMap<&str, (usize, usize)> = HashMap::new();
    for (_, facts) in candidates {
        study.spend(facts.members.len())?;
        for (name, member) in &*facts.members {
            let count = names.entry(name).or_default();
            count.0 += usize::from(member.own.values.is_some());
            count.1 += usize::from(member.own.kinds != kinds::ALL);
        }
    }
    let mut names: Vec<(&str, (usize, usize))> = names.into_iter().collect();
    names.sort_unstable_by_key(|(name, count)| {
        (Some(*name) != hint, std::cmp::Reverse(*count), *name)
    });
    let mut best: Option<(usize, ByValue)> = None;
    for (name, _) in names.into_iter().take(TRIED_MAX) {
        let Some(by) = by_value(study, candidates, name)? else { continue };
        // An absent member alone decides no branch, so the pick for it does not count.
        let picks = || by.picks.iter().chain(&by.others);
        let undecided = picks().filter(|pick| **pick == Pick::Undecided).count();
        let decided = picks().filter(|pick| matches!(pick, Pick::Branch(_))).count();
        let rank = if undecided == 0 { usize::MAX } else { decided };
        if decided > 0 && best.as_ref().is_none_or(|(known, _)| rank > *known) {
            best = Some((rank, by));
        }
        if rank == usize::MAX {
            break;
        }
    }
    let decides_all = best.as_ref().is_some_and(|(rank, by)| {
        // By its type alone, a member tells its branch from the others, but not those from each other.
        *rank == usize::MAX && (!by.picks.is_empty() || by.absent != Pick::Undecided)
    });
    if !decides_all && let Some(by) = by_presence(study, candidates)? {
        return Ok(Some(Discriminator::Presence(by)));
    }
    let Some((_, mut by)) = best else { return Ok(None) };
    if by.picks.is_empty() {
        // A branch that says nothing about the member would be picked because the value is wrong in all others. An
        // error would then be about a branch that was not meant.
        let names = |id: SubschemaId| {
            let of = |(known, _): &&(SubschemaId, Facts<'_>)| *known == id;
            candidates
                .iter()
                .find(of)
                .is_some_and(|(_, facts)| facts.members.contains_key(&*by.member))
        };
        by.others = by.others.map(|pick| match pick {
            Pick::Branch(id) if !names(id) => Pick::Undecided,
            pick => pick,
        });
    }
    Ok(Some(Discriminator::Value(by)))
}

fn by_value(
    study: &mut Study<'_, '_>,
    candidates: Candidates<'_, '_>,
    name: &str,
) -> Result<Option<ByValue>> {
    // Branches by value, and those for every value of some kinds.
    let mut table: Vec<(&Serde, Vec<SubschemaId>)> = Vec::new();
    let mut known: HashMap<&Serde, usize> = HashMap::new();
    let mut open: Vec<(SubschemaId, u8)> = Vec::new();
    let mut optional = Vec::new();
    for (id, facts) in candidates {
        study.spend(1)?;
        let member = facts.members.get(name);
        let is_forbidden = facts.closed.as_ref().is_some_and(|names| !names.contains(name));
        if !member.is_some_and(|member| member.required) {
            optional.push(*id);
        }
        match member {
            _ if is_forbidden => {}
            None => open.push((*id, kinds::ALL)),
            Some(member) => match &member.own.values {
                None => open.push((*id, member.own.kinds)),
                Some(values) => {
                    study.spend(values.len())?;
                    for value in values.iter() {
                        let nth = *known.entry(value).or_insert_with(|| {
                            table.push((value, Vec::new()));
                            table.len() - 1
                        });
                        if !table[nth].1.contains(id) {
                            table[nth].1.push(*id);
                        }
                    }
                }
            },
        }
    }
    let (mut values, mut picks) = (Vec::new(), Vec::new());
    for (value, mut fitting) in table {
        study.spend(open.len())?;
        let Some(value) = literal::value(value) else { return Ok(None) };
        let kind = 1 << kinds::index(value.view());
        fitting.extend(open.iter().filter(|(_, kinds)| kinds & kind != 0).map(|(id, _)| *id));
        picks.push(only(fitting.into_iter()));
        values.push(value);
    }
    let mut others = [Pick::Nothing; kinds::COUNT];
    for (nth, pick) in others.iter_mut().enumerate() {
        let fitting = open.iter().filter(|(_, kinds)| kinds & 1 << nth != 0);
        *pick = only(fitting.map(|(id, _)| *id));
    }
    Ok(Some(ByValue {
        member: name.into(),
        values: Options::new(values.into()),
        picks: picks.into(),
        others,
        absent: only(optional.into_iter()),
    }))
}

/// The discriminator of branches that each require a member which all others forbid.
fn by_presence(
    study: &mut Study<'_, '_>,
    candidates: Candidates<'_, '_>,
) -> Result<Option<ByPresence>> {
    let mut allowed: HashMap<&str, usize> = HashMap::new();
    for (_, facts) in candidates {
        let Some(closed) = &facts.closed else { return Ok(None) };
        study.spend(closed.len())?;
        closed.iter().for_each(|name| *allowed.entry(name).or_default() += 1);
    }
    let (mut tags, mut untagged) = (Vec::new(), Vec::new());
    for (id, facts) in candidates {
        study.spend(facts.members.len())?;
        let tag = facts.members.iter().find(|(name, member)| {
            let by_itself = facts.closed.as_ref().is_some_and(|names| names.contains(**name));
            member.required && by_itself && allowed.get(**name) == Some(&1)
        });
        match tag {
            Some((name, _)) => tags.push(((*name).into(), *id)),
            None => untagged.push(*id),
        }
    }
    if tags.is_empty() {
        return Ok(None);
    }
    Ok(Some(ByPresence {
        tags: NamedSubschemas::new(tags.into()),
        absent: only(untagged.into_iter()),
    }))
}
