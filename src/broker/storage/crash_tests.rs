//! A crash at any moment: what was confirmed is there, and whatever else is there is a whole prefix of what was asked.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use redb::backends::InMemoryBackend;

use super::test_disk::{Change, Disk};
use super::test_support::{append, close, picture, store, topic, value};
use super::{DurableStorage, Op, Storage};
use crate::broker::position::Position;

/// Says how many crashes to try, in any order; without it, `SAMPLE`. There are some 250,000.
const COUNT: &str = "STORAGE_CRASHES";
const SAMPLE: usize = 300;

/// The commits of the load, and how many of them are handed over at once.
fn load() -> Vec<Vec<Vec<Op>>> {
    let cursor = |subscription: &str, text: &str| Op::PutCursor {
        topic: topic("a"),
        subscription: subscription.into(),
        value: value(text),
    };
    let sequence = |sequence_id| Op::PutSequence { topic: topic("a"), producer: "p".into(), sequence_id };
    let body = |number: u64| {
        vec![u8::try_from(number % 251).unwrap(); 40 + usize::try_from(number * 97 % 700).unwrap()]
    };
    let mut groups = vec![
        vec![vec![Op::PutMetadata { path: "/tenants/t".into(), value: value("tenant") }]],
        vec![vec![
            Op::PutTopic { topic: topic("a"), value: value("first") },
            Op::OpenLedger { topic: topic("a"), ledger: 3 },
            Op::PutSchema { topic: topic("a"), version: 0, value: value("schema") },
        ]],
        vec![vec![Op::OpenLedger { topic: topic("b"), ledger: 4 }], vec![cursor("s", "at the start")]],
    ];
    for round in 0..6_u64 {
        let first = round * 4;
        groups.push((first..first + 3).map(|n| vec![append("a", 3, n, &body(n)), sequence(n)]).collect());
        groups.push(vec![vec![append("b", 4, round, &body(round)), cursor("s", &format!("round {round}"))]]);
        let last = first + 3;
        groups.push(vec![
            vec![append("a", 3, last, &body(last)), sequence(last)],
            vec![Op::Trim { topic: topic("a"), before: Position::new(3, first.saturating_sub(2)) }],
        ]);
    }
    groups.push(vec![vec![append("a", 3, 24, &[9; 5_000])]]);
    groups.push(vec![vec![Op::DeleteTopic { topic: topic("b") }], vec![cursor("t", "last")]]);
    groups
}

/// What is stored after each commit, beginning with none.
fn pictures(commits: &[Vec<Op>]) -> Vec<String> {
    let model = DurableStorage::open_backend(InMemoryBackend::new()).unwrap().storage;
    let mut pictures = vec![picture(&model.load().unwrap())];
    for ops in commits {
        store(&model, ops.clone()).unwrap();
        pictures.push(picture(&model.load().unwrap()));
    }
    pictures
}

/// Runs the load on a disk; returns at which moment of it each commit was confirmed.
fn run(disk: &Disk) -> Vec<usize> {
    let storage = DurableStorage::open_backend(disk.clone()).unwrap().storage;
    let confirmed = Arc::new(Mutex::new(Vec::new()));
    for group in load() {
        let count = group.len();
        let (done, stored) = mpsc::channel();
        for ops in group {
            let (disk, confirmed, done) = (disk.clone(), Arc::clone(&confirmed), done.clone());
            storage.commit(
                ops,
                Box::new(move |result| {
                    confirmed.lock().push(disk.moment());
                    done.send(result).unwrap();
                }),
            );
        }
        for _ in 0..count {
            stored.recv_timeout(Duration::from_secs(30)).unwrap().unwrap();
        }
    }
    close(&storage);
    confirmed.lock().clone()
}

/// A disk after a crash.
struct Crash {
    /// How much had happened.
    moment: usize,
    /// Which of the changes since the last sync came through, and up to which byte.
    through: Vec<(usize, usize)>,
}

/// Crashes at each moment: all came through but the last change, torn at each byte that makes a difference; nothing came
/// through since the sync; and some of it did, in any order, as a disk may do.
fn crashes(mut image: Vec<u8>, journal: &[Change], random: &mut fastrand::Rng) -> Vec<Crash> {
    let mut crashes = Vec::new();
    let mut since = 0;
    for (at, change) in journal.iter().enumerate() {
        let before = image.clone();
        change.apply(&mut image, usize::MAX);
        let whole = (since..at).map(|earlier| (earlier, usize::MAX));
        match change {
            Change::Write(offset, bytes) => {
                for cut in 0..=bytes.len() {
                    if cut == 0 || before.get(offset + cut - 1) != Some(&bytes[cut - 1]) {
                        crashes
                            .push(Crash { moment: at, through: whole.clone().chain([(at, cut)]).collect() });
                    }
                }
            }
            Change::Length(_) => crashes.push(Crash { moment: at, through: whole.collect() }),
            Change::Sync => {
                crashes.push(Crash { moment: at, through: Vec::new() });
                for _ in 0..20 {
                    let some = whole.clone().filter(|_| random.bool()).collect::<Vec<_>>();
                    let torn = |(change, _)| {
                        (change, if random.bool() { usize::MAX } else { random.usize(0..4096) })
                    };
                    crashes.push(Crash { moment: at, through: some.into_iter().map(torn).collect() });
                }
                since = at + 1;
            }
        }
    }
    crashes
}

#[test]
fn what_was_confirmed_survives_a_crash_at_any_byte() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let pictures = pictures(&load().concat());
    // A data file is made under another name, so crashes begin when it is there.
    let made = Disk::default();
    close(&DurableStorage::open_backend(made.clone()).unwrap().storage);
    let disk = Disk::of(made.image());
    let confirmed = run(&disk);
    assert_eq!(confirmed.len() + 1, pictures.len());
    let journal = disk.journal();

    let mut crashes = crashes(made.image(), &journal, &mut random);
    let possible = crashes.len();
    let wanted = std::env::var(COUNT).map_or(SAMPLE, |count| count.parse().unwrap());
    random.shuffle(&mut crashes);
    crashes.truncate(wanted);
    crashes.sort_by_key(|crash| crash.moment);

    let (mut synced, mut since) = (made.image(), 0);
    let (mut found, mut repaired) = (HashSet::new(), 0);
    for crash in &crashes {
        for (at, change) in journal.iter().enumerate().take(crash.moment).skip(since) {
            if matches!(change, Change::Sync) {
                journal[since..at].iter().for_each(|earlier| earlier.apply(&mut synced, usize::MAX));
                since = at + 1;
            }
        }
        let mut image = synced.clone();
        crash.through.iter().for_each(|(change, cut)| journal[*change].apply(&mut image, *cut));
        let mut hasher = DefaultHasher::new();
        image.hash(&mut hasher);
        if !found.insert(hasher.finish()) {
            continue;
        }
        let promised = confirmed.iter().filter(|moment| **moment <= crash.moment).count();
        let place = format!("seed {seed}, moment {}, {:?}", crash.moment, crash.through.last());
        let opened =
            DurableStorage::open_backend(Disk::of(image)).unwrap_or_else(|error| panic!("{place}: {error}"));
        repaired += usize::from(opened.repaired);
        let found = picture(&opened.storage.load().unwrap());
        let kept = pictures.iter().rposition(|picture| *picture == found);
        assert!(
            kept.is_some_and(|kept| kept >= promised),
            "{place}: {kept:?} of {promised} commits\n{found}"
        );
    }
    println!("{} of {possible} crashes, {} different disks, {repaired} repaired", crashes.len(), found.len());
    assert!(repaired > 0, "no crash left anything to repair");
}
