//! Changes to a value at places, each with its undo.
