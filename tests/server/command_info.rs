//! The server's description of our commands is their declaration: `COMMAND INFO`, `COMMAND DOCS`,
//! `COMMAND GETKEYS`, and where a cluster sends them.

use redis_model::command::{self, ArgKind, ArgSpec, CommandSpec, Flag, KeyPositions};
use redis_model::native;
use redis_model::op::{self, OpSpec, Operand, OperandKind};

use crate::cluster::{Cluster, SlotMove};
use crate::harness::{Flavor, on_every_flavor, on_every_shared};
use crate::resp::{Conn, Reply};

fn texts(reply: &Reply) -> Vec<String> {
    reply.array().iter().map(|item| item.text().to_owned()).collect()
}

fn for_each_command(check: impl Fn(&mut Conn, Flavor, &'static CommandSpec) + Sync) {
    on_every_shared(|server| {
        for conn in &mut [server.conn(), server.conn_resp3()] {
            command::all().iter().for_each(|spec| check(conn, server.flavor, spec));
        }
    });
}

#[test]
fn the_server_has_the_declared_commands_and_no_others() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let listed = conn.must(&["COMMAND", "LIST", "FILTERBY", "MODULE", "model"]);
        let mut listed: Vec<_> = texts(&listed).iter().map(|name| name.to_uppercase()).collect();
        listed.sort();
        let declared: Vec<_> = command::all().iter().map(|spec| spec.name.to_owned()).collect();
        assert_eq!(listed, declared);
        let count = conn.must(&["COMMAND", "COUNT"]).int();
        let all = texts(&conn.must(&["COMMAND", "LIST"]));
        let commands = all.iter().filter(|name| !name.contains('|'));
        assert_eq!(commands.count() as i64, count);
    });
}

#[test]
fn command_info_is_as_declared() {
    for_each_command(|conn, flavor, spec| {
        let info = conn.must(&["COMMAND", "INFO", spec.name]);
        let info = info.array()[0].array();
        let name = spec.name;
        assert_eq!(info[0].text().to_uppercase(), name);
        assert_eq!(info[1].int(), i64::from(spec.arity), "{name}");
        check_flags(&texts(&info[2]), spec);
        let first = i64::from(spec.keys == KeyPositions::First);
        let range = [info[3].int(), info[4].int(), info[5].int()];
        assert_eq!(range, [first; 3], "{name}: the first key, the last, and the step");
        check_categories(&texts(&info[6]), flavor, spec);
        assert_eq!(texts(&info[7]), spec.tips, "{name}");
        check_key_specs(info[8].array(), spec);
        assert!(info[9].array().is_empty(), "{name} has no subcommands");
    });
}

fn check_flags(flags: &[String], spec: &CommandSpec) {
    let has = |flag: &str| flags.iter().any(|found| found == flag);
    let declared = |flag| spec.flags.contains(&flag);
    let name = spec.name;
    assert!(has("module"), "{name}");
    assert_eq!(has("write"), declared(Flag::Write), "{name}");
    assert_eq!(has("readonly"), declared(Flag::ReadOnly), "{name}");
    assert_eq!(has("denyoom"), declared(Flag::DenyOom), "{name}");
    assert_eq!(has("fast"), declared(Flag::Fast), "{name}");
    assert_eq!(has("admin"), declared(Flag::Dangerous), "{name}");
    assert_eq!(has("loading") && has("stale"), declared(Flag::Always), "{name}");
    // Without it a cluster does not know where the keys stand.
    assert_eq!(has("movablekeys"), spec.keys.are_asked(), "{name}: {flags:?}");
    assert_eq!(has("blocking"), declared(Flag::Blocking), "{name}");
    assert!(!has("noscript") && !has("pubsub"), "{name}");
}

fn check_categories(categories: &[String], flavor: Flavor, spec: &CommandSpec) {
    let has = |category: &str| categories.iter().any(|found| found == category);
    if flavor == Flavor::Redis70 {
        // It takes none from a module.
        return;
    }
    let declared = |flag| spec.flags.contains(&flag);
    assert!(has("@model"), "{}: {categories:?}", spec.name);
    assert_eq!(has("@write"), declared(Flag::Write), "{}", spec.name);
    assert_eq!(has("@read"), declared(Flag::ReadOnly), "{}", spec.name);
    assert_eq!(has("@fast"), declared(Flag::Fast), "{}", spec.name);
    assert_eq!(has("@slow"), !declared(Flag::Fast), "{}", spec.name);
    assert_eq!(has("@dangerous"), declared(Flag::Dangerous), "{}", spec.name);
    assert_eq!(has("@blocking"), declared(Flag::Blocking), "{}", spec.name);
}

