//! Complete command information from the declarations, for `COMMAND INFO`, `COMMAND DOCS` and ACL.

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::zeroed;
use std::ptr;

use redis_module::raw;

use super::api::{call, is_ok};
use crate::command::{ArgKind, ArgSpec, CommandSpec, Flag, KeyPositions};
use crate::native;
use crate::op::{self, Operand, OperandKind, Target};
use crate::txn::{self, AssertionOperand};

/// The version of the structures below, with their sizes as the server checks them.
static INFO_VERSION: raw::RedisModuleCommandInfoVersion = raw::RedisModuleCommandInfoVersion {
    version: 1,
    sizeof_historyentry: size_of::<raw::RedisModuleCommandHistoryEntry>(),
    sizeof_keyspec: size_of::<raw::RedisModuleCommandKeySpec>(),
    sizeof_arg: size_of::<raw::RedisModuleCommandArg>(),
};

/// Describes a command that was just created.
pub fn describe(
    ctx: *mut raw::RedisModuleCtx,
    spec: &CommandSpec,
    name: &CStr,
) -> Result<(), &'static str> {
    let mut arena = Arena::default();
    let mut keys = key_specs(spec, &mut arena);
    let info = raw::RedisModuleCommandInfo {
        version: &raw const INFO_VERSION,
        summary: arena.text(spec.summary),
        complexity: arena.text(spec.complexity),
        since: arena.text(spec.since),
        history: ptr::null_mut(),
        tips: if spec.tips.is_empty() { ptr::null() } else { arena.text(&spec.tips.join(" ")) },
        arity: spec.arity,
        key_specs: keys.as_mut_ptr(),
        args: arena.args(spec.args),
    };
    // SAFETY: `ctx` is valid while the module is being loaded. The server copies everything `info`
    // points to, all of which lives in the arena until then.
    unsafe {
        let command = call!(RedisModule_GetCommand(ctx, name.as_ptr()));
        if command.is_null() || !is_ok(call!(RedisModule_SetCommandInfo(command, &raw const info)))
        {
            return Err("the server refused a command's information");
        }
        set_categories(ctx, command, spec);
    }
    Ok(())
}

/// Where the server can (Redis 8.0, Valkey 8): the built-in categories, and `@model` of our own.
///
/// # Safety
///
/// `ctx` and `command` are valid.
unsafe fn set_categories(
    ctx: *mut raw::RedisModuleCtx,
    command: *mut raw::RedisModuleCommand,
    spec: &CommandSpec,
) {
    // SAFETY: the pointers are checked; the strings are copied.
    unsafe {
        let Some(set) = raw::RedisModule_SetCommandACLCategories else { return };
        let own = raw::RedisModule_AddACLCategory.is_some_and(|add| {
            // Refused from the second time on, which is as good.
            static ADDED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
            *ADDED.get_or_init(|| is_ok(add(ctx, c"model".as_ptr())))
        });
        let mut words: Vec<&str> = spec
            .flags
            .iter()
            .filter_map(|flag| match flag {
                Flag::Write => Some("write"),
                Flag::ReadOnly => Some("read"),
                Flag::Dangerous => Some("admin dangerous"),
                Flag::Fast => Some("fast"),
                Flag::Blocking => Some("blocking"),
                Flag::DenyOom | Flag::Always => None,
            })
            .collect();
        if !spec.flags.contains(&Flag::Fast) {
            words.push("slow");
        }
        if own {
            words.push("model");
        }
        let words = CString::new(words.join(" ")).expect("categories hold no NUL");
        set(command, words.as_ptr());
    }
}

/// How a command uses its keys.
pub fn key_flags(spec: &CommandSpec) -> u64 {
    let flags = if spec.flags.contains(&Flag::Write) {
        raw::REDISMODULE_CMD_KEY_RW
            | raw::REDISMODULE_CMD_KEY_ACCESS
            | raw::REDISMODULE_CMD_KEY_UPDATE
    } else {
        raw::REDISMODULE_CMD_KEY_RO | raw::REDISMODULE_CMD_KEY_ACCESS
    };
    flags.into()
}

