//! Expressions: the Common Expression Language (CEL) over documents in place.
