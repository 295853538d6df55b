//! Lookups, partitions, topics of a namespace, watchers; and what is refused is answered too.

use fastapi_pulsar_core::protocol::proto::{
    Command, CommandAddPartitionToTxn, CommandAddSubscriptionToTxn, CommandConnected, CommandConsumerStats,
    CommandEndTxn, CommandEndTxnOnPartition, CommandEndTxnOnSubscription, CommandGetLastMessageId,
    CommandGetTopicsOfNamespace, CommandLookupTopic, CommandNewTxn, CommandPartitionedTopicMetadata,
    CommandSeek, CommandTcClientConnectRequest, CommandUnsubscribe, CommandWatchTopicList,
    CommandWatchTopicListClose, LookupType, PartitionedLookupType, ServerError, TopicsMode,
};
use fastapi_pulsar_core::protocol::topic::TopicName;

use crate::expect;
use crate::house::House;
use crate::support::peer::Wire;
use crate::support::raw::{connect, produce_on};
use crate::support::watching::topics_that_come_and_go;

async fn partitions(wire: &mut Wire, topic: &str, create: bool) -> Result<u32, i32> {
    wire.send(CommandPartitionedTopicMetadata {
        topic: topic.into(),
        request_id: 7,
        metadata_auto_creation_enabled: Some(create),
        ..CommandPartitionedTopicMetadata::default()
    })
    .await;
    let answer = expect!(wire, PartitionedTopicMetadataResponse);
    assert_eq!(answer.request_id, 7);
    match answer.response() {
        PartitionedLookupType::Success => Ok(answer.partitions.unwrap()),
        PartitionedLookupType::Failed => Err(answer.error.unwrap()),
    }
}

async fn lookup(wire: &mut Wire, topic: &str) -> Result<String, i32> {
    wire.send(CommandLookupTopic { topic: topic.into(), request_id: 8, ..CommandLookupTopic::default() })
        .await;
    let answer = expect!(wire, LookupTopicResponse);
    match answer.response() {
        LookupType::Connect => Ok(answer.broker_service_url.clone().unwrap()),
        _ => Err(answer.error.unwrap()),
    }
}

async fn topics(wire: &mut Wire, pattern: Option<&str>, hash: Option<&str>) -> (Vec<String>, bool, String) {
    wire.send(CommandGetTopicsOfNamespace {
        request_id: 9,
        namespace: "public/default".into(),
        mode: Some(TopicsMode::All as i32),
        topics_pattern: pattern.map(str::to_owned),
        topics_hash: hash.map(str::to_owned),
    })
    .await;
    let answer = expect!(wire, GetTopicsOfNamespaceResponse);
    let (filtered, hash) = (answer.filtered(), answer.topics_hash().to_owned());
    (answer.topics, filtered, hash)
}

#[tokio::test]
async fn every_topic_is_served_here() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    assert_eq!(lookup(&mut wire, "t").await, Ok(house.broker.service_url()));
    assert_eq!(lookup(&mut wire, "nobody/nowhere/t").await, Err(ServerError::TopicNotFound as i32));
    assert_eq!(lookup(&mut wire, "a/b").await, Err(ServerError::InvalidTopicName as i32));
    house.close().await;
}

#[tokio::test]
async fn partitions_are_counted_and_a_question_makes_no_topic_if_it_must_not() {
    let house = House::new();
    let registry = house.broker.core().unwrap().registry.clone();
    registry.create_partitioned(&TopicName::parse("p").unwrap(), 3).unwrap();
    let mut wire = connect(house.broker.address()).await;
    assert_eq!(partitions(&mut wire, "p", true).await, Ok(3));
    assert_eq!(partitions(&mut wire, "p-partition-1", true).await, Ok(0));
    assert_eq!(partitions(&mut wire, "new", true).await, Ok(0));
    assert_eq!(partitions(&mut wire, "other", false).await, Err(ServerError::TopicNotFound as i32));
    assert_eq!(partitions(&mut wire, "no/where/t", true).await, Err(ServerError::TopicNotFound as i32));
    house.close().await;
}

#[tokio::test]
async fn the_topics_of_a_namespace_are_listed_by_pattern_and_hash() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    for topic in ["orders-1", "orders-2", "bills", "non-persistent://public/default/orders-3"] {
        produce_on(&mut wire, topic).await;
    }
    let (all, filtered, hash) = topics(&mut wire, None, None).await;
    assert_eq!((all.len(), filtered), (4, false));
    assert!(topics(&mut wire, None, Some(&hash)).await.0.is_empty(), "nothing changed");
    let (orders, filtered, _) = topics(&mut wire, Some("persistent://public/default/orders-.*"), None).await;
    assert_eq!((orders.len(), filtered), (3, true), "{orders:?}");
    let (unfiltered, filtered, _) = topics(&mut wire, Some("orders(?=-)"), None).await;
    assert_eq!((unfiltered.len(), filtered), (4, false), "a pattern that only Java knows is the client's");
    house.close().await;
}

