//! Who is there, and what both sides speak: the first command each way, and credentials later on.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::server_error::{refused, server_error};
use crate::broker::auth::Identity;
use crate::broker::core::Core;
use crate::broker::faults::Action;
use crate::broker::outlet::Peer;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::frame;
use crate::protocol::proto::{
    AuthData, BaseCommand, Command, CommandAuthChallenge, CommandAuthResponse, CommandConnect,
    CommandConnected, FeatureFlags, PROTOCOL_VERSION,
};

/// The largest introduction: a token is the largest thing in it.
const MAX_CONNECT: usize = 64 * 1024;
/// The request id of what no request asked for.
pub const NO_REQUEST: u64 = u64::MAX;
pub const SERVER_VERSION: &str = concat!("fastapi-pulsar-embedded-", env!("CARGO_PKG_VERSION"));

/// What is known of a client that was let in.
pub struct Greeting {
    pub peer: Peer,
    /// The host that the client came by.
    pub host: String,
    pub authentication: Authentication,
}

/// A client's credentials.
#[derive(Clone, Debug, Default)]
pub struct Authentication {
    /// None where nobody has to say who he is.
    pub identity: Option<Identity>,
    /// Whether the client can bring new ones on the same connection.
    pub refreshes: bool,
}

/// Takes the client's introduction and answers it. What came behind it stays in `buffer`.
///
/// A refused client is told why; then, as after an introduction that is none, the connection is to be closed.
pub async fn greet(
    socket: &mut (impl AsyncRead + AsyncWrite + Unpin),
    buffer: &mut BytesMut,
    core: &Core,
    address: String,
    host: String,
) -> Result<Greeting> {
    let connect = introduction(socket, buffer).await?;
    let outcome = match fault(&connect, core).await {
        Ok(()) => admit(&connect, core),
        Err(error) => Err(error),
    };
    let mut answer = BytesMut::new();
    let identity = match outcome {
        Ok(identity) => identity,
        Err(error) => {
            let reason = server_error(error.kind());
            frame::encode_command(&refused(NO_REQUEST, reason, error.context()).into(), &mut answer);
            socket.write_all(&answer).await?;
            socket.shutdown().await?;
            return Err(error);
        }
    };
    let protocol_version = connect.protocol_version.unwrap_or_default().clamp(0, PROTOCOL_VERSION);
    frame::encode_command(&connected(core, protocol_version), &mut answer);
    socket.write_all(&answer).await?;
    socket.flush().await?;
    let flags = connect.feature_flags.unwrap_or_default();
    Ok(Greeting {
        peer: Peer { address, client_version: connect.client_version, protocol_version },
        host,
        authentication: Authentication { identity, refreshes: flags.supports_auth_refresh() },
    })
}

async fn introduction(
    socket: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> Result<Box<CommandConnect>> {
    loop {
        if let Some(frame) = frame::decode_raw(buffer, MAX_CONNECT)? {
            return match frame.command.command {
                Some(Command::Connect(connect)) => Ok(connect),
                _ => Err(Error::new(ErrorKind::NotAllowed, "the first command of a connection is Connect")),
            };
        }
        if socket.read_buf(buffer).await? == 0 {
            return Err(Error::new(ErrorKind::Connection, "the client went without a word"));
        }
    }
}

async fn fault(connect: &CommandConnect, core: &Core) -> Result<()> {
    let command = Command::Connect(Box::new(connect.clone()));
    match core.faults.of_command(&command, || None) {
        Some(Action::Fail(refusal)) => {
            // Kinds say less than codes: only those that a kind stands for can be asked for here.
            let kind = ErrorKind::ALL.iter().find(|kind| server_error(**kind) == refusal);
            Err(Error::new(kind.copied().unwrap_or(ErrorKind::Unknown), "a fault that was asked for"))
        }
        Some(Action::Delay(delay)) => {
            core.clock.sleep(delay).await;
            Ok(())
        }
        // Never answered: the handshake's time limit ends it.
        Some(Action::Ignore) => std::future::pending().await,
        Some(Action::Corrupt) | None => Ok(()),
    }
}

/// Whether the client may come in, and who it is.
fn admit(connect: &CommandConnect, core: &Core) -> Result<Option<Identity>> {
    let Some(authenticator) = &core.authenticator else { return Ok(None) };
    let method = connect.auth_method_name();
    let token = connect.auth_data.clone().unwrap_or_default();
    authenticator.check(method, &token, core.clock.unix_millis()).map(Some)
}

fn connected(core: &Core, protocol_version: i32) -> BaseCommand {
    let flags = FeatureFlags {
        supports_auth_refresh: Some(true),
        supports_broker_entry_metadata: Some(false),
        supports_partial_producer: Some(true),
        supports_topic_watchers: Some(true),
        supports_get_partitioned_metadata_without_auto_creation: Some(true),
        supports_repl_dedup_by_lid_and_eid: Some(false),
    };
    CommandConnected {
        server_version: SERVER_VERSION.into(),
        protocol_version: Some(protocol_version),
        max_message_size: i32::try_from(core.options.limits.max_message_size).ok(),
        feature_flags: Some(flags),
    }
    .into()
}

/// Asks for new credentials.
pub fn challenge(protocol_version: i32) -> BaseCommand {
    CommandAuthChallenge {
        server_version: Some(SERVER_VERSION.into()),
        challenge: Some(AuthData {
            auth_method_name: Some(crate::broker::auth::METHOD.into()),
            // What Pulsar's brokers say when credentials expire.
            auth_data: Some("PulsarAuthRefresh".into()),
        }),
        protocol_version: Some(protocol_version),
    }
    .into()
}

/// Checks the answer to a challenge.
pub fn answer(response: &CommandAuthResponse, core: &Core) -> Result<Option<Identity>> {
    let Some(authenticator) = &core.authenticator else { return Ok(None) };
    let data = response.response.clone().unwrap_or_default();
    let token = data.auth_data.clone().unwrap_or_default();
    authenticator.check(data.auth_method_name(), &token, core.clock.unix_millis()).map(Some)
}
