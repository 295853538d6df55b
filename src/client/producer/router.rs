//! Which partition a message goes to.

use super::message::Prepared;
use crate::client::options::{Hashing, Routing};
use crate::error::{Error, ErrorKind, Result};

/// As Java routes: a key decides; without one the next partition, or always the same.
#[derive(Debug)]
pub(super) struct Router {
    routing: Routing,
    hashing: Hashing,
    /// Where messages without a key go now.
    current: usize,
}

impl Router {
    /// `first` is any number: different producers should begin at different partitions.
    pub(super) fn new(routing: Routing, hashing: Hashing, first: usize) -> Self {
        Self { routing, hashing, current: first }
    }

    /// The partition of a message, of `partitions` (at least 1).
    pub(super) fn choose(&self, message: &Prepared<'_>, partitions: usize) -> Result<usize> {
        let partitions = partitions.max(1);
        if let Some(given) = message.partition {
            let given = given as usize;
            return if given < partitions {
                Ok(given)
            } else {
                let context = format!("partition {given} is out of range: the topic has {partitions}");
                Err(Error::new(ErrorKind::InvalidOption, context))
            };
        }
        Ok(match &message.key.text {
            Some(key) if partitions > 1 => self.hashing.hash(key) as usize % partitions,
            _ => self.current % partitions,
        })
    }

    /// A batch of this partition is closed, or a message went there alone: the next ones without a key go elsewhere.
    pub(super) fn closed(&mut self, partition: usize, partitions: usize) {
        if self.routing == Routing::RoundRobin && self.current % partitions.max(1) == partition {
            self.current = (partition + 1) % partitions.max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::producer::message::{Key, OutgoingMessage};

    fn plain() -> Prepared<'static> {
        Prepared::new(OutgoingMessage::default())
    }

    fn keyed(key: &str) -> Prepared<'static> {
        Prepared::new(OutgoingMessage { key: Some(Key::Text(key.into())), ..Default::default() })
    }

    #[test]
    fn round_robin_moves_on_with_each_batch() {
        let mut router = Router::new(Routing::RoundRobin, Hashing::Java, 5);
        let mut chosen = Vec::new();
        for _ in 0..4 {
            let partition = router.choose(&plain(), 3).unwrap();
            assert_eq!(router.choose(&plain(), 3).unwrap(), partition, "the same until the batch is closed");
            router.closed(partition, 3);
            chosen.push(partition);
        }
        assert_eq!(chosen, [2, 0, 1, 2]);
    }

    #[test]
    fn a_batch_closed_elsewhere_moves_nothing() {
        let mut router = Router::new(Routing::RoundRobin, Hashing::Java, 0);
        router.closed(1, 3);
        assert_eq!(router.choose(&plain(), 3).unwrap(), 0);
    }

    #[test]
    fn single_stays_and_a_key_decides_anyway() {
        let mut router = Router::new(Routing::Single, Hashing::Java, 1);
        router.closed(1, 8);
        assert_eq!(router.choose(&plain(), 8).unwrap(), 1);
        assert_eq!(router.choose(&keyed("EWR"), 8).unwrap(), 0);
        let router = Router::new(Routing::Single, Hashing::Cpp, 1);
        assert_eq!(router.choose(&keyed("EWR"), 8).unwrap(), 2);
    }

    #[test]
    fn a_given_partition_must_exist() {
        let router = Router::new(Routing::RoundRobin, Hashing::Java, 0);
        let to =
            |partition| Prepared::new(OutgoingMessage { partition: Some(partition), ..Default::default() });
        assert_eq!(router.choose(&to(2), 3).unwrap(), 2);
        assert_eq!(router.choose(&to(3), 3).unwrap_err().kind(), ErrorKind::InvalidOption);
    }
}
