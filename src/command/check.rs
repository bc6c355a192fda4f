//! `MODEL.CHECK`: compares the indexes of a model with its documents, part by part.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::args::{Args, find_model};
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::index::key::Range;
use crate::index::{Direction, EntryDigest, EntryPage, IndexSet, ModelIndexes};
use crate::reply::Reply;

/// Keys or entries of one call.
const STEP_ENTRIES: usize = 1000;
/// The steps of evaluating expressions after which one call looks at no more documents: about 20 ms.
const STEP_WORK: u64 = 2_000_000;
/// The number of keys that are scanned at once: the documents of a call are counted after each.
const STEP_KEYS: usize = 1;

/// Disagreements that one call shows.
const FOUND_MAX: usize = 100;

const MISSING: &str = "missing";
const STRAY: &str = "stray";
const DUPLICATE: &str = "duplicate";

#[linkme::distributed_slice(COMMANDS)]
static CHECK: CommandSpec = CommandSpec {
    name: "MODEL.CHECK",
    summary: "Compares the indexes of a model with its documents, part by part",
    since: "0.5.0",
    complexity: "O(1) for each call, which compares 1000 keys or entries; a full check visits every key and every entry once",
    arity: -2,
    flags: &[Flag::ReadOnly, Flag::Dangerous],
    keys: KeyPositions::None,
    tips: &["request_policy:special", "nondeterministic_output"],
    args: &[
        ArgSpec::new("model", ArgKind::String),
        ArgSpec::new("cursor", ArgKind::String).token("CURSOR").optional(),
    ],
    reply: "a map: cursor (for the next call, 0 at the end), and what this call compared: checked (keys or entries), missing (documents that lack an entry, or have a wrong one), stray (entries without their document), duplicates (documents with the values of another one in an index with UNIQUE: in a cluster, of one in the same hash slot: they came by RESTORE, COPY, a migration, or before or while the index was built). Add up the numbers of all calls. found has the first 100 of them: [missing, key], [stray, key, index or null], [duplicate, key, index]. digest is null before the end; at the end it is a digest of all names and entries, in whatever order they came: a master and a replica that have the same documents give the same one, if nothing was written from the first call to the last",
    errors: &[ErrorCode::Err, ErrorCode::NoModel, ErrorCode::Indexing],
    replicated: "nothing",
    examples: &[CommandExample(&[
        Line::new("MODEL.DEFINE job {} INDEX by_state 1 $.state", "(integer) 1"),
        Line::new("MODEL.SET j:1 job {}", "(revision)"),
        Line::new(
            "MODEL.CHECK job",
            "{cursor MQAAAAAAAAAAAAAAAAAAAAA checked (integer) 1 missing (integer) 0 stray (integer) 0 duplicates (integer) 0 found [] digest (nil)}",
        ),
        Line::new(
            "MODEL.CHECK job CURSOR MQAAAAAAAAAAAAAAAAAAAAA",
            "{cursor MiK2zTtDfHamMlTi83WqKEU checked (integer) 1 missing (integer) 0 stray (integer) 0 duplicates (integer) 0 found [] digest (nil)}",
        ),
        Line::new(
            "MODEL.CHECK job CURSOR MiK2zTtDfHamMlTi83WqKEU",
            "{cursor 0 checked (integer) 1 missing (integer) 0 stray (integer) 0 duplicates (integer) 0 found [] digest 7b2e31757d8c6ad10faf47e2524b9a48}",
        ),
        Line::new("MODEL.CHECK job CURSOR ?", "ERR"),
        Line::new("MODEL.CHECK none", "NOMODEL"),
    ])],
    run,
};

/// The position of a check: a phase, and what it has seen.
#[derive(Default)]
struct Position {
    /// 0: the keys of the server. 1: the names of documents. From 2 on: the entries of each index.
    phase: u8,
    /// That of all names and entries so far.
    digest: EntryDigest,
    seen: Vec<u8>,
}

