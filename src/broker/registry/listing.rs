//! The topics of a namespace, all or those that match a pattern.

use regex_lite::{Regex, RegexBuilder};

use super::Registry;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::checksum::crc32c;
use crate::protocol::proto::TopicsMode;
use crate::protocol::topic::TopicName;

/// Longer patterns are refused.
const MAX_PATTERN: usize = 1024;
/// What a compiled pattern may take, in bytes.
const MAX_COMPILED: usize = 1 << 20;

/// Which topics somebody is interested in. Matches whole names, without the domain and a partition's number.
#[derive(Clone, Debug)]
pub struct TopicPattern(Regex);

impl TopicPattern {
    pub fn new(pattern: &str) -> Result<Self> {
        let bare = pattern.split_once("://").map_or(pattern, |(_, bare)| bare);
        let refused = |reason: &str| Error::new(ErrorKind::NotAllowed, format!("the topic pattern {reason}"));
        if bare.len() > MAX_PATTERN {
            return Err(refused("is too long"));
        }
        let regex = RegexBuilder::new(&format!("^(?:{bare})$")).size_limit(MAX_COMPILED).build();
        regex.map(Self).map_err(|error| refused("is not a regular expression known here").caused_by(error))
    }

    pub fn matches(&self, name: &TopicName) -> bool {
        let whole = name.partitioned();
        let bare = whole.as_str().split_once("://").map_or("", |(_, bare)| bare);
        self.0.is_match(bare)
    }
}

/// Topics of a namespace, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub topics: Vec<String>,
}

impl Listing {
    /// What clients compare to know whether anything changed.
    pub fn hash(&self) -> String {
        hash_of(self.topics.iter().map(String::as_str))
    }
}

/// CRC-32C over the sorted names, joined by commas, as little-endian bytes in hexadecimal digits.
pub fn hash_of<'a>(topics: impl Iterator<Item = &'a str>) -> String {
    let mut sorted: Vec<&str> = topics.collect();
    sorted.sort_unstable();
    format!("{:08x}", crc32c(&[sorted.join(",").as_bytes()]).swap_bytes())
}

impl Registry {
    /// The topics of a namespace, partitions by their own names.
    pub fn topics_of(
        &self,
        namespace: &str,
        mode: TopicsMode,
        pattern: Option<&TopicPattern>,
    ) -> Result<Listing> {
        self.namespace(namespace)?;
        let state = self.state.lock();
        let wanted = |name: &&TopicName| {
            name.namespace_path() == namespace
                && match mode {
                    TopicsMode::All => true,
                    TopicsMode::Persistent => name.is_persistent(),
                    TopicsMode::NonPersistent => !name.is_persistent(),
                }
                && pattern.is_none_or(|pattern| pattern.matches(name))
        };
        let mut topics: Vec<String> =
            state.topics.keys().filter(wanted).map(|name| name.as_str().to_owned()).collect();
        topics.sort_unstable();
        Ok(Listing { topics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, topic: &str) -> bool {
        TopicPattern::new(pattern).unwrap().matches(&TopicName::parse(topic).unwrap())
    }

    #[test]
    fn a_pattern_is_for_the_whole_name_without_domain_and_partition() {
        assert!(matches("persistent://public/default/a.*", "ab"));
        assert!(matches("public/default/a.*", "a-partition-3"));
        assert!(matches("public/default/a", "a-partition-3"));
        assert!(!matches("public/default/a", "ab"));
        assert!(!matches("public/default/a|public/default/b", "ba"));
    }

    #[test]
    fn a_pattern_of_java_that_is_unknown_here_is_refused() {
        assert_eq!(TopicPattern::new("a(?=b)").unwrap_err().kind(), ErrorKind::NotAllowed);
        assert_eq!(TopicPattern::new(&"a".repeat(2000)).unwrap_err().kind(), ErrorKind::NotAllowed);
        assert!(TopicPattern::new("((a{1000}){1000}){1000}").is_err());
    }

    #[test]
    fn the_hash_does_not_depend_on_the_order() {
        assert_eq!(hash_of(["b", "a"].into_iter()), hash_of(["a", "b"].into_iter()));
        // The check value of CRC-32C, e3069283, byte by byte from its end.
        assert_eq!(hash_of(["123456789"].into_iter()), "839206e3");
    }
}
