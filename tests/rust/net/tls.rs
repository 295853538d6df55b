//! TLS: who is trusted, and who is not.

use fastapi_pulsar_core::client::auth::{Authentication, NoAuthentication, TlsAuthentication};
use fastapi_pulsar_core::client::options::TlsOptions;
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::{ErrorKind, Result};

use crate::support::certificates::Certificates;
use crate::support::peer::{Peer, Wire, soon};
use crate::support::setup::{client_with, options, topic};

/// Asks for partitions over TLS, from a server that accepts one connection.
async fn ask(
    certificates: &Certificates,
    mutual: bool,
    tls: TlsOptions,
    authentication: impl Authentication + 'static,
) -> Result<u32> {
    let peer = Peer::start().await;
    let url = peer.url().replace("pulsar://", "pulsar+ssl://");
    let mut options = options(&url);
    options.tls = tls;
    let client = client_with(options, authentication, &Clock::default());
    let asked = tokio::spawn(async move { client.partitions(&topic("t")).await });
    let acceptor = certificates.acceptor(mutual);
    tokio::spawn(async move {
        // A handshake that fails is the client's to report.
        if let Ok(stream) = acceptor.accept(peer.socket().await).await {
            let mut wire = Wire::new(stream, url);
            wire.partitions = 5;
            wire.greet().await;
            wire.closed().await;
        }
    });
    soon("an answer", asked).await.unwrap()
}

fn trusting(certificates: &Certificates) -> TlsOptions {
    TlsOptions { ca_file: Some(certificates.file("ca.pem")), ..TlsOptions::default() }
}

#[tokio::test]
async fn a_certificate_of_the_given_authority_is_trusted() {
    let certificates = Certificates::new("127.0.0.1");
    assert_eq!(ask(&certificates, false, trusting(&certificates), NoAuthentication).await.unwrap(), 5);
}

#[tokio::test]
async fn an_unknown_authority_is_refused_at_once() {
    let (certificates, others) = (Certificates::new("127.0.0.1"), Certificates::new("127.0.0.1"));
    let error = ask(&certificates, false, trusting(&others), NoAuthentication).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert!(error.to_string().contains("not trusted"), "{error}");
}

#[tokio::test]
async fn another_hosts_certificate_is_refused_unless_names_do_not_matter() {
    let certificates = Certificates::new("elsewhere.example");
    let error = ask(&certificates, false, trusting(&certificates), NoAuthentication).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    let any_name = TlsOptions { verify_hostname: false, ..trusting(&certificates) };
    assert_eq!(ask(&certificates, false, any_name, NoAuthentication).await.unwrap(), 5);
}

#[tokio::test]
async fn without_the_name_the_authority_still_matters() {
    let (certificates, others) = (Certificates::new("elsewhere.example"), Certificates::new("127.0.0.1"));
    let any_name = TlsOptions { verify_hostname: false, ..trusting(&others) };
    let error = ask(&certificates, false, any_name, NoAuthentication).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
}

#[tokio::test]
async fn insecure_accepts_anyone() {
    let certificates = Certificates::new("elsewhere.example");
    let insecure = TlsOptions { insecure: true, ..TlsOptions::default() };
    assert_eq!(ask(&certificates, false, insecure, NoAuthentication).await.unwrap(), 5);
}

#[tokio::test]
async fn a_client_certificate_is_presented() {
    let certificates = Certificates::new("127.0.0.1");
    let mutual = TlsOptions {
        cert_file: Some(certificates.file("client.pem")),
        key_file: Some(certificates.file("client.key")),
        ..trusting(&certificates)
    };
    assert_eq!(ask(&certificates, true, mutual, TlsAuthentication).await.unwrap(), 5);
}

#[tokio::test]
async fn a_missing_client_certificate_is_an_authentication_error() {
    let certificates = Certificates::new("127.0.0.1");
    let error = ask(&certificates, true, trusting(&certificates), TlsAuthentication).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert!(error.to_string().contains("refused the client's certificate"), "{error}");
}

#[tokio::test]
async fn unusable_files_are_named() {
    let certificates = Certificates::new("127.0.0.1");
    let key = Some(certificates.file("client.key"));
    for (tls, option) in [
        (TlsOptions { ca_file: Some("/nonexistent/ca.pem".into()), ..TlsOptions::default() }, "ca_file"),
        (TlsOptions { ca_file: key.clone(), ..TlsOptions::default() }, "ca_file"),
        (
            TlsOptions { cert_file: key.clone(), key_file: key.clone(), ..trusting(&certificates) },
            "cert_file",
        ),
        (
            TlsOptions {
                cert_file: Some(certificates.file("client.pem")),
                key_file: Some(certificates.file("ca.pem")),
                ..trusting(&certificates)
            },
            "key_file",
        ),
    ] {
        let error = ask(&certificates, false, tls, NoAuthentication).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
        assert!(error.to_string().contains(option), "{error}");
    }
}
