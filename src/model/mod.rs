//! Model definitions: a schema, rules and a time to live, and the validation of documents against them.
//!
//! A document of a model is judged before any change of it is acknowledged, whoever makes the change;
//! what is judged is what the change can have altered. Nothing here stores documents, and nothing
//! here knows how definitions travel.

mod definition;
mod ended;
pub mod exchange;
mod registry;
pub mod schema;

pub use definition::{
    Defaults, Definition, DefinitionSource, Formats, RULES_MAX, Refresh, RuleSource, TTL_MAX_S,
    ValidationContext,
};
pub use ended::{ENDED_KEPT, ENDED_MAX};
pub use registry::{
    FORGOTTEN, MODELS_MAX, Model, ModelEntry, Models, NAME_BYTES_MAX, OutlineItem, ReadDefinition,
    VERSION_MAX, check_name, no_model,
};
