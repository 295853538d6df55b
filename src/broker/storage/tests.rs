use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::backends::InMemoryBackend;

use super::test_support::{append, close, entry, picture, store, topic, value};
use super::*;
use crate::broker::position::Position;
use crate::error::ErrorKind;

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = format!("pulsar-storage-{}-{:016x}", std::process::id(), fastrand::u64(..));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn volatile() -> DurableStorage {
    DurableStorage::open_backend(InMemoryBackend::new()).unwrap().storage
}

#[test]
fn all_is_there_after_reopening() {
    let scratch = Scratch::new();
    let opened = DurableStorage::open(&scratch.0).unwrap();
    assert!(!opened.repaired);
    let whole = vec![
        Op::PutMetadata { path: "/tenants/public".into(), value: value("{}") },
        Op::PutTopic { topic: topic("t"), value: value("topic") },
        Op::OpenLedger { topic: topic("t"), ledger: 7 },
        append("t", 7, 0, b"first"),
        append("t", 7, 1, b"second"),
        Op::PutCursor { topic: topic("t"), subscription: "s".into(), value: value("cursor") },
        Op::PutSequence { topic: topic("t"), producer: "p".into(), sequence_id: 1 },
        Op::PutSchema { topic: topic("t"), version: 2, value: value("schema") },
    ];
    store(&opened.storage, whole).unwrap();
    close(&opened.storage);

    let opened = DurableStorage::open(&scratch.0).unwrap();
    assert!(!opened.repaired);
    let stored = opened.storage.load().unwrap();
    assert_eq!(stored.next_ledger, 8);
    assert_eq!(stored.metadata["/tenants/public"], "{}");
    assert_eq!(stored.schemas[&topic("t")][&2], "schema");
    let kept = &stored.topics[&topic("t")];
    assert_eq!(
        (&kept.value, &kept.cursors["s"], kept.sequences["p"]),
        (&value("topic"), &value("cursor"), 1)
    );
    for (number, body) in [(0, b"first".as_slice()), (1, b"second")] {
        let sent = entry(Position::new(7, number), body);
        assert_eq!(format!("{:?}", kept.entries[usize::try_from(number).unwrap()]), format!("{sent:?}"));
    }
}

#[test]
fn what_is_deleted_is_gone_and_its_neighbours_are_not() {
    let storage = volatile();
    let cursor = |name: &str, subscription: &str| Op::PutCursor {
        topic: topic(name),
        subscription: subscription.into(),
        value: value("at"),
    };
    let sequence = |name: &str| Op::PutSequence { topic: topic(name), producer: "p".into(), sequence_id: 1 };
    for name in ["a", "b", "c"] {
        let rows =
            [append(name, 1, 0, b"x"), append(name, 2, 0, b"y"), append(name, 2, 1, b"z"), sequence(name)];
        store(&storage, rows.into_iter().chain([cursor(name, "s"), cursor(name, "t")]).collect()).unwrap();
    }
    let schema = |version| Op::PutSchema { topic: topic("b"), version, value: value("schema") };
    store(&storage, vec![schema(0), schema(1)]).unwrap();
    let rest = vec![
        Op::DeleteTopic { topic: topic("b") },
        Op::Trim { topic: topic("a"), before: Position::new(2, 1) },
        Op::DeleteCursor { topic: topic("a"), subscription: "s".into() },
        Op::DeleteSequence { topic: topic("c"), producer: "p".into() },
        Op::DeleteMetadata { path: "/never/there".into() },
    ];
    store(&storage, rest).unwrap();

    let stored = storage.load().unwrap();
    let shape = |name| {
        let kept = &stored.topics[&topic(name)];
        let positions = kept.entries.iter().map(|entry| entry.position.to_string()).collect::<Vec<_>>();
        (positions.join(" "), kept.cursors.keys().cloned().collect::<String>(), kept.sequences.len())
    };
    assert_eq!(shape("a"), ("2:1".into(), "t".into(), 1));
    assert_eq!(shape("c"), ("1:0 2:0 2:1".into(), "st".into(), 0));
    assert_eq!((stored.topics.len(), stored.schemas[&topic("b")].len()), (2, 2));
    store(&storage, vec![Op::DeleteSchemas { topic: topic("b") }, append("b", 9, 0, b"again")]).unwrap();
    let stored = storage.load().unwrap();
    assert!(stored.schemas.is_empty());
    assert_eq!((stored.topics[&topic("b")].entries.len(), stored.topics[&topic("b")].cursors.len()), (1, 0));
}

#[test]
fn commits_are_reported_in_order_and_counted_until_then() {
    let storage = volatile();
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in 0..500 {
        let order = Arc::clone(&order);
        let done = Box::new(move |result: Result<()>| order.lock().push((number, result.is_ok())));
        storage.commit(vec![append("t", 1, number, b"x")], done);
    }
    store(&storage, Vec::new()).unwrap();
    assert_eq!(*order.lock(), (0..500).map(|number| (number, true)).collect::<Vec<_>>());
    assert_eq!(storage.pending_bytes(), 0);
    assert_eq!(storage.load().unwrap().topics[&topic("t")].entries.len(), 500);
}

#[test]
fn a_directory_is_held_by_one_broker_at_a_time() {
    let scratch = Scratch::new();
    let first = DurableStorage::open(&scratch.0).unwrap().storage;
    let error = DurableStorage::open(&scratch.0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataDirInUse);
    assert!(error.context().contains("another broker of this process"), "{error}");
    close(&first);
    DurableStorage::open(&scratch.0).unwrap();
    let late = store(&first, vec![append("t", 1, 0, b"late")]).unwrap_err();
    assert_eq!((late.kind(), first.load().unwrap_err().kind()), (ErrorKind::Closed, ErrorKind::Closed));
}

#[test]
fn what_cannot_be_opened_says_so() {
    let scratch = Scratch::new();
    fs::create_dir_all(&scratch.0).unwrap();
    fs::write(scratch.0.join("broker.redb"), b"somebody else's").unwrap();
    let error = DurableStorage::open(&scratch.0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Persistence);
    assert!(error.to_string().contains("broker.redb"), "{error}");
    let error = DurableStorage::open(&scratch.0.join("broker.redb")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
}

#[test]
fn a_data_file_that_was_never_finished_is_made_anew() {
    let scratch = Scratch::new();
    fs::create_dir_all(&scratch.0).unwrap();
    fs::write(scratch.0.join("broker.redb.new"), vec![0; 70_000]).unwrap();
    let opened = DurableStorage::open(&scratch.0).unwrap();
    assert!(!opened.repaired);
    assert!(!scratch.0.join("broker.redb.new").exists());
}

#[test]
fn a_fault_in_what_waits_does_not_end_the_writer() {
    let storage = volatile();
    storage.commit(Vec::new(), Box::new(|_| panic!("a fault, as the test wants")));
    store(&storage, vec![append("t", 1, 0, b"x")]).unwrap();
}

#[test]
fn memory_stores_nothing_and_at_once() {
    let storage = MemoryStorage;
    store(&storage, vec![append("t", 1, 0, b"x")]).unwrap();
    assert_eq!(picture(&storage.load().unwrap()), picture(&Stored::default()));
    close(&storage);
}
