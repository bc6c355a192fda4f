//! Model definitions: schemas, rules, and the checking of documents against them.

pub mod schema;
