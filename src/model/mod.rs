//! Model definitions: a schema, rules and a time to live, and the validation of documents against them.
//!
//! A document of a model is judged before any change of it is acknowledged, whoever makes the change;
//! what is judged is what the change can have altered. Nothing here stores documents, and nothing
//! here knows how definitions travel.

mod definition;
mod ends;
mod entry;
pub mod exchange;
mod handle;
mod registry;
mod rule;
pub mod schema;
mod source;

pub use definition::Definition;
pub use ends::{ENDED_KEPT, ENDED_MAX};
pub use entry::{FORGOTTEN, ModelEntry, NAME_BYTES_MAX, OutlineItem, VERSION_MAX, check_name};
pub use handle::{Model, ReadDefinition};
pub use registry::{MODELS_MAX, Models, no_model};
pub use rule::ValidationContext;
pub use source::{Defaults, DefinitionSource, Formats, RULES_MAX, Refresh, RuleSource, TTL_MAX_S};
