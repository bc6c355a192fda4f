//! Compiles the plan of a schema, and collects the parts that the crate is to validate.

use std::collections::HashMap;

use serde_json::{Map, Value as Serde, json};

use super::assertion::{Check, SchemaAssertion, literal};
use super::choice::{Choice, Condition, Study, study_branches};
use super::draft::Moves;
use super::keywords::InnerKey;
use super::limits::SchemaLimits;
use super::named::NamedSubschemas;
use super::outline::SchemaOutline;
use super::parts::CollectedParts;
use super::plan::{Children, Plan, PlanNode, WHOLE, is_condition};
use super::prune::{leads_to_default, prune};
use super::refusal::refuse;
use super::subschema::{ReferenceTarget, SubschemaId};
use crate::error::Result;
use crate::value::Measured;

/// Keywords that assert something about the value alone, evaluated here or by the crate.
const SIMPLE: [&str; 19] = [
    "type",
    "const",
    "enum",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "required",
    "minProperties",
    "maxProperties",
    "dependentRequired",
    "minItems",
    "maxItems",
    "uniqueItems",
];

/// Keywords that combine the verdicts of subschemas, validated by the crate.
const BRANCHING: [&str; 2] = ["not", "contains"];

/// Keywords whose schema `false` is reported under their name.
const NAMED_FALSE: [&str; 3] = ["additionalProperties", "items", "propertyNames"];

/// Compiles the plan, and collects the parts that it needs.
pub(super) struct Planner<'o, 's> {
    outline: &'o SchemaOutline<'s>,
    moves: &'o Moves,
    limits: &'o SchemaLimits,
    pub parts: CollectedParts,
    patterns: HashMap<&'s str, u32>,
    /// The keyword of a subschema that is its only one.
    held_by: HashMap<SubschemaId, &'s str>,
}

impl<'o, 's> Planner<'o, 's> {
    pub fn new(
        outline: &'o SchemaOutline<'s>,
        moves: &'o Moves,
        limits: &'o SchemaLimits,
    ) -> Planner<'o, 's> {
        let mut parts = CollectedParts::default();
        let whole = parts.add(json!({ "$ref": outline.uri(0) }));
        assert_eq!(whole, WHOLE, "the whole schema is the first part");
        let inner = outline.subschemas.iter().flat_map(|subschema| &subschema.inner);
        let alone = inner.filter(|(_, key, _)| *key == InnerKey::Whole);
        let held_by = alone.map(|(keyword, _, id)| (*id, *keyword)).collect();
        Planner { outline, moves, limits, parts, patterns: HashMap::new(), held_by }
    }

    pub fn plan(&mut self) -> Result<Plan> {
        let count = self.outline.subschemas.len();
        let mut nodes: Vec<PlanNode> = Vec::with_capacity(count);
        nodes.resize_with(count, PlanNode::default);
        let reached = self.reach();
        let mut study = Study::new(self.outline, self.limits);
        for id in 0..count as SubschemaId {
            if reached[id as usize] {
                nodes[id as usize] = self.node(id);
                self.choices(id, &mut nodes, &mut study)?;
            }
        }
        // A condition reads the nodes of its own subschemas.
        for id in 0..count as SubschemaId {
            if reached[id as usize] {
                self.condition(id, &mut nodes);
            }
        }
        let has_defaults = |id: usize| self.outline.subschemas[id].schema.get("default").is_some();
        let defaults = match (0..count).any(|id| reached[id] && has_defaults(id)) {
            true => self.defaults(&nodes)?,
            false => HashMap::new(),
        };
        let leads_to_default = leads_to_default(&nodes, &defaults);
        let fills_safely = self.fills_safely(&nodes);
        prune(&mut nodes, &defaults, &leads_to_default);
        Ok(Plan { nodes: nodes.into(), defaults, leads_to_default, fills_safely })
    }

