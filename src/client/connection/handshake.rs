//! The first exchange on a connection: who we are, and what the broker is.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::dial::{Target, socket_error};
use super::server_error::server_error;
use crate::client::auth::Authentication;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::frame::{self, DEFAULT_MAX_MESSAGE_SIZE, FRAME_OVERHEAD};
use crate::protocol::proto::{
    AuthData, BaseCommand, Command, CommandAuthResponse, CommandConnect, CommandConnected, FeatureFlags,
    PROTOCOL_VERSION,
};

const CLIENT_VERSION: &str = concat!("fastapi-pulsar-", env!("CARGO_PKG_VERSION"));
/// Challenges answered in one handshake; no known method needs more than two.
const MAX_CHALLENGES: usize = 10;

/// What the broker said of itself.
pub(super) struct Greeting {
    pub(super) max_message_size: usize,
    pub(super) protocol_version: i32,
    pub(super) features: FeatureFlags,
}

/// Introduces this client and waits until the broker accepts it. Also returns what came after the broker's answer.
pub(super) async fn greet(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    target: &Target,
    authentication: &dyn Authentication,
) -> Result<(Greeting, BytesMut)> {
    let mut buffer = BytesMut::with_capacity(4096);
    say(writer, target, &connect(target, authentication).await?.into()).await?;
    for _ in 0..MAX_CHALLENGES {
        match hear(reader, target, &mut buffer).await? {
            Command::Connected(connected) => return Ok((greeting(&connected), buffer)),
            Command::Error(error) => return Err(server_error(error.error, &error.message)),
            Command::AuthChallenge(_) => {
                say(writer, target, &auth_response(authentication).await?.into()).await?;
            }
            other => {
                let context = format!("{target} answered the handshake with {}", other.name());
                return Err(Error::new(ErrorKind::Decode, context));
            }
        }
    }
    let context = format!("{target} challenged the credentials {MAX_CHALLENGES} times");
    Err(Error::new(ErrorKind::Authentication, context))
}

/// Fresh credentials, as the answer to a challenge.
pub(super) async fn auth_response(authentication: &dyn Authentication) -> Result<CommandAuthResponse> {
    let data = authentication.credentials().await?;
    Ok(CommandAuthResponse {
        client_version: Some(CLIENT_VERSION.into()),
        response: Some(AuthData {
            auth_method_name: Some(authentication.method().into()),
            auth_data: Some(data),
        }),
        protocol_version: Some(PROTOCOL_VERSION),
    })
}

async fn connect(target: &Target, authentication: &dyn Authentication) -> Result<CommandConnect> {
    let data = authentication.credentials().await?;
    Ok(CommandConnect {
        client_version: CLIENT_VERSION.into(),
        auth_data: Some(data).filter(|data: &Bytes| !data.is_empty()),
        auth_method_name: Some(authentication.method().into()),
        protocol_version: Some(PROTOCOL_VERSION),
        proxy_to_broker_url: target.behind_proxy().map(ToString::to_string),
        feature_flags: Some(features()),
        ..CommandConnect::default()
    })
}

/// What this client does, and nothing else: a broker relies on it.
fn features() -> FeatureFlags {
    FeatureFlags {
        supports_auth_refresh: Some(true),
        supports_broker_entry_metadata: Some(true),
        supports_partial_producer: Some(true),
        supports_topic_watchers: Some(false),
        supports_get_partitioned_metadata_without_auto_creation: Some(false),
        supports_repl_dedup_by_lid_and_eid: Some(false),
    }
}

fn greeting(connected: &CommandConnected) -> Greeting {
    let announced = connected.max_message_size.and_then(|size| usize::try_from(size).ok());
    Greeting {
        max_message_size: announced.filter(|size| *size > 0).unwrap_or(DEFAULT_MAX_MESSAGE_SIZE),
        protocol_version: connected.protocol_version.unwrap_or_default(),
        features: connected.feature_flags.unwrap_or_default(),
    }
}

async fn say(writer: &mut (impl AsyncWrite + Unpin), target: &Target, command: &BaseCommand) -> Result<()> {
    let mut bytes = BytesMut::new();
    frame::encode_command(command, &mut bytes);
    let written = async {
        writer.write_all(&bytes).await?;
        writer.flush().await
    };
    written.await.map_err(|error| socket_error(&error, target, "cannot write to"))
}

async fn hear(
    reader: &mut (impl AsyncRead + Unpin),
    target: &Target,
    buffer: &mut BytesMut,
) -> Result<Command> {
    loop {
        let decoded = frame::decode(buffer, DEFAULT_MAX_MESSAGE_SIZE + FRAME_OVERHEAD).map_err(|error| {
            let context = format!(
                "{target} does not speak Pulsar's protocol: check the port, and the scheme \
                 (pulsar:// is plain, pulsar+ssl:// is TLS)"
            );
            Error::new(ErrorKind::Decode, context).caused_by(error)
        })?;
        if let Some(command) = decoded.and_then(|frame| frame.command.command) {
            return Ok(command);
        }
        let read = reader.read_buf(buffer).await.map_err(|error| socket_error(&error, target, "lost"))?;
        if read == 0 {
            // A port that wants TLS hangs up on plain text without a word.
            let advice =
                if target.tls { "" } else { "; if it wants TLS, the service URL must be pulsar+ssl://" };
            let context = format!("{target} closed the connection during the handshake{advice}");
            return Err(Error::new(ErrorKind::Connection, context));
        }
    }
}
