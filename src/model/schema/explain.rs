//! Explanations of violations: the place, the keyword, the subschema and a message.
//!
//! Computed for refused documents only, and bounded: an explanation may take far fewer steps than a verdict.

use std::cell::RefCell;

use jsonschema::error::ValidationErrorKind;

use super::active::{Open, Route};
use super::assertion::{Check, SchemaAssertion};
use super::choice::Pick;
use super::draft::Moves;
use super::message;
use super::parts::{Checker, KeywordLocation, PartViolation};
use super::plan::Plan;
use super::refusal::cut;
use super::subschema::SubschemaId;
use super::uri::{SCHEMA_URI, push_token, token_name};
use super::violation::{Cause, VIOLATIONS_MAX, Verdict, Violation};
use super::walk::Walk;
use crate::error::{Error, ErrorCode};
use crate::value::View;

/// The most branches that are validated to explain a choice.
const BRANCHES_MAX: usize = 64;
/// The most branches whose violation is in the message.
const TOLD_MAX: usize = 4;
/// The depth to which alternatives inside alternatives are explained.
const DEPTH_MAX: usize = 3;

/// One violation as the error reports it.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    place: String,
    keyword: String,
    schema: String,
    message: String,
}

/// The inputs of explanations.
pub(super) struct Explain<'e> {
    pub plan: &'e Plan,
    pub moves: &'e Moves,
    /// The meter of explanations.
    pub checker: &'e Checker<'e>,
}

