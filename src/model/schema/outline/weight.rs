//! The number of subschemas that may apply to one value, and how many of them lead to each other.
//!
//! A schema that leads back to itself on the same value would be evaluated without end, and references can multiply:
//! both are refused here.

use super::super::limits::SchemaLimits;
use super::super::refusal::refuse;
use super::super::subschema::{Subschema, SubschemaId};
use crate::error::{Error, Result};
use crate::limit;

/// The number of subschemas that an external schema, which is the standard's metaschema, may apply to one value.
const EXTERNAL_WEIGHT: u64 = 64;

/// A depth-first search over the subschemas that apply to the same value.
struct Weighing<'w, 's> {
    subschemas: &'w [Subschema<'s>],
    limits: &'w SchemaLimits,
    visits: Vec<Visit>,
    /// The number of subschemas that each applies to its value, itself included; 0 until it is done.
    weights: Vec<u64>,
    /// The length of the longest chain from each; 0 until it is done.
    chains: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    New,
    /// On the path from the start of the search.
    Open,
    Done,
}

/// The highest number of subschemas that may apply to one value. Refuses cycles, and more than the limits allow.
pub(super) fn weigh(subschemas: &[Subschema<'_>], limits: &SchemaLimits) -> Result<u64> {
    let count = subschemas.len();
    let mut weighing = Weighing {
        subschemas,
        limits,
        visits: vec![Visit::New; count],
        weights: vec![0; count],
        chains: vec![0; count],
    };
    for start in 0..count as SubschemaId {
        weighing.search(start)?;
    }
    Ok(weighing.weights.into_iter().max().unwrap_or(0))
}

impl<'w, 's> Weighing<'w, 's> {
    fn subschema(&self, id: SubschemaId) -> &'w Subschema<'s> {
        &self.subschemas[id as usize]
    }

    /// Visits a subschema and all that it leads to, with a stack of its own: schemas may be deep.
    fn search(&mut self, start: SubschemaId) -> Result<()> {
        let mut stack: Vec<(SubschemaId, Vec<SubschemaId>)> = Vec::new();
        if self.visits[start as usize] == Visit::New {
            stack.push(self.open(start));
        }
        while let Some((id, rest)) = stack.last_mut() {
            let id = *id;
            match rest.pop() {
                None => {
                    stack.pop();
                    self.close(id)?;
                }
                Some(next) => match self.visits[next as usize] {
                    Visit::New => stack.push(self.open(next)),
                    Visit::Done => {}
                    Visit::Open => {
                        return Err(refuse(
                            "the schema applies itself to the same value without end",
                            &self.subschema(next).pointer,
                        ));
                    }
                },
            }
        }
        Ok(())
    }

    fn open(&mut self, id: SubschemaId) -> (SubschemaId, Vec<SubschemaId>) {
        self.visits[id as usize] = Visit::Open;
        (id, self.subschema(id).in_place().collect())
    }

    /// Adds up a subschema whose targets are all done.
    fn close(&mut self, id: SubschemaId) -> Result<()> {
        let subschema = self.subschema(id);
        let own = if subschema.leads_outside() { EXTERNAL_WEIGHT } else { 1 };
        let (mut weight, mut chain) = (own, 0);
        for next in subschema.in_place() {
            weight = self.weights[next as usize].saturating_add(weight);
            chain = self.chains[next as usize].max(chain);
        }
        let at = id as usize;
        (self.visits[at], self.weights[at], self.chains[at]) = (Visit::Done, weight, 1 + chain);
        let pointer = subschema.pointer.as_bytes();
        if weight > self.limits.weight {
            let error = Error::limit(limit::SCHEMA_WEIGHT, self.limits.weight);
            return Err(error.text("schema", pointer));
        }
        if 1 + chain > self.limits.chain {
            let error = Error::limit(limit::SCHEMA_CHAIN, self.limits.chain.into());
            return Err(error.text("schema", pointer));
        }
        Ok(())
    }
}
