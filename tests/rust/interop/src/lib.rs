//! Our engine beside others: oracle, peer, load.

pub mod bench;
