//! The name of this build, as `MODEL.HELP` and the log line at load have it.

/// Name, version, and the commit that the module was built from, where it is a release build.
pub const VERSION: &str =
    concat!("redis-model ", env!("CARGO_PKG_VERSION"), " (", env!("REDIS_MODEL_BUILD"), ")");
