//! The first exchange.

use fastapi_pulsar_core::error::ErrorKind;

use crate::support::peer::{Peer, soon};
use crate::support::setup::{client, topic};

#[tokio::test]
async fn the_client_introduces_itself_truthfully() {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let partitions = tokio::spawn(async move { client.partitions(&topic("t")).await });
    let mut wire = peer.accept().await;
    let connect = wire.greet().await;
    assert_eq!(connect.protocol_version, Some(21));
    assert_eq!(connect.auth_method_name.as_deref(), Some("none"));
    assert_eq!(connect.auth_data, None);
    assert_eq!(connect.proxy_to_broker_url, None);
    let features = connect.feature_flags.unwrap();
    assert_eq!(features.supports_auth_refresh, Some(true));
    assert_eq!(features.supports_broker_entry_metadata, Some(true));
    assert_eq!(features.supports_topic_watchers, Some(false));
    wire.partitions = 3;
    let answered = tokio::spawn(async move { wire.closed().await });
    assert_eq!(soon("partitions", partitions).await.unwrap().unwrap(), 3);
    soon("the last handle closes the connection", answered).await.unwrap();
}

#[tokio::test]
async fn what_is_not_pulsar_is_refused_at_once() {
    for answer in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0x15, 3, 3, 0, 2, 2, 70], &[0, 0, 0, 4, 0, 0, 0, 9]]
    {
        let peer = Peer::start().await;
        let client = client(&peer.url());
        let partitions = tokio::spawn(async move { client.partitions(&topic("t")).await });
        let mut wire = peer.accept().await;
        wire.raw(answer).await;
        let error = soon("an error", partitions).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
        assert!(error.to_string().contains(&peer.authority()), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_on_plain_text_may_want_tls_and_the_error_says_so() {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let asked = tokio::spawn({
        let client = client.clone();
        async move { client.partitions(&topic("t")).await }
    });
    drop(soon("a connection", peer.socket()).await);
    let _another = soon("the next attempt", peer.socket()).await;
    let error = client.stats().connect_error.unwrap();
    assert!(error.contains("closed the connection during the handshake"), "{error}");
    assert!(error.contains("pulsar+ssl://"), "{error}");
    asked.abort();
}
