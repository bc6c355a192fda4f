//! Facts about subschemas: conditions that every value which is valid against one of them meets.
//!
//! They are necessary, never sufficient: a keyword that is not simple counts as if every value were valid. The work is
//! bounded by [`SchemaLimits::branch_steps`].
//!
//! [`SchemaLimits::branch_steps`]: super::super::limits::SchemaLimits::branch_steps

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value as Serde;

use super::super::keywords::InnerKey;
use super::super::limits::SchemaLimits;
use super::super::outline::SchemaOutline;
use super::super::subschema::{ReferenceTarget, Subschema, SubschemaId};
use super::kinds;
use crate::error::{Error, Result};
use crate::limit;

/// The conditions on a value itself.
#[derive(Clone)]
pub(super) struct ValueFacts<'s> {
    pub kinds: u8,
    /// The scalars that it may be equal to; none if every value of the kinds may be valid.
    pub values: Option<Rc<[&'s Serde]>>,
}

/// The conditions on a value and its members.
#[derive(Clone)]
pub(super) struct Facts<'s> {
    pub kinds: u8,
    pub members: Rc<BTreeMap<&'s str, MemberFacts<'s>>>,
    /// The only members that are allowed.
    pub closed: Option<Rc<HashSet<&'s str>>>,
}

#[derive(Clone)]
pub(super) struct MemberFacts<'s> {
    pub required: bool,
    pub own: ValueFacts<'s>,
}

impl ValueFacts<'_> {
    const ANY: ValueFacts<'static> = ValueFacts { kinds: kinds::ALL, values: None };
}

/// The facts of one schema, while its plan is compiled.
pub(in super::super) struct Study<'o, 's> {
    pub(super) outline: &'o SchemaOutline<'s>,
    own: HashMap<SubschemaId, ValueFacts<'s>>,
    facts: HashMap<SubschemaId, Facts<'s>>,
    left: u64,
    limit: u64,
}

impl<'o, 's> Study<'o, 's> {
    pub fn new(outline: &'o SchemaOutline<'s>, limits: &SchemaLimits) -> Study<'o, 's> {
        let limit = limits.branch_steps;
        Study { outline, own: HashMap::new(), facts: HashMap::new(), left: limit, limit }
    }

    pub(super) fn spend(&mut self, steps: usize) -> Result<()> {
        self.left = self
            .left
            .checked_sub(steps as u64 + 1)
            .ok_or_else(|| Error::limit(limit::SCHEMA_BRANCH_STEPS, self.limit))?;
        Ok(())
    }

