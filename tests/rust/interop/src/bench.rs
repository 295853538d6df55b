//! What the benchmark's programs have in common: their arguments and their measure.
//!
//! The arguments are those of `tests/bench/settings.py`, the measure that of `tests/bench/meter.py`.

use std::error::Error;
use std::fs;
use std::time::Instant;

use serde::Deserialize;

const TICKS_PER_SECOND: f64 = 100.0;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Deserialize)]
pub struct Run {
    pub url: String,
    pub topic: String,
    pub subscription: String,
    pub size: usize,
    pub messages: usize,
    pub pending: usize,
    pub known: Vec<u32>,
}

impl Run {
    pub fn payload(&self) -> Vec<u8> {
        (0..self.size).map(|index| u8::try_from(index * 37 % 251).unwrap_or_default()).collect()
    }
}

pub struct Meter {
    started: Instant,
    own: f64,
    known: f64,
    machine: f64,
}

impl Meter {
    pub fn start(run: &Run) -> Outcome<Self> {
        Ok(Self {
            started: Instant::now(),
            own: process_cpu("self")?,
            known: known_cpu(run)?,
            machine: machine_cpu()?,
        })
    }

    pub fn report(&self, run: &Run) -> Outcome<()> {
        let seconds = self.started.elapsed().as_secs_f64();
        let own = process_cpu("self")? - self.own;
        let known = known_cpu(run)? - self.known;
        let other = ((machine_cpu()? - self.machine - own - known) / seconds).max(0.0);
        #[allow(clippy::cast_precision_loss)]
        let messages = run.messages as f64;
        println!(
            "{}",
            serde_json::json!({
                "msgs_per_s": (messages / seconds).round(),
                "client_cpu_s_per_100k": own / messages * 1e5,
                "broker_cpu_s_per_100k": known / messages * 1e5,
                "other_cores": other,
            })
        );
        Ok(())
    }
}

/// User and system seconds of a process so far.
fn process_cpu(pid: &str) -> Outcome<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> =
        stat.rsplit_once(')').ok_or("stat without a name")?.1.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / TICKS_PER_SECOND)
}

fn known_cpu(run: &Run) -> Outcome<f64> {
    run.known.iter().map(|pid| process_cpu(&pid.to_string())).sum()
}

/// Busy seconds of all cores so far.
fn machine_cpu() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let fields: Vec<f64> =
        stat.lines().next().unwrap_or("").split_whitespace().skip(1).take(8).flat_map(str::parse).collect();
    Ok((fields.iter().sum::<f64>() - fields[3] - fields[4]) / TICKS_PER_SECOND)
}
