//! An action as it is called: parsed blocks, compiled expressions, and the schema of its arguments.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::argument::nearest;
use crate::budget::{Allowance, weight};
use crate::command::args::{Args, expression, find_model, object, parse_current};
use crate::command::txn::{BlockPlaces, TxnBody, find_statement_model, model_of};
use crate::error::{Error, ErrorCode, Result};
use crate::expr::Program;
use crate::host::{Key, Settings};
use crate::limit::{self, Limit};
use crate::model::schema::Schema;
use crate::model::{ActionSource, Declared, Formats, Model, Models, Source, check_new_name};
use crate::op::Parsing;
use crate::path::{Binding, Path};
use crate::txn::{
    Block, Content, ContentDocument, ExpiryOption, NativeBlock, Roles, Statement, StatementTraits,
};
use crate::value::edit::{Editor, Effects, Journal};
use crate::value::{Measured, Root};

/// An action, ready to be called.
pub struct CompiledAction {
    pub roles: Box<[Box<str>]>,
    params: Option<Schema>,
    blocks: Box<[ActionBlock]>,
    /// The role of each block.
    of_blocks: Box<[usize]>,
    statements: Box<[Statement<'static>]>,
    traits: StatementTraits,
    /// The operators that name a model: the number of the block, and of the statement among all.
    key_changes: Box<[(usize, usize)]>,
    /// Flag: a block has natives, or an expression reads structures of the server.
    uses_natives: bool,
    /// Flag: paths have to be bound to the `args` of each call.
    is_bound: bool,
    /// The bytes of the definition.
    bytes: u64,
}

struct ActionBlock {
    /// A document to store where none exists, and the name of its model.
    initial: Option<(Box<str>, Arc<Measured>)>,
    make_path: bool,
    expiry: Option<ExpiryOption>,
    current: CurrentPath,
    /// Its statements among all.
    statements: Range<usize>,
    natives: Option<Arc<NativeBlock<'static>>>,
}

enum CurrentPath {
    Missing,
    Known(Arc<Path<'static>>),
    /// It reads `args`.
    Bound(Box<[u8]>),
}

/// The parts of a call that read its `args`.
pub struct BoundParts {
    /// Those behind `CURRENT`, by the number of the block.
    currents: Vec<Option<Arc<Path<'static>>>>,
    pub statements: Vec<Statement<'static>>,
}

/// The blocks of a call; four in place, because most actions have no more.
pub type CallBlocks = SmallVec<[Block<'static>; 4]>;

impl Source for ActionSource {
    type Compiled = Arc<CompiledAction>;
    type Limits = Settings;
    type Kept = ();

    const NOUN: &'static str = "action";
    const COUNT: Limit = limit::ACTIONS;
    const UNLIMITED: Settings = Settings::NONE;

    fn is_same(&self, other: &ActionSource) -> bool {
        self.is_same_action(other)
    }

    fn bytes(&self) -> usize {
        self.text_bytes()
    }

    fn declare(_kept: &(), _definition: Option<&Arc<CompiledAction>>, _in_use: bool) -> Declared {
        Declared::default()
    }

    /// `ERR` for malformed blocks, roles or schema, `EXPR` for an invalid expression, `LIMIT` also if compiling takes
    /// more steps than the command has left.
    fn compile(
        &self,
        _version: u32,
        settings: &Settings,
        allowance: &Allowance<'_>,
    ) -> Result<Arc<CompiledAction>> {
        if self.bytes() as u64 > settings.actions.bytes {
            return Err(Error::limit(limit::ACTION_BYTES, settings.actions.bytes));
        }
        check_roles(&self.roles)?;
        let params = match &self.params {
            Some(text) => {
                let compiled = compile_params(text, settings, allowance);
                Some(compiled.map_err(|error| error.text("option", b"PARAMS"))?)
            }
            None => None,
        };
        let words: Vec<&[u8]> = self.blocks.iter().map(|word| &**word).collect();
        let body = parse_blocks(&words, &self.roles, settings, allowance)?;
        Ok(Arc::new(CompiledAction::new(self, params, body)))
    }

    /// Names the defined action that is spelled most alike.
    fn unknown(name: &[u8], known: &mut dyn Iterator<Item = &str>) -> Error {
        let error = Error::new(ErrorCode::NoAction, "the action is not defined");
        match nearest(name, known) {
            Some(similar) => error.text("similar", similar.as_bytes()),
            None => error,
        }
    }
}

fn check_roles(roles: &[Box<str>]) -> Result<()> {
    const MOST: usize = limit::TRANSACTION_KEYS.default as usize;
    if roles.len() > MOST {
        return Err(Error::limit(limit::TRANSACTION_KEYS, MOST as u64));
    }
    if roles.is_empty() {
        return Err(Error::syntax("an action has a role at least"));
    }
    for role in roles {
        check_new_name(role.as_bytes(), ("role", "a role's"), limit::ROLE_NAME_BYTES)?;
    }
    let mut sorted: Vec<&str> = roles.iter().map(|role| &**role).collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            Err(Error::syntax("two roles have one name").text("role", pair[0].as_bytes()))
        }
        None => Ok(()),
    }
}

fn compile_params(text: &[u8], settings: &Settings, allowance: &Allowance<'_>) -> Result<Schema> {
    Schema::compile_within(text, Formats::Assert, &settings.schemas, allowance)
}

/// Blocks are about roles, not keys.
struct RolePlaces<'r>(&'r [Box<str>]);

