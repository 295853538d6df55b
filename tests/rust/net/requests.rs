//! Requests and their answers: matched, limited in time, and never in each other's way.

use std::time::Duration;

use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::proto::{
    BaseCommand, Command, CommandError, CommandGetSchemaResponse, CommandProducer, CommandProducerSuccess,
    CommandSuccess, CommandUnsubscribe, ServerError,
};

use crate::expect;
use crate::support::peer::{Peer, soon};
use crate::support::setup::{client, client_with, options, topic};
use crate::wired::{Wired, wired, wired_with};

fn unsubscribe(request_id: u64) -> BaseCommand {
    CommandUnsubscribe { consumer_id: 1, request_id, force: None }.into()
}

fn success(request_id: u64) -> CommandSuccess {
    CommandSuccess { request_id, schema: None }
}

#[tokio::test]
async fn answers_find_their_request_in_any_order() {
    let Wired { connection, mut wire, client: _client, .. } = wired().await;
    let requests: Vec<_> = (0..10u64)
        .map(|consumer_id| {
            let connection = connection.clone();
            tokio::spawn(async move {
                let make = |request_id| CommandUnsubscribe { consumer_id, request_id, force: None }.into();
                (consumer_id, connection.request(make).await)
            })
        })
        .collect();
    let mut asked = Vec::new();
    for _ in 0..10 {
        asked.push(expect!(wire, Unsubscribe));
    }
    for question in asked.iter().rev() {
        if question.consumer_id % 2 == 0 {
            wire.send(success(question.request_id)).await;
        } else {
            let error = ServerError::ConsumerNotFound as i32;
            wire.send(CommandError { request_id: question.request_id, error, message: "none".into() }).await;
        }
    }
    for request in requests {
        let (consumer_id, answer) = soon("an answer", request).await.unwrap();
        if consumer_id % 2 == 0 {
            assert!(matches!(answer, Ok(Command::Success(_))));
        } else {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::ConsumerNotFound);
        }
    }
}

#[tokio::test]
async fn a_late_answer_harms_nobody() {
    let clock = Clock::default();
    let peer = Peer::start().await;
    let client = client_with(options(&peer.url()), NoAuthentication, &clock);
    let Wired { connection, mut wire, client: _client, .. } = wired_with(peer, client).await;
    let late = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request(unsubscribe).await }
    });
    let question = expect!(wire, Unsubscribe);
    clock.advance(Duration::from_secs(31));
    let error = soon("the time-out", late).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("Unsubscribe"), "{error}");

    let next = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request(unsubscribe).await }
    });
    let second = expect!(wire, Unsubscribe);
    assert_ne!(second.request_id, question.request_id);
    wire.send(CommandError { request_id: question.request_id, error: 0, message: "late".into() }).await;
    wire.send(success(second.request_id)).await;
    assert!(soon("the second answer", next).await.unwrap().is_ok());
    assert!(connection.is_open());
}

#[tokio::test]
async fn a_cancelled_request_leaves_the_others_alone() {
    let Wired { connection, mut wire, client: _client, .. } = wired().await;
    let cancelled = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request(unsubscribe).await }
    });
    let first = expect!(wire, Unsubscribe);
    cancelled.abort();
    assert!(cancelled.await.is_err());
    wire.send(success(first.request_id)).await;
    let (answer, ()) = soon("the answer", async {
        tokio::join!(connection.request(unsubscribe), async {
            let second = expect!(wire, Unsubscribe);
            wire.send(success(second.request_id)).await;
        })
    })
    .await;
    assert!(answer.is_ok());
}

#[tokio::test]
async fn waiting_for_exclusive_access_has_no_time_limit() {
    let clock = Clock::default();
    let peer = Peer::start().await;
    let client = client_with(options(&peer.url()), NoAuthentication, &clock);
    let Wired { connection, mut wire, client: _client, .. } = wired_with(peer, client).await;
    let create = tokio::spawn(async move {
        let make = |request_id| {
            CommandProducer { topic: "t".into(), producer_id: 1, request_id, ..CommandProducer::default() }
                .into()
        };
        connection.request(make).await
    });
    let request_id = expect!(wire, Producer).request_id;
    let mut answer = CommandProducerSuccess {
        request_id,
        producer_name: "p".into(),
        producer_ready: Some(false),
        ..CommandProducerSuccess::default()
    };
    wire.send(answer.clone()).await;
    // The answer must be taken in before the clock moves: a ping that comes back is behind it.
    wire.send(fastapi_pulsar_core::protocol::proto::CommandPing {}).await;
    expect!(wire, Pong);
    // Longer than the operation timeout; the ping shows that the client has seen it.
    wire.automatic = false;
    clock.advance(Duration::from_secs(45));
    expect!(wire, Ping);
    answer.producer_ready = Some(true);
    wire.send(answer).await;
    let answer = soon("the exclusive access", create).await.unwrap();
    assert!(matches!(answer, Ok(Command::ProducerSuccess(success)) if success.producer_ready == Some(true)));
}

#[tokio::test]
async fn requests_under_way_fail_when_the_connection_breaks() {
    let Wired { connection, mut wire, client: _client, .. } = wired().await;
    let request = tokio::spawn({
        let connection = connection.clone();
        async move { connection.request(unsubscribe).await }
    });
    expect!(wire, Unsubscribe);
    drop(wire);
    assert_eq!(soon("the failure", request).await.unwrap().unwrap_err().kind(), ErrorKind::Connection);
    let error = connection.request(unsubscribe).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "also what is asked later");
}

#[tokio::test]
async fn a_topic_without_a_schema_has_none() {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let schema = tokio::spawn(async move { client.schema(&topic("t"), None).await });
    let mut wire = peer.connect().await;
    let question = expect!(wire, GetSchema);
    wire.send(CommandGetSchemaResponse {
        request_id: question.request_id,
        error_code: Some(ServerError::TopicNotFound as i32),
        error_message: Some("Topic not found or no-schema".into()),
        ..CommandGetSchemaResponse::default()
    })
    .await;
    assert!(soon("the schema", schema).await.unwrap().unwrap().is_none());
}
