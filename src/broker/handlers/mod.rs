//! What each command of a client does.
//!
//! * `producing`, `consuming` — producers and consumers with all that they do.
//! * `lookup`, `listing`, `schemas` — questions.
//! * `refusing` — the negative answer to each command.

mod consuming;
mod listing;
mod lookup;
mod producing;
mod refusing;
mod schemas;

use std::sync::Arc;

pub use self::refusing::refuse;
use super::faults::Action;
use super::outlet::Outlet;
use super::session::Session;
use super::session::handshake::NO_REQUEST;
use super::session::server_error::refused;
use crate::error::Result;
use crate::protocol::frame::{Frame, RawPayload};
use crate::protocol::proto::{Command, CommandAuthResponse, CommandPong, ServerError};

/// Has a command carried out and answered, or hands back new credentials, which the reader looks after.
pub async fn handle(
    session: &Arc<Session>,
    frame: Frame<RawPayload>,
) -> Result<Option<Box<CommandAuthResponse>>> {
    let Some(command) = frame.command.command else {
        unknown(session, "the broker does not know this command");
        return Ok(None);
    };
    match session.core.faults.of_command(&command, || refusing::topic_of(session, &command)) {
        Some(Action::Fail(error)) => {
            refuse(session, &command, error, "a fault that was asked for");
            return Ok(None);
        }
        Some(Action::Ignore) => return Ok(None),
        Some(Action::Delay(delay)) => session.core.clock.sleep(delay).await,
        Some(Action::Corrupt) | None => {}
    }
    if let Command::AuthResponse(response) = command {
        return Ok(Some(response));
    }
    carry_out(session, command, frame.payload);
    Ok(None)
}

fn carry_out(session: &Arc<Session>, command: Command, payload: Option<Result<RawPayload>>) {
    match command {
        Command::Send(send) => producing::send(session, &send, payload),
        Command::Ack(ack) => consuming::acknowledge(session, &ack),
        Command::Flow(flow) => consuming::flow(session, flow),
        Command::Ping(_) => session.send(&CommandPong {}.into()),
        Command::Pong(_) => {}
        Command::Producer(request) => producing::create(session, *request),
        Command::CloseProducer(close) => producing::close(session, &close),
        Command::Subscribe(request) => consuming::subscribe(session, &request),
        Command::CloseConsumer(close) => consuming::close(session, &close),
        Command::Unsubscribe(command) => consuming::unsubscribe(session, command),
        Command::RedeliverUnacknowledgedMessages(command) => consuming::redeliver(session, &command),
        Command::Seek(seek) => consuming::seek(session, *seek),
        Command::GetLastMessageId(question) => consuming::last_message_id(session, question),
        Command::ConsumerStats(question) => consuming::stats(session, question),
        Command::LookupTopic(question) => lookup::lookup(session, &question),
        Command::PartitionedTopicMetadata(question) => lookup::partitions(session, question),
        Command::GetTopicsOfNamespace(question) => listing::topics(session, &question),
        Command::WatchTopicList(command) => listing::watch(session, *command),
        Command::WatchTopicListClose(command) => listing::unwatch(session, command),
        Command::GetSchema(question) => schemas::get(session, &question),
        Command::GetOrCreateSchema(command) => schemas::get_or_create(session, command),
        Command::NewTxn(_)
        | Command::AddPartitionToTxn(_)
        | Command::AddSubscriptionToTxn(_)
        | Command::EndTxn(_)
        | Command::EndTxnOnPartition(_)
        | Command::EndTxnOnSubscription(_)
        | Command::TcClientConnectRequest(_) => {
            let context = "the embedded broker has no transactions";
            refuse(session, &command, ServerError::NotAllowedError, context);
        }
        _ => unknown(session, "clients do not send this command"),
    }
}

fn unknown(session: &Session, context: &str) {
    session.send(&refused(NO_REQUEST, ServerError::NotAllowedError, context).into());
}

/// Goes on once what was done up to now is stored: only then is a client told of it.
fn once_settled(session: &Arc<Session>, then: impl FnOnce(&Session, Result<()>) + Send + 'static) {
    let held = Arc::clone(session);
    session.core.registry.once_settled(move |stored| then(&held, stored));
}
