//! Lost connections, and what the broker may do to a producer.

use std::time::Duration;

use fastapi_pulsar_core::client::OutgoingMessage;
use fastapi_pulsar_core::client::options::{Batching, ProducerOptions};
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::proto::{
    CommandCloseProducer, CommandError, CommandProducer, CommandSendError, ServerError,
};

use crate::bench::{Bench, done, options, success, text};
use crate::expect;
use crate::support::peer::{Wire, soon};

fn unbatched() -> ProducerOptions {
    ProducerOptions { batching: Batching::Off, ..options() }
}

impl Bench {
    /// Drops the connection and accepts the next one, up to the request for a producer.
    async fn lose_connection(&mut self) -> CommandProducer {
        drop(std::mem::replace(&mut self.wire, Wire::new(tokio::io::empty(), String::new())));
        self.wire = self.peer.connect().await;
        *expect!(self.wire, Producer)
    }

    async fn accept(&mut self, create: &CommandProducer) {
        self.producer_id = create.producer_id;
        self.wire.send(success(create, -1)).await;
    }

    async fn refuse(&mut self, request_id: u64, error: ServerError) {
        let message = "refused".into();
        self.wire.send(CommandError { request_id, error: error as i32, message }).await;
    }

    async fn send_error(&mut self, sequence_id: u64, error: ServerError) {
        let (producer_id, message) = (self.producer_id, "failed".into());
        let error = CommandSendError { producer_id, sequence_id, error: error as i32, message };
        self.wire.send(error).await;
    }

    /// Answers the close of a session that the producer gives up, and the request for the next one.
    async fn restart(&mut self) {
        let close = expect!(self.wire, CloseProducer);
        self.wire.send(done(close.request_id)).await;
        let create = *expect!(self.wire, Producer);
        self.accept(&create).await;
    }
}

#[tokio::test]
async fn pending_messages_are_resent_in_order_without_change() {
    let mut bench = Bench::new(ProducerOptions { batch_max_messages: 2, ..options() }).await;
    let sent: Vec<_> = (0..6).map(|n| bench.send(text(&n.to_string())).unwrap()).collect();
    let mut first = Vec::new();
    for _ in 0..3 {
        first.push(bench.entry().await);
    }
    bench.confirm(0).await;
    let mut sent = sent.into_iter();
    for sent in sent.by_ref().take(2) {
        sent.outcome().await.unwrap();
    }
    let create = bench.lose_connection().await;
    assert_eq!(create.producer_name.as_deref(), Some("chosen"), "the same producer");
    assert_eq!((create.user_provided_producer_name(), create.epoch), (false, Some(1)));
    let late = bench.send(text("late")).unwrap();
    bench.send(text("late")).unwrap();
    bench.accept(&create).await;
    for before in &first[1..] {
        let again = bench.entry().await;
        assert_eq!((&again.command, &again.metadata), (&before.command, &before.metadata));
        assert_eq!(again.body, before.body);
        bench.confirm(again.command.sequence_id).await;
    }
    assert_eq!(bench.store().await.command.sequence_id, 6, "what came meanwhile is behind");
    for sent in sent.chain([late]) {
        sent.outcome().await.unwrap();
    }
    assert_eq!(bench.producer.stats().reconnects, 1);
    bench.close().await;
}

#[tokio::test]
async fn a_producer_closed_by_the_broker_comes_back_on_the_same_connection() {
    let mut bench = Bench::new(unbatched()).await;
    let sent = bench.send(text("a")).unwrap();
    bench.entry().await;
    let close = CommandCloseProducer { producer_id: bench.producer_id, request_id: 0, ..Default::default() };
    bench.wire.send(close).await;
    let create = *expect!(bench.wire, Producer);
    bench.accept(&create).await;
    assert_eq!(bench.store().await.payloads(), ["a"]);
    sent.outcome().await.unwrap();
    bench.close().await;
}

#[tokio::test]
async fn it_tries_for_ever_and_passing_refusals_do_not_end_it() {
    let mut bench = Bench::new(unbatched()).await;
    let sent = bench.send(text("a")).unwrap();
    bench.entry().await;
    let mut create = bench.lose_connection().await;
    for error in [
        ServerError::ProducerBusy,
        ServerError::ServiceNotReady,
        ServerError::AuthorizationError,
        ServerError::MetadataError,
        ServerError::UnknownError,
    ] {
        bench.refuse(create.request_id, error).await;
        create = *expect!(bench.wire, Producer);
    }
    assert!(!bench.producer.is_connected());
    assert!(bench.producer.stats().last_error.is_some());
    bench.accept(&create).await;
    bench.store().await;
    sent.outcome().await.unwrap();
    assert!(bench.producer.is_connected());
    assert_eq!(bench.producer.stats().last_error, None);
    bench.close().await;
}

