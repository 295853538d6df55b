//! Receipts, refusals and duplicates.

use super::support::{Bench, Line, producer};
use crate::broker::policies::Policies;
use crate::protocol::frame::FRAME_OVERHEAD;
use crate::protocol::proto::{Command, CommandSendReceipt, ProducerAccessMode, ServerError};

fn receipts(line: &Line) -> Vec<CommandSendReceipt> {
    let receipt = |command| match command {
        Command::SendReceipt(receipt) => receipt,
        other => panic!("{other:?}"),
    };
    line.take().into_iter().map(receipt).collect()
}

#[test]
fn each_send_has_its_receipt_in_order_and_its_own_place() {
    let bench = Bench::new(Policies::default());
    let line = bench.producer("p");
    for sequence_id in 0..3 {
        bench.send(&line, sequence_id, None, b"x");
    }
    let receipts = receipts(&line);
    let ids = receipts.iter().map(|receipt| receipt.sequence_id);
    assert!(ids.eq(0..3));
    let entries = receipts.iter().map(|receipt| receipt.message_id.as_ref().unwrap().entry_id);
    assert!(entries.eq(0..3));
}

#[test]
fn a_sequence_id_is_stored_once_where_deduplication_is_on() {
    let bench = Bench::new(Policies { deduplication: Some(true), ..Policies::default() });
    let line = bench.producer("p");
    for sequence_id in [0, 1, 1, 0] {
        bench.send(&line, sequence_id, None, b"x");
    }
    let places: Vec<u64> =
        receipts(&line).into_iter().map(|receipt| receipt.message_id.unwrap().entry_id).collect();
    assert_eq!(places, [0, 1, u64::MAX, u64::MAX]);
    assert_eq!(bench.topic.stats().entries, 2);
    bench.topic.remove_producer(line.id, 1);
    let grant = bench.produce(&Line::new(), producer(1, "p", ProducerAccessMode::Shared)).unwrap();
    assert_eq!(grant.last_sequence_id, Some(1));
    let off = Bench::new(Policies::default());
    let line = off.producer("p");
    off.send(&line, 5, None, b"x");
    off.send(&line, 5, None, b"x");
    assert_eq!(off.topic.stats().entries, 2);
}

#[test]
fn what_cannot_be_taken_is_refused_with_its_sequence_id() {
    let bench = Bench::new(Policies::default());
    let line = bench.producer("p");
    bench.send(&line, 0, None, &vec![0; (5 << 20) + FRAME_OVERHEAD + 1]);
    bench.topic.refuse(line.id, 1, 1, ServerError::ChecksumError, "damaged");
    bench.topic.terminate();
    bench.send(&line, 2, None, b"x");
    let refusals: Vec<(u64, i32)> = line
        .take()
        .into_iter()
        .map(|command| match command {
            Command::SendError(error) => (error.sequence_id, error.error),
            other => panic!("{other:?}"),
        })
        .collect();
    let wanted =
        [ServerError::NotAllowedError, ServerError::ChecksumError, ServerError::TopicTerminatedError];
    assert_eq!(refusals, [0, 1, 2].map(|id| (id, wanted[usize::try_from(id).unwrap()] as i32)));
}