impl BlockPlaces for RolePlaces<'_> {
    fn noun(&self) -> &'static str {
        "role"
    }

    fn expected(&self, is_first: bool) -> Error {
        Error::syntax(match is_first {
            true => "expected ON or AT and a role behind the roles that numroles counts",
            false => "expected ON or AT and a role",
        })
    }

    fn slot(&self, role: Key<'_>) -> Result<usize> {
        let found = self.0.iter().position(|known| known.as_bytes() == role.name);
        found.ok_or_else(|| {
            Error::syntax("the role is not among those listed").text("role", role.name)
        })
    }
}

fn parse_blocks<'w>(
    words: &'w [&'w [u8]],
    roles: &[Box<str>],
    settings: &Settings,
    allowance: &Allowance<'_>,
) -> Result<TxnBody<'w>> {
    let reads_args = Cell::new(false);
    let mut parsing = Parsing {
        limits: &settings.document,
        paths: &settings.paths,
        binding: Some(Binding::Later(&reads_args)),
        compile: &mut |source, names| {
            let source = expression(source)?;
            let limits = &settings.expressions;
            let program = Program::compile_within(source, names, limits, allowance)?;
            let is_role = |name: &str| roles.iter().any(|role| **role == *name);
            program.check_written_keys("role", is_role)?;
            Ok(Arc::new(program))
        },
        transaction: true,
        replaying: false,
    };
    let mut body = TxnBody::default();
    let mut args = Args::of_part(words);
    body.parse_blocks(&mut args, &RolePlaces(roles), settings, &mut parsing)?;
    check_uses(&body.blocks, roles)?;
    Ok(body)
}

