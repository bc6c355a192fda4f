//! The interface of an operator to the document: one place ([`Site`]) or the whole of it ([`Frame`]).

use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::{DocumentSource, ExprLimits, Program, Scope};
use crate::path::{Blocked, ItemIndex, Lookup, PathLimits, Singular};
use crate::reply::Reply;
use crate::value::edit::Editor;
use crate::value::{
    ArrayView, Kind, Limits, Measured, Number, ObjectView, PackedWay, Place, Text, Value, View,
    nested, nested_size,
};

/// The time at which a command runs, the same for all its statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock(Option<u64>);

impl Clock {
    /// Clock of a command whose operators do not read it: reading it takes time.
    pub const UNREAD: Clock = Clock(None);

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn at(unix_us: u64) -> Clock {
        Clock(Some(unix_us))
    }

    /// Microseconds since 1970-01-01T00:00:00Z. Only for operators that declare
    /// [`super::Repeats::Differently`].
    pub fn unix_us(self) -> u64 {
        self.0.expect("an operator that reads the clock repeats differently")
    }
}

impl Clock {
    /// The time, if the command reads the clock.
    pub fn read(self) -> Option<u64> {
        self.0
    }
}

/// The context that a command's expressions may read besides the document.
#[derive(Clone, Copy)]
pub struct Around<'c> {
    pub key: &'c [u8],
    /// The document's revision before this command; none for a document the command itself created.
    pub revision: Option<u64>,
    pub args: Option<View<'c>>,
    pub docs: Option<&'c dyn DocumentSource>,
    pub clock: Clock,
    pub limits: &'c ExprLimits,
    /// The limits of operands that are computed.
    pub document: &'c Limits,
    pub paths: &'c PathLimits,
    /// The budget that pays for expressions.
    pub allowance: &'c Allowance<'c>,
}

impl<'c> Around<'c> {
    /// The variables of an expression about a document; `this` is `None` for a missing key.
    pub fn scope<'s>(&self, this: Option<View<'s>>, value: Option<View<'s>>) -> Scope<'s>
    where
        'c: 's,
    {
        Scope {
            this,
            args: self.args,
            docs: self.docs,
            old_self: None,
            value,
            now_us: self.clock.read(),
            key: self.key,
            revision: self.revision,
            allowance: Some(self.allowance),
        }
    }
}

/// The whole document, for operators that resolve their paths themselves.
pub struct Frame<'f, 'a> {
    pub editor: &'f mut Editor<'a>,
    pub around: &'f Around<'f>,
    pub allowance: &'f Allowance<'f>,
    /// Flag `MKPATH`: create missing parents.
    pub make_path: bool,
}

impl<'f, 'a> Frame<'f, 'a> {
    pub fn view(&self) -> View<'_> {
        self.editor.view()
    }

    /// The site at a singular path.
    pub fn site<'s>(&'s mut self, path: &'s Singular<'_>) -> Site<'s, 'a> {
        let mut site = self.site_at_root();
        site.go(path);
        site
    }

    /// The site at the root, to go on from with [`Site::go`]: a site is large, and is made where it stays.
    #[inline(always)]
    pub fn site_at_root(&mut self) -> Site<'_, 'a> {
        Site {
            editor: self.editor,
            around: self.around,
            allowance: self.allowance,
            make_path: self.make_path,
            place: Place::new(),
            spot: SiteTarget::Present,
            number: None,
            way: PackedWay::default(),
        }
    }

    /// The place that a singular path matches, if any.
    pub fn place(&self, path: &Singular<'_>) -> Option<Place> {
        match path.resolve(self.editor.view()) {
            Lookup::Present { place, .. } => Some(place),
            _ => None,
        }
    }

    /// The site of an existing value, one of several: the way to it is kept for the next one, until
    /// [`Editor::end_ways`].
    pub fn site_at(&mut self, place: Place) -> Site<'_, 'a> {
        let number = self.editor.go_to(&place).as_number();
        Site {
            editor: self.editor,
            around: self.around,
            allowance: self.allowance,
            make_path: self.make_path,
            place,
            spot: SiteTarget::Present,
            number,
            way: PackedWay::default(),
        }
    }
}

