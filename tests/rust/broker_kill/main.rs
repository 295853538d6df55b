//! `kill -9` under load: a child process runs a broker with a data directory, and clients that publish and acknowledge;
//! it is killed at a random moment, again and again. After each time, all that it said was confirmed must be there.
//!
//! `PULSAR_KILLS` says how often (10), `PULSAR_SEED` repeats a run. The same program is parent and child.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod audit;
mod load;
mod scene;
#[path = "../support/mod.rs"]
mod support;
mod victim;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use audit::Audit;
use victim::Victim;

/// Set for the child: where its data is.
const DATA_DIR: &str = "PULSAR_KILL_DATA_DIR";
/// Nothing that has to do with one kill takes this long, unless it hangs.
const LIMIT: Duration = Duration::from_mins(1);

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match std::env::var_os(DATA_DIR) {
        Some(directory) => runtime.block_on(load::run(PathBuf::from(directory))),
        None => runtime.block_on(kill_again_and_again()),
    }
}

async fn kill_again_and_again() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse::<u64>().unwrap());
    let kills = number("PULSAR_KILLS", 10);
    let seed = number("PULSAR_SEED", fastrand::u64(..));
    println!("{kills} kills, PULSAR_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = Scratch::new();
    let begun = Instant::now();

    let mut audit = Audit::begin(&directory.0).await;
    for kill in 1..=kills {
        // Some die while they open their data, or before they did anything.
        let patience =
            Duration::from_millis(if random.u8(0..5) == 0 { random.u64(0..60) } else { random.u64(60..600) });
        let said = Victim::start(&directory.0).killed_after(patience);
        let checked = audit.check(&said, kill);
        tokio::time::timeout(LIMIT, checked)
            .await
            .unwrap_or_else(|_| panic!("kill {kill}: no end within {LIMIT:?}"));
    }
    println!("{} in {:.1} s", audit.summary(), begun.elapsed().as_secs_f64());
    assert!(audit.was_worth_it(), "the children never came to confirm anything");
}

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = format!("pulsar-kill-{}-{:016x}", std::process::id(), fastrand::u64(..));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
