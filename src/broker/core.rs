//! What all connections of a broker share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::auth::Authenticator;
use super::config::BrokerOptions;
use super::faults::Faults;
use super::outlet::Outlet;
use super::registry::Registry;
use super::session::{End, Session};
use crate::clock::Clock;

pub struct Core {
    pub options: BrokerOptions,
    pub clock: Clock,
    pub registry: Arc<Registry>,
    pub faults: Arc<Faults>,
    /// None: everybody may come in.
    pub authenticator: Option<Authenticator>,
    /// Where clients connect.
    pub address: SocketAddr,
    pub(super) sessions: Mutex<Sessions>,
}

/// The connections past their handshake.
#[derive(Default)]
pub(super) struct Sessions {
    all: HashMap<u64, Weak<Session>>,
    last_id: u64,
}

impl Core {
    /// The service URL by this host.
    pub fn url(&self, host: &str) -> String {
        let scheme = if self.options.tls.is_some() { "pulsar+ssl" } else { "pulsar" };
        let port = self.address.port();
        if host.contains(':') {
            format!("{scheme}://[{host}]:{port}")
        } else {
            format!("{scheme}://{host}:{port}")
        }
    }

    pub(super) fn next_session_id(&self) -> u64 {
        let mut sessions = self.sessions.lock();
        sessions.last_id += 1;
        sessions.last_id
    }

    pub(super) fn enter(&self, session: &Arc<Session>) {
        self.sessions.lock().all.insert(session.id(), Arc::downgrade(session));
    }

    pub(super) fn leave(&self, session: &Session) {
        self.sessions.lock().all.remove(&session.id());
    }

    pub fn connections(&self) -> usize {
        self.sessions.lock().all.len()
    }

    /// The connections with a producer or consumer on a topic, and those of a client whose address or version holds a
    /// text; all of them without either.
    fn chosen(&self, topic: Option<&str>, client: Option<&str>) -> Vec<Arc<Session>> {
        let all: Vec<Arc<Session>> = self.sessions.lock().all.values().filter_map(Weak::upgrade).collect();
        let chosen = |session: &Arc<Session>| {
            let peer = session.peer();
            topic.is_none_or(|topic| session.attached.lock().uses(topic))
                && client.is_none_or(|text| peer.address.contains(text) || peer.client_version.contains(text))
        };
        all.into_iter().filter(chosen).collect()
    }

    /// Ends connections; returns how many.
    pub fn end_connections(&self, topic: Option<&str>, client: Option<&str>, how: End) -> usize {
        let chosen = self.chosen(topic, client);
        for session in &chosen {
            session.end(how);
        }
        chosen.len()
    }

    /// Leaves unread what clients send, or reads again; returns how many connections that are.
    pub fn set_deaf(&self, topic: Option<&str>, client: Option<&str>, deaf: bool) -> usize {
        let chosen = self.chosen(topic, client);
        for session in &chosen {
            session.set_deaf(deaf);
        }
        chosen.len()
    }
}
