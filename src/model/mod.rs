//! Model definitions: a schema, rules and a time to live, and the validation of documents against them. The registry
//! and the exchange between nodes serve the definitions of actions too.
//!
//! A document of a model is validated before any change of it is acknowledged, whichever command makes the change;
//! validated are the parts that the change can have made invalid. Nothing here stores documents, or encodes
//! definitions.

mod action;
mod definition;
mod ends;
mod entry;
pub mod exchange;
mod handle;
mod registry;
mod rule;
pub mod schema;
mod source;

pub use action::ActionSource;
pub use definition::{Definition, ModelLimits};
pub use ends::{ENDED_KEPT, ENDED_MAX};
pub use entry::{
    Declared, Entry, FORGOTTEN, ModelEntry, NAME_BYTES_MAX, OutlineItem, Source, VERSION_MAX,
    check_name, check_new_name,
};
pub use handle::{Model, ReadDefinition};
pub use registry::{Actions, MODELS_MAX, Models, Registry, no_model};
pub use rule::ValidationContext;
pub use source::{
    ChangesSource, ChangesWith, Defaults, DefinitionSource, Formats, RULES_MAX, Refresh,
    RuleSource, TTL_MAX_S,
};