/// The end of a call: another one follows, or all was compared.
enum Step {
    Next(Position),
    End(EntryDigest),
}

#[derive(Default)]
struct Counts {
    checked: usize,
    missing: usize,
    stray: usize,
    duplicates: usize,
    /// The first ones, as the reply has them.
    found: Vec<Reply>,
}

impl Counts {
    fn show(&mut self, kind: &str, key: &[u8], index: Option<&str>) {
        if self.found.len() < FOUND_MAX {
            let text = |text: &[u8]| Reply::Text(text.to_vec());
            let mut found = vec![text(kind.as_bytes()), text(key)];
            if kind != MISSING {
                found.push(index.map_or(Reply::Null, |index| text(index.as_bytes())));
            }
            self.found.push(Reply::Array(found));
        }
    }
}

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let mut args = Args::new(args);
    let name = args.next("a model")?;
    let position = match args.keyword("CURSOR") {
        true => Position::decode(args.next("a cursor")?)?,
        false => Position::default(),
    };
    args.finish()?;
    let mut counts = Counts::default();
    let mut next = Step::End(position.digest);
    if let Some(model) = find_model(host.models(), name)?
        && let Some(set) = model.indexes().declared()
    {
        model.indexes().check_ready().map_err(|error| error.text("model", name))?;
        let indexes = set.indexes.len() as u8;
        let text = model.name().to_owned();
        next = match position.phase {
            0 => check_keys(host, &text, model.indexes(), &position, &mut counts)?,
            1 => check_names(host, &text, model.indexes(), &position, &mut counts),
            phase if phase - 2 < indexes => {
                check_entries(host, (model.indexes(), &set), &position, &mut counts)
            }
            _ => return Err(invalid(b"")),
        };
    }
    let (cursor, digest) = match next {
        Step::Next(position) => (position.encode(), Reply::Null),
        Step::End(digest) => ("0".into(), Reply::Text(digest.to_hex().into_bytes())),
    };
    let reply = Reply::Map(vec![
        ("cursor", Reply::Text(cursor.into_bytes())),
        ("checked", Reply::count(counts.checked)),
        ("missing", Reply::count(counts.missing)),
        ("stray", Reply::count(counts.stray)),
        ("duplicates", Reply::count(counts.duplicates)),
        ("found", Reply::Array(counts.found)),
        ("digest", digest),
    ]);
    Ok(reply.into())
}

