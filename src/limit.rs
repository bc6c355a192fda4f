//! Every limit a user meets, declared once: defaults, `CONFIG`, docs/operating.md and `LIMIT` errors come from here.
//!
//! To add one that is configured: add a row to [`configured`], read it in `redis/config.rs`, refuse with
//! [`crate::error::Error::limit`], and run `make docs`.

use std::fmt::Write;

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// As errors name it; with the prefix `model.` where it is configured.
    pub name: &'static str,
    pub default: u64,
    pub min: u64,
    pub max: u64,
    pub unit: Unit,
    /// The thing it is a limit of, for docs/operating.md.
    pub of: &'static str,
    /// Where its configured value is kept; 0 where it is fixed.
    pub slot: usize,
}

/// The thing a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    /// `CONFIG SET` takes `64mb`, too.
    Bytes,
    Milliseconds,
}

macro_rules! limits {
    (configured { $($name:ident: $text:literal, $default:expr, $min:literal..$max:expr, $unit:ident, $of:literal;)* }
     fixed { $($fixed:ident: $fixed_text:literal, $value:expr, $fixed_unit:ident, $fixed_of:literal;)* }) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Slot { $($name,)* }

        $(pub const $name: Limit = Limit {
            name: $text,
            default: $default,
            min: $min,
            max: $max,
            unit: Unit::$unit,
            of: $of,
            slot: Slot::$name as usize,
        };)*
        $(pub const $fixed: Limit = Limit {
            name: $fixed_text,
            default: $value,
            min: $value,
            max: $value,
            unit: Unit::$fixed_unit,
            of: $fixed_of,
            slot: 0,
        };)*

        /// The limits that are configured, in the order of their slots.
        pub const CONFIGURED: [Limit; [$(Slot::$name as usize,)*].len()] = [$($name,)*];
        /// The limits that are not.
        pub const FIXED: [Limit; [$($fixed_text,)*].len()] = [$($fixed,)*];
    };
}

/// Ten years, in milliseconds: longer times are mistakes.
const TEN_YEARS_MS: u64 = 315_360_000_000;

