//! Which broker serves a topic.

use std::sync::Arc;

use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::proto::{
    CommandLookupTopicResponse, CommandPartitionedTopicMetadataResponse, LookupType, PartitionedLookupType,
    ServerError,
};

use crate::expect;
use crate::support::peer::{Peer, Wire, connect_answer, soon};
use crate::support::setup::{client, options, topic};

async fn manual(peer: &Peer) -> Wire {
    let mut wire = peer.connect().await;
    wire.automatic = false;
    wire
}

#[tokio::test]
async fn a_redirect_is_followed_with_the_authority_it_gives() {
    let (first, second, third) = (Peer::start().await, Peer::start().await, Peer::start().await);
    let client = client(&first.url());
    let connected =
        tokio::spawn(async move { client.connect_topic(&topic("t"), None).await.map(|c| (client, c)) });
    let mut wire = manual(&first).await;
    let question = expect!(wire, LookupTopic);
    assert_eq!(question.topic, "persistent://public/default/t");
    assert_eq!(question.authoritative, Some(false));
    let redirect = LookupType::Redirect as i32;
    let answer = CommandLookupTopicResponse {
        response: Some(redirect),
        ..connect_answer(question.request_id, &second.url())
    };
    wire.send(answer).await;
    let mut wire = manual(&second).await;
    let question = expect!(wire, LookupTopic);
    assert_eq!(question.authoritative, Some(true));
    wire.send(connect_answer(question.request_id, &third.url())).await;
    let connect = third.accept().await.greet().await;
    assert_eq!(connect.proxy_to_broker_url, None);
    let (_client, connection) = soon("a connection", connected).await.unwrap().unwrap();
    assert_eq!(connection.address(), third.authority());
}

#[tokio::test]
async fn brokers_that_redirect_for_ever_are_given_up() {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let connected = tokio::spawn({
        let client = client.clone();
        async move { client.connect_topic(&topic("t"), None).await }
    });
    let mut wire = manual(&peer).await;
    let redirects = async {
        loop {
            let question = expect!(wire, LookupTopic);
            wire.send(CommandLookupTopicResponse {
                response: Some(LookupType::Redirect as i32),
                ..connect_answer(question.request_id, &peer.url())
            })
            .await;
        }
    };
    let error = tokio::select! {
        connected = connected => connected.unwrap().err().unwrap(),
        () = redirects => unreachable!(),
    };
    assert_eq!(error.kind(), ErrorKind::ServiceNotReady);
    assert_eq!(error.topic(), Some("persistent://public/default/t"));
}

#[tokio::test]
async fn a_broker_behind_a_proxy_is_reached_through_it() {
    let proxy = Peer::start().await;
    let client = client(&proxy.url());
    let connect = |hint: Option<&'static str>| {
        let client = client.clone();
        tokio::spawn(async move { client.connect_topic(&topic("t"), hint).await })
    };
    let connected = connect(None);
    let mut wire = manual(&proxy).await;
    let question = expect!(wire, LookupTopic);
    wire.send(CommandLookupTopicResponse {
        proxy_through_service_url: Some(true),
        ..connect_answer(question.request_id, "pulsar://inner-broker:6650")
    })
    .await;
    let introduction = proxy.accept().await.greet().await;
    assert_eq!(introduction.proxy_to_broker_url.as_deref(), Some("inner-broker:6650"));
    soon("a connection", connected).await.unwrap().unwrap();
    // A broker that is known without a lookup is behind the proxy as well.
    let connected = connect(Some("pulsar://other-broker:6650"));
    let introduction = proxy.accept().await.greet().await;
    assert_eq!(introduction.proxy_to_broker_url.as_deref(), Some("other-broker:6650"));
    soon("a connection", connected).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refused_lookup_says_why() {
    for (error, kind) in [
        (ServerError::AuthorizationError, ErrorKind::Authorization),
        (ServerError::TopicNotFound, ErrorKind::TopicNotFound),
        (ServerError::ServiceNotReady, ErrorKind::ServiceNotReady),
    ] {
        let peer = Peer::start().await;
        let client = client(&peer.url());
        let connected = tokio::spawn(async move { client.connect_topic(&topic("t"), None).await });
        let mut wire = manual(&peer).await;
        let question = expect!(wire, LookupTopic);
        wire.send(CommandLookupTopicResponse {
            request_id: question.request_id,
            response: Some(LookupType::Failed as i32),
            error: Some(error as i32),
            message: Some("because".into()),
            ..CommandLookupTopicResponse::default()
        })
        .await;
        let error = soon("the failure", connected).await.unwrap().err().unwrap();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains("because"), "{error}");
    }
}