    fn own(&mut self, id: SubschemaId) -> Result<ValueFacts<'s>> {
        if let Some(own) = self.own.get(&id) {
            return Ok(own.clone());
        }
        self.spend(1)?;
        let outline = self.outline;
        let subschema = outline.subschema(id);
        let mut own = said_of_value(subschema.schema);
        self.spend(own.values.as_ref().map_or(0, |values| values.len()))?;
        for next in together(subschema) {
            let other = self.own(next)?;
            own = self.both(&own, &other)?;
        }
        for keyword in ["anyOf", "oneOf"] {
            let branches = under(subschema, keyword);
            if !branches.is_empty() {
                let any = self.own_of_any(&branches)?;
                own = self.both(&own, &any)?;
            }
        }
        self.own.insert(id, own.clone());
        Ok(own)
    }

    fn own_of_any(&mut self, branches: &[SubschemaId]) -> Result<ValueFacts<'s>> {
        let (mut kinds, mut values) = (0, Some(Vec::new()));
        for branch in branches {
            let own = self.own(*branch)?;
            kinds |= own.kinds;
            values = values.zip(own.values.as_deref()).map(|(mut all, some)| {
                all.extend(some);
                all
            });
            self.spend(values.as_ref().map_or(0, |_| own.values.map_or(0, |own| own.len())))?;
        }
        Ok(ValueFacts { kinds, values: values.map(Into::into) })
    }

    /// The conditions of both.
    fn both(&mut self, a: &ValueFacts<'s>, b: &ValueFacts<'s>) -> Result<ValueFacts<'s>> {
        let values = match (&a.values, &b.values) {
            (Some(some), Some(others)) => {
                self.spend(some.len() + others.len())?;
                let others: HashSet<&Serde> = others.iter().copied().collect();
                Some(some.iter().copied().filter(|value| others.contains(value)).collect())
            }
            (some, others) => some.clone().or_else(|| others.clone()),
        };
        Ok(ValueFacts { kinds: a.kinds & b.kinds, values })
    }

    pub(super) fn facts(&mut self, id: SubschemaId) -> Result<Facts<'s>> {
        if let Some(facts) = self.facts.get(&id) {
            return Ok(facts.clone());
        }
        self.spend(1)?;
        let outline = self.outline;
        let subschema = outline.subschema(id);
        let mut facts = self.said(id)?;
        for next in together(subschema) {
            let other = self.facts(next)?;
            facts = self.all(facts, &other)?;
        }
        for keyword in ["anyOf", "oneOf"] {
            let branches = under(subschema, keyword);
            if !branches.is_empty() {
                let any = self.any(&branches)?;
                facts = self.all(facts, &any)?;
            }
        }
        facts.kinds &= self.own(id)?.kinds;
        self.facts.insert(id, facts.clone());
        Ok(facts)
    }

    /// The conditions of a subschema's own keywords on members.
    fn said(&mut self, id: SubschemaId) -> Result<Facts<'s>> {
        let subschema = self.outline.subschema(id);
        let mut members: BTreeMap<&'s str, MemberFacts<'s>> = BTreeMap::new();
        let mut named = HashSet::new();
        for (keyword, key, inner) in &subschema.inner {
            if let ("properties", InnerKey::Name(name)) = (*keyword, *key) {
                let own = self.own(*inner)?;
                self.spend(1)?;
                named.insert(name);
                members.insert(name, MemberFacts { required: false, own });
            }
        }
        let required = subschema.schema.get("required").and_then(Serde::as_array);
        for name in required.into_iter().flatten().filter_map(Serde::as_str) {
            self.spend(1)?;
            let member = members.entry(name);
            member.or_insert(MemberFacts { required: true, own: ValueFacts::ANY }).required = true;
        }
        let additional = subschema.schema.get("additionalProperties");
        let patterns = subschema.schema.get("patternProperties").and_then(Serde::as_object);
        let closed =
            additional == Some(&Serde::Bool(false)) && patterns.is_none_or(|p| p.is_empty());
        Ok(Facts {
            kinds: kinds::ALL,
            members: Rc::new(members),
            closed: closed.then(|| Rc::new(named)),
        })
    }

    fn all(&mut self, mut facts: Facts<'s>, other: &Facts<'s>) -> Result<Facts<'s>> {
        facts.kinds &= other.kinds;
        facts.closed = facts.closed.or_else(|| other.closed.clone());
        if facts.members.is_empty() {
            facts.members = other.members.clone();
        } else if !other.members.is_empty() {
            self.spend(facts.members.len() + other.members.len())?;
            let mut members = (*facts.members).clone();
            for (name, member) in &*other.members {
                let both = match members.get(name) {
                    Some(known) => MemberFacts {
                        required: known.required || member.required,
                        own: self.both(&known.own, &member.own)?,
                    },
                    None => member.clone(),
                };
                members.insert(name, both);
            }
            facts.members = Rc::new(members);
        }
        Ok(facts)
    }

    /// The conditions that every object valid against any of the branches meets; those on kinds hold for every value.
    fn any(&mut self, branches: &[SubschemaId]) -> Result<Facts<'s>> {
        let (mut all_kinds, mut any): (u8, Option<Facts<'s>>) = (0, None);
        for branch in branches {
            let facts = self.facts(*branch)?;
            all_kinds |= facts.kinds;
            if facts.kinds & kinds::OBJECT == 0 {
                continue;
            }
            any = Some(match any {
                None => facts,
                Some(known) => self.either(&known, &facts)?,
            });
        }
        let mut any =
            any.unwrap_or(Facts { kinds: all_kinds, members: Rc::default(), closed: None });
        any.kinds = all_kinds;
        Ok(any)
    }

    fn either(&mut self, a: &Facts<'s>, b: &Facts<'s>) -> Result<Facts<'s>> {
        self.spend(a.members.len() + b.members.len())?;
        let mut members = BTreeMap::new();
        for (name, one) in &*a.members {
            let Some(other) = b.members.get(name) else { continue };
            let values = match (&one.own.values, &other.own.values) {
                (Some(some), Some(others)) => {
                    self.spend(some.len() + others.len())?;
                    Some(some.iter().chain(others.iter()).copied().collect())
                }
                _ => None,
            };
            let own = ValueFacts { kinds: one.own.kinds | other.own.kinds, values };
            members.insert(*name, MemberFacts { required: one.required && other.required, own });
        }
        let closed = match (&a.closed, &b.closed) {
            (Some(some), Some(others)) => {
                self.spend(some.len() + others.len())?;
                Some(Rc::new(some.union(others).copied().collect()))
            }
            _ => None,
        };
        Ok(Facts { kinds: a.kinds | b.kinds, members: Rc::new(members), closed })
    }
}

