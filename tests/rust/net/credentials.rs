//! Credentials: given at the handshake, refreshed when the broker asks, refused at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fastapi_pulsar_core::client::Client;
use fastapi_pulsar_core::client::auth::{
    Authentication, NoAuthentication, TokenFile, TokenString, TokenSupplier,
};
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::{Error, ErrorKind};
use fastapi_pulsar_core::protocol::proto::{AuthData, CommandAuthChallenge, CommandError, ServerError};

use crate::expect;
use crate::recorder::{Event, recorder};
use crate::support::peer::{Peer, soon};
use crate::support::setup::{client_with, options, topic};
use crate::wired::{Wired, connect, wired_with};

fn client(peer: &Peer, authentication: impl Authentication + 'static) -> Client {
    client_with(options(&peer.url()), authentication, &Clock::default())
}

fn challenge() -> CommandAuthChallenge {
    CommandAuthChallenge {
        server_version: None,
        challenge: Some(AuthData {
            auth_method_name: Some("token".into()),
            auth_data: Some("PulsarAuthRefresh".into()),
        }),
        protocol_version: Some(21),
    }
}

/// `token-0`, `token-1`, …
fn numbered() -> TokenSupplier {
    let asked = AtomicU32::new(0);
    TokenSupplier::new(move || Ok(format!("token-{}", asked.fetch_add(1, Ordering::Relaxed))))
}

#[tokio::test]
async fn refused_credentials_are_an_authentication_error_within_one_round_trip() {
    let peer = Peer::start().await;
    let client = client(&peer, TokenString::new("expired"));
    let partitions = tokio::spawn({
        let client = client.clone();
        async move { client.partitions(&topic("t")).await }
    });
    let mut wire = peer.accept().await;
    let introduction = expect!(wire, Connect);
    assert_eq!(introduction.auth_method_name.as_deref(), Some("token"));
    assert_eq!(introduction.auth_data.as_deref(), Some(&b"expired"[..]));
    let error = ServerError::AuthenticationError as i32;
    wire.send(CommandError { request_id: u64::MAX, error, message: "JWT expired".into() }).await;
    let error = soon("the refusal", partitions).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(error.to_string().contains("JWT expired"), "{error}");
    assert_eq!(client.stats().authentication_failures, 1);
    assert!(client.stats().connect_error.is_some());
    peer.assert_idle().await;
}

#[tokio::test]
async fn a_challenge_is_answered_with_a_fresh_token() {
    let peer = Peer::start().await;
    let client = client(&peer, numbered());
    let Wired { connection, client, mut wire, .. } = wired_with(peer, client).await;
    for number in 1..=3 {
        wire.send(challenge()).await;
        let response = expect!(wire, AuthResponse).response.unwrap();
        assert_eq!(response.auth_method_name.as_deref(), Some("token"));
        assert_eq!(response.auth_data.as_deref(), Some(format!("token-{number}").as_bytes()));
    }
    assert!(connection.is_open());
    assert_eq!(client.stats().auth_refreshes, 3);
}

#[tokio::test]
async fn a_challenge_within_the_handshake_is_answered_too() {
    let peer = Peer::start().await;
    let client = client(&peer, numbered());
    let url = peer.url();
    let connected = tokio::spawn(async move { client.connect_topic(&topic("t"), Some(&url)).await });
    let mut wire = peer.accept().await;
    assert_eq!(expect!(wire, Connect).auth_data.as_deref(), Some(&b"token-0"[..]));
    for _ in 0..10 {
        wire.send(challenge()).await;
        expect!(wire, AuthResponse);
    }
    let error = soon("the end", connected).await.unwrap().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Authentication, "not for ever");
}

#[tokio::test]
async fn every_connection_asks_the_supplier_afresh() {
    let peer = Peer::start().await;
    let client = client(&peer, numbered());
    for number in 0..3 {
        let url = peer.url();
        let connected = tokio::spawn({
            let client = client.clone();
            async move { client.connect_topic(&topic("t"), Some(&url)).await }
        });
        let mut wire = peer.accept().await;
        let introduction = wire.greet().await;
        assert_eq!(introduction.auth_data.as_deref(), Some(format!("token-{number}").as_bytes()));
        let connection = soon("a connection", connected).await.unwrap().unwrap();
        drop(wire);
        soon("the loss", connection.closed()).await;
    }
}

#[tokio::test]
async fn a_supplier_that_fails_at_a_challenge_ends_the_connection() {
    let peer = Peer::start().await;
    let asked = AtomicU32::new(0);
    let supplier = TokenSupplier::new(move || match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Ok("good".into()),
        _ => Err(Error::new(ErrorKind::Authentication, "the vault is sealed")),
    });
    let client = client(&peer, supplier);
    let Wired { connection, mut wire, client: _client, .. } = wired_with(peer, client).await;
    let (producer, mut events) = recorder();
    connection.register_producer(1, producer);
    wire.send(challenge()).await;
    assert_eq!(events.next().await, Event::Lost(ErrorKind::Authentication));
    wire.closed().await;
}

#[tokio::test]
async fn a_supplier_that_hangs_does_not_hang_the_client() {
    let peer = Peer::start().await;
    let clock = Clock::default();
    let (release, hold) = std::sync::mpsc::channel::<()>();
    let hold = parking_lot::Mutex::new(hold);
    let (entered, mut waiting) = tokio::sync::mpsc::channel(1);
    let supplier = TokenSupplier::new(move || {
        let _ = entered.blocking_send(());
        let _ = hold.lock().recv();
        Ok("late".into())
    });
    let client = client_with(options(&peer.url()), supplier, &clock);
    let connected = tokio::spawn(async move { client.connect_topic(&topic("t"), None).await });
    soon("the question", waiting.recv()).await.unwrap();
    clock.advance(Duration::from_secs(10));
    let error = soon("the failure", connected).await.unwrap().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Connection);
    drop(release);
}

#[tokio::test]
async fn credentials_refused_on_an_open_connection_end_it() {
    let peer = Peer::start().await;
    let client = client(&peer, numbered());
    let Wired { connection, peer, client, mut wire } = wired_with(peer, client).await;
    let error = ServerError::AuthenticationError as i32;
    wire.send(CommandError { request_id: u64::MAX, error, message: "expired".into() }).await;
    assert_eq!(soon("the end", connection.closed()).await.kind(), ErrorKind::Authentication);
    let (again, _wire) = connect(&peer, &client).await;
    assert_ne!(again.id(), connection.id());
}

#[tokio::test]
async fn a_token_file_is_read_anew() {
    let path = std::env::temp_dir().join(format!(
        "fastapi-pulsar-token-{}-{}",
        std::process::id(),
        fastrand::u64(..)
    ));
    let file = Arc::new(TokenFile::new(&path));
    for token in ["first", "second"] {
        std::fs::write(&path, format!("{token}\n")).unwrap();
        assert_eq!(file.credentials().await.unwrap(), token);
    }
    std::fs::write(&path, "\n").unwrap();
    assert_eq!(file.credentials().await.unwrap_err().kind(), ErrorKind::Authentication);
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_client_without_credentials_hears_that_they_are_missing() {
    let peer = Peer::start().await;
    let client = client(&peer, NoAuthentication);
    let partitions = tokio::spawn(async move { client.partitions(&topic("t")).await });
    let mut wire = peer.accept().await;
    expect!(wire, Connect);
    let error = ServerError::AuthenticationError as i32;
    wire.send(CommandError { request_id: 0, error, message: "no role".into() }).await;
    assert_eq!(soon("the refusal", partitions).await.unwrap().unwrap_err().kind(), ErrorKind::Authentication);
}