#[tokio::test]
async fn a_broker_that_names_no_usable_address_is_an_error() {
    for (url, kind) in
        [("", ErrorKind::ServiceNotReady), ("nonsense", ErrorKind::Decode), ("pulsar://", ErrorKind::Decode)]
    {
        let peer = Peer::start().await;
        let client = client(&peer.url());
        let connected = tokio::spawn(async move { client.connect_topic(&topic("t"), None).await });
        let mut wire = manual(&peer).await;
        let question = expect!(wire, LookupTopic);
        wire.send(connect_answer(question.request_id, url)).await;
        assert_eq!(soon("the failure", connected).await.unwrap().err().unwrap().kind(), kind);
    }
}

/// Fault 7: cancelling one lookup blocked that broker's address for ever.
#[tokio::test]
async fn a_cancelled_lookup_goes_on_and_serves_the_next_caller() {
    let peer = Peer::start().await;
    let client = Arc::new(client(&peer.url()));
    let call = || {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.connect_topic(&topic("t"), None).await })
    };
    // Cancelled before there is a connection, …
    let first = call();
    let mut wire = peer.accept().await;
    first.abort();
    assert!(first.await.is_err());
    wire.greet().await;
    wire.automatic = false;
    let question = expect!(wire, LookupTopic);
    // … and while the lookup is under way.
    let second = call();
    tokio::task::yield_now().await;
    second.abort();
    assert!(second.await.is_err());
    let third = call();
    tokio::task::yield_now().await;
    wire.send(connect_answer(question.request_id, &peer.url())).await;
    soon("the third caller's connection", third).await.unwrap().unwrap();
    assert_eq!(client.stats().lookups, 1);
}

#[tokio::test]
async fn temporary_failures_are_retried_and_lasting_ones_are_not() {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let partitions = tokio::spawn(async move { client.partitions(&topic("t")).await });
    let mut wire = manual(&peer).await;
    for error in [ServerError::ServiceNotReady, ServerError::TooManyRequests, ServerError::AuthorizationError]
    {
        let question = expect!(wire, PartitionedTopicMetadata);
        wire.send(CommandPartitionedTopicMetadataResponse {
            request_id: question.request_id,
            response: Some(PartitionedLookupType::Failed as i32),
            error: Some(error as i32),
            ..CommandPartitionedTopicMetadataResponse::default()
        })
        .await;
    }
    let error = soon("the failure", partitions).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authorization);
}

#[tokio::test]
async fn service_hosts_are_tried_in_turn_and_the_working_one_is_kept() {
    let closed = Peer::start().await;
    let nowhere = closed.authority();
    drop(closed);
    let peer = Peer::start().await;
    for seed in 0..4 {
        let mut options = options(&format!("pulsar://{nowhere},{}", peer.authority()));
        options.seed = Some(seed);
        let client = crate::support::setup::client_with(
            options,
            fastapi_pulsar_core::client::auth::NoAuthentication,
            &fastapi_pulsar_core::clock::Clock::default(),
        );
        let partitions = tokio::spawn(async move {
            let first = client.partitions(&topic("t")).await;
            (first, client.partitions(&topic("u")).await, client.stats().connect_failures)
        });
        let mut wire = peer.connect().await;
        wire.closed().await;
        let (first, second, failures) = soon("answers", partitions).await.unwrap();
        assert_eq!((first.unwrap(), second.unwrap()), (0, 0));
        assert!(failures <= 1, "{failures} attempts at the dead host");
    }
}
