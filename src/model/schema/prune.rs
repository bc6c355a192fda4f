//! Marks the subschemas that lead to defaults, and removes those that check nothing.

use std::collections::HashMap;

use super::choice::Choice;
use super::plan::PlanNode;
use super::subschema::{NONE, SubschemaId};
use crate::value::Measured;

/// All subschemas that a node leads to.
fn next_nodes(node: &PlanNode) -> impl Iterator<Item = SubschemaId> + '_ {
    let children = node.children.iter().flat_map(|children| {
        let properties = children.properties.entries().iter().map(|(_, id)| *id);
        let patterns = children.patterns.iter().map(|(_, id)| *id);
        let prefix = children.prefix.iter().copied();
        let single = children.additional.iter().chain(&children.items).copied();
        properties.chain(patterns).chain(prefix).chain(single)
    });
    let choices = node.choices.iter().flat_map(Choice::ids);
    node.also.iter().copied().chain(choices).chain(children).filter(|id| *id != NONE)
}

pub(super) fn leads_to_default(
    nodes: &[PlanNode],
    defaults: &HashMap<SubschemaId, Measured>,
) -> Box<[bool]> {
    if defaults.is_empty() {
        return Box::new([]);
    }
    let mut from = vec![Vec::new(); nodes.len()];
    let mut stack = Vec::new();
    for (id, node) in nodes.iter().enumerate() {
        for next in next_nodes(node) {
            from[next as usize].push(id);
        }
        let mut properties = node.children.iter().flat_map(|all| all.properties.entries());
        if properties.any(|(_, id)| defaults.contains_key(id)) {
            stack.push(id);
        }
    }
    let mut leads = vec![false; nodes.len()];
    while let Some(id) = stack.pop() {
        if !std::mem::replace(&mut leads[id], true) {
            stack.extend(&from[id]);
        }
    }
    leads.into()
}

/// Replaces the numbers of subschemas that check nothing by [`NONE`].
pub(super) fn prune(
    nodes: &mut [PlanNode],
    defaults: &HashMap<SubschemaId, Measured>,
    leads_to_default: &[bool],
) {
    let idle: Vec<bool> = nodes
        .iter()
        .enumerate()
        .map(|(id, node)| {
            let checks = node.shallow.len() + node.members.len() + node.deep.len() > 0;
            let leads = !node.also.is_empty()
                || !node.choices.is_empty()
                || node.children.is_some()
                || node.whole.is_some();
            let default = defaults.contains_key(&(id as SubschemaId))
                || leads_to_default.get(id).copied().unwrap_or(false);
            !checks && !leads && !default
        })
        .collect();
    let lead = |id: &mut SubschemaId| {
        if idle[*id as usize] {
            *id = NONE;
        }
    };
    for node in nodes {
        let mut also = std::mem::take(&mut node.also).into_vec();
        also.retain(|id| !idle[*id as usize]);
        node.also = also.into();
        if let Some(children) = &mut node.children {
            children.properties.entries.iter_mut().for_each(|(_, id)| lead(id));
            children.patterns.iter_mut().for_each(|(_, id)| lead(id));
            children.prefix.iter_mut().for_each(lead);
            children.additional.iter_mut().for_each(lead);
            children.items.iter_mut().for_each(lead);
        }
    }
}