fn check_key_specs(specs: &[Reply], spec: &CommandSpec) {
    let name = spec.name;
    if spec.keys == KeyPositions::None {
        assert!(specs.is_empty(), "{name}");
        return;
    }
    assert_eq!(specs.len(), 1, "{name}");
    let flags = texts(specs[0].field("flags"));
    let has = |flag: &str| flags.iter().any(|found| found == flag);
    let writes = spec.flags.contains(&Flag::Write);
    assert_eq!(has("RO"), !writes, "{name}: {flags:?}");
    assert_eq!(has("RW") || has("OW"), writes, "{name}: {flags:?}");
    assert_eq!(has("update"), writes, "{name}: {flags:?}");
    assert!(has("access") || has("OW"), "{name}: {flags:?}");
    assert!(!has("not_key") && !has("variable_flags"), "{name}: {flags:?}");
    let begin = specs[0].field("begin_search");
    assert_eq!(has("incomplete"), matches!(spec.keys, KeyPositions::Behind(_)), "{name}");
    if let KeyPositions::Behind(word) = spec.keys {
        assert_eq!(begin.field("type").text(), "keyword", "{name}");
        assert_eq!(begin.field("spec").field("keyword").text(), word, "{name}");
        return;
    }
    assert_eq!(begin.field("type").text(), "index", "{name}");
    let index = match spec.keys {
        KeyPositions::Counted(at) => at,
        _ => 1,
    };
    assert_eq!(begin.field("spec").field("index").int(), index as i64, "{name}");
    let find = specs[0].field("find_keys");
    if spec.keys == KeyPositions::First {
        assert_eq!(find.field("type").text(), "range", "{name}");
        assert_eq!(find.field("spec").field("lastkey").int(), 0, "{name}");
    } else {
        assert_eq!(find.field("type").text(), "keynum", "{name}");
        assert_eq!(find.field("spec").field("keynumidx").int(), 0, "{name}");
        assert_eq!(find.field("spec").field("firstkey").int(), 1, "{name}");
        assert_eq!(find.field("spec").field("keystep").int(), 1, "{name}");
    }
}

#[test]
fn command_docs_are_as_declared() {
    for_each_command(|conn, _, spec| {
        let docs = conn.must(&["COMMAND", "DOCS", spec.name]);
        let docs = docs.pairs()[0].1;
        let name = spec.name;
        assert_eq!(docs.field("summary").text(), spec.summary, "{name}");
        assert_eq!(docs.field("since").text(), spec.since, "{name}");
        assert_eq!(docs.field("complexity").text(), spec.complexity, "{name}");
        assert_eq!(docs.field("group").text(), "module", "{name}");
        assert_eq!(docs.field("module").text(), "model", "{name}");
        let arguments = find(docs, "arguments").map_or(&[][..], Reply::array);
        check_args(arguments, spec.args, name);
    });
}

/// A member that may be missing.
fn find<'a>(map: &'a Reply, name: &str) -> Option<&'a Reply> {
    map.pairs().into_iter().find(|(key, _)| key.text() == name).map(|(_, value)| value)
}

fn text(map: &Reply, name: &str) -> Option<String> {
    find(map, name).map(|value| value.text().to_owned())
}

fn check_args(found: &[Reply], declared: &[ArgSpec], of: &str) {
    assert_eq!(found.len(), declared.len(), "arguments of {of}");
    for (found, declared) in found.iter().zip(declared) {
        check_arg(found, declared, of);
    }
}

fn check_arg(found: &Reply, declared: &ArgSpec, of: &str) {
    let of = &format!("{of} {}", declared.name);
    assert_eq!(found.field("name").text(), declared.name, "{of}");
    assert_eq!(text(found, "token").as_deref(), declared.token, "{of}");
    let flags = find(found, "flags").map(texts).unwrap_or_default();
    assert_eq!(flags.contains(&"optional".to_owned()), declared.optional, "{of}");
    assert_eq!(flags.contains(&"multiple".to_owned()), declared.multiple, "{of}");
    let arguments = || found.field("arguments").array();
    let kind = match &declared.kind {
        ArgKind::Key => "key",
        ArgKind::String => "string",
        ArgKind::Integer => "integer",
        ArgKind::UnixTime => "unix-time",
        ArgKind::Token => "pure-token",
        ArgKind::OneOf(args) => {
            check_args(arguments(), args, of);
            "oneof"
        }
        ArgKind::Block(args) => {
            check_args(arguments(), args, of);
            "block"
        }
        ArgKind::Statement => {
            let others = [op::of(op::Target::Lock), op::of(op::Target::Document)].concat();
            check_statements(arguments(), others);
            "oneof"
        }
        ArgKind::TransactionStatement => {
            use op::Target::{Document, Key, Lock};
            let others = [op::of(Lock), op::of(Document), op::of(Key)].concat();
            check_statements(arguments(), others);
            "oneof"
        }
        ArgKind::Native => {
            let (guard, natives) = arguments().split_first().expect("WHEN comes first");
            assert_eq!(guard.field("token").text(), "WHEN");
            assert_eq!(natives.len(), native::all().len());
            for (found, spec) in natives.iter().zip(native::all()) {
                check_operator(found, spec.name, spec.summary, spec.operands);
            }
            "oneof"
        }
    };
    assert_eq!(found.field("type").text(), kind, "{of}");
    let is_key = matches!(declared.kind, ArgKind::Key);
    assert_eq!(find(found, "key_spec_index").map(Reply::int), is_key.then_some(0), "{of}");
}

