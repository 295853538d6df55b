//! What the tests of the engine share. Each test binary uses a part of it.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod broker;
pub mod certificates;
pub mod peer;
pub mod raw;
pub mod setup;
pub mod watching;
