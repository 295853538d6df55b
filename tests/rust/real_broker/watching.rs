//! Watchers on a real broker. Built with the feature `real-broker` only, and then a broker must be there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

#[path = "../support/mod.rs"]
mod support;

use support::broker::{address, admin, fresh_topic};
use support::watching::topics_that_come_and_go;

#[tokio::test]
async fn a_watcher_hears_of_topics_that_come_and_go() {
    let delete = async |name: &str| admin("DELETE", name, "?force=true", "").await;
    topics_that_come_and_go(address(), &fresh_topic("watched"), delete).await;
}