impl<'e> Explain<'e> {
    /// The error of a check that found `first`, and others if they were collected.
    #[cold]
    pub fn error(&self, first: &Violation<'_>, others: &[Violation<'_>]) -> Error {
        let mut findings: Vec<Finding> = Vec::new();
        let violations = match others {
            [] => std::slice::from_ref(first),
            others => others,
        };
        for violation in violations {
            for finding in self.findings(violation, 0) {
                if findings.len() < VIOLATIONS_MAX && !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
        let first = &findings[0];
        let error = Error::new(ErrorCode::Schema, first.message.clone())
            .text("place", first.place.as_bytes())
            .text("keyword", first.keyword.as_bytes())
            .text("schema", first.schema.as_bytes());
        match findings.len() {
            1 => error,
            _ => error.json("violations", list(&findings)),
        }
    }

    /// The findings of one violation, the most important one first.
    fn findings(&self, violation: &Violation<'_>, depth: usize) -> Vec<Finding> {
        match violation.cause {
            Cause::Check(check) => vec![self.of_check(violation, check, depth)],
            Cause::Alternatives(open) => vec![self.of_alternatives(violation, open, depth)],
            Cause::Whole(id, check) => {
                let collected = RefCell::new(Vec::new());
                let walk = Walk::collecting(self.route(), self.checker, &collected);
                let last = walk.by(id, violation.view).ok().flatten();
                let mut inside = collected.take();
                inside.extend(last.map(|last| *last));
                let inside = inside.iter().flat_map(|inside| {
                    let mut findings = self.findings(inside, depth);
                    for finding in &mut findings {
                        finding.place.insert_str(0, &violation.place);
                    }
                    findings
                });
                let inside: Vec<Finding> = inside.collect();
                if inside.is_empty() { self.of_whole(violation, id, check) } else { inside }
            }
        }
    }

    /// A route that also enters subschemas which the crate validates whole.
    fn route(&self) -> Route<'e> {
        Route { plan: self.plan, through: true }
    }

    /// The pointer of a keyword in the schema as it was given, where its name may have been another one.
    fn keyword_pointer(&self, schema: &str, keyword: &str) -> String {
        let translated = format!("{}/{keyword}", self.moves.translated(schema));
        self.moves.given(&translated).into_owned()
    }

    /// The findings of a subschema that the crate validates whole: one for each member that is not allowed. Those that
    /// the schema requires come last.
    fn of_whole(&self, violation: &Violation<'_>, id: SubschemaId, check: &Check) -> Vec<Finding> {
        let SchemaAssertion::Part(part) = check.assertion else {
            unreachable!("the crate knows parts")
        };
        let found = self.checker.explain(part, violation.view);
        let mut members: Vec<String> = match found.as_ref().map(|found| &found.kind) {
            Some(ValidationErrorKind::UnevaluatedProperties { unexpected }) => unexpected.clone(),
            _ => return vec![self.of_part(violation, check, found)],
        };
        let required = self.plan.nodes[id as usize].members.iter();
        let required: Vec<&str> =
            required.flat_map(|check| check.assertion.names()).map(|name| &**name).collect();
        members.sort_by_key(|member| required.contains(&member.as_str()));
        let finding = self.of_part(violation, check, found);
        let each = members.into_iter().take(VIOLATIONS_MAX).map(|member| {
            let mut place = finding.place.clone();
            place.push('/');
            push_token(&mut place, &member);
            let message = message::of_unevaluated(&member);
            let (keyword, schema) = (finding.keyword.clone(), finding.schema.clone());
            Finding { place, keyword, schema, message }
        });
        each.collect()
    }

    fn of_check(&self, violation: &Violation<'_>, check: &Check, depth: usize) -> Finding {
        let place = violation.place.clone();
        let member = token_name(place.rsplit('/').next().unwrap_or_default());
        let known = message::of_assertion(&check.assertion, check.keyword, violation.view, &member);
        // One member tells a branch of alternatives from the others, mostly the one that selects it.
        let known = match check.assertion.missing(violation.view) {
            Some(first) if depth > 0 => Some(message::of_missing(&[first])),
            _ => known,
        };
        let message = match (violation.name, known, &check.assertion) {
            (Some(name), ..) => message::of_name(name),
            (None, Some(message), _) => message,
            (None, None, SchemaAssertion::Part(part)) => {
                return self.of_part(violation, check, self.checker.explain(*part, violation.view));
            }
            (None, None, _) => "the value does not fit".to_owned(),
        };
        let schema = match check.assertion {
            // The schema `false` has no keyword of its own.
            SchemaAssertion::Never => violation.schema.to_owned(),
            _ => self.keyword_pointer(violation.schema, check.keyword),
        };
        Finding { place, keyword: check.keyword.to_owned(), schema, message }
    }

    /// The finding of a part from the crate's violation; `found` is none if locating it took too many steps.
    fn of_part(
        &self,
        violation: &Violation<'_>,
        check: &Check,
        found: Option<PartViolation>,
    ) -> Finding {
        let mut place = violation.place.clone();
        let Some(found) = found else {
            let message =
                format!("{} does not fit '{}'", message::value(violation.view), check.keyword);
            let schema = self.keyword_pointer(violation.schema, check.keyword);
            return Finding { place, keyword: check.keyword.to_owned(), schema, message };
        };
        let view = at(violation.view, &found.place);
        let pattern = self.moves.given_pattern(found.pattern());
        let message = message::of_kind(&found.kind, view, pattern);
        place.push_str(&found.place);
        let schema = match found.schema {
            KeywordLocation::Part(rest) => {
                let translated = format!("{}{rest}", self.moves.translated(violation.schema));
                self.moves.given(&translated).into_owned()
            }
            KeywordLocation::At(base, pointer) if base == SCHEMA_URI => {
                self.moves.given(&pointer).into_owned()
            }
            // Outside of the document, or in a resource that could not be flattened.
            KeywordLocation::At(base, pointer) => format!("{base}#{pointer}"),
        };
        Finding { place, keyword: found.kind.keyword().to_owned(), schema, message }
    }

    fn of_alternatives(&self, violation: &Violation<'_>, open: Open<'_>, depth: usize) -> Finding {
        let check = &open.branches.check;
        let it = message::value(violation.view);
        let all = open.branches.ids();
        let (mut fitting, mut lacks) = (Vec::new(), Vec::new());
        let wrong_member = open.branches.wrong_member(violation.view);
        if depth < DEPTH_MAX {
            for (nth, branch) in all.iter().enumerate().take(BRANCHES_MAX) {
                match self.violation_of_branch(*branch, violation.view, wrong_member) {
                    Ok(None) => fitting.push(nth.to_string()),
                    Ok(Some(lack)) => lacks.push(self.lack(&lack, depth + 1)),
                    Err(_) => break,
                }
            }
        }
        lacks.sort_by_key(|lack| (lack.chars().count(), lack.clone()));
        lacks.dedup();
        let told = lacks.iter().take(TOLD_MAX).map(String::as_str).collect::<Vec<_>>().join("; ");
        let message = match (open.pick, fitting.len(), told.as_str()) {
            (Pick::Undecided, 2.., _) => {
                format!("{it} fits more than one of the alternatives: {}", fitting.join(", "))
            }
            (_, _, "") => format!("{it} fits none of the {} alternatives", all.len()),
            (_, _, told) => format!("{it} fits none of the {} alternatives: {told}", all.len()),
        };
        Finding {
            place: violation.place.clone(),
            keyword: check.keyword.to_owned(),
            schema: format!("{}/{}", violation.schema, check.keyword),
            message,
        }
    }

    /// The violation of one branch: that of the member that decides the branch, if its value is wrong.
    fn violation_of_branch(
        &self,
        branch: SubschemaId,
        view: View<'e>,
        wrong_member: Option<&str>,
    ) -> Verdict<'e> {
        let Some(member) = wrong_member else {
            return Walk::new(self.route(), self.checker).by(branch, view);
        };
        let mut place = "/".to_owned();
        push_token(&mut place, member);
        let collected = RefCell::new(Vec::new());
        let last = Walk::collecting(self.route(), self.checker, &collected).by(branch, view)?;
        let mut found = collected.into_inner();
        found.extend(last.map(|last| *last));
        let nth = found.iter().position(|violation| violation.place == place).unwrap_or(0);
        Ok(found.into_iter().nth(nth).map(Box::new))
    }

    /// A short description of why a value is invalid against one branch.
    fn lack(&self, violation: &Violation<'_>, depth: usize) -> String {
        const LACK_CHARS_MAX: usize = 100;
        let finding = self.findings(violation, depth).into_iter().next();
        let lack = finding.map_or(String::new(), |finding| match finding.place.as_str() {
            "" => finding.message,
            place => format!("{} at {place}", finding.message),
        });
        match lack.char_indices().nth(LACK_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &lack[..end]),
            None => lack,
        }
    }
}

/// The value at a JSON Pointer.
fn at<'v>(view: View<'v>, pointer: &str) -> Option<View<'v>> {
    pointer.split('/').skip(1).try_fold(view, |view, token| match view {
        View::Object(object) => Some(object.find(&token_name(token))?.1),
        View::Array(array) => array.get(token.parse().ok()?),
        _ => None,
    })
}

/// The findings as JSON text.
fn list(findings: &[Finding]) -> String {
    let all = findings.iter().map(|finding| {
        serde_json::json!({
            "place": cut(&finding.place),
            "keyword": cut(&finding.keyword),
            "schema": cut(&finding.schema),
            "message": cut(&finding.message),
        })
    });
    serde_json::Value::Array(all.collect()).to_string()
}
