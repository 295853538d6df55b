//! What a broker tells whoever watches the topics of a namespace, embedded or real.

use std::net::SocketAddr;

use fastapi_pulsar_core::protocol::proto::{
    CommandLookupTopic, CommandWatchTopicList, CommandWatchTopicListClose,
};

use super::peer::Wire;
use super::raw::{connect, produce_on};
use crate::expect;

/// A topic exists as long as somebody produces on it, or longer. A broker takes charge of it when it is looked up.
async fn topic(broker: SocketAddr, name: &str) -> Wire {
    let mut wire = connect(broker).await;
    wire.send(CommandLookupTopic { topic: name.into(), request_id: 0, ..Default::default() }).await;
    expect!(wire, LookupTopicResponse);
    produce_on(&mut wire, name).await;
    wire
}

/// Watches the topics whose names begin with `prefix`, a complete name that no topic has yet.
pub async fn topics_that_come_and_go(broker: SocketAddr, prefix: &str, delete: impl AsyncFnOnce(&str)) {
    let (first, second) = (format!("{prefix}-1"), format!("{prefix}-2"));
    let producing = topic(broker, &first).await;
    let mut wire = connect(broker).await;
    wire.send(CommandWatchTopicList {
        request_id: 1,
        watcher_id: 5,
        namespace: "public/default".into(),
        topics_pattern: format!("{}-.*", prefix.trim_start_matches("persistent://")),
        topics_hash: None,
    })
    .await;
    let success = expect!(wire, WatchTopicListSuccess);
    assert_eq!((success.request_id, success.watcher_id), (1, 5));
    assert_eq!(success.topic, [first.as_str()]);
    let unseen = topic(broker, &prefix.replace("public/default/", "public/default/other-")).await;
    let seen = topic(broker, &second).await;
    let update = expect!(wire, WatchTopicUpdate);
    assert_eq!((update.watcher_id, update.new_topics), (5, vec![second]));
    drop((producing, unseen, seen));
    delete(&first).await;
    let update = expect!(wire, WatchTopicUpdate);
    assert_eq!((update.new_topics, update.deleted_topics), (vec![], vec![first]));
    wire.send(CommandWatchTopicListClose { request_id: 2, watcher_id: 5 }).await;
    assert_eq!(expect!(wire, Success).request_id, 2);
}