/// Each document has the entries it has to have.
fn check_keys(
    host: &mut dyn Host,
    model: &str,
    indexes: &ModelIndexes,
    position: &Position,
    counts: &mut Counts,
) -> Result<Step> {
    let mut cursor = match &position.seen[..] {
        [] => 0,
        seen => u64::from_be_bytes(seen.try_into().map_err(|_| invalid(seen))?),
    };
    let database = host.database();
    let (mut scanned, mut compared) = (0, 0);
    let work = Allowance::unlimited();
    let spent = |work: &Allowance<'_>| u64::MAX - work.steps_left();
    // A document has up to some thousand entries, so few are looked at in a row.
    while scanned < STEP_ENTRIES && compared < STEP_ENTRIES && spent(&work) < STEP_WORK {
        let (next, keys) = host.scan(model, cursor, STEP_KEYS)?;
        for key in keys {
            let Some(document) = host.look(&key) else { continue };
            counts.checked += 1;
            let (agrees, entries) = indexes.agrees(database, &key, document.root.view(), &work);
            if !agrees {
                counts.missing += 1;
                counts.show(MISSING, &key, None);
            }
            compared += entries;
        }
        scanned += STEP_KEYS;
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    Ok(Step::Next(match cursor {
        0 => Position { phase: 1, ..Position::default() },
        next => Position { seen: next.to_be_bytes().to_vec(), ..Position::default() },
    }))
}

/// Each name is that of a document, and has a record.
fn check_names(
    host: &mut dyn Host,
    model: &str,
    indexes: &ModelIndexes,
    position: &Position,
    counts: &mut Counts,
) -> Step {
    let database = host.database();
    let page = position.page(indexes, database, None, Range::names());
    counts.checked += page.len();
    counts.stray += indexes.check_names(database, position.before(), &page);
    let mut digest = position.digest;
    for name in page.iter() {
        let known = host.look(&name[1..]).is_some_and(|document| document.model_name() == model);
        // One that has expired is gone by now, and its name with it; on a replica both stay until the master deletes it.
        let stays = indexes.count(database, None, &Range::of_one(name)) > 0;
        if !known && stays && !host.has_expired(&name[1..]) {
            counts.stray += 1;
            counts.show(STRAY, &name[1..], None);
        }
        if stays {
            digest.add(None, name);
        }
    }
    if page.len() == STEP_ENTRIES {
        let seen = page.last().expect("a full page has entries").to_vec();
        return Step::Next(Position { phase: position.phase, digest, seen });
    }
    counts.stray += indexes.unmatched(database);
    Step::Next(Position { phase: 2, digest, seen: Vec::new() })
}

/// Each entry is one of its document.
fn check_entries(
    host: &mut dyn Host,
    (indexes, set): (&ModelIndexes, &IndexSet),
    position: &Position,
    counts: &mut Counts,
) -> Step {
    let (database, index) = (host.database(), position.phase - 2);
    let page = position.page(indexes, database, Some(index), Range::values());
    let clustered = host.index_scope().clustered;
    let found = indexes.check((database, clustered), index, position.before(), &page);
    counts.checked += found.compared;
    counts.stray += found.stray;
    counts.duplicates += found.duplicates.len();
    let of = set.indexes.get(usize::from(index)).map(|index| &*index.source.name);
    found.strays.iter().for_each(|key| counts.show(STRAY, key, of));
    found.duplicates.iter().for_each(|key| counts.show(DUPLICATE, key, of));
    let mut digest = position.digest;
    let mut last = None;
    for entry in page.iter().take(found.compared) {
        digest.add(Some(index), entry);
        last = Some(entry);
    }
    match last {
        // Others follow, or were not compared.
        Some(last) if page.len() == STEP_ENTRIES || found.compared < page.len() => {
            Step::Next(Position { phase: position.phase, digest, seen: last.to_vec() })
        }
        _ if usize::from(index) + 1 < set.indexes.len() => {
            Step::Next(Position { phase: position.phase + 1, digest, seen: Vec::new() })
        }
        _ => Step::End(digest),
    }
}

impl Position {
    /// The entry before the first one of a page.
    fn before(&self) -> Option<&[u8]> {
        (!self.seen.is_empty()).then_some(&self.seen[..])
    }

    /// The entries behind the position.
    fn page(
        &self,
        indexes: &ModelIndexes,
        database: i32,
        index: Option<u8>,
        mut range: Range,
    ) -> EntryPage {
        if let Some(seen) = self.before() {
            range.low = range.low.max([seen, &[0]].concat());
        }
        indexes.page(database, index, &range, Direction::Ascending, STEP_ENTRIES)
    }

    fn encode(&self) -> String {
        let bytes = [&[b'0' + self.phase], &self.digest.to_bytes()[..], &self.seen].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(text: &[u8]) -> Result<Position> {
        if text == b"0" {
            return Ok(Position::default());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let parsed = bytes.and_then(|bytes| {
            let (phase, rest) = bytes.split_first()?;
            let (digest, seen) = rest.split_first_chunk::<{ EntryDigest::BYTES }>()?;
            Some(Position {
                phase: phase.checked_sub(b'0')?,
                digest: EntryDigest::from_bytes(*digest),
                seen: seen.to_vec(),
            })
        });
        parsed.ok_or_else(|| invalid(text))
    }
}

fn invalid(text: &[u8]) -> Error {
    Error::syntax("a cursor is 0 or what the call before replied").text("argument", text)
}