    /// Flags: the subschemas that keywords lead to from the root.
    fn reach(&self) -> Vec<bool> {
        let mut reached = vec![false; self.outline.subschemas.len()];
        let mut stack = vec![0];
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut reached[id as usize], true) {
                continue;
            }
            let subschema = self.outline.subschema(id);
            if let Some(ReferenceTarget::Inside(target)) = subschema.reference {
                stack.push(target);
            }
            let leads = subschema.inner.iter().filter(|(keyword, ..)| leads(keyword));
            stack.extend(leads.map(|(.., id)| *id));
        }
        reached
    }

    /// The keyword because of which the crate has to validate a subschema whole.
    fn whole_by(&self, id: SubschemaId) -> Option<&'static str> {
        let subschema = self.outline.subschema(id);
        if matches!(subschema.reference, Some(ReferenceTarget::Outside(_))) {
            return Some("$ref");
        }
        if id == 0 && self.outline.needs_context {
            return Some("$dynamicRef");
        }
        let keywords = ["$dynamicRef", "unevaluatedProperties", "unevaluatedItems"];
        keywords.into_iter().find(|keyword| subschema.schema.get(keyword).is_some())
    }

    /// A part that refers to a subschema, if the subschema can be validated outside of its context.
    fn reference(&mut self, id: SubschemaId) -> u32 {
        let reference = match self.outline.needs_context {
            // Never asked about: the root is validated whole.
            true => json!({}),
            false => json!({ "$ref": self.outline.uri(id) }),
        };
        self.parts.add(reference)
    }

    fn node(&mut self, id: SubschemaId) -> PlanNode {
        let outline = self.outline;
        let subschema = outline.subschema(id);
        let pointer = self.moves.given(&subschema.pointer);
        let mut node = PlanNode { pointer: (*pointer).into(), ..PlanNode::default() };
        let map = match subschema.schema {
            Serde::Object(map) => map,
            Serde::Bool(false) => {
                let named = self.held_by.get(&id).copied();
                let keyword = NAMED_FALSE.into_iter().find(|keyword| Some(*keyword) == named);
                let keyword = keyword.unwrap_or("false");
                node.shallow = Box::new([Check { keyword, assertion: SchemaAssertion::Never }]);
                return node;
            }
            _ => return node,
        };
        if let Some(keyword) = self.whole_by(id) {
            let part = match (id, outline.needs_context) {
                (0, true) => WHOLE,
                _ => self.reference(id),
            };
            node.whole = Some(Box::new(Check { keyword, assertion: SchemaAssertion::Part(part) }));
        }
        self.checks(id, map, &mut node);
        let mut also = Vec::new();
        if let Some(ReferenceTarget::Inside(target)) = subschema.reference {
            also.push(target);
        }
        also.extend(self.inner(id, "allOf").into_iter().map(|(_, id)| id));
        node.also = also.into();
        node.children = self.children(id);
        node
    }

    /// The subschemas under one keyword.
    fn inner(&self, id: SubschemaId, keyword: &str) -> Vec<(InnerKey<'s>, SubschemaId)> {
        let inner = self.outline.subschema(id).inner.iter();
        inner.filter(|(name, ..)| *name == keyword).map(|(_, key, id)| (*key, *id)).collect()
    }

    fn checks(&mut self, id: SubschemaId, map: &'s Map<String, Serde>, node: &mut PlanNode) {
        let (mut shallow, mut members, mut deep) = (Vec::new(), Vec::new(), Vec::new());
        for keyword in SIMPLE {
            let Some(value) = map.get(keyword) else { continue };
            let Some(assertion) = self.simple(keyword, value) else { continue };
            let check = Check { keyword, assertion };
            if check.assertion.looks_below() {
                deep.push(check);
            } else if check.assertion.counts_children() {
                members.push(check);
            } else {
                shallow.push(check);
            }
        }
        for keyword in BRANCHING {
            if map.contains_key(keyword) {
                deep.push(self.branching(id, keyword));
            }
        }
        (node.shallow, node.members, node.deep) = (shallow.into(), members.into(), deep.into());
    }

    /// Adds the alternatives that are compiled without reading other nodes.
    fn choices(
        &mut self,
        id: SubschemaId,
        nodes: &mut [PlanNode],
        study: &mut Study<'o, 's>,
    ) -> Result<()> {
        let subschema = self.outline.subschema(id);
        let hint = subschema.schema.pointer("/discriminator/propertyName").and_then(Serde::as_str);
        let mut choices = Vec::new();
        for keyword in ["anyOf", "oneOf"] {
            let branches: Vec<SubschemaId> =
                self.inner(id, keyword).iter().map(|(_, id)| *id).collect();
            if !branches.is_empty() {
                let check = self.branching(id, keyword);
                choices.push(Choice::Branches(study_branches(study, check, branches, hint)?));
            }
        }
        let dependents = self.named(id, "dependentSchemas");
        if !dependents.is_empty() {
            let dependents = dependents.into_iter().map(|(name, id)| (name.into(), id));
            choices.push(Choice::Dependents(dependents.collect()));
        }
        nodes[id as usize].choices = choices.into();
        Ok(())
    }

    fn condition(&mut self, id: SubschemaId, nodes: &mut [PlanNode]) {
        let only = |keyword| self.inner(id, keyword).first().map(|(_, id)| *id);
        let Some(test) = only("if") else { return };
        let (then, otherwise) = (only("then"), only("else"));
        if is_condition(nodes, test, |id| self.outline.subschema(id).has("if")) {
            let mut members: Vec<Box<str>> = Vec::new();
            let node = &nodes[test as usize];
            if let Some(children) = &node.children {
                members.extend(children.properties.entries().iter().map(|(name, _)| name.clone()));
            }
            for check in &node.members {
                members.extend(check.assertion.names().iter().cloned());
            }
            let condition = Condition { test, then, otherwise, members: members.into() };
            let mut choices = std::mem::take(&mut nodes[id as usize].choices).into_vec();
            choices.push(Choice::Condition(condition));
            nodes[id as usize].choices = choices.into();
        } else {
            let check = self.branching(id, "if");
            let mut deep = std::mem::take(&mut nodes[id as usize].deep).into_vec();
            deep.push(check);
            nodes[id as usize].deep = deep.into();
        }
    }

    /// Returns true if filling in members can never make a valid document invalid: no keyword depends on members with a
    /// default, and no two subschemas apply to the members of one object.
    fn fills_safely(&self, nodes: &[PlanNode]) -> bool {
        const UNSAFE: [&str; 12] = [
            "maxProperties",
            "propertyNames",
            "patternProperties",
            "dependentRequired",
            "dependentSchemas",
            "not",
            "if",
            "contains",
            "uniqueItems",
            "$dynamicRef",
            "unevaluatedProperties",
            "unevaluatedItems",
        ];
        self.outline.subschemas.iter().zip(nodes).all(|(subschema, node)| {
            let by_kind = node.choices.iter().all(|choice| match choice {
                Choice::Branches(branches) => branches.is_by_kind(),
                _ => false,
            });
            let constant = node.deep.iter().any(|check| check.assertion.looks_below());
            let own = usize::from(node.children.is_some());
            let speakers = own + node.also.len() + node.choices.len();
            UNSAFE.iter().all(|keyword| subschema.schema.get(keyword).is_none())
                && !matches!(subschema.reference, Some(ReferenceTarget::Outside(_)))
                && by_kind
                && !constant
                && speakers <= 1
        })
    }

    fn simple(&mut self, keyword: &str, value: &'s Serde) -> Option<SchemaAssertion> {
        match (keyword, value) {
            ("uniqueItems", Serde::Bool(false)) => return None,
            ("pattern", Serde::String(pattern)) => {
                return Some(SchemaAssertion::Part(self.pattern(pattern)));
            }
            ("multipleOf", _) => {
                let part = self.parts.add(json!({ "multipleOf": value }));
                return Some(match literal::number(value).and_then(literal::small_divisor) {
                    Some(divisor) => SchemaAssertion::MultipleOf(divisor, part),
                    None => SchemaAssertion::Part(part),
                });
            }
            _ => {}
        }
        Some(SchemaAssertion::native(keyword, value).unwrap_or_else(|| {
            SchemaAssertion::Part(
                self.parts.add(Serde::Object(Map::from_iter([(keyword.into(), value.clone())]))),
            )
        }))
    }

    /// The part for matching a text with a pattern. There is one part for each pattern.
    fn pattern(&mut self, pattern: &'s str) -> u32 {
        if let Some(part) = self.patterns.get(pattern) {
            return *part;
        }
        let part = self.parts.add(json!({ "pattern": pattern }));
        self.patterns.insert(pattern, part);
        part
    }

    /// The check of a keyword with subschemas, as a part with references to them.
    fn branching(&mut self, id: SubschemaId, keyword: &'static str) -> Check {
        let part = match (self.outline.needs_context, self.outline.subschema(id).schema) {
            (false, Serde::Object(map)) => self.with_references(id, keyword, map),
            // Never asked about: the root is validated whole.
            _ => json!({}),
        };
        Check { keyword, assertion: SchemaAssertion::Part(self.parts.add(part)) }
    }

    fn with_references(&self, id: SubschemaId, keyword: &str, map: &Map<String, Serde>) -> Serde {
        let reference = |id: SubschemaId| json!({ "$ref": self.outline.uri(id) });
        let mut part = Map::new();
        let together: &[&str] = match keyword {
            "if" => &["if", "then", "else"],
            "contains" => &["contains", "minContains", "maxContains"],
            _ => &[keyword],
        };
        for keyword in together {
            let Some(written) = map.get(*keyword) else { continue };
            let mut value = written.clone();
            for (key, id) in self.inner(id, keyword) {
                match key {
                    InnerKey::Whole => value = reference(id),
                    InnerKey::Index(nth) => value[nth] = reference(id),
                    InnerKey::Name(name) => value[name] = reference(id),
                }
            }
            part.insert((*keyword).to_owned(), value);
        }
        Serde::Object(part)
    }

    fn named(&self, id: SubschemaId, keyword: &str) -> Vec<(&'s str, SubschemaId)> {
        let name = |(key, id)| match key {
            InnerKey::Name(name) => (name, id),
            _ => unreachable!("the keyword holds schemas by name"),
        };
        self.inner(id, keyword).into_iter().map(name).collect()
    }

    fn children(&mut self, id: SubschemaId) -> Option<Box<Children>> {
        let only = |planner: &Self, keyword| planner.inner(id, keyword).first().map(|(_, id)| *id);
        let properties = self.named(id, "properties");
        let patterns = self.named(id, "patternProperties");
        let patterns =
            patterns.into_iter().map(|(pattern, id)| (self.pattern(pattern), id)).collect();
        let names = only(self, "propertyNames").map(|id| {
            let assertion = SchemaAssertion::Part(self.reference(id));
            Check { keyword: "propertyNames", assertion }
        });
        let children = Children {
            properties: NamedSubschemas::new(
                properties.into_iter().map(|(name, id)| (name.into(), id)).collect(),
            ),
            patterns,
            additional: only(self, "additionalProperties"),
            names,
            prefix: self.inner(id, "prefixItems").into_iter().map(|(_, id)| id).collect(),
            items: only(self, "items"),
        };
        let any =
            children.apply_to_members() || !children.prefix.is_empty() || children.items.is_some();
        any.then(|| Box::new(children))
    }

    /// The default of each member: that of its own subschema, otherwise the first one of the subschemas that apply too.
    fn defaults(&self, nodes: &[PlanNode]) -> Result<HashMap<SubschemaId, Measured>> {
        let mut defaults = HashMap::new();
        let members = nodes.iter().filter_map(|node| node.children.as_ref());
        for (_, id) in members.flat_map(|children| children.properties.entries()) {
            let mut seen = Vec::new();
            let mut stack = vec![*id];
            while let Some(next) = stack.pop() {
                if seen.contains(&next) {
                    continue;
                }
                seen.push(next);
                let subschema = self.outline.subschema(next);
                if let Some(default) = subschema.schema.get("default") {
                    let default = literal::value(default).ok_or_else(|| {
                        refuse("no document can contain the default", &nodes[next as usize].pointer)
                    })?;
                    defaults.insert(*id, default.into());
                    break;
                }
                stack.extend(nodes[next as usize].also.iter().rev());
            }
        }
        Ok(defaults)
    }
}

/// Returns true if a keyword leads to subschemas of the value or its children.
fn leads(keyword: &str) -> bool {
    matches!(
        keyword,
        "allOf"
            | "anyOf"
            | "oneOf"
            | "if"
            | "then"
            | "else"
            | "dependentSchemas"
            | "properties"
            | "patternProperties"
            | "additionalProperties"
            | "prefixItems"
            | "items"
    )
}