limits! {
configured {
    DOCUMENT_BYTES: "model.document-bytes", 64 << 20, 1..1 << 30, Bytes,
        "a document's JSON text; the values that one command puts in, and its effects for replicas (with the names on the way to each change), may each be four times as long";
    DEPTH: "model.depth", 128, 1..512, Count, "nesting of arrays and objects";
    PATH_BYTES: "model.path-bytes", 4096, 1..1 << 20, Bytes, "one path";
    COMMAND_STEPS: "model.command-steps", 10_000_000, 1..1 << 40, Count,
        "the work of one command, over all its statements, documents, expressions, rules, schemas and queries together; a step is about 10 ns (see below)";
    QUERY_NODES: "model.query-nodes", 1_000_000, 1..1 << 40, Count,
        "nodes that the queries of one command visit; eight elements of an array that an operator visits or moves count as one";
    QUERY_BYTES: "model.query-bytes", 64 << 20, 1..1 << 30, Bytes, "the text of all values that a query finds";
    REPLY_BYTES: "model.reply-bytes", 512 << 20, 1..1 << 40, Bytes,
        "the whole reply of one `MODEL.GET`, `MODEL.MGET`, `MODEL.FIELDOP` or `MODEL.TXN`: the text of each value, counted as 64 bytes if it is shorter";
    SCHEMA_BYTES: "model.schema-bytes", 1 << 20, 1..16 << 20, Bytes, "a model's JSON Schema";
    SCHEMA_PATTERN_BYTES: "model.schema-pattern-bytes", 16 << 20, 1..1 << 30, Bytes,
        "memory of the compiled patterns of one schema, together";
    EXPRESSION_BYTES: "model.expression-bytes", 4096, 1..1 << 16, Bytes, "one expression; 65536 at most";
    EXPRESSION_DEPTH: "model.expression-depth", 32, 1..64, Count, "nesting of an expression";
    EXPRESSION_STEPS: "model.expression-steps", 1_000_000, 1..1 << 40, Count, "steps of one evaluation";
    EXPRESSION_CACHE_ENTRIES: "model.expression-cache-entries", 1024, 1..1 << 20, Count,
        "compiled expressions in the cache";
    EXPRESSION_CACHE_BYTES: "model.expression-cache-bytes", 4 << 20, 1..1 << 30, Bytes, "memory of the compiled expressions in the cache";
    TOKEN_REPLY_BYTES: "model.token-reply-bytes", 64 << 10, 1..1 << 30, Bytes,
        "a reply that is recorded under a token, or restored with one";
    CHANGE_BYTES: "model.change-bytes", 512 << 20, 1..512 << 20, Bytes,
        "the content of one entry of a change stream: a patch, or the documents before and after";
    ACTIONS: "model.actions", 4096, 1..1 << 16, Count, "actions that are defined at the same time";
    ACTION_BYTES: "model.action-bytes", 1 << 20, 1..16 << 20, Bytes,
        "an action: its roles, the schema behind PARAMS and its blocks, together";
    FIND_ENTRIES: "model.find-entries", 10_000, 1..1 << 20, Count,
        "entries of an index that one `MODEL.FIND` looks at; then it returns what it has found, and a cursor";
    FIND_WAITERS: "model.find-waiters", 10_000, 1..1 << 20, Count,
        "requests of `MODEL.FINDOP` with `WAIT` that wait on this server";
    LOCK_WAITERS: "model.lock-waiters", 10_000, 1..1 << 20, Count, "requests that wait for one lock";
    LOCK_NAMES: "model.lock-names", 1000, 1..1 << 20, Count, "locks held on one document";
    LOCK_HOLDERS: "model.lock-holders", 10_000, 1..1 << 20, Count, "holders of one shared lock";
    LOCK_LEASE_MIN: "model.lock-lease-min", 1, 1..TEN_YEARS_MS, Milliseconds, "the shortest lease, in milliseconds";
    LOCK_LEASE_MAX: "model.lock-lease-max", 86_400_000, 1..TEN_YEARS_MS, Milliseconds,
        "the longest lease, in milliseconds";
}
fixed {
    TRANSACTION_KEYS: "transaction-keys", 1024, Count, "keys of one transaction or `MODEL.MLOCK`, roles of an action";
    BLOCKS: "blocks", 1024, Count, "blocks of one transaction";
    STATEMENTS: "statements", 1024, Count, "statements of one command, all blocks together";
    STREAM_ENTRY_BYTES: "stream-entry-bytes", 1 << 30, Bytes, "the fields and values of one native `XADD`";
    STREAM_ID: "stream-id", u64::MAX, Count,
        "each part of the id of a stream's entry: a native `XADD` behind the last one is refused";
    PATHS: "paths", 1024, Count, "paths of one `MODEL.GET` or `MODEL.MGET`";
    CURRENT_BYTES: "current-bytes", 64 << 10, Bytes,
        "the JSON text of `current` in a refusal; for a longer one the refusal has its length as `current-bytes`";
    OTHER_REFUSALS: "other-refusals", 16, Count, "failed assertions that a refusal lists as `others`";
    PATCH_OPERATIONS: "patch-operations", 16_384, Count, "operations of one `PATCH`";
    FILTER_DEPTH: "filter-depth", 32, Count, "nesting of a filter";
    PATTERN_BYTES: "pattern-bytes", 4096, Bytes,
        "a pattern of `match`, `search` or `matches` that comes from a document or from `ARGS`";
    PATTERN_WEIGHT: "pattern-weight", 4096, Count,
        "a pattern of `match` or `search`: one for each character, group and bar, more for classes, times their repetitions";
    EXPRESSION_NESTING: "expression-nesting", 128, Count,
        "nesting of lists, maps and optionals that an expression makes";
    JOURNAL_BYTES: "journal-bytes", 4 * DOCUMENT_BYTES.default, Bytes,
        "the effects of one command, for replicas: four times the configured `model.document-bytes`";
    COUNT: "count", 10_000, Count, "a `COUNT` of `MODEL.DOCUMENTS`";
    EXPRESSION_CHAIN: "expression-chain", 1000, Count, "operators or members in a row in an expression; 192 inside a call";
    MODELS: "models", 4096, Count, "models that are defined at the same time";
    MODEL_NAME_BYTES: "model-name-bytes", 255, Bytes, "a model's name";
    ACTION_NAME_BYTES: "action-name-bytes", 255, Bytes, "an action's name";
    ROLE_NAME_BYTES: "role-name-bytes", 255, Bytes, "the name of an action's role";
    FIND_LIMIT: "find-limit", 10_000, Count, "a `LIMIT` of `MODEL.FIND`";
    FINDOP_LIMIT: "findop-limit", 1000, Count, "a `LIMIT` of `MODEL.FINDOP`";
    FINDOP_WAIT_BYTES: "findop-wait-bytes", 1 << 20, Bytes,
        "all arguments of a `MODEL.FINDOP` that waits";
    FINDOP_WAIT: "findop-wait", TEN_YEARS_MS, Milliseconds, "a `WAIT` of `MODEL.FINDOP`, in milliseconds: ten years";
    INDEXES: "indexes", 16, Count, "indexes of one model";
    INDEX_PARTS: "index-parts", 8, Count, "parts of one index";
    INDEX_VALUES: "index-values", 1000, Count,
        "values that a document has in a part of an index, when it is written";
    INDEX_NAME_BYTES: "index-name-bytes", 255, Bytes, "the name of an index";
    RULES: "rules", 64, Count, "rules of one model";
    DEFINITION_VERSIONS: "definition-versions", (u32::MAX >> 1) as u64, Count, "versions of one definition";
    SCHEMA_DEPTH: "model.schema-depth", 100, Count, "nesting of arrays and objects in a schema";
    SCHEMA_NODES: "model.schema-nodes", 20_000, Count, "subschemas of a schema";
    SCHEMA_POINTER_BYTES: "model.schema-pointer-bytes", 4 << 20, Bytes,
        "the JSON Pointers of all subschemas of a schema, together";
    SCHEMA_WEIGHT: "model.schema-weight", 10_000, Count, "subschemas that may apply to one value";
    SCHEMA_CHAIN: "model.schema-chain", 200, Count, "subschemas in a row between a value and one that applies to it";
    SCHEMA_BRANCH_STEPS: "model.schema-branch-steps", 1 << 20, Count, "steps of comparing the alternatives of a schema when it is compiled";
    SCHEMA_CROSSINGS: "model.schema-crossings", 16, Count, "references by which subschemas contain each other";
    SCHEMA_STEPS: "model.schema-steps", 1 << 27, Count,
        "steps of validating a whole document, with every comparison with a value of an `enum`";
    LOCK_NAME_BYTES: "lock-name-bytes", 256, Bytes, "the name of a lock or an owner";
    LOCK_WAIT: "lock-wait", TEN_YEARS_MS, Milliseconds, "a `WAIT` of a lock, in milliseconds: ten years";
    TOKEN_WINDOW: "token-window", TEN_YEARS_MS, Milliseconds, "a `WINDOW`, in milliseconds: ten years";
}
}

/// The two tables of docs/operating.md.
pub fn tables() -> String {
    let mut out = String::new();
    for (title, limits) in [("limit", &CONFIGURED[..]), ("fixed", &FIXED)] {
        let _ = writeln!(
            out,
            "| {title} | {} | of what |\n|---|---|---|",
            match title {
                "limit" => "default",
                _ => "limit",
            }
        );
        for limit in limits {
            let _ = writeln!(out, "| `{}` | {} | {} |", limit.name, limit.default, limit.of);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sound() {
        for (slot, limit) in CONFIGURED.iter().enumerate() {
            assert!((limit.min..=limit.max).contains(&limit.default), "{limit:?}");
            assert_eq!(limit.slot, slot);
            assert!(limit.name.starts_with("model."), "{limit:?}");
            assert_eq!(limit.unit == Unit::Bytes, limit.name.ends_with("-bytes"), "{limit:?}");
        }
        let all = CONFIGURED.iter().chain(&FIXED);
        let mut names: Vec<_> = all.map(|limit| limit.name).collect();
        names.sort();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    }
}