/// One place in the document: an existing value, or a position where the path's last step can be created.
pub struct Site<'s, 'a> {
    editor: &'s mut Editor<'a>,
    around: &'s Around<'s>,
    allowance: &'s Allowance<'s>,
    make_path: bool,
    /// Of the value, or of the container that it can be created in.
    place: Place,
    spot: SiteTarget<'s>,
    /// The number found at this place, valid until a change; saves a second look-up.
    number: Option<Number>,
    /// The way to this place, known until a change; saves a second walk.
    way: PackedWay,
}

enum SiteTarget<'s> {
    /// A value is at the place.
    Present,
    /// The object at the place lacks `name`; below it, the objects of `deeper` are missing too.
    Member { name: &'s str, deeper: Vec<&'s str> },
    /// Behind the last element of the array at the place.
    Append,
    /// No value exists, and none can be created.
    Blocked(Error),
}

impl<'s> SiteTarget<'s> {
    /// The place and the spot of a path without a value.
    #[inline(never)]
    fn of(missing: Lookup<'_, 's>, make_path: bool) -> (Place, SiteTarget<'s>) {
        let blocked =
            |place, code, text: &'static str| (place, SiteTarget::Blocked(Error::new(code, text)));
        match missing {
            Lookup::Present { place, .. } => (place, SiteTarget::Present),
            Lookup::AbsentMember { parent, name } => {
                (parent, SiteTarget::Member { name, deeper: Vec::new() })
            }
            Lookup::AbsentItem { parent, index: ItemIndex::End } => (parent, SiteTarget::Append),
            Lookup::AbsentItem { parent, index: ItemIndex::OutOfRange } => {
                blocked(parent, ErrorCode::Range, "the index is outside the array")
            }
            Lookup::AbsentParents { parent, steps } if make_path => {
                let mut names = steps
                    .iter()
                    .map(|step| step.name().expect("only members can be missing parents"));
                let name = names.next().expect("a missing parent has a name");
                (parent, SiteTarget::Member { name, deeper: names.collect() })
            }
            Lookup::AbsentParents { parent, .. } => {
                blocked(parent, ErrorCode::NoPath, "a parent is missing; MKPATH would create it")
            }
            Lookup::Blocked { at, reason: Blocked::MissingItem | Blocked::MissingMember } => {
                blocked(at, ErrorCode::NoPath, "a parent is missing")
            }
            Lookup::Blocked { at, reason: Blocked::WrongKind(kind) } => {
                (at, SiteTarget::Blocked(wrong_kind(parent_in_place_of(kind), kind)))
            }
        }
    }
}

/// The kind of value that has the child that a path asks of another one.
fn parent_in_place_of(found: Kind) -> &'static str {
    match found {
        Kind::Object => "an array on the way",
        Kind::Array => "an object on the way",
        _ => "an object or an array on the way",
    }
}

fn wrong_kind(expected: &str, found: Kind) -> Error {
    Error::new(ErrorCode::Type, format!("expected {expected}, found {}", found.name()))
}

impl<'s, 'a> Site<'s, 'a> {
    /// Goes from the root to the place at a path, or to where it can be created.
    #[inline(always)]
    pub fn go(&mut self, path: &'s Singular<'_>) {
        let mut view = self.editor.view();
        if path.go(&mut view, &mut self.place, &mut self.way) {
            self.number = view.as_number();
        } else {
            let missing = path.missing(view, std::mem::take(&mut self.place));
            self.way.clear();
            (self.place, self.spot) = SiteTarget::of(missing, self.make_path);
        }
    }