/// The statements are the assertions, then every operator with its operands, then these others.
fn check_statements(found: &[Reply], others: Vec<&'static OpSpec>) {
    let count = op::of(op::Target::Value).len() + others.len();
    let (assertions, operators) = found.split_at(found.len() - count);
    let tokens: Vec<_> = assertions.iter().map(|arg| arg.field("token").text()).collect();
    assert_eq!(tokens, ["IF", "IFREV", "HOLDING", "EXISTS", "MISSING", "WHEN", "STRICT"]);
    for (found, spec) in operators.iter().zip(op::of(op::Target::Value).iter().chain(&others)) {
        check_operator(found, spec.name, spec.summary, spec.operands);
    }
}

fn check_operator(found: &Reply, name: &str, summary: &str, declared: &[Operand]) {
    assert_eq!(found.field("token").text(), name);
    assert_eq!(found.field("summary").text(), summary, "{name}");
    if declared.is_empty() {
        assert_eq!(found.field("type").text(), "pure-token", "{name}");
        return;
    }
    assert_eq!(found.field("type").text(), "block", "{name}");
    let operands = found.field("arguments").array();
    assert_eq!(operands.len(), declared.len(), "{name}");
    for (found, declared) in operands.iter().zip(declared) {
        check_operand(found, declared, name);
    }
}

fn check_operand(found: &Reply, declared: &Operand, of: &str) {
    assert_eq!(found.field("name").text(), declared.name, "{of}");
    assert_eq!(text(found, "token"), None, "{of} {}", declared.name);
    let kind = match declared.kind {
        OperandKind::Integer | OperandKind::Fence => "integer",
        OperandKind::Choice(words) => {
            let choices = found.field("arguments").array();
            let tokens: Vec<_> = choices.iter().map(|arg| arg.field("token").text()).collect();
            assert_eq!(tokens, words, "{of}");
            "oneof"
        }
        _ => "string",
    };
    assert_eq!(found.field("type").text(), kind, "{of} {}", declared.name);
}

#[test]
fn keys_are_found_where_they_stand() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let mut keys = |command: &[&str]| {
            let reply = conn.call(&[&["COMMAND", "GETKEYS"], command].concat());
            if reply.is_error() { Err(reply.error().to_owned()) } else { Ok(texts(&reply)) }
        };
        let mut check = |command: &[&str], expected: &[&str]| {
            let expected = expected.iter().map(|key| (*key).to_owned()).collect();
            assert_eq!(keys(command), Ok(expected), "{command:?}");
        };
        check(&["MODEL.SET", "k", "any", "{}"], &["k"]);
        check(&["MODEL.GET", "k", "$.a", "$.b"], &["k"]);
        check(&["MODEL.META", "k"], &["k"]);
        check(&["MODEL.EVAL", "k", "self"], &["k"]);
        check(&["MODEL.APPLY", "k", "x"], &["k"]);
        check(&["MODEL.APPLYALL", "2", "k", "l", "x", "{}"], &["k", "l"]);
        check(&["MODEL.FIELDOP", "k", "COPY", "$.a", "$.b"], &["k"]);
        check(&["MODEL.MGET", "1", "k"], &["k"]);
        check(&["MODEL.MGET", "2", "k", "l", "$.a"], &["k", "l"]);
        check(&["MODEL.MGET", "3", "k", "k", "l"], &["k", "k", "l"]);
        for wrong in ["0", "-1", "2", "x", "99999999999999999999"] {
            assert!(keys(&["MODEL.MGET", wrong, "k"]).is_err(), "{wrong}");
        }
        assert!(keys(&["MODEL.HELP"]).is_err());

        let flags = conn.must(&["COMMAND", "GETKEYSANDFLAGS", "MODEL.MGET", "2", "k", "l"]);
        for (found, key) in flags.array().iter().zip(["k", "l"]) {
            assert_eq!(found.array()[0].text(), key);
            assert_eq!(texts(&found.array()[1]), ["RO", "access"]);
        }
    });
}

