//! The topics of a namespace, and watching them.

use std::sync::Arc;

use crate::broker::outlet::Outlet;
use crate::broker::registry::{TopicPattern, Watcher};
use crate::broker::session::Session;
use crate::broker::session::server_error::failed;
use crate::error::Result;
use crate::protocol::proto::{
    CommandGetTopicsOfNamespace, CommandGetTopicsOfNamespaceResponse, CommandSuccess, CommandWatchTopicList,
    CommandWatchTopicListClose, CommandWatchTopicListSuccess,
};

pub(super) fn topics(session: &Session, question: &CommandGetTopicsOfNamespace) {
    // A pattern that only Java understands is not applied, and the answer says so: the client filters by itself.
    let pattern = question.topics_pattern.as_deref().and_then(|pattern| TopicPattern::new(pattern).ok());
    let listing = session.core.registry.topics_of(&question.namespace, question.mode(), pattern.as_ref());
    match listing {
        Ok(listing) => {
            let hash = listing.hash();
            let unchanged = question.topics_hash.as_ref() == Some(&hash);
            let response = CommandGetTopicsOfNamespaceResponse {
                request_id: question.request_id,
                topics: if unchanged { Vec::new() } else { listing.topics },
                filtered: Some(pattern.is_some()),
                topics_hash: Some(hash),
                changed: Some(!unchanged),
            };
            session.send(&response.into());
        }
        Err(error) => session.send(&failed(question.request_id, &error).into()),
    }
}

pub(super) fn watch(session: &Arc<Session>, command: CommandWatchTopicList) {
    let request_id = command.request_id;
    match try_watch(session, command) {
        Ok(success) => session.send(&success.into()),
        Err(error) => session.send(&failed(request_id, &error).into()),
    }
}

fn try_watch(session: &Arc<Session>, command: CommandWatchTopicList) -> Result<CommandWatchTopicListSuccess> {
    let listing = session.core.registry.watch(Watcher {
        outlet: Arc::clone(session) as Arc<dyn Outlet>,
        id: command.watcher_id,
        namespace: command.namespace,
        pattern: TopicPattern::new(&command.topics_pattern)?,
    })?;
    let hash = listing.hash();
    let unchanged = command.topics_hash.as_ref() == Some(&hash);
    Ok(CommandWatchTopicListSuccess {
        request_id: command.request_id,
        watcher_id: command.watcher_id,
        topic: if unchanged { Vec::new() } else { listing.topics },
        topics_hash: hash,
    })
}

pub(super) fn unwatch(session: &Session, command: CommandWatchTopicListClose) {
    session.core.registry.unwatch(session.id(), command.watcher_id);
    session.send(&CommandSuccess { request_id: command.request_id, schema: None }.into());
}
