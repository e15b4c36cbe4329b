//! BOSH sessions against servers of every kind, with invented time and without HTTP.

mod client;
mod hostile;
mod login;
mod manager;
mod network;
mod rules;
