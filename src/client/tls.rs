//! TLS as the options say, with rustls and ring.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::options::TlsOptions;
use crate::error::{Error, ErrorKind, Result};

/// Reads the files anew with each connection, so that renewed certificates are taken without a restart.
pub(super) async fn connector(options: &TlsOptions) -> Result<TlsConnector> {
    let options = options.clone();
    let config = tokio::task::spawn_blocking(move || config(&options))
        .await
        .map_err(|error| Error::new(ErrorKind::Connection, "TLS could not be prepared").caused_by(error))??;
    Ok(TlsConnector::from(Arc::new(config)))
}

fn config(options: &TlsOptions) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid("TLS is not available", error))?;
    let verifier: Arc<dyn ServerCertVerifier> = if options.insecure {
        Arc::new(Anyone(provider))
    } else {
        let by_roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(options)?), provider)
            .build()
            .map_err(|error| invalid("no trusted certificates", error))?;
        if options.verify_hostname { by_roots } else { Arc::new(AnyName(by_roots)) }
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    match (&options.cert_file, &options.key_file) {
        (Some(cert_file), Some(key_file)) => {
            let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| {
                invalid(&format!("tls.key_file {key_file} holds no private key in PEM form"), error)
            })?;
            builder
                .with_client_auth_cert(certificates("tls.cert_file", cert_file)?, key)
                .map_err(|error| invalid("tls.cert_file and tls.key_file do not fit together", error))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn roots(options: &TlsOptions) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &options.ca_file {
        for certificate in certificates("tls.ca_file", file)? {
            roots.add(certificate).map_err(|error| {
                invalid(&format!("tls.ca_file {file} holds an unusable certificate"), error)
            })?;
        }
        return Ok(roots);
    }
    let platform = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(platform.certs);
    if roots.is_empty() {
        let context = "the platform has no trusted certificates: give tls.ca_file";
        let error = Error::new(ErrorKind::InvalidOption, context);
        return Err(match platform.errors.into_iter().next() {
            Some(cause) => error.caused_by(cause),
            None => error,
        });
    }
    Ok(roots)
}

fn certificates(option: &str, file: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>();
    let found = read().map_err(|error| invalid(&format!("{option} {file} cannot be read"), error))?;
    if found.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidOption,
            format!("{option} {file} holds no certificate in PEM form"),
        ));
    }
    Ok(found)
}

fn invalid(context: &str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidOption, context).caused_by(source)
}

/// Trusts any certificate: `insecure`. The handshake's signature is still checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Trusts a certificate from the roots for any host: `verify_hostname = false`.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The name is looked at last: the chain is good when only the name is not.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
