//! The counts of producers and consumers that are gone, so that a client's sums never fall.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::handle::ChildStats;
use super::stats::{ConsumerStats, ProducerStats};

/// Different producers, and consumers, that are kept apart; the others are one without a name.
const MOST: usize = 1000;

type ConsumerKey = (Vec<String>, String, bool);

#[derive(Debug, Default)]
pub(super) struct Retired(Mutex<Sums>);

#[derive(Debug, Default)]
struct Sums {
    producers: BTreeMap<String, ProducerStats>,
    consumers: BTreeMap<ConsumerKey, ConsumerStats>,
}

impl Retired {
    pub(super) fn add(&self, stats: ChildStats) {
        let sums = &mut *self.0.lock();
        match stats {
            ChildStats::Producer(gone) => sum_of(&mut sums.producers, gone.topic.clone()).absorb(&gone),
            ChildStats::Consumer(gone) => {
                // The subscription of a reader is a random name.
                let subscription = if gone.reader { String::new() } else { gone.subscription.clone() };
                let key = (gone.topics.clone(), subscription, gone.reader);
                sum_of(&mut sums.consumers, key).absorb(&gone);
            }
        }
    }

    pub(super) fn producers(&self) -> Vec<ProducerStats> {
        let named = |(topic, sum): (&String, &ProducerStats)| ProducerStats {
            topic: topic.clone(),
            closed: true,
            ..sum.clone()
        };
        self.0.lock().producers.iter().map(named).collect()
    }

    pub(super) fn consumers(&self) -> Vec<ConsumerStats> {
        let named = |(key, sum): (&ConsumerKey, &ConsumerStats)| ConsumerStats {
            topics: key.0.clone(),
            subscription: key.1.clone(),
            reader: key.2,
            closed: true,
            ..sum.clone()
        };
        self.0.lock().consumers.iter().map(named).collect()
    }
}

fn sum_of<K: Ord + Default, V: Default>(sums: &mut BTreeMap<K, V>, key: K) -> &mut V {
    let known = sums.len() < MOST || sums.contains_key(&key);
    sums.entry(if known { key } else { K::default() }).or_default()
}

impl ProducerStats {
    fn absorb(&mut self, gone: &Self) {
        self.messages_sent += gone.messages_sent;
        self.bytes_sent += gone.bytes_sent;
        self.messages_confirmed += gone.messages_confirmed;
        self.messages_failed += gone.messages_failed;
        self.reconnects += gone.reconnects;
    }
}

impl ConsumerStats {
    fn absorb(&mut self, gone: &Self) {
        self.messages_received += gone.messages_received;
        self.bytes_received += gone.bytes_received;
        self.messages_acknowledged += gone.messages_acknowledged;
        self.messages_negatively_acknowledged += gone.messages_negatively_acknowledged;
        self.ack_timeouts += gone.ack_timeouts;
        self.redeliveries_requested += gone.redeliveries_requested;
        self.messages_discarded += gone.messages_discarded;
        self.messages_unsupported += gone.messages_unsupported;
        self.chunks_given_up += gone.chunks_given_up;
        self.reconnects += gone.reconnects;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer(topic: String) -> ChildStats {
        ChildStats::Producer(ProducerStats {
            topic,
            messages_sent: 2,
            pending_messages: 7,
            ..ProducerStats::default()
        })
    }

    #[test]
    fn what_is_gone_is_summed_by_topic_and_only_what_grows() {
        let retired = Retired::default();
        for topic in ["a", "b", "a"] {
            retired.add(producer(topic.into()));
        }
        let sums: Vec<_> = retired
            .producers()
            .into_iter()
            .map(|sum| (sum.topic, sum.messages_sent, sum.pending_messages))
            .collect();
        assert_eq!(sums, [("a".into(), 4, 0), ("b".into(), 2, 0)]);
    }

    #[test]
    fn readers_are_one_for_each_topic() {
        let retired = Retired::default();
        for number in 0..3 {
            retired.add(ChildStats::Consumer(ConsumerStats {
                topics: vec!["a".into()],
                subscription: format!("reader-{number}"),
                reader: true,
                messages_received: 1,
                ..ConsumerStats::default()
            }));
        }
        let sums = retired.consumers();
        assert_eq!((sums.len(), sums[0].messages_received, sums[0].reader), (1, 3, true));
    }

    #[test]
    fn they_are_bounded_and_nothing_is_lost() {
        let retired = Retired::default();
        for number in 0..MOST + 50 {
            retired.add(producer(format!("topic-{number}")));
        }
        let sums = retired.producers();
        assert_eq!(sums.len(), MOST + 1);
        assert_eq!(sums.iter().map(|sum| sum.messages_sent).sum::<u64>(), 2 * (MOST as u64 + 50));
        assert_eq!(sums[0].topic, "");
    }
}
