//! A client that is connected to a peer.

use fastapi_pulsar_core::client::{Client, Connection};

use crate::support::peer::{Peer, Wire, soon};
use crate::support::setup::{client, topic};

pub struct Wired {
    pub peer: Peer,
    pub client: Client,
    pub connection: Connection,
    /// The peer's side of `connection`.
    pub wire: Wire,
}

pub async fn wired() -> Wired {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    wired_with(peer, client).await
}

pub async fn wired_with(peer: Peer, client: Client) -> Wired {
    let (connection, wire) = connect(&peer, &client).await;
    Wired { peer, client, connection, wire }
}

/// The client's connection for a topic, newly made, and the peer's side of it.
pub async fn connect(peer: &Peer, client: &Client) -> (Connection, Wire) {
    let url = peer.url();
    let name = topic("t");
    soon("a connection", async {
        let (connection, wire) = tokio::join!(client.connect_topic(&name, Some(&url)), peer.connect());
        (connection.unwrap(), wire)
    })
    .await
}