#[tokio::test]
async fn a_watcher_hears_of_topics_that_come_and_go() {
    let house = House::new();
    let registry = house.broker.core().unwrap().registry.clone();
    let delete = async |name: &str| {
        registry.remove_topic(&TopicName::parse(name).unwrap()).unwrap();
    };
    topics_that_come_and_go(house.broker.address(), "persistent://public/default/orders", delete).await;
    house.close().await;
}

#[tokio::test]
async fn a_watcher_that_is_gone_hears_nothing() {
    let house = House::new();
    let registry = house.broker.core().unwrap().registry.clone();
    let mut wire = connect(house.broker.address()).await;
    wire.send(CommandWatchTopicList {
        request_id: 1,
        watcher_id: 5,
        namespace: "public/default".into(),
        topics_pattern: ".*".into(),
        topics_hash: None,
    })
    .await;
    assert!(expect!(wire, WatchTopicListSuccess).topic.is_empty());
    wire.send(CommandWatchTopicListClose { request_id: 2, watcher_id: 5 }).await;
    assert_eq!(expect!(wire, Success).request_id, 2);
    registry.topic(&TopicName::parse("orders").unwrap(), true).unwrap();
    wire.send(CommandGetLastMessageId { consumer_id: 1, request_id: 3 }).await;
    assert_eq!(expect!(wire, Error).request_id, 3, "and nothing before it");
    house.close().await;
}

#[tokio::test]
async fn transactions_are_refused_with_a_reason() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    let not_allowed = Some(ServerError::NotAllowedError as i32);
    macro_rules! refused {
        ($request:ident, $response:ident) => {
            wire.send($request { request_id: 3, ..Default::default() }).await;
            let answer = expect!(wire, $response);
            assert_eq!((answer.request_id, answer.error), (3, not_allowed));
        };
    }
    refused!(CommandTcClientConnectRequest, TcClientConnectResponse);
    refused!(CommandNewTxn, NewTxnResponse);
    refused!(CommandAddPartitionToTxn, AddPartitionToTxnResponse);
    refused!(CommandAddSubscriptionToTxn, AddSubscriptionToTxnResponse);
    refused!(CommandEndTxn, EndTxnResponse);
    refused!(CommandEndTxnOnPartition, EndTxnOnPartitionResponse);
    refused!(CommandEndTxnOnSubscription, EndTxnOnSubscriptionResponse);
    house.close().await;
}

#[tokio::test]
async fn what_concerns_an_unknown_consumer_is_answered() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    let not_found = ServerError::ConsumerNotFound as i32;
    wire.send(CommandSeek { request_id: 1, message_publish_time: Some(0), ..Default::default() }).await;
    assert_eq!(expect!(wire, Error).error, not_found);
    wire.send(CommandUnsubscribe { request_id: 2, ..Default::default() }).await;
    assert_eq!(expect!(wire, Error).error, not_found);
    wire.send(CommandConsumerStats { request_id: 3, consumer_id: 9 }).await;
    assert_eq!(expect!(wire, ConsumerStatsResponse).error_code, Some(not_found));
    house.close().await;
}

#[tokio::test]
async fn a_command_that_only_brokers_send_is_refused_and_the_connection_lives() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    wire.send(CommandConnected::default()).await;
    assert_eq!(expect!(wire, Error).error, ServerError::NotAllowedError as i32);
    // A command of the future: type 99, in a field of that number.
    wire.raw(&[0, 0, 0, 9, 0, 0, 0, 5, 8, 99, 0x9a, 6, 0]).await;
    assert_eq!(expect!(wire, Error).error, ServerError::NotAllowedError as i32);
    assert_eq!(lookup(&mut wire, "t").await, Ok(house.broker.service_url()));
    house.close().await;
}

#[tokio::test]
async fn a_producer_or_consumer_of_an_unknown_namespace_is_refused() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    wire.send(crate::support::raw::subscribe("no/where/t")).await;
    assert_eq!(expect!(wire, Error).error, ServerError::TopicNotFound as i32);
    let subscribe = fastapi_pulsar_core::protocol::proto::CommandSubscribe {
        force_topic_creation: Some(false),
        ..crate::support::raw::subscribe("t")
    };
    wire.send(Command::Subscribe(Box::new(subscribe))).await;
    assert_eq!(expect!(wire, Error).error, ServerError::TopicNotFound as i32, "and may not be made");
    house.close().await;
}
