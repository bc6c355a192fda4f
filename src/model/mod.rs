//! Model definitions: a schema, rules and a time to live, and the validation of documents against them.
//!
//! A document of a model is validated before any change of it is acknowledged, whichever command makes the change;
//! validated are the parts that the change can have made invalid. Nothing here stores documents, or encodes
//! definitions.

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
