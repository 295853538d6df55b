//! The wire: bytes in, values out.

pub mod base64;
pub mod batch;
pub mod checksum;
pub mod chunk;
pub mod compression;
pub mod frame;
pub mod hashing;
pub mod message_id;
pub mod proto;
pub mod topic;