#[tokio::test]
async fn what_cannot_pass_ends_it_and_fails_what_is_pending() {
    for (error, kind) in [
        (ServerError::ProducerFenced, ErrorKind::ProducerFenced),
        (ServerError::TopicTerminatedError, ErrorKind::TopicTerminated),
        (ServerError::TopicNotFound, ErrorKind::TopicNotFound),
    ] {
        let mut bench = Bench::new(unbatched()).await;
        let sent = bench.send(text("a")).unwrap();
        bench.entry().await;
        let create = bench.lose_connection().await;
        bench.refuse(create.request_id, error).await;
        assert_eq!(sent.outcome().await.unwrap_err().kind(), kind);
        assert_eq!(bench.send(text("b")).err().unwrap().kind(), kind);
        assert_eq!(bench.client.stats().memory_used, 0);
        soon("closing", bench.producer.close()).await.unwrap();
    }
}

#[tokio::test]
async fn a_terminated_topic_fails_pending_and_later_sends() {
    let mut bench = Bench::new(unbatched()).await;
    let sent = ["a", "b"].map(|payload| bench.send(text(payload)).unwrap());
    bench.entry().await;
    bench.send_error(0, ServerError::TopicTerminatedError).await;
    for sent in sent {
        assert_eq!(sent.outcome().await.unwrap_err().kind(), ErrorKind::TopicTerminated);
    }
    assert_eq!(bench.send(text("c")).err().unwrap().kind(), ErrorKind::TopicTerminated);
}

#[tokio::test]
async fn an_entry_that_could_not_be_stored_is_resent_with_all_behind_it() {
    let mut bench = Bench::new(unbatched()).await;
    let sent = ["a", "b"].map(|payload| bench.send(text(payload)).unwrap());
    bench.entry().await;
    bench.entry().await;
    bench.send_error(0, ServerError::PersistenceError).await;
    bench.restart().await;
    assert_eq!(bench.store().await.payloads(), ["a"]);
    assert_eq!(bench.store().await.payloads(), ["b"]);
    for sent in sent {
        sent.outcome().await.unwrap();
    }
    bench.close().await;
}

#[tokio::test]
async fn an_entry_damaged_on_the_way_is_resent_but_not_for_ever() {
    let mut bench = Bench::new(unbatched()).await;
    let damaged = bench.send(text("a")).unwrap();
    bench.entry().await;
    for _ in 0..2 {
        bench.send_error(0, ServerError::ChecksumError).await;
        bench.restart().await;
        bench.entry().await;
    }
    bench.send_error(0, ServerError::ChecksumError).await;
    assert_eq!(damaged.outcome().await.unwrap_err().kind(), ErrorKind::Checksum);
    bench.close().await;
}

#[tokio::test]
async fn a_receipt_for_a_later_entry_means_that_one_was_lost() {
    let mut bench = Bench::new(unbatched()).await;
    let sent = ["a", "b"].map(|payload| bench.send(text(payload)).unwrap());
    bench.entry().await;
    bench.entry().await;
    bench.confirm(1).await;
    bench.restart().await;
    assert_eq!(bench.store().await.payloads(), ["a"]);
    assert_eq!(bench.store().await.payloads(), ["b"]);
    for sent in sent {
        sent.outcome().await.unwrap();
    }
    bench.close().await;
}

#[tokio::test]
async fn sends_time_out_while_there_is_no_connection() {
    let timeout = Duration::from_secs(30);
    let mut bench = Bench::new(ProducerOptions { send_timeout: timeout, ..options() }).await;
    let create = bench.lose_connection().await;
    let sent = bench.send(text("in an open batch")).unwrap();
    bench.clock.advance(timeout + Duration::from_secs(1));
    assert_eq!(sent.outcome().await.unwrap_err().kind(), ErrorKind::Timeout);
    bench.accept(&create).await;
    let next = bench.send(text("next")).unwrap();
    bench.send(OutgoingMessage { deliver_at: Some(1), ..text("behind") }).unwrap();
    assert_eq!(bench.store().await.payloads(), ["next"]);
    bench.store().await;
    next.outcome().await.unwrap();
    bench.close().await;
}
