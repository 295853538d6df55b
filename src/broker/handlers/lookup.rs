//! Where a topic is served, which is always here, and how many partitions it has.

use std::sync::Arc;

use super::{once_settled, refuse};
use crate::broker::outlet::Outlet;
use crate::broker::session::Session;
use crate::broker::session::server_error::server_error;
use crate::error::Result;
use crate::protocol::proto::{
    Command, CommandLookupTopic, CommandLookupTopicResponse, CommandPartitionedTopicMetadata,
    CommandPartitionedTopicMetadataResponse, LookupType, PartitionedLookupType,
};
use crate::protocol::topic::TopicName;

pub(super) fn lookup(session: &Session, question: &CommandLookupTopic) {
    let checked: Result<()> = TopicName::parse(&question.topic).and_then(|name| {
        session
            .core
            .registry
            .namespace(name.namespace_path())
            .map(drop)
            .map_err(|error| error.on_topic(&name))
    });
    if let Err(error) = checked {
        let command = Command::LookupTopic(Box::new(question.clone()));
        return refuse(session, &command, server_error(error.kind()), error.context());
    }
    let url = session.core.url(session.host());
    let (plain, tls) = if session.core.options.tls.is_some() { (None, Some(url)) } else { (Some(url), None) };
    let response = CommandLookupTopicResponse {
        request_id: question.request_id,
        broker_service_url: plain,
        broker_service_url_tls: tls,
        response: Some(LookupType::Connect as i32),
        authoritative: Some(true),
        proxy_through_service_url: Some(false),
        ..CommandLookupTopicResponse::default()
    };
    session.send(&response.into());
}

pub(super) fn partitions(session: &Arc<Session>, question: Box<CommandPartitionedTopicMetadata>) {
    let create = question.metadata_auto_creation_enabled();
    let found =
        TopicName::parse(&question.topic).and_then(|name| session.core.registry.partitions(&name, create));
    let answer = move |session: &Session, found: Result<u32>| match found {
        Ok(count) => {
            let response = CommandPartitionedTopicMetadataResponse {
                request_id: question.request_id,
                partitions: Some(count),
                response: Some(PartitionedLookupType::Success as i32),
                ..CommandPartitionedTopicMetadataResponse::default()
            };
            session.send(&response.into());
        }
        Err(error) => {
            let command = Command::PartitionedTopicMetadata(question);
            refuse(session, &command, server_error(error.kind()), error.context());
        }
    };
    match found {
        // They may have been made just now.
        Ok(count) if create && count > 0 => {
            once_settled(session, move |session, stored| answer(session, stored.map(|()| count)));
        }
        found => answer(session, found),
    }
}
