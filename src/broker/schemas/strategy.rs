//! Which new schemas a topic accepts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Pulsar's strategies. A schema is *backward* compatible with an older one if it reads what that one wrote, *forward*
/// compatible if the older one reads what it writes; *transitive* means with every older version, not only the latest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CompatibilityStrategy {
    /// Not chosen: the same as `Full`.
    #[default]
    Undefined,
    AlwaysIncompatible,
    AlwaysCompatible,
    Backward,
    Forward,
    Full,
    BackwardTransitive,
    ForwardTransitive,
    FullTransitive,
}

impl CompatibilityStrategy {
    pub const ALL: [Self; 9] = [
        Self::Undefined,
        Self::AlwaysIncompatible,
        Self::AlwaysCompatible,
        Self::Backward,
        Self::Forward,
        Self::Full,
        Self::BackwardTransitive,
        Self::ForwardTransitive,
        Self::FullTransitive,
    ];

    /// The name in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Undefined => "UNDEFINED",
            Self::AlwaysIncompatible => "ALWAYS_INCOMPATIBLE",
            Self::AlwaysCompatible => "ALWAYS_COMPATIBLE",
            Self::Backward => "BACKWARD",
            Self::Forward => "FORWARD",
            Self::Full => "FULL",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name)
    }

    /// The strategy that decides.
    #[must_use]
    pub const fn effective(self) -> Self {
        match self {
            Self::Undefined => Self::Full,
            chosen => chosen,
        }
    }

    /// What a consumer's schema is held to: it must read what was written, and need not be readable itself.
    #[must_use]
    pub const fn of_consumers(self) -> Self {
        match self.effective() {
            Self::Backward | Self::Forward | Self::ForwardTransitive | Self::Full => Self::Backward,
            other => other,
        }
    }

    pub const fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }

    /// Whether the new schema must read what the old one wrote.
    pub const fn reads_old(self) -> bool {
        matches!(
            self.effective(),
            Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive
        )
    }

    /// Whether the old schema must read what the new one writes.
    pub const fn read_by_old(self) -> bool {
        matches!(
            self.effective(),
            Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive
        )
    }
}

impl fmt::Display for CompatibilityStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
