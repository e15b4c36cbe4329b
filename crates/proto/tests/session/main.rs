//! Sessions with stream management (XEP-0198), played by hand over both framings, with invented
//! time. Negotiation as such is in `negotiation.rs` and `every_point.rs`.

mod client;
mod counting;
mod hostile;
mod liveness;
mod resuming;
mod salvage;
mod shared;
mod simulation;
