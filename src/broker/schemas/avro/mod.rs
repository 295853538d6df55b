//! Avro's schemas, as far as their compatibility goes: read, compared, and resolved by Avro's rules.
//!
//! Pulsar describes JSON messages by them too.

mod default;
mod parse;
mod resolve;

use std::collections::BTreeMap;

use serde_json::Value;

pub use self::parse::parse;
pub use self::resolve::can_read;

/// Of a union, in an error.
const SHOWN_BRANCHES: usize = 8;

/// A schema: its types, which refer to each other by index, since records may contain themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub(super) types: Vec<Type>,
    pub(super) root: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Type {
    pub(super) shape: Shape,
    /// Records, enumerations and fixed types have one.
    pub(super) name: Option<Name>,
    /// Attributes that Avro gives no meaning of their own; part of what makes two schemas equal.
    pub(super) extra: BTreeMap<String, Value>,
}

/// A full name and what else writers may have called it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Name {
    pub(super) full: String,
    pub(super) aliases: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Primitive(Primitive),
    Fixed(u64),
    Enum { symbols: Vec<String>, default: Option<String> },
    Record(Vec<Field>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

impl Primitive {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        use Primitive::{Boolean, Bytes, Double, Float, Int, Long, Null, String};
        [Null, Boolean, Int, Long, Float, Double, Bytes, String].into_iter().find(|one| one.name() == name)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) kind: usize,
    pub(super) default: Option<Value>,
    pub(super) extra: BTreeMap<String, Value>,
}

impl Definition {
    /// Whether both describe the same values in the same words; documentation and aliases do not count.
    pub fn same_as(&self, other: &Self) -> bool {
        self.without_aliases() == other.without_aliases()
    }

    fn without_aliases(&self) -> Self {
        let mut plain = self.clone();
        for kind in &mut plain.types {
            if let Some(name) = &mut kind.name {
                name.aliases.clear();
            }
            if let Shape::Record(fields) = &mut kind.shape {
                for field in fields {
                    field.aliases.clear();
                }
            }
        }
        plain
    }

    /// What a type is called in an error.
    pub(super) fn describe(&self, index: usize) -> String {
        let Some(kind) = self.types.get(index) else { return "?".into() };
        let word = match &kind.shape {
            Shape::Primitive(primitive) => primitive.name(),
            Shape::Fixed(_) => "fixed",
            Shape::Enum { .. } => "enum",
            Shape::Record(_) => "record",
            Shape::Array(_) => "array",
            Shape::Map(_) => "map",
            Shape::Union(branches) => {
                let shown = branches.iter().take(SHOWN_BRANCHES).map(|branch| self.describe(*branch));
                let more = (branches.len() > SHOWN_BRANCHES).then(|| "…".to_owned());
                return format!("[{}]", shown.chain(more).collect::<Vec<_>>().join(", "));
            }
        };
        kind.name.as_ref().map_or_else(|| word.to_owned(), |name| format!("{word} {}", name.full))
    }
}
