//! `MODEL.DEFINE`: defines or redefines a model.

use super::args::{Args, model_limits, parse_version};
use super::host::{Host, Outcome};
use super::{ArgKind, ArgSpec, COMMANDS, CommandExample, CommandSpec, Flag, KeyPositions, Line};
use crate::budget::Allowance;
use crate::codec::definition;
use crate::document::ANY_NAME;
use crate::error::{Error, ErrorCode, Result};
use crate::index::{INDEX_NAME_BYTES_MAX, INDEXES_MAX, IndexSource, PARTS_MAX};
use crate::limit;
use crate::model::{
    ChangesSource, ChangesWith, Defaults, DefinitionSource, Formats, MODELS_MAX, RULES_MAX,
    Refresh, RuleSource, TTL_MAX_S, check_name,
};
use crate::reply::Reply;

#[linkme::distributed_slice(COMMANDS)]
static DEFINE: CommandSpec = CommandSpec {
    name: "MODEL.DEFINE",
    summary: "Defines a model: a schema, rules, indexes, a time to live, a stream of changes",
    since: "0.2.0",
    complexity: "O(N) with N the size of the schema and the rules; documents are not visited, but by new indexes, which are built in the background",
    arity: -3,
    flags: &[Flag::Write, Flag::DenyOom],
    keys: KeyPositions::None,
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    args: &[
        ArgSpec::new("model", ArgKind::String),
        ArgSpec::new("schema", ArgKind::String),
        ArgSpec::new(
            "rule",
            ArgKind::Block(&[
                ArgSpec::new("name", ArgKind::String),
                ArgSpec::new("expr", ArgKind::String),
            ]),
        )
        .token("RULE")
        .optional()
        .multiple(),
        ArgSpec::new(
            "index",
            ArgKind::Block(&[
                ArgSpec::new("name", ArgKind::String),
                ArgSpec::new("numparts", ArgKind::Integer),
                ArgSpec::new("part", ArgKind::String).multiple(),
                ArgSpec::new("unique", ArgKind::Token).token("UNIQUE").optional(),
                ArgSpec::new("only", ArgKind::String).token("ONLY").optional(),
            ]),
        )
        .token("INDEX")
        .optional()
        .multiple(),
        ArgSpec::new(
            "ttl",
            ArgKind::Block(&[
                ArgSpec::new("seconds", ArgKind::Integer),
                ArgSpec::new(
                    "refresh",
                    ArgKind::OneOf(&[
                        ArgSpec::new("write", ArgKind::Token).token("WRITE"),
                        ArgSpec::new("read", ArgKind::Token).token("READ"),
                    ]),
                )
                .token("REFRESH")
                .optional(),
            ]),
        )
        .token("TTL")
        .optional(),
        ArgSpec::new(
            "changes",
            ArgKind::Block(&[
                ArgSpec::new("maxlen", ArgKind::Integer),
                ArgSpec::new(
                    "with",
                    ArgKind::OneOf(&[
                        ArgSpec::new("keys", ArgKind::Token).token("KEYS"),
                        ArgSpec::new("patch", ArgKind::Token).token("PATCH"),
                        ArgSpec::new("after", ArgKind::Token).token("AFTER"),
                        ArgSpec::new("both", ArgKind::Token).token("BOTH"),
                    ]),
                )
                .token("WITH")
                .optional(),
            ]),
        )
        .token("CHANGES")
        .optional(),
        ArgSpec::new("nodefaults", ArgKind::Token).token("NODEFAULTS").optional(),
        ArgSpec::new(
            "formats",
            ArgKind::OneOf(&[
                ArgSpec::new("assert", ArgKind::Token).token("ASSERT"),
                ArgSpec::new("annotate", ArgKind::Token).token("ANNOTATE"),
            ]),
        )
        .token("FORMATS")
        .optional(),
        ArgSpec::new("version", ArgKind::Integer).token("IFVERSION").optional(),
    ],
    reply: "the definition's version, which counts up; the version in force if the definition is the same, with schemas compared as JSON values",
    errors: &[
        ErrorCode::Err,
        ErrorCode::Revision,
        // Of the schema and the rules, which are compiled last.
        ErrorCode::Err,
        ErrorCode::Expr,
        ErrorCode::Range,
        ErrorCode::Limit,
    ],
    replicated: "the definition with its version; nothing if it is the same",
    examples: &[
        CommandExample(&[
            Line::new(
                r#"MODEL.DEFINE item '{"type":"object","properties":{"stock":{"type":"integer"}}}' RULE stock 'self.reserved <= self.stock'"#,
                "(integer) 1",
            ),
            Line::new(r#"MODEL.SET sku:1 item '{"stock":2,"reserved":0}'"#, "(revision)"),
            Line::new("MODEL.FIELDOP sku:1 INCR $.reserved 2", "[2]"),
            Line::new("MODEL.FIELDOP sku:1 INCR $.reserved 1", "RULE"),
            Line::new("MODEL.FIELDOP sku:1 SET $.stock 2.5", "SCHEMA"),
        ]),
        CommandExample(&[
            Line::new("MODEL.DEFINE session {} TTL 60 REFRESH WRITE", "(integer) 1"),
            Line::new("MODEL.DEFINE session {} TTL 60 REFRESH WRITE", "(integer) 1"),
            Line::new("MODEL.DEFINE session {} TTL 90", "(integer) 2"),
            Line::new(r#"MODEL.DEFINE session '{"type":"none"}'"#, "ERR"),
            Line::new("MODEL.DEFINE session {} RULE r 'self.a +'", "EXPR"),
            Line::new("MODEL.DEFINE any {}", "ERR"),
        ]),
        CommandExample(&[
            Line::new(r#"MODEL.DEFINE user '{"title":"a"}' IFVERSION 0"#, "(integer) 1"),
            Line::new(r#"MODEL.DEFINE user '{"title":"b"}' IFVERSION 1"#, "(integer) 2"),
            Line::new(r#"MODEL.DEFINE user '{"title":"a"}' IFVERSION 0"#, "REVISION"),
            Line::new(r#"MODEL.DEFINE user '{ "title": "b" }' IFVERSION 0"#, "(integer) 2"),
            Line::new("MODEL.DEFINE user {} NODEFAULTS FORMATS ANNOTATE", "(integer) 3"),
        ]),
        CommandExample(&[
            Line::new(
                "MODEL.DEFINE user {} INDEX by_mail 1 self.mail.lowerAscii() UNIQUE INDEX by_day 2 $.status $.day ONLY '!self.deleted'",
                "(integer) 1",
            ),
            Line::new(r#"MODEL.SET u:1 user '{"mail":"ann@x.de"}'"#, "(revision)"),
            Line::new(r#"MODEL.SET u:2 user '{"mail":"Ann@x.de"}'"#, "UNIQUE"),
            Line::new("MODEL.DEFINE user {} INDEX i 1 $..mail", "ERR"),
            Line::new("MODEL.DEFINE user {} INDEX i 1 args.n", "EXPR"),
        ]),
        CommandExample(&[
            Line::new("MODEL.DEFINE order {} CHANGES 1000000", "(integer) 1"),
            Line::new("MODEL.DEFINE order {} CHANGES 1000000 WITH PATCH", "(integer) 1"),
            Line::new("MODEL.DEFINE order {} CHANGES 1000 WITH BOTH TTL 60", "(integer) 2"),
            Line::new("MODEL.DEFINE order {} CHANGES", "ERR"),
            Line::new("MODEL.DEFINE order {} CHANGES 0", "ERR"),
            Line::new("MODEL.DEFINE order {} CHANGES 10 WITH ALL", "ERR"),
            Line::new("MODEL.DEFINE {order} {} CHANGES 10", "ERR"),
        ]),
        CommandExample(&[
            Line::new(
                "MODEL.DEFINE order {} INDEX by_day 1 $.day TTL 60 RULE covered 'self.n >= 0'",
                "(integer) 1",
            ),
            Line::new(
                "MODEL.DEFINE order {} RULE covered 'self.n >= 0' INDEX by_day 1 $.day TTL 60",
                "(integer) 1",
            ),
            Line::new("MODEL.DEFINE order {} TTL 60 TTL 60", "ERR"),
        ]),
    ],
    run,
};

/// The parsed arguments.
struct NewDefinition<'a> {
    name: &'a str,
    source: DefinitionSource,
    /// The version that has to be in force; 0 where the model is not to be defined.
    if_version: Option<u32>,
}

fn run(host: &mut dyn Host, args: &[&[u8]]) -> Result<Outcome> {
    let NewDefinition { name, source, if_version } = parse(args)?;
    let settings = host.settings();
    let models = host.models();
    let with_model = |error: Error| error.text("model", name.as_bytes());
    let Some(entry) = models.next(name, source, MODELS_MAX as u64).map_err(with_model)? else {
        return Ok(Reply::Int(models.version(name).into()).into());
    };
    let version = models.version(name);
    if if_version.is_some_and(|wanted| wanted != version) {
        let message = "another version of the model is defined";
        return Err(with_model(Error::new(ErrorCode::Revision, message))
            .integer("definition-version", version.into()));
    }
    let allowance = Allowance::new(&settings.work);
    models.define(&entry, &model_limits(&settings), &allowance).map_err(with_model)?;
    let mut outcome = Outcome::from(Reply::Int(entry.version.into()));
    outcome.definition = Some(definition::encode(&entry).into());
    Ok(outcome)
}

fn parse<'a>(args: &'a [&'a [u8]]) -> Result<NewDefinition<'a>> {
    let mut args = Args::new(args);
    let name = check_name(args.next("a model")?, ANY_NAME)?;
    let mut source =
        DefinitionSource { schema: args.next("a schema")?.into(), ..DefinitionSource::default() };
    let (mut has_formats, mut if_version) = (false, None);
    // Options stand in any order.
    while !args.is_finished() {
        if args.keyword("RULE") {
            add_rule(&mut args, &mut source)?;
        } else if args.keyword("INDEX") {
            add_index(&mut args, &mut source)?;
        } else if args.option("TTL", source.ttl_s.is_some())? {
            parse_ttl(&mut args, &mut source)?;
        } else if args.option("CHANGES", source.changes.is_some())? {
            source.changes = Some(parse_changes(&mut args, name)?);
        } else if args.option("NODEFAULTS", source.defaults == Defaults::Ignored)? {
            source.defaults = Defaults::Ignored;
        } else if args.option("FORMATS", has_formats)? {
            has_formats = true;
            source.formats = parse_formats(&mut args)?;
        } else if args.option("IFVERSION", if_version.is_some())? {
            if_version = Some(parse_version(&mut args)?);
        } else {
            break;
        }
    }
    args.finish()?;
    Ok(NewDefinition { name, source, if_version })
}

fn add_rule(args: &mut Args<'_>, source: &mut DefinitionSource) -> Result<()> {
    let rule = parse_rule(args)?;
    if source.rules.len() == RULES_MAX {
        return Err(Error::limit(limit::RULES, RULES_MAX as u64));
    }
    if source.rules.iter().any(|known| known.name == rule.name) {
        return Err(Error::syntax("two rules have one name").text("rule", rule.name.as_bytes()));
    }
    source.rules.push(rule);
    Ok(())
}

fn add_index(args: &mut Args<'_>, source: &mut DefinitionSource) -> Result<()> {
    let index = parse_index(args)?;
    if source.indexes.len() == INDEXES_MAX {
        return Err(Error::limit(limit::INDEXES, INDEXES_MAX as u64));
    }
    if source.indexes.iter().any(|known| known.name == index.name) {
        let error = Error::syntax("two indexes have one name");
        return Err(error.text("index", index.name.as_bytes()));
    }
    source.indexes.push(index);
    Ok(())
}

fn parse_formats(args: &mut Args<'_>) -> Result<Formats> {
    if args.keyword("ASSERT") {
        return Ok(Formats::Assert);
    }
    if args.keyword("ANNOTATE") {
        return Ok(Formats::Annotate);
    }
    let written = args.left().first().copied().unwrap_or_default();
    Err(Error::syntax("FORMATS needs ASSERT or ANNOTATE").text("argument", written))
}

fn parse_ttl(args: &mut Args<'_>, source: &mut DefinitionSource) -> Result<()> {
    let seconds = args.integer("seconds")?;
    let valid = u64::try_from(seconds).ok().filter(|ttl| (1..=TTL_MAX_S).contains(ttl));
    source.ttl_s = Some(valid.ok_or_else(|| {
        Error::syntax("a time to live is at least a second").integer("seconds", seconds)
    })?);
    if args.keyword("REFRESH") {
        source.refresh = match () {
            () if args.keyword("WRITE") => Refresh::Write,
            () if args.keyword("READ") => Refresh::Read,
            () => return Err(Error::syntax("REFRESH needs WRITE or READ")),
        };
    }
    Ok(())
}

/// `maxlen [WITH KEYS|PATCH|AFTER|BOTH]`.
fn parse_changes(args: &mut Args<'_>, model: &str) -> Result<ChangesSource> {
    // The tag of the stream would not be its own.
    if model.contains('{') {
        let error = Error::syntax("the name of a model with CHANGES has no brace");
        return Err(error.text("model", model.as_bytes()));
    }
    let maxlen = args.integer("maxlen")?;
    let entries = u64::try_from(maxlen).ok().filter(|entries| *entries > 0);
    let entries = entries.ok_or_else(|| {
        Error::syntax("a change stream keeps at least one entry").integer("maxlen", maxlen)
    })?;
    let mut with = ChangesWith::default();
    if args.keyword("WITH") {
        let chosen = ChangesWith::ALL.into_iter().find(|with| args.keyword(with.word()));
        with = chosen.ok_or_else(|| {
            let written = args.left().first().copied().unwrap_or_default();
            Error::syntax("WITH needs KEYS, PATCH, AFTER or BOTH").text("argument", written)
        })?;
    }
    Ok(ChangesSource { entries, with })
}

/// `name numparts part [part ...] [UNIQUE] [ONLY expr]`.
fn parse_index(args: &mut Args<'_>) -> Result<IndexSource> {
    let name = args.next("an index's name")?;
    if name.len() > INDEX_NAME_BYTES_MAX {
        return Err(Error::limit(limit::INDEX_NAME_BYTES, INDEX_NAME_BYTES_MAX as u64));
    }
    let text = std::str::from_utf8(name).ok().filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| {
        Error::syntax("an index's name is UTF-8 and not empty").text("index", name)
    })?;
    let with_name = |error: Error| error.text("index", name);
    let count = args.integer("numparts")?;
    if count < 1 {
        let error = Error::syntax("an index has at least one part");
        return Err(with_name(error.integer("numparts", count)));
    }
    if count > PARTS_MAX as i64 {
        return Err(with_name(Error::limit(limit::INDEX_PARTS, PARTS_MAX as u64)));
    }
    let mut parts = Vec::new();
    for _ in 0..count {
        let part = args.next("a part of an index")?;
        parts.push(super::args::expression(part).map_err(with_name)?.into());
    }
    let unique = args.keyword("UNIQUE");
    let only = match args.keyword("ONLY") {
        true => Some(args.next("the expression of ONLY").and_then(super::args::expression)),
        false => None,
    };
    let only = only.transpose().map_err(with_name)?.map(Box::from);
    Ok(IndexSource { name: text.into(), parts, unique, only })
}

fn parse_rule(args: &mut Args<'_>) -> Result<RuleSource> {
    let name = args.next("a rule's name")?;
    let text = std::str::from_utf8(name)
        .ok()
        .filter(|text| !text.is_empty() && text.len() <= crate::model::NAME_BYTES_MAX)
        .ok_or_else(|| {
            Error::syntax("a rule's name is UTF-8, not empty, and at most 255 bytes")
                .text("rule", name)
        })?;
    let expr = super::args::expression(args.next("a rule's expression")?)
        .map_err(|error| error.text("rule", name))?;
    Ok(RuleSource { name: text.into(), expr: expr.into() })
}