    /// The value at this place, if any.
    #[inline]
    pub fn value(&self) -> Option<View<'_>> {
        match &self.spot {
            SiteTarget::Present => Some(self.editor.at_end_of(&self.way, &self.place)),
            _ => None,
        }
    }

    /// Returns true if a value exists at this place.
    #[inline]
    pub fn is_present(&self) -> bool {
        matches!(self.spot, SiteTarget::Present)
    }

    /// Keeps a default of the model that was filled in here for this statement.
    #[inline]
    pub fn confirm_default(&mut self) {
        if self.is_present() {
            self.editor.confirm_default(&self.place);
        }
    }

    /// The value at this place; only for operators that run at existing values.
    pub fn present(&self) -> View<'_> {
        self.value().expect("the operator is run only where something is")
    }

    /// The number at this place; `TYPE` for another kind, `None` if no value exists.
    #[inline]
    pub fn number(&self) -> Result<Option<Number>> {
        if self.number.is_some() {
            return Ok(self.number);
        }
        self.kind("a number", View::as_number)
    }

    /// The string at this place, as [`Site::number`].
    pub fn text(&self) -> Result<Option<Text<'_>>> {
        self.kind("a string", View::as_text)
    }

    /// The array at this place, as [`Site::number`].
    pub fn array(&self) -> Result<Option<ArrayView<'_>>> {
        self.kind("an array", View::as_array)
    }

    /// The object at this place, as [`Site::number`].
    pub fn object(&self) -> Result<Option<ObjectView<'_>>> {
        self.kind("an object", View::as_object)
    }

    /// The array at this place; only for operators that run at existing values.
    pub fn present_array(&self) -> Result<ArrayView<'_>> {
        self.array().map(|array| array.expect("the operator is run only where something is"))
    }

    /// The object at this place; only for operators that run at existing values.
    pub fn present_object(&self) -> Result<ObjectView<'_>> {
        self.object().map(|object| object.expect("the operator is run only where something is"))
    }

    /// The boolean at this place, as [`Site::number`].
    pub fn boolean(&self) -> Result<Option<bool>> {
        self.kind("a boolean", |view| if let View::Bool(value) = view { Some(value) } else { None })
    }

    #[inline]
    fn kind<'v, T>(
        &'v self,
        expected: &str,
        take: impl FnOnce(View<'v>) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.value() {
            None => Ok(None),
            Some(view) => take(view).map(Some).ok_or_else(|| wrong_kind(expected, view.kind())),
        }
    }

    /// A `TYPE` refusal for the value at this place.
    pub fn wrong_kind(&self, expected: &str) -> Error {
        wrong_kind(expected, self.present().kind())
    }

    /// Stores a value here: replaces the existing one, or creates the last step of the path.
    #[inline]
    pub fn put(&mut self, new: impl Into<Measured>) -> Result<()> {
        self.put_measured(new.into())
    }

    fn put_measured(&mut self, new: Measured) -> Result<()> {
        let SiteTarget::Present = self.spot else { return self.create(new) };
        let replaced = self.editor.replace_on_way(&self.place, &self.way, self.number, new);
        self.forget();
        replaced
    }

    /// Creates the last step of the path.
    #[inline(never)]
    fn create(&mut self, new: Measured) -> Result<()> {
        let parent = &self.place;
        match &self.spot {
            SiteTarget::Present => unreachable!("the value is replaced"),
            SiteTarget::Member { name, deeper } => {
                // Limits are checked before anything is built.
                let (size, depth) = nested_size(deeper, &new);
                self.editor.check_member(parent, name, size, depth)?;
                let nested = nested(deeper, new);
                let position = self.editor.insert_member(parent, name, nested)?;
                self.place.push(position);
                self.place.extend(deeper.iter().map(|_| 0));
            }
            SiteTarget::Append => {
                let array = self.editor.at(parent).as_array();
                let index = array.expect("elements are appended to arrays").len();
                self.editor.insert_items(parent, index, vec![new])?;
                self.place.push(index as u32);
            }
            SiteTarget::Blocked(error) => return Err(error.clone()),
        }
        self.spot = SiteTarget::Present;
        Ok(())
    }

    /// Forgets what was found at this place, which is changed.
    #[inline]
    fn forget(&mut self) {
        self.number = None;
        self.way.clear();
    }

    /// The reason why no value exists and none can be created, if so.
    pub fn blocked(&self) -> Option<&Error> {
        if let SiteTarget::Blocked(error) = &self.spot { Some(error) } else { None }
    }

    /// Removes the value, which is not the root. The site must not be used afterwards.
    pub fn remove(&mut self) -> Result<()> {
        let allowance = self.allowance;
        let (editor, place) = self.parts();
        allow_shift(editor, place, allowance)?;
        editor.remove(place)
    }

    /// Replaces the number with the result of `change`; replies the new value. Only for operators that
    /// run at existing values.
    pub fn change_number(
        &mut self,
        change: impl FnOnce(Number) -> Result<Number>,
    ) -> Result<Reply> {
        let number = self.number()?.expect("the operator is run only where something is");
        self.put(change(number)?)?;
        self.new_value()
    }

    /// Returns true if moving the value at `other` here would change nothing.
    pub fn is_where(&self, other: &[u32]) -> bool {
        match &self.spot {
            SiteTarget::Present => *self.place == *other,
            SiteTarget::Append => {
                let parent = &*self.place;
                let array =
                    self.editor.at(parent).as_array().expect("elements are appended to arrays");
                let last = array.len().checked_sub(1);
                other
                    .split_last()
                    .is_some_and(|(at, rest)| *rest == *parent && last == Some(*at as usize))
            }
            SiteTarget::Member { .. } | SiteTarget::Blocked(_) => false,
        }
    }

    /// Returns true if this place is inside the value at `other`.
    pub fn is_inside(&self, other: &[u32]) -> bool {
        match &self.spot {
            SiteTarget::Present => self.place.len() > other.len() && self.place.starts_with(other),
            SiteTarget::Member { .. } | SiteTarget::Append => self.place.starts_with(other),
            SiteTarget::Blocked(_) => false,
        }
    }

    /// Moves the value at `from` here. Both places mean the document before the move; `from` is neither this
    /// place nor around it.
    pub fn put_from(&mut self, from: &[u32]) -> Result<()> {
        self.forget();
        if self.is_present() && from.starts_with(&self.place) {
            return self.editor.lift(from, &self.place);
        }
        allow_shift(self.editor, from, self.allowance)?;
        // Where nothing is here yet, a null makes the place. The document ends no larger than it may be.
        let relaxed = self.editor.relax();
        let moved = self.put_and_remove(from);
        self.editor.end_relaxed(relaxed).and(moved)
    }

    fn put_and_remove(&mut self, from: &[u32]) -> Result<()> {
        if !self.is_present() {
            self.put(Value::NULL)?;
        }
        let (editor, place) = self.parts();
        let mut looked_at = 0;
        // The value that was here is removed at the place that the other one came from: its depth there is no reason to
        // refuse the move.
        if editor.is_too_deep_at(from.len(), place, &mut looked_at) {
            self.put(Value::NULL)?;
        }
        let (editor, place) = self.parts();
        looked_at += editor.exchange(from, place)?;
        self.allowance.scan(looked_at as usize)?;
        self.editor.remove(from)
    }

    /// The place, for the editor.
    pub fn place(&self) -> &Place {
        assert!(self.is_present(), "the operator is run only where something is");
        &self.place
    }

    /// The editor, for changes inside the container at [`Site::place`].
    pub fn editor(&mut self) -> &mut Editor<'a> {
        self.forget();
        self.editor
    }

    /// The editor together with the place.
    pub fn parts(&mut self) -> (&mut Editor<'a>, &Place) {
        self.forget();
        assert!(self.is_present(), "the operator is run only where something is");
        (self.editor, &self.place)
    }

    /// The command's budget.
    #[inline]
    pub fn allowance(&self) -> &'s Allowance<'s> {
        self.allowance
    }

    /// The size of the whole document.
    pub fn size(&self) -> u64 {
        self.editor.size()
    }

    pub fn limits(&self) -> &Limits {
        self.editor.limits()
    }

    pub fn clock(&self) -> Clock {
        self.around.clock
    }

    /// Evaluates an expression; its `value` is the value at this place.
    pub fn evaluate(&self, program: &Program) -> Result<Measured> {
        let scope = self.around.scope(Some(self.editor.view()), self.value());
        program.evaluate(&scope, self.around.limits)
    }

    /// The reply "new value": the value at this place, as JSON text.
    #[inline]
    pub fn new_value(&self) -> Result<Reply> {
        let new = self.present();
        self.allowance.transfer_values(new.work())?;
        Ok(Reply::value(new))
    }
}

/// Charges for inserting or removing a value at `place`: in an array the elements beside it move.
pub(super) fn allow_shift(
    editor: &Editor<'_>,
    place: &[u32],
    allowance: &Allowance<'_>,
) -> Result<()> {
    let Some((position, parent)) = place.split_last() else { return Ok(()) };
    match editor.at(parent) {
        View::Array(array) => allowance.shift(*position as usize, array.len()),
        _ => Ok(()),
    }
}
