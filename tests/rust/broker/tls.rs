//! TLS on request.

use fastapi_pulsar_core::broker::config::{BrokerOptions, TlsOptions};
use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::client::options::{ProducerOptions, TlsOptions as ClientTls};
use fastapi_pulsar_core::clock::Clock;

use crate::house::{House, send};
use crate::support::certificates::Certificates;
use crate::support::peer::soon;
use crate::support::setup::{client_with, options};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_trusts_the_certificate_comes_in_by_the_name_that_it_asked_for() {
    let files = Certificates::new("localhost");
    let tls = TlsOptions { certificate: files.file("server.pem"), key: files.file("server.key") };
    let house = House::with(BrokerOptions { tls: Some(tls), ..BrokerOptions::default() });
    assert!(house.broker.service_url().starts_with("pulsar+ssl://"));
    // The certificate is for the name: were the lookup answered with the address, the client would refuse it.
    let mut client = options(&house.broker.service_url().replace("127.0.0.1", "localhost"));
    client.tls = ClientTls { ca_file: Some(files.file("ca.pem")), ..ClientTls::default() };
    let client = client_with(client, NoAuthentication, &Clock::default());
    let on = ProducerOptions { topic: "t".into(), ..ProducerOptions::default() };
    let producer = soon("a producer", client.producer(on)).await.unwrap();
    send(&producer, "hello").await;
    house.close().await;
}