/// The subschemas that apply to the same value too, without a choice.
fn together(subschema: &Subschema<'_>) -> Vec<SubschemaId> {
    let mut all = under(subschema, "allOf");
    if let Some(ReferenceTarget::Inside(id)) = subschema.reference {
        all.push(id);
    }
    all
}

fn under(subschema: &Subschema<'_>, keyword: &str) -> Vec<SubschemaId> {
    let inner = subschema.inner.iter().filter(|(name, ..)| *name == keyword);
    inner.map(|(.., id)| *id).collect()
}

/// The conditions of `type`, `const` and `enum` of one subschema.
fn said_of_value(schema: &Serde) -> ValueFacts<'_> {
    let map = match schema {
        Serde::Bool(false) => return ValueFacts { kinds: 0, values: None },
        Serde::Object(map) => map,
        _ => return ValueFacts::ANY,
    };
    let of_type = |name: &Serde| name.as_str().and_then(kinds::of_type).unwrap_or(kinds::ALL);
    let mut own = ValueFacts::ANY;
    match map.get("type") {
        Some(Serde::Array(names)) => {
            own.kinds = names.iter().fold(0, |set, name| set | of_type(name));
        }
        Some(name) => own.kinds = of_type(name),
        None => {}
    }
    let constant = map.get("const").map(|value| vec![value]);
    let options = map.get("enum").and_then(Serde::as_array).map(|all| all.iter().collect());
    for values in [constant, options].into_iter().flatten() {
        own.kinds &= values.iter().fold(0, |set, value| set | kind_of(value));
        // Numbers with a fraction can be spelled in many ways, so they do not distinguish branches.
        if own.values.is_none() && values.iter().all(|value| is_exact(value)) {
            own.values = Some(values.into());
        }
    }
    own
}

fn is_exact(value: &Serde) -> bool {
    match value {
        // `-0` is another spelling of `0`.
        Serde::Number(number) => number.as_i64().is_some() && number.as_str() != "-0",
        Serde::Array(_) | Serde::Object(_) => false,
        _ => true,
    }
}

/// The kinds of the values that may be equal to a value of the schema.
fn kind_of(value: &Serde) -> u8 {
    match value {
        Serde::Null => 1,
        Serde::Bool(_) => 1 << 1,
        Serde::Number(_) => kinds::INTEGER | kinds::FRACTION,
        Serde::String(_) => 1 << 4,
        Serde::Array(_) => 1 << 5,
        Serde::Object(_) => kinds::OBJECT,
    }
}