/// Two names in one slot, and one in a slot of another node.
#[test]
fn a_cluster_routes_every_command() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let (here, there) = ("{a}:1", far_from(&cluster, "{a}:1"));
        let conn = &mut cluster.conn_of(here);
        conn.must(&["MODEL.SET", here, "any", r#"{"n":1}"#]);
        conn.must(&["MODEL.FIELDOP", here, "INCR", "$.n", "1"]);
        let both = conn.must(&["MODEL.MGET", "2", here, "{a}:2", "$.n"]);
        assert_eq!(both.array(), [Reply::bulk("2"), Reply::Null]);
        let other = cluster.node_of(&there);
        for command in [
            &["MODEL.SET", &there, "any", "{}"][..],
            &["MODEL.FIELDOP", &there, "SET", "$.a", "1"],
            &["MODEL.GET", &there],
            &["MODEL.META", &there],
            &["MODEL.EVAL", &there, "self"],
            &["MODEL.MGET", "2", &there, &there],
        ] {
            let moved = conn.call(command);
            let expected = format!("MOVED {} 127.0.0.1:{}", cluster.slot(&there), other.port);
            assert_eq!(moved.error(), expected, "{command:?}");
        }
        for keys in [[here, &there], [&there, here]] {
            let crossing = conn.call(&["MODEL.MGET", "2", keys[0], keys[1]]);
            assert_eq!(crossing.error_word(), "CROSSSLOT");
        }
        // A path is no key, and a bad count has none to route by.
        conn.must(&["MODEL.MGET", "1", here, "/b"]);
        for count in ["0", "3", "x"] {
            let refused = conn.call(&["MODEL.MGET", count, &there]);
            assert_eq!(refused.error_word(), "ERR", "{count}: {refused:?}");
        }
    });
}

/// A key whose slot is on another node than that of `key`.
fn far_from(cluster: &Cluster, key: &str) -> String {
    let here = cluster.node_of(key).port;
    let mut names = (0..).map(|nth| format!("far:{nth}"));
    names.find(|name| cluster.node_of(name).port != here).expect("half of all names are there")
}

#[test]
fn a_document_moves_with_its_slot() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let key = "{a}:doc";
        let migration = SlotMove::of_key(&cluster, key);
        let (from, to) = (migration.from, migration.to);
        from.must(&["MODEL.SET", key, "any", r#"{"n":1}"#, "PXAT", "4000000000000"]);
        let revision = from.must(&["MODEL.META", key]);
        migration.open();
        let asked = from.call(&["MODEL.GET", "{a}:none"]);
        assert_eq!(asked.error_word(), "ASK");
        let split = from.call(&["MODEL.MGET", "2", key, "{a}:none"]);
        assert_eq!(split.error_word(), "TRYAGAIN");
        migration.carry(key);
        assert_eq!(from.call(&["MODEL.GET", key]).error_word(), "ASK");
        let conn = &mut to.conn();
        conn.must(&["ASKING"]);
        assert_eq!(
            conn.must(&["MODEL.FIELDOP", key, "GET", "$"]).array(),
            [Reply::bulk(r#"{"n":1}"#)]
        );
        migration.close();
        assert_eq!(conn.must(&["MODEL.META", key]), revision);
        // The server sends the time that is left, which shifts the moment by the time it takes.
        let expires = conn.must(&["PEXPIRETIME", key]).int();
        assert!((4_000_000_000_000..4_000_000_060_000).contains(&expires), "{expires}");
        assert_eq!(from.call(&["MODEL.GET", key]).error_word(), "MOVED");
    });
}

/// Valkey 9 moves a whole slot at once, as commands like those of an AOF.
#[test]
fn a_document_moves_with_its_slot_at_once() {
    let flavor = Flavor::Valkey91;
    let cluster = Cluster::start(flavor, 2, &[]);
    let key = "{a}:doc";
    let migration = SlotMove::of_key(&cluster, key);
    let (from, to) = (migration.from, migration.to);
    from.must(&["MODEL.SET", key, "any", r#"{"n":1.0,"é":[null,"x"]}"#, "PXAT", "4000000000000"]);
    let before = (from.must(&["MODEL.META", key]), from.must(&["DEBUG", "DIGEST-VALUE", key]));
    migration.begin_stream();
    to.wait_until("the slot is there", || !to.call(&["MODEL.META", key]).is_error());
    let after = (to.must(&["MODEL.META", key]), to.must(&["DEBUG", "DIGEST-VALUE", key]));
    assert_eq!(after, before);
    assert_eq!(to.must(&["PEXPIRETIME", key]), Reply::Int(4_000_000_000_000));
    from.wait_until("it is gone here", || from.call(&["MODEL.META", key]).is_error());
}