/// The key specs, ended by an empty one.
fn key_specs(spec: &CommandSpec, arena: &mut Arena) -> Vec<raw::RedisModuleCommandKeySpec> {
    // SAFETY: all fields are integers, pointers and unions of integers: zero is a value of each.
    let empty: raw::RedisModuleCommandKeySpec = unsafe { zeroed() };
    let mut keys = empty;
    keys.flags = key_flags(spec);
    keys.begin_search_type = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_INDEX;
    keys.bs.index.pos = 1;
    match spec.keys {
        KeyPositions::None => return vec![empty],
        KeyPositions::First => {
            keys.find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE;
            keys.fk.range = raw::RedisModuleCommandKeySpec__bindgen_ty_2__bindgen_ty_1 {
                lastkey: 0,
                keystep: 1,
                limit: 0,
            };
        }
        KeyPositions::Counted(at) => {
            keys.bs.index.pos = at as c_int;
            keys.find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_KEYNUM;
            keys.fk.keynum = raw::RedisModuleCommandKeySpec__bindgen_ty_2__bindgen_ty_2 {
                keynumidx: 0,
                firstkey: 1,
                keystep: 1,
            };
        }
        KeyPositions::Behind(word) => {
            // A keyword that is the operand of another one would be taken for it: the server asks instead.
            keys.flags |= u64::from(raw::REDISMODULE_CMD_KEY_INCOMPLETE);
            keys.begin_search_type =
                raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_KEYWORD;
            keys.bs.keyword = raw::RedisModuleCommandKeySpec__bindgen_ty_1__bindgen_ty_2 {
                keyword: arena.text(word),
                startfrom: 1,
            };
            keys.find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE;
            keys.fk.range = raw::RedisModuleCommandKeySpec__bindgen_ty_2__bindgen_ty_1 {
                lastkey: 0,
                keystep: 1,
                limit: 0,
            };
        }
    }
    vec![keys, empty]
}

/// Keeps what the structures point to until the server has copied it.
#[derive(Default)]
struct Arena {
    texts: Vec<CString>,
    args: Vec<Box<[raw::RedisModuleCommandArg]>>,
}

impl Arena {
    fn text(&mut self, text: &str) -> *const c_char {
        self.texts.push(CString::new(text).expect("declarations hold no NUL"));
        self.texts.last().expect("one was pushed").as_ptr()
    }

    fn args(&mut self, specs: &[ArgSpec]) -> *mut raw::RedisModuleCommandArg {
        let args = specs.iter().map(|spec| self.arg(spec)).collect();
        self.list(args)
    }

    /// A list as the server reads it: ended by an empty argument.
    fn list(
        &mut self,
        mut args: Vec<raw::RedisModuleCommandArg>,
    ) -> *mut raw::RedisModuleCommandArg {
        if args.is_empty() {
            return ptr::null_mut();
        }
        args.push(empty_arg());
        self.args.push(args.into_boxed_slice());
        self.args.last_mut().expect("one was pushed").as_mut_ptr()
    }

    fn arg(&mut self, spec: &ArgSpec) -> raw::RedisModuleCommandArg {
        let mut arg = self.named(spec.name, spec.token);
        if spec.optional {
            arg.flags |= raw::REDISMODULE_CMD_ARG_OPTIONAL as c_int;
        }
        if spec.multiple {
            arg.flags |= raw::REDISMODULE_CMD_ARG_MULTIPLE as c_int;
        }
        match &spec.kind {
            ArgKind::Key => {
                arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_KEY;
                arg.key_spec_index = 0;
            }
            ArgKind::String => {
                arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING
            }
            ArgKind::Integer => {
                arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_INTEGER
            }
            ArgKind::UnixTime => {
                arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_UNIX_TIME
            }
            ArgKind::Token => {
                arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN
            }
            ArgKind::OneOf(specs) => {
                arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF;
                arg.subargs = self.args(specs);
            }
            ArgKind::Block(specs) => {
                arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK;
                arg.subargs = self.args(specs);
            }
            ArgKind::Statement => {
                arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF;
                arg.subargs = self.statements(&[Target::Value, Target::Lock, Target::Document]);
            }
            ArgKind::TransactionStatement => {
                arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF;
                arg.subargs =
                    self.statements(&[Target::Value, Target::Lock, Target::Document, Target::Key]);
            }
            ArgKind::Native => {
                arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF;
                arg.subargs = self.natives();
            }
        }
        arg
    }

