//! Tokens: who may come in, and what happens when a token expires.

use std::time::Duration;

use fastapi_pulsar_core::broker::config::{BrokerOptions, TokenOptions};
use fastapi_pulsar_core::client::auth::{NoAuthentication, TokenString};
use fastapi_pulsar_core::client::options::ProducerOptions;
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::proto::{
    AuthData, CommandAuthResponse, CommandConnect, CommandPing, FeatureFlags, ServerError,
};

use serde_json::{Value, json};

use crate::expect;
use crate::house::House;
use crate::http::{ask, ask_as};
use crate::support::peer::soon;
use crate::support::raw::{dial, greet, introduction};
use crate::support::setup::{client_with, options};

const SECRET: &[u8] = b"a secret for this test, 32 bytes";
/// Of the key whose public half is `tests/data/tokens/public.pem`; names alice, and never expires.
const SIGNED_BY_RSA: &str = include_str!("../../data/tokens/alice.jwt");

fn secret() -> BrokerOptions {
    let tokens = TokenOptions { secret_key: Some(SECRET.to_vec()), public_key: None };
    BrokerOptions { tokens: Some(tokens), ..BrokerOptions::default() }
}

fn public() -> BrokerOptions {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tokens/public.pem");
    let tokens = TokenOptions { secret_key: None, public_key: Some(file.into()) };
    BrokerOptions { tokens: Some(tokens), ..BrokerOptions::default() }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

/// A token of alice, signed with a secret, that expires at a time in seconds since 1970.
fn token(secret: &[u8], expires: u64) -> String {
    let claims = format!(r#"{{"sub":"alice","exp":{expires}}}"#);
    let signed = format!("{}.{}", base64(br#"{"alg":"HS256"}"#), base64(claims.as_bytes()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let signature = ring::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", base64(signature.as_ref()))
}

fn seconds() -> u64 {
    Clock::default().unix_millis() / 1000
}

fn with_token(token: &str) -> CommandConnect {
    CommandConnect {
        auth_method_name: Some("token".into()),
        auth_data: Some(token.trim().to_owned().into()),
        ..introduction()
    }
}

fn response(token: &str) -> CommandAuthResponse {
    let data = AuthData { auth_method_name: Some("token".into()), auth_data: Some(token.to_owned().into()) };
    CommandAuthResponse { response: Some(data), ..CommandAuthResponse::default() }
}

#[tokio::test]
async fn a_good_token_lets_in_and_others_do_not() {
    let house = House::with(secret());
    greet(&mut dial(house.broker.address()).await, with_token(&token(SECRET, seconds() + 60))).await;
    let unsigned = format!("{}.{}.", base64(br#"{"alg":"none"}"#), base64(br#"{"sub":"alice"}"#));
    let bad = [
        introduction(),
        with_token("nonsense"),
        with_token(&unsigned),
        with_token(&token(b"another secret", seconds() + 60)),
        with_token(&token(SECRET, seconds() - 60)),
        with_token(SIGNED_BY_RSA),
    ];
    for connect in bad {
        let mut wire = dial(house.broker.address()).await;
        wire.send(connect).await;
        assert_eq!(expect!(wire, Error).error, ServerError::AuthenticationError as i32);
        wire.closed().await;
    }
    house.close().await;
}

#[tokio::test]
async fn a_token_signed_by_rsa_lets_in() {
    let house = House::with(public());
    greet(&mut dial(house.broker.address()).await, with_token(SIGNED_BY_RSA)).await;
    let mut wire = dial(house.broker.address()).await;
    wire.send(with_token(&token(SECRET, seconds() + 60))).await;
    assert_eq!(expect!(wire, Error).error, ServerError::AuthenticationError as i32);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_brings_its_token_or_learns_that_it_lacks_one() {
    let house = House::with(secret());
    let url = house.broker.service_url();
    let on = || ProducerOptions { topic: "t".into(), ..ProducerOptions::default() };
    let token = TokenString::new(&token(SECRET, seconds() + 60));
    let known = client_with(options(&url), token, &Clock::default());
    soon("a producer", known.producer(on())).await.unwrap();
    let stranger = client_with(options(&url), NoAuthentication, &Clock::default());
    let refused = soon("an error", stranger.producer(on())).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Authentication);
    house.close().await;
}

#[tokio::test]
async fn an_expired_token_is_asked_for_anew() {
    let house = House::with(secret());
    let mut wire = dial(house.broker.address()).await;
    greet(&mut wire, with_token(&token(SECRET, seconds() + 3600))).await;
    house.clock.advance(Duration::from_secs(3601));
    expect!(wire, AuthChallenge);
    wire.send(response(&token(SECRET, seconds() + 10_000))).await;
    wire.send(CommandPing {}).await;
    expect!(wire, Pong);
    house.clock.advance(Duration::from_secs(10_000));
    expect!(wire, AuthChallenge);
    wire.send(response("nonsense")).await;
    assert_eq!(expect!(wire, Error).error, ServerError::AuthenticationError as i32);
    wire.closed().await;
    house.close().await;
}

#[tokio::test]
async fn who_does_not_answer_a_challenge_or_cannot_is_dropped() {
    let mut options = secret();
    options.limits.handshake_timeout = Duration::from_secs(1);
    let house = House::with(options);
    let connect = with_token(&token(SECRET, seconds() + 3600));
    let mut silent = dial(house.broker.address()).await;
    greet(&mut silent, connect.clone()).await;
    let mut old = dial(house.broker.address()).await;
    let unable = CommandConnect { feature_flags: Some(FeatureFlags::default()), ..connect };
    greet(&mut old, unable).await;
    house.clock.advance(Duration::from_secs(3601));
    expect!(old, Error);
    old.closed().await;
    expect!(silent, AuthChallenge);
    expect!(silent, Error);
    silent.closed().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_need_a_token_too() {
    let house = House::with(secret());
    let path = "/admin/v2/clusters";
    assert_eq!(ask(&house, "GET", path, Value::Null).await.0, 401);
    for bad in [token(b"another secret, also of 32 bytes", seconds() + 60), token(SECRET, seconds() - 60)] {
        let (status, answer) = ask_as(&house, &bad, "GET", path, Value::Null).await;
        assert_eq!(status, 401);
        assert!(!answer.to_string().contains(&bad), "a refusal does not repeat the token");
    }
    let good = token(SECRET, seconds() + 60);
    assert_eq!(ask_as(&house, &good, "GET", path, Value::Null).await, (200, json!(["standalone"])));
    house.clock.advance(Duration::from_mins(2));
    assert_eq!(ask_as(&house, &good, "GET", path, Value::Null).await.0, 401, "it has expired");
    assert_eq!(ask(&house, "GET", "/admin/v2/brokers/ready", Value::Null).await.0, 200, "open to all");
    house.close().await;
}
