//! The child: started, listened to, killed.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::DATA_DIR;

pub struct Victim(Child);

/// What the child said of one topic before it died.
#[derive(Debug, Default)]
pub struct Said {
    /// The last sequence id that the broker knew at its start.
    pub last_sequence_id: Option<i64>,
    pub published: Vec<u64>,
    pub acked: Vec<u64>,
}

impl Victim {
    pub fn start(directory: &Path) -> Self {
        let command = Command::new(std::env::current_exe().unwrap())
            .env(DATA_DIR, directory)
            .stdout(Stdio::piped())
            .spawn();
        Self(command.unwrap())
    }

    /// Kills it, and returns what it said by topic.
    pub fn killed_after(mut self, patience: Duration) -> HashMap<String, Said> {
        let mut output = self.0.stdout.take().unwrap();
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).unwrap();
            text
        });
        std::thread::sleep(patience);
        assert_eq!(self.0.try_wait().unwrap(), None, "the child ended by itself");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        parse(&reading.join().unwrap())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn parse(text: &str) -> HashMap<String, Said> {
    let mut said = HashMap::<String, Said>::new();
    // A last line without its end was cut off by the kill.
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let [what, topic, number] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let said = said.entry(topic.to_owned()).or_default();
        match what {
            "last" => said.last_sequence_id = Some(number.parse().unwrap()),
            "published" => said.published.push(number.parse().unwrap()),
            "acked" => said.acked.push(number.parse().unwrap()),
            other => panic!("{other}"),
        }
    }
    said
}