    /// The guard and the natives.
    fn natives(&mut self) -> *mut raw::RedisModuleCommandArg {
        let mut guard = self.named(&txn::GUARD.to_lowercase(), Some(txn::GUARD));
        guard.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING;
        let mut args = vec![guard];
        for spec in native::all() {
            args.push(self.operator(spec.name, spec.summary, spec.operands));
        }
        self.list(args)
    }

    /// The assertions, the guard, and the operators on these.
    fn statements(&mut self, targets: &[Target]) -> *mut raw::RedisModuleCommandArg {
        let mut args = Vec::new();
        for spec in &txn::ASSERTIONS {
            let mut arg = self.named(&spec.name.to_lowercase(), Some(spec.name));
            arg.summary = self.text(spec.summary);
            match spec.operands {
                [] => {
                    arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN;
                }
                [operand] => arg.type_ = assertion_type(*operand),
                operands => {
                    arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK;
                    let operands = operands.iter().map(|operand| {
                        let mut arg = self.named(operand.name(), None);
                        arg.type_ = assertion_type(*operand);
                        arg
                    });
                    let operands = operands.collect();
                    arg.subargs = self.list(operands);
                }
            }
            args.push(arg);
        }
        // A word in front of an operator: the operator is the next statement as far as syntax goes.
        let mut guard = self.named(&txn::GUARD.to_lowercase(), Some(txn::GUARD));
        guard.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING;
        args.push(guard);
        let mut strict = self.named(&txn::STRICT.to_lowercase(), Some(txn::STRICT));
        strict.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN;
        args.push(strict);
        for spec in targets.iter().flat_map(|target| op::of(*target)) {
            args.push(self.operator(spec.name, spec.summary, spec.operands));
        }
        self.list(args)
    }

    fn operator(
        &mut self,
        name: &str,
        summary: &str,
        operands: &[Operand],
    ) -> raw::RedisModuleCommandArg {
        let mut arg = self.named(&name.to_lowercase(), Some(name));
        arg.summary = self.text(summary);
        if operands.is_empty() {
            arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN;
        } else {
            arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK;
            let operands = operands.iter().map(|operand| self.operand(operand)).collect();
            arg.subargs = self.list(operands);
        }
        arg
    }

    fn operand(&mut self, operand: &Operand) -> raw::RedisModuleCommandArg {
        let mut arg = self.named(operand.name, None);
        match operand.kind {
            OperandKind::Integer | OperandKind::Fence => {
                arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_INTEGER
            }
            OperandKind::Choice(words) => {
                arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF;
                let tokens = words.iter().map(|word| self.choice(word)).collect();
                arg.subargs = self.list(tokens);
            }
            _ => arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING,
        }
        arg
    }

    fn choice(&mut self, word: &str) -> raw::RedisModuleCommandArg {
        let mut arg = self.named(&word.to_lowercase(), Some(word));
        arg.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN;
        arg
    }

    fn named(&mut self, name: &str, token: Option<&str>) -> raw::RedisModuleCommandArg {
        let mut arg = empty_arg();
        arg.name = self.text(name);
        arg.token = token.map_or(ptr::null(), |token| self.text(token));
        // The server takes 0 for the first key spec: only keys may have one.
        arg.key_spec_index = -1;
        arg
    }
}

fn assertion_type(operand: AssertionOperand) -> raw::RedisModuleCommandArgType {
    match operand {
        AssertionOperand::Revision | AssertionOperand::Fence => {
            raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_INTEGER
        }
        AssertionOperand::Expression | AssertionOperand::LockName | AssertionOperand::Owner => {
            raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING
        }
    }
}

fn empty_arg() -> raw::RedisModuleCommandArg {
    // SAFETY: all fields are integers and pointers: zero is a value of each.
    unsafe { zeroed() }
}
