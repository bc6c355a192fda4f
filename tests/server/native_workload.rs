//! Natives of random transactions.

use redis_model::op::words;

use crate::workload::Rng;

/// Natives for each kind of structure; a few fail now and then. The digests of servers of different versions are equal
/// where scores are short in binary.
const NATIVES: [&[&str]; 6] = [
    &[
        r#"ZADD '=size(docs)' '"m"'"#,
        r#"ZADD -0.5 '"n\u0000"'"#,
        r#"ZINCRBY 1.5 '"m"'"#,
        r#"ZINCRBY 1024 '"big"'"#,
        r#"ZREM '"m"'"#,
    ],
    &["SADD '=docs.map(k, k)[0]'", r#"SADD '"é"'"#, "SADD 7", "SREM 7", r#"SREM '"é"'"#],
    &[
        r#"HSET '"f"' '{"a":[1]}'"#,
        r#"HINCRBY '"n"' 5"#,
        r#"HINCRBY '"n"' '=size(docs)'"#,
        r#"HDEL '"f"'"#,
        r#"HDEL '"n"'"#,
    ],
    &["LPUSH 1", r#"RPUSH '"two words"'"#, "RPUSH '=docs.map(k, k)'", r#"RPUSH '"%s"'"#],
    &[r#"XADD 5 '{"a":"b"}'"#, r#"XADD 1000 '={"n": size(docs), "at": string(now)}'"#],
    &["SET 5", "INCRBY -3", "INCRBY '=size(docs)'", r#"SET '"text"'"#],
];

/// Natives for anything. Times to live are far away.
const ANY: [&str; 4] = ["UNLINK", "PEXPIRE 900000", r#"PUBLISH '"news"'"#, r#"SPUBLISH '"news"'"#];

const GUARDS: [&str; 3] =
    ["size(docs) > 1", "native['KEY'].size() < 3", "docs.all(k, docs[k] != 1)"];

/// The part of the names of structures behind the prefix.
pub const MARK: &str = "native:";

/// A block, with its key.
pub fn block(rng: &mut Rng, prefix: &str) -> (String, Vec<String>) {
    let nth = rng.below(NATIVES.len());
    let key = format!("{prefix}{MARK}{nth}");
    let mut block = vec!["AT".to_owned(), key.clone()];
    for _ in 0..1 + rng.below(3) {
        if rng.one_in(5) {
            block.extend(["WHEN".into(), rng.pick(&GUARDS).replace("KEY", &key)]);
        }
        let natives = match rng.below(8) {
            0 => &ANY,
            1 => NATIVES[rng.below(NATIVES.len())],
            _ => NATIVES[nth],
        };
        let native = natives[rng.below(natives.len())];
        block.extend(words(native, std::panic::Location::caller()).into_iter().map(String::from));
    }
    (key, block)
}
