//! The translation of one subschema and those inside it.

use serde_json::{Map, Value as Serde};

use super::super::keywords::{Holds, KEYWORDS};
use super::super::pattern::Patterns;
use super::super::refusal::refuse;
use super::super::uri::push_token;
use super::dialect::Dialect;
use super::moves::Moves;
use super::rewrite::{self, Moved};
use super::words;
use crate::error::Result;

/// The number of keywords without effect that are listed at most, and the length of each with its place.
const UNKNOWN_MAX: usize = 32;
const UNKNOWN_BYTES_MAX: usize = 256;

/// The properties that a subschema inherits from its position in the document.
#[derive(Clone, Copy)]
pub(super) struct DialectContext {
    pub dialect: Dialect,
    /// The resource has `"$recursiveAnchor": true`.
    pub recursive: bool,
}

impl DialectContext {
    /// The context of a document, or of a subschema that may be a resource of its own.
    pub fn of(schema: &Serde, outer: DialectContext) -> DialectContext {
        let named = schema.get("$schema").and_then(Dialect::named);
        let dialect = named.unwrap_or(outer.dialect);
        let id = if dialect == Dialect::Draft4 { "id" } else { "$id" };
        let is_resource =
            schema.get(id).and_then(Serde::as_str).is_some_and(|id| !id.starts_with('#'));
        let anchor = schema.get("$recursiveAnchor") == Some(&Serde::Bool(true));
        let recursive = if is_resource { anchor } else { outer.recursive || anchor };
        DialectContext { dialect, recursive }
    }
}

/// A translation in progress, at one subschema.
pub(super) struct DraftTranslator<'l> {
    pub moves: Moves,
    pub patterns: Patterns<'l>,
    /// The JSON Pointers of the first keywords that have no effect.
    pub unknown: Vec<Box<str>>,
    /// The JSON Pointer of the subschema as it was given.
    pub given: String,
    /// The same after translation.
    pub translated: String,
}

impl DraftTranslator<'_> {
    pub fn schema(&mut self, schema: &mut Serde, outer: DialectContext) -> Result<()> {
        let context = DialectContext::of(schema, outer);
        let Serde::Object(map) = schema else { return Ok(()) };
        if let Some(uri) = map.shift_remove("$schema")
            && Dialect::named(&uri).is_none()
        {
            let message = "'$schema' does not name a supported draft: 4, 6, 7, 2019-09 or 2020-12";
            return Err(refuse(message, &self.given).text("keyword", b"$schema"));
        }
        words::refuse_unknown(map, context.dialect, &self.given)?;
        self.note_unknown(map, context.dialect);
        let moved = rewrite::rewrite(map, context.dialect, context.recursive, &self.given)?;
        for one in &moved {
            self.at(one.given, one.translated, one.member.as_deref(), |translator| {
                translator.moves.record(&translator.given, &translator.translated)
            })?;
        }
        self.rewrite_patterns(map)?;
        self.children(map, &moved, context)
    }

    fn note_unknown(&mut self, map: &Map<String, Serde>, dialect: Dialect) {
        for name in words::without_effect(map, dialect) {
            let bytes = self.given.len() + name.len();
            if self.unknown.len() < UNKNOWN_MAX && bytes <= UNKNOWN_BYTES_MAX {
                let mut pointer = format!("{}/", self.given);
                push_token(&mut pointer, name);
                self.unknown.push(pointer.into());
            }
        }
    }

    /// Continues inside, at a keyword or a member of it.
    fn at<T>(
        &mut self,
        given: &str,
        translated: &str,
        member: Option<&str>,
        run: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let (given_len, translated_len) = (self.given.len(), self.translated.len());
        for (pointer, keyword) in [(&mut self.given, given), (&mut self.translated, translated)] {
            pointer.push('/');
            pointer.push_str(keyword);
            if let Some(member) = member {
                pointer.push('/');
                push_token(pointer, member);
            }
        }
        let done = run(self)?;
        self.given.truncate(given_len);
        self.translated.truncate(translated_len);
        Ok(done)
    }

    fn rewrite_patterns(&mut self, map: &mut Map<String, Serde>) -> Result<()> {
        if let Some(Serde::String(pattern)) = map.get_mut("pattern")
            && let Some(rewritten) = self.patterns.add(pattern, &self.given)?
        {
            self.moves.record_pattern(pattern, &rewritten);
            *pattern = rewritten;
        }
        let Some(Serde::Object(named)) = map.get_mut("patternProperties") else { return Ok(()) };
        let mut renamed = Vec::new();
        for pattern in named.keys() {
            if let Some(rewritten) = self.patterns.add(pattern, &self.given)? {
                renamed.push((pattern.clone(), rewritten));
            }
        }
        for (pattern, mut rewritten) in renamed {
            // Two patterns must not get the same name.
            while named.contains_key(&rewritten) {
                rewritten.push_str("(?:)");
            }
            let held = named.shift_remove(&pattern).expect("the pattern was just read");
            let (mut given, mut translated) = (String::new(), String::new());
            push_token(&mut given, &pattern);
            push_token(&mut translated, &rewritten);
            let keyword = "/patternProperties/";
            self.moves.record(
                &format!("{}{keyword}{given}", self.given),
                &format!("{}{keyword}{translated}", self.translated),
            )?;
            named.insert(rewritten, held);
        }
        Ok(())
    }

    fn children(
        &mut self,
        map: &mut Map<String, Serde>,
        moved: &[Moved],
        context: DialectContext,
    ) -> Result<()> {
        for (keyword, holds, _) in &KEYWORDS {
            let Some(held) = map.get_mut(*keyword) else { continue };
            let given = moved.iter().find(|moved| moved.translated == *keyword);
            let given = given.map_or(*keyword, |moved| moved.given);
            match (holds, held) {
                (Holds::One, inner) => {
                    self.at(given, keyword, None, |at| at.schema(inner, context))?;
                }
                (Holds::Many, Serde::Array(items)) => {
                    for (nth, inner) in items.iter_mut().enumerate() {
                        let member = nth.to_string();
                        self.at(given, keyword, Some(&member), |at| at.schema(inner, context))?;
                    }
                }
                (Holds::Named, Serde::Object(members)) => {
                    for (name, inner) in members {
                        self.member(given, keyword, name, inner, context)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn member(
        &mut self,
        given: &str,
        keyword: &str,
        name: &str,
        inner: &mut Serde,
        context: DialectContext,
    ) -> Result<()> {
        self.at(given, keyword, Some(name), |translator| {
            // The spelling of a pattern may differ from the given one.
            let renamed = translator.moves.given(&translator.translated).into_owned();
            let is_renamed = keyword == "patternProperties" && renamed != translator.given;
            let kept = is_renamed.then(|| std::mem::replace(&mut translator.given, renamed));
            translator.schema(inner, context)?;
            if let Some(kept) = kept {
                translator.given = kept;
            }
            Ok(())
        })
    }
}
