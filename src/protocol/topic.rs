//! Topic names: parsed, completed, and refused with a reason.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

const DEFAULT_NAMESPACE: &str = "public/default";
const PARTITION_SUFFIX: &str = "-partition-";

/// Whether a topic's messages are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicDomain {
    Persistent,
    NonPersistent,
}

impl TopicDomain {
    /// The domain as it stands before `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Persistent => "persistent",
            Self::NonPersistent => "non-persistent",
        }
    }
}

/// A complete topic name, `persistent://tenant/namespace/name`. Cheap to clone.
#[derive(Clone)]
pub struct TopicName {
    text: Arc<str>,
    domain: TopicDomain,
    /// Where the namespace begins in `text`.
    namespace: usize,
    /// Where the local name begins in `text`.
    local: usize,
    partition: Option<u32>,
}

impl TopicName {
    /// Parses a name; a short one (`name`) is completed to `persistent://public/default/name`.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_in(text, DEFAULT_NAMESPACE)
    }

    /// Parses a name; a short one is completed with `default_namespace`, which is `tenant/namespace`.
    pub fn parse_in(text: &str, default_namespace: &str) -> Result<Self> {
        Self::complete(text, default_namespace).map_err(|reason| {
            Error::new(
                ErrorKind::InvalidTopic,
                format!("{reason}; give it as `name` or `persistent://tenant/namespace/name`"),
            )
            .on_topic(text.escape_debug())
        })
    }

    fn complete(text: &str, default_namespace: &str) -> Result<Self, String> {
        let (domain, path) = match text.split_once("://") {
            Some(("persistent", path)) => (TopicDomain::Persistent, path),
            Some(("non-persistent", path)) => (TopicDomain::NonPersistent, path),
            Some((other, _)) => {
                return Err(format!("`{}` is not a topic domain", other.escape_debug()));
            }
            None if text.contains('/') => (TopicDomain::Persistent, text),
            None => return Self::from_short(text, default_namespace),
        };
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            [tenant, namespace, local] => Self::from_parts(domain, tenant, namespace, local),
            [_, _, _, _] => Err("a name with a cluster, of Pulsar 1, is not supported".into()),
            _ => Err(format!("a topic name has 3 parts between slashes, this one {}", parts.len())),
        }
    }

    fn from_short(local: &str, default_namespace: &str) -> Result<Self, String> {
        match default_namespace.split_once('/') {
            Some((tenant, namespace)) => Self::from_parts(TopicDomain::Persistent, tenant, namespace, local),
            None => Err(format!(
                "the default namespace `{}` is not `tenant/namespace`",
                default_namespace.escape_debug()
            )),
        }
    }

    fn from_parts(domain: TopicDomain, tenant: &str, namespace: &str, local: &str) -> Result<Self, String> {
        check_entity("tenant", tenant)?;
        check_entity("namespace", namespace)?;
        if local.trim().is_empty() {
            return Err("the topic's own name is empty".into());
        }
        let scheme = domain.as_str();
        let namespace_at = scheme.len() + "://".len() + tenant.len() + 1;
        Ok(Self {
            text: format!("{scheme}://{tenant}/{namespace}/{local}").into(),
            domain,
            namespace: namespace_at,
            local: namespace_at + namespace.len() + 1,
            partition: split_partition(local).map(|(_, partition)| partition),
        })
    }

    pub fn domain(&self) -> TopicDomain {
        self.domain
    }

    pub fn is_persistent(&self) -> bool {
        self.domain == TopicDomain::Persistent
    }

    pub fn tenant(&self) -> &str {
        self.namespace_path().split_once('/').map_or("", |(tenant, _)| tenant)
    }

    /// The namespace without its tenant.
    pub fn namespace(&self) -> &str {
        self.text.get(self.namespace..self.local - 1).unwrap_or_default()
    }

    /// `tenant/namespace`, as brokers and administrators call a namespace.
    pub fn namespace_path(&self) -> &str {
        let start = self.domain.as_str().len() + "://".len();
        self.text.get(start..self.local - 1).unwrap_or_default()
    }

    /// The topic's own name, with the suffix of the partition if it has one.
    pub fn local_name(&self) -> &str {
        self.text.get(self.local..).unwrap_or_default()
    }

    /// The number of the partition that this is the name of.
    pub fn partition(&self) -> Option<u32> {
        self.partition
    }

    /// The topic that this is a partition of; the topic itself if it is none.
    #[must_use]
    pub fn partitioned(&self) -> Self {
        match split_partition(&self.text) {
            Some((text, _)) if self.partition.is_some() => {
                Self { text: text.into(), partition: None, ..self.clone() }
            }
            _ => self.clone(),
        }
    }

    /// The name of a partition of this topic; of a partition, the name of its sibling.
    #[must_use]
    pub fn with_partition(&self, partition: u32) -> Self {
        let whole = self.partitioned();
        Self {
            text: format!("{whole}{PARTITION_SUFFIX}{partition}").into(),
            partition: Some(partition),
            ..whole
        }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The name before the suffix of a partition, and its number as Pulsar writes it: no sign, no leading zero.
fn split_partition(name: &str) -> Option<(&str, u32)> {
    let (whole, digits) = name.rsplit_once(PARTITION_SUFFIX)?;
    let canonical = digits == "0" || !digits.starts_with(['0', '+']);
    let partition = digits.parse().ok().filter(|&number| canonical && i32::try_from(number).is_ok())?;
    (!whole.trim().is_empty()).then_some((whole, partition))
}

/// Tenants and namespaces are made of the characters that Pulsar allows in the names of its entities.
fn check_entity(what: &str, name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_=:.".contains(c);
    if name.is_empty() {
        Err(format!("the {what} is empty"))
    } else if let Some(c) = name.chars().find(|&c| !allowed(c)) {
        Err(format!("the {what} has a `{}`: only letters, digits and -_=:. are allowed", c.escape_debug()))
    } else {
        Ok(())
    }
}

impl PartialEq for TopicName {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TopicName {}

impl std::hash::Hash for TopicName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Ord for TopicName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for TopicName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicName({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(text: &str) -> TopicName {
        TopicName::parse(text).unwrap()
    }

    #[test]
    fn names_are_completed() {
        for (given, complete) in [
            ("x", "persistent://public/default/x"),
            ("t/n/x", "persistent://t/n/x"),
            ("persistent://t/n/x", "persistent://t/n/x"),
            ("non-persistent://t/n/x", "non-persistent://t/n/x"),
            ("über größe", "persistent://public/default/über größe"),
        ] {
            assert_eq!(topic(given).as_str(), complete);
        }
        let name = TopicName::parse_in("x", "shop/orders").unwrap();
        assert_eq!(name.as_str(), "persistent://shop/orders/x");
        assert_eq!(TopicName::parse_in("t/n/x", "shop/orders").unwrap().namespace_path(), "t/n");
    }

    #[test]
    fn a_name_has_parts() {
        let name = topic("non-persistent://te-na.nt/name_space/local:name");
        assert_eq!(name.domain(), TopicDomain::NonPersistent);
        assert!(!name.is_persistent());
        assert_eq!(name.tenant(), "te-na.nt");
        assert_eq!(name.namespace(), "name_space");
        assert_eq!(name.namespace_path(), "te-na.nt/name_space");
        assert_eq!(name.local_name(), "local:name");
    }

    #[test]
    fn malformed_names_are_refused_with_a_reason() {
        for (given, reason) in [
            ("", "own name is empty"),
            ("  ", "own name is empty"),
            ("t/n/", "own name is empty"),
            ("n/x", "3 parts between slashes, this one 2"),
            ("persistent://x", "3 parts between slashes, this one 1"),
            ("persistent://t/cluster/n/x", "cluster"),
            ("t/cluster/n/x", "cluster"),
            ("persistent://t/c/n/x/y", "this one 5"),
            ("kafka://t/n/x", "`kafka` is not a topic domain"),
            ("/n/x", "the tenant is empty"),
            ("t//x", "the namespace is empty"),
            ("t t/n/x", "the tenant has a ` `"),
            ("t/n\n/x", "the namespace has a `\\n`"),
        ] {
            let error = TopicName::parse(given).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidTopic);
            assert!(error.context().contains(reason), "{given:?}: {error}");
        }
        for namespace in ["", "shop", "shop/", "/orders", "shop/orders/more"] {
            assert!(TopicName::parse_in("x", namespace).is_err(), "{namespace:?}");
        }
    }

    #[test]
    fn the_suffix_of_a_partition_is_a_canonical_number() {
        for (local, partition) in [
            ("x", None),
            ("x-partition-0", Some(0)),
            ("x-partition-12", Some(12)),
            ("x-partition-1-partition-2", Some(2)),
            ("x-partition-2147483647", Some(2_147_483_647)),
            ("x-partition-2147483648", None),
            ("x-partition-", None),
            ("x-partition-01", None),
            ("x-partition-+1", None),
            ("x-partition--1", None),
            ("x-partition-1x", None),
            ("-partition-1", None),
        ] {
            assert_eq!(topic(local).partition(), partition, "{local}");
        }
    }

    #[test]
    fn partitions_and_their_topic_name_each_other() {
        let whole = topic("t/n/x");
        assert_eq!(whole.with_partition(3), topic("t/n/x-partition-3"));
        assert_eq!(whole.with_partition(3).partition(), Some(3));
        assert_eq!(whole.with_partition(3).partitioned(), whole);
        assert_eq!(whole.with_partition(3).partitioned().partition(), None);
        assert_eq!(whole.with_partition(3).with_partition(4), whole.with_partition(4));
        assert_eq!(whole.partitioned(), whole);
        assert_eq!(topic("-partition-1").partitioned(), topic("-partition-1"));
    }
}
