//! What an administrator asks for.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::Method;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::answer::Refusal;
use crate::broker::core::Core;
use crate::broker::topic::Topic;
use crate::protocol::topic::TopicName;

pub struct Request {
    pub core: Arc<Core>,
    pub method: Method,
    /// The path between slashes, decoded.
    pub path: Vec<String>,
    pub query: HashMap<String, String>,
    pub body: Bytes,
    /// The URL of this door.
    pub url: String,
}

impl Request {
    /// The body as JSON; an empty one is `null`.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let text = if self.body.is_empty() { b"null" } else { &self.body[..] };
        serde_json::from_slice(text)
            .map_err(|error| Refusal::new(400, format!("the body is not understood: {error}")))
    }

    pub fn flag(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// An existing topic.
    pub fn topic(&self, name: &TopicName) -> Result<Arc<Topic>, Refusal> {
        let found = self.core.registry.existing(name);
        found.ok_or_else(|| Refusal::new(404, format!("Topic {name} not found")))
    }

    /// The topic, or all partitions of it if it is partitioned.
    pub fn topics(&self, name: &TopicName) -> Result<Vec<Arc<Topic>>, Refusal> {
        match self.partitions(name) {
            0 => Ok(vec![self.topic(name)?]),
            count => Ok((0..count)
                .filter_map(|partition| self.core.registry.existing(&name.with_partition(partition)))
                .collect()),
        }
    }

    /// How many partitions the topic has; 0 for none, and for no such topic.
    pub fn partitions(&self, name: &TopicName) -> u32 {
        self.core.registry.partitions(name, false).unwrap_or_default()
    }
}

/// Decodes `%41`; a plus stays one in a path.
pub fn decode(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// `a=1&b=2`.
pub fn query(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter_map(|(name, value)| Some((decode(name)?, decode(&value.replace('+', " "))?))).collect()
}
