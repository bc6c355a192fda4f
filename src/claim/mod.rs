//! Requests that wait for a document to be found: a state machine without a clock and without a server.
//!
//! The waiting requests of one model stand in a line, first come, first served. A document that changed or came to its
//! key is *offered* to them in this order: the condition of each is asked of this one document, and the first request
//! that it fulfils is run. Requests with the same question are one group, which is asked once. A request is *asked* for
//! documents, by its own search, where no change says which document may have become a match: when it comes while
//! offers are pending, at intervals where its condition reads the clock, and when the definition of its model changed.
//! A document that such a search finds is offered like any other, so an earlier request that it matches gets it.
//!
//! Guarantees: of the requests that a document fulfils, the earliest gets it; work is done in steps, each about one
//! question; no step waits for another request to leave, so none starves. Nothing here knows documents or runs a
//! request: [`Claimants`] does.

mod line;

pub use line::{AskedSearch, CLOCK_ASKS, ClaimLine, ClaimQuestion, Claimants, OFFERS_MAX};