/// `ERR` for a role of documents that has natives, too: no key could be called with it.
fn check_uses(blocks: &[Block<'_>], roles: &[Box<str>]) -> Result<()> {
    let mut is_document = vec![false; roles.len()];
    for block in blocks.iter().filter(|block| block.natives.is_none()) {
        is_document[block.slot] = true;
    }
    let has_natives = |block: &Block<'_>| block.natives.is_some();
    let both = blocks.iter().position(|block| has_natives(block) && is_document[block.slot]);
    match both {
        Some(number) => Err(Error::syntax("the role stands behind ON and behind AT")
            .integer("block", number as i64)
            .text("role", roles[blocks[number].slot].as_bytes())),
        None => Ok(()),
    }
}

impl CompiledAction {
    fn new(source: &ActionSource, params: Option<Schema>, body: TxnBody<'_>) -> CompiledAction {
        let uses_natives = body.uses_natives();
        let TxnBody { blocks, inits, bound_currents, statements, .. } = body;
        let of_blocks = blocks.iter().map(|block| block.slot).collect();
        let statements: Box<[_]> = statements.into_iter().map(Statement::into_owned).collect();
        let is_bound = !bound_currents.is_empty() || statements.iter().any(Statement::is_bound);
        let named = |number: usize| {
            let init = inits.iter().find(|(block, _)| *block == number);
            init.map_or_else(Box::default, |(_, name)| String::from_utf8_lossy(name).into())
        };
        let current = |number: usize, known: Option<Arc<Path<'_>>>| match bound_currents
            .iter()
            .find(|(block, _)| *block == number)
        {
            Some((_, text)) => CurrentPath::Bound((*text).into()),
            None => known.map_or(CurrentPath::Missing, |path| {
                CurrentPath::Known(Arc::new(Path::clone(&path).into_owned()))
            }),
        };
        let mut key_changes = Vec::new();
        let block = |(number, block): (usize, Block<'_>)| {
            let names = |nth: &usize| model_of(&statements[*nth]).is_some();
            let changes = block.statements.clone().filter(names);
            key_changes.extend(changes.map(|nth| (number, nth)));
            ActionBlock {
                initial: block
                    .content
                    .map(|content| (named(number), Arc::new(content.document.take()))),
                make_path: block.make_path,
                expiry: block.expiry,
                current: current(number, block.current),
                statements: block.statements,
                natives: block.natives.map(|natives| Arc::new(NativeBlock::to_owned(&natives))),
            }
        };
        let blocks = blocks.into_iter().enumerate().map(block).collect();
        let (roles, bytes) = (source.roles.clone().into(), source.bytes() as u64);
        let key_changes = key_changes.into();
        CompiledAction {
            roles,
            params,
            blocks,
            of_blocks,
            traits: StatementTraits::of(&statements),
            statements,
            key_changes,
            uses_natives,
            is_bound,
            bytes,
        }
    }

    /// Charges for the literals of the definition, as a transaction is charged for its arguments.
    pub fn charge(&self, allowance: &Allowance<'_>) -> Result<()> {
        allowance.spend(self.bytes / weight::ARGUMENT_BYTES)
    }

    /// The object behind `ARGS`, valid and with the defaults of PARAMS. With PARAMS, a call without ARGS has an empty
    /// one. A call that is repeated was validated.
    pub fn arguments(
        &self,
        given: Option<&[u8]>,
        settings: &Settings,
        allowance: &Allowance<'_>,
        replaying: bool,
    ) -> Result<Option<Measured>> {
        let Some(params) = &self.params else {
            return given.map(|text| object(text, settings)).transpose();
        };
        let mut args = object(given.unwrap_or(b"{}"), settings)?;
        let of_args = |error: Error| error.text("option", b"ARGS");
        if params.has_defaults() {
            args = with_defaults(params, args, settings, allowance).map_err(of_args)?;
        }
        if !replaying {
            params.check_within(args.value.view(), allowance).map_err(of_args)?;
        }
        Ok(Some(args))
    }

    /// The parts of a call in which paths read `args`, block by block as a transaction is parsed; none where no path does.
    pub fn bind(
        &self,
        settings: &Settings,
        binding: Option<Binding<'_>>,
    ) -> Result<Option<BoundParts>> {
        if !self.is_bound {
            return Ok(None);
        }
        let mut parts = BoundParts { currents: Vec::new(), statements: Vec::new() };
        for (number, block) in self.blocks.iter().enumerate() {
            self.bind_block(block, settings, binding, &mut parts)
                .map_err(|error| self.located(error, number))?;
        }
        Ok(Some(parts))
    }

    #[inline(never)]
    fn bind_block(
        &self,
        block: &ActionBlock,
        settings: &Settings,
        binding: Option<Binding<'_>>,
        parts: &mut BoundParts,
    ) -> Result<()> {
        parts.currents.push(match &block.current {
            CurrentPath::Bound(text) => {
                let path = parse_current(Some(text), &settings.paths, binding)?;
                path.map(|path| Arc::new(Path::clone(&path).into_owned()))
            }
            _ => None,
        });
        for (number, statement) in self.statements[block.statements.clone()].iter().enumerate() {
            let bound = statement.bind(&settings.paths, binding);
            parts
                .statements
                .push(bound.map_err(|error| error.integer("statement", number as i64))?);
        }
        Ok(())
    }

    pub fn uses_natives(&self) -> bool {
        self.uses_natives
    }

    /// The statements, of which no path is bound, and their traits.
    pub fn statements(&self) -> (&[Statement<'static>], StatementTraits) {
        (&self.statements, self.traits)
    }

    /// The roles of a call; `slots` has the slot of each.
    pub fn roles<'r>(&'r self, slots: &'r [usize]) -> Roles<'r> {
        Roles { names: &self.roles, slots, of_blocks: &self.of_blocks }
    }

    /// Adds the blocks of a call, with the models they name looked up. `blocks` is empty, and was made before, because it is
    /// large and not moved again.
    pub fn add_blocks(
        &self,
        slots: &[usize],
        models: &Models,
        bound: Option<&BoundParts>,
        blocks: &mut CallBlocks,
    ) -> Result<()> {
        for (number, block) in self.blocks.iter().enumerate() {
            let located = |error| self.located(error, number);
            let content = match &block.initial {
                None => None,
                Some((model, document)) => {
                    let model = find_model(models, model.as_bytes()).map_err(located)?;
                    Some(Content::initial(model, ContentDocument::Kept(Arc::clone(document))))
                }
            };
            let current = match &block.current {
                CurrentPath::Missing => None,
                CurrentPath::Known(path) => Some(Arc::clone(path)),
                CurrentPath::Bound(_) => bound.and_then(|bound| bound.currents[number].clone()),
            };
            blocks.push(Block {
                slot: slots[self.of_blocks[number]],
                content,
                make_path: block.make_path,
                expiry: block.expiry,
                current,
                statements: block.statements.clone(),
                natives: block.natives.clone(),
                ..Block::default()
            });
        }
        Ok(())
    }

    /// The models that operators on keys name.
    pub fn statement_models(&self, models: &Models) -> Result<Vec<(usize, Option<Arc<Model>>)>> {
        let mut found = Vec::new();
        for (number, nth) in &self.key_changes {
            let Some(named) = model_of(&self.statements[*nth]) else { continue };
            let in_block = nth - self.blocks[*number].statements.start;
            let model = find_statement_model(models, named, in_block)
                .map_err(|error| self.located(error, *number))?;
            found.push((*nth, model));
        }
        Ok(found)
    }

    #[cold]
    fn located(&self, error: Error, block: usize) -> Error {
        let role = &self.roles[self.of_blocks[block]];
        error.integer("block", block as i64).text("role", role.as_bytes())
    }
}

fn with_defaults(
    params: &Schema,
    args: Measured,
    settings: &Settings,
    allowance: &Allowance<'_>,
) -> Result<Measured> {
    let mut root = Root::bare(args.value);
    let mut journal = Journal::default();
    let mut editor = Editor::new(&mut root, args.size, settings.document, &mut journal)
        .with_effects(Effects::Unrecorded)
        .with_allowance(allowance);
    params.fill_defaults(&mut editor)?;
    editor.commit();
    Ok(root.take().into())
}
