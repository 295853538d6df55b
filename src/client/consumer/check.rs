//! Which options make sense.

use crate::client::options::{ConsumerOptions, DelayOptions, KeySharedOptions, SubscriptionKind};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::message_id::MessageId;
use crate::protocol::topic::TopicName;

/// The topics, or what is wrong with the options.
pub(crate) fn check(options: &ConsumerOptions) -> Result<Vec<TopicName>> {
    let topics = options.topics.iter().map(|topic| TopicName::parse(topic)).collect::<Result<Vec<_>>>()?;
    let exclusive = matches!(options.r#type, SubscriptionKind::Exclusive | SubscriptionKind::Failover);
    let rules = [
        (!topics.is_empty(), "topics must name at least one topic"),
        ((1..topics.len()).all(|n| !topics[..n].contains(&topics[n])), "topics names a topic twice"),
        (!options.subscription.is_empty(), "subscription must not be empty"),
        (options.receiver_queue_size > 0, "receiver_queue_size must be at least 1"),
        (options.max_total_receiver_queue_size > 0, "max_total_receiver_queue_size must be at least 1"),
        (options.ack_group_max > 0, "ack_group_max must be at least 1"),
        (options.priority >= 0, "priority must not be negative"),
        (options.max_pending_chunked_messages > 0, "max_pending_chunked_messages must be at least 1"),
        (options.max_uncompressed_size > 0, "max_uncompressed_size must be at least 1"),
        (
            grows(options.negative_ack_delay),
            "negative_ack_delay needs a multiplier of at least 1 and max >= initial",
        ),
        (
            options
                .ack_timeout_backoff
                .is_none_or(|backoff| backoff.multiplier >= 1.0 && backoff.max >= options.ack_timeout),
            "ack_timeout_backoff needs a multiplier of at least 1 and a max of at least ack_timeout",
        ),
        (
            options.start_message_id.is_none() || !options.durable,
            "start_message_id needs durable=false: a durable subscription starts where it stopped; use seek",
        ),
        (!options.read_compacted || exclusive, "read_compacted needs an Exclusive or Failover subscription"),
        (
            !options.read_compacted || topics.iter().all(TopicName::is_persistent),
            "read_compacted needs a persistent topic",
        ),
        (
            options.key_shared == KeySharedOptions::default()
                || options.r#type == SubscriptionKind::KeyShared,
            "key_shared needs a Key_Shared subscription",
        ),
    ];
    if let Some((_, broken)) = rules.iter().find(|(holds, _)| !holds) {
        return Err(Error::new(ErrorKind::InvalidOption, *broken));
    }
    check_ranges(options.key_shared.sticky_ranges.as_deref())?;
    if let Some(bytes) = &options.start_message_id {
        MessageId::from_bytes(bytes)?;
    }
    Ok(topics)
}

fn grows(delay: DelayOptions) -> bool {
    delay.multiplier >= 1.0 && delay.max >= delay.initial
}

fn check_ranges(ranges: Option<&[(u16, u16)]>) -> Result<()> {
    let Some(ranges) = ranges else { return Ok(()) };
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let ordered = sorted.iter().all(|(start, end)| start <= end);
    let apart = sorted.iter().zip(sorted.iter().skip(1)).all(|(one, next)| one.1 < next.0);
    if ranges.is_empty() || !ordered || !apart {
        let context =
            "key_shared.sticky_ranges must be at least one range (start, end), none overlapping another";
        return Err(Error::new(ErrorKind::InvalidOption, context));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn options() -> ConsumerOptions {
        ConsumerOptions { topics: vec!["t".into()], subscription: "s".into(), ..ConsumerOptions::default() }
    }

    fn refused(options: &ConsumerOptions) -> String {
        let error = check(options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        error.context().to_owned()
    }

    #[test]
    fn defaults_are_good() {
        assert_eq!(check(&options()).unwrap()[0].as_str(), "persistent://public/default/t");
    }

    #[test]
    fn each_rule_names_its_option() {
        let o = options;
        assert!(refused(&ConsumerOptions { topics: vec![], ..o() }).contains("topics"));
        let twice = vec!["t".into(), "persistent://public/default/t".into()];
        assert!(refused(&ConsumerOptions { topics: twice, ..o() }).contains("twice"));
        assert!(refused(&ConsumerOptions { subscription: String::new(), ..o() }).contains("subscription"));
        assert!(refused(&ConsumerOptions { receiver_queue_size: 0, ..o() }).contains("receiver_queue_size"));
        assert!(refused(&ConsumerOptions { ack_group_max: 0, ..o() }).contains("ack_group_max"));
        assert!(
            refused(&ConsumerOptions { start_message_id: Some(vec![]), ..o() }).contains("start_message_id")
        );
        let delay =
            DelayOptions { initial: Duration::from_secs(2), max: Duration::from_secs(1), multiplier: 2.0 };
        assert!(
            refused(&ConsumerOptions { negative_ack_delay: delay, ..o() }).contains("negative_ack_delay")
        );
        let nan = DelayOptions { multiplier: f64::NAN, ..o().negative_ack_delay };
        assert!(refused(&ConsumerOptions { negative_ack_delay: nan, ..o() }).contains("negative_ack_delay"));
        let shared = ConsumerOptions { r#type: SubscriptionKind::Shared, read_compacted: true, ..o() };
        assert!(refused(&shared).contains("read_compacted"));
    }

    #[test]
    fn sticky_ranges_must_not_overlap() {
        let with = |ranges: Vec<(u16, u16)>| ConsumerOptions {
            r#type: SubscriptionKind::KeyShared,
            key_shared: KeySharedOptions { sticky_ranges: Some(ranges), allow_out_of_order: false },
            ..options()
        };
        assert!(check(&with(vec![(0, 9), (10, 65_535)])).is_ok());
        for bad in [vec![], vec![(5, 4)], vec![(0, 9), (9, 12)]] {
            assert!(refused(&with(bad)).contains("sticky_ranges"));
        }
        assert!(
            refused(&ConsumerOptions { r#type: SubscriptionKind::Shared, ..with(vec![(0, 1)]) })
                .contains("Key_Shared")
        );
    }
}
