//! Failover: who is active, who is told, who gets what.

use crate::broker::subscription::Options;
use crate::broker::subscription::test_support::{Topic, counts};
use crate::protocol::proto::SubscriptionType::Failover;

fn partition(partition: u32) -> Topic {
    Topic::with(Failover, Options { partition: Some(partition), ..Options::default() })
}

#[test]
fn partitions_choose_by_name() {
    let mut topic = partition(1);
    let b = topic.join_named(Failover, "b", 0);
    assert_eq!(b.active_changes(), [true]);
    let c = topic.join_named(Failover, "c", 0);
    assert_eq!((b.active_changes(), c.active_changes()), (vec![false], vec![true]));
    let d = topic.join_named(Failover, "d", 0);
    assert_eq!(
        (c.active_changes(), d.active_changes()),
        (vec![], vec![false]),
        "c stays the second of three"
    );
    topic.publish(1);
    assert_eq!((b.entries(), c.entries(), d.entries()), (vec![], vec![0], vec![]));
}

#[test]
fn a_better_priority_takes_over_with_all_that_is_unacknowledged() {
    let mut topic = partition(4);
    let second = topic.join_named(Failover, "a", 1);
    topic.publish(3);
    assert_eq!(second.entries(), [0, 1, 2]);
    topic.ack(&second, &[1]);
    let first = topic.join_named(Failover, "z", 0);
    assert_eq!(counts(&first.take()), [(0, 0), (2, 0)]);
    topic.redeliver(&second, &[], None);
    assert!(second.entries().is_empty(), "it is not active");
    topic.leave(&first);
    assert_eq!(second.entries(), [0, 2]);
    assert_eq!(second.active_changes(), [true, false, true]);
}

#[test]
fn unpartitioned_topics_choose_as_pulsar_does() {
    let names = ["consumer-a", "consumer-b", "consumer-c"];
    // Whom the ring of Pulsar 4.0.8 chooses for these topics.
    for (topic, active) in [("t", 2), ("u", 1), ("v", 1), ("w", 2), ("x", 2), ("y", 0)] {
        let options = Options { topic: format!("persistent://public/default/{topic}"), ..Options::default() };
        let mut topic = Topic::with(Failover, options);
        let clients = names.map(|name| topic.join_named(Failover, name, 0));
        topic.publish(1);
        for (index, client) in clients.iter().enumerate() {
            assert_eq!(client.entries().len(), usize::from(index == active));
            assert_eq!(client.active_changes().last(), Some(&(index == active)));
        }
        let stats = topic.subscription.stats(&topic.log);
        assert_eq!(stats.active_consumer.as_deref(), Some(names[active]));
    }
}
