//! Whether one schema reads what another wrote: Avro's rules of schema resolution, as a real broker decides them.
//!
//! It goes by the resolver of Avro's Java library: names of records do not count, those of enumerations and fixed types
//! do, and a symbol that the reader does not know is found when a message is read.

use std::collections::HashMap;
use std::fmt;

use super::{Definition, Field, Primitive, Shape, Type};

/// Pairs of types looked at before the schemas are called too large to compare.
const MAX_PAIRS: usize = 200_000;

/// Types inside types before the schemas are called too deeply nested: the stack is finite.
const MAX_DEPTH: usize = 250;

/// Where and why a reader does not read what a writer wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Fields from the root, as `order.address`; empty at the root.
    path: Vec<String>,
    reason: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "at `{}`, ", self.path.join("."))?;
        }
        f.write_str(&self.reason)
    }
}

/// Whether values written with `writer` can be read with `reader`.
pub fn can_read(reader: &Definition, writer: &Definition) -> Result<(), Mismatch> {
    let mut resolver = Resolver { reader, writer, known: HashMap::new(), path: Vec::new(), depth: 0 };
    resolver.resolve(reader.root, writer.root)
}

struct Resolver<'a> {
    reader: &'a Definition,
    writer: &'a Definition,
    /// The answer for each pair of types; `None` while it is looked for, which a type that contains itself takes as yes.
    known: HashMap<(usize, usize), Option<bool>>,
    path: Vec<String>,
    depth: usize,
}

impl Resolver<'_> {
    fn resolve(&mut self, reader: usize, writer: usize) -> Result<(), Mismatch> {
        match self.known.get(&(reader, writer)) {
            Some(None | Some(true)) => return Ok(()),
            Some(Some(false)) => return self.differ(reader, writer),
            None => {}
        }
        if self.known.len() >= MAX_PAIRS || self.depth >= MAX_DEPTH {
            return self.mismatch("the schemas are too large or too deeply nested to be compared");
        }
        self.known.insert((reader, writer), None);
        let steps = self.path.len();
        self.depth += 1;
        let result = self.compare(reader, writer);
        self.depth -= 1;
        self.path.truncate(steps);
        self.known.insert((reader, writer), Some(result.is_ok()));
        result
    }

    fn compare(&mut self, reader: usize, writer: usize) -> Result<(), Mismatch> {
        let (Some(read), Some(written)) = (self.reader.types.get(reader), self.writer.types.get(writer))
        else {
            return self.mismatch("a type is missing");
        };
        match (&read.shape, &written.shape) {
            // Whatever branch was written must be readable.
            (_, Shape::Union(branches)) => {
                branches.iter().try_for_each(|branch| self.resolve(reader, *branch))
            }
            (Shape::Union(branches), _) => match self.choose(branches, writer) {
                Some(branch) => self.resolve(branch, writer),
                None => self.differ(reader, writer),
            },
            (Shape::Primitive(read), Shape::Primitive(written)) if promotes(*written, *read) => Ok(()),
            (Shape::Array(read), Shape::Array(written)) | (Shape::Map(read), Shape::Map(written)) => {
                self.resolve(*read, *written)
            }
            (Shape::Fixed(size), Shape::Fixed(wrote)) => {
                self.names(read, written)?;
                if size == wrote {
                    Ok(())
                } else {
                    self.mismatch(format!("fixed of {wrote} bytes is read as fixed of {size}"))
                }
            }
            (Shape::Enum { .. }, Shape::Enum { .. }) => self.names(read, written),
            (Shape::Record(fields), Shape::Record(wrote)) => {
                self.fields(fields, wrote, is_named(read, written))
            }
            _ => self.differ(reader, writer),
        }
    }

    /// The branch of the reader's union that takes what was written: the same type, if it is named the same; else a
    /// record that fits; else a type that it is promoted to.
    fn choose(&mut self, branches: &[usize], writer: usize) -> Option<usize> {
        let (readers, written) = (self.reader, self.writer.types.get(writer)?);
        let of = |branch: &&usize| readers.types.get(**branch);
        let same = |branch: &&usize| of(branch).is_some_and(|read| is_same_branch(read, written));
        if let Some(branch) = branches.iter().find(same) {
            return Some(*branch);
        }
        if matches!(written.shape, Shape::Record(_)) {
            let record =
                |branch: &&usize| of(branch).is_some_and(|read| matches!(read.shape, Shape::Record(_)));
            return branches
                .iter()
                .filter(record)
                .copied()
                .find(|branch| self.resolve(*branch, writer).is_ok());
        }
        let promoted = |branch: &&usize| match (of(branch).map(|read| &read.shape), &written.shape) {
            (Some(Shape::Primitive(read)), Shape::Primitive(written)) => promotes(*written, *read),
            _ => false,
        };
        branches.iter().find(promoted).copied()
    }

    fn fields(&mut self, fields: &[Field], wrote: &[Field], aliases_count: bool) -> Result<(), Mismatch> {
        let mut written: HashMap<&str, &Field> =
            wrote.iter().map(|field| (field.name.as_str(), field)).collect();
        let renamed: Vec<_> = fields
            .iter()
            .filter(|_| aliases_count)
            .flat_map(|field| field.aliases.iter().map(|alias| (field.name.as_str(), alias.as_str())))
            .filter_map(|(name, alias)| written.remove(alias).map(|found| (name, found)))
            .collect();
        written.extend(renamed);
        for field in fields {
            self.path.push(field.name.clone());
            match written.get(field.name.as_str()) {
                Some(written) => self.resolve(field.kind, written.kind)?,
                None => match &field.default {
                    Some(default) if self.reader.takes(field.kind, default) => {}
                    Some(_) => return self.mismatch("the default of the field is not of its type"),
                    None => return self.mismatch("the field was not written, and has no default"),
                },
            }
            self.path.pop();
        }
        Ok(())
    }

    fn names(&self, reader: &Type, writer: &Type) -> Result<(), Mismatch> {
        if is_named(reader, writer) {
            return Ok(());
        }
        let name = |kind: &Type| kind.name.as_ref().map_or_else(String::new, |name| name.full.clone());
        self.mismatch(format!("`{}` is read as `{}`", name(writer), name(reader)))
    }

    fn differ(&self, reader: usize, writer: usize) -> Result<(), Mismatch> {
        let (written, read) = (self.writer.describe(writer), self.reader.describe(reader));
        self.mismatch(format!("{written} cannot be read as {read}"))
    }

    fn mismatch(&self, reason: impl Into<String>) -> Result<(), Mismatch> {
        Err(Mismatch { path: self.path.clone(), reason: reason.into() })
    }
}

/// Whether both go by one name, if need be one that the reader knows as the former one.
fn is_named(reader: &Type, writer: &Type) -> bool {
    match (&reader.name, &writer.name) {
        (Some(read), Some(written)) => read.full == written.full || read.aliases.contains(&written.full),
        _ => true,
    }
}

fn is_same_branch(reader: &Type, writer: &Type) -> bool {
    let same_kind = match (&reader.shape, &writer.shape) {
        (Shape::Primitive(read), Shape::Primitive(written)) => read == written,
        (read, written) => std::mem::discriminant(read) == std::mem::discriminant(written),
    };
    same_kind && is_named(reader, writer)
}

fn promotes(written: Primitive, read: Primitive) -> bool {
    use Primitive::{Bytes, Double, Float, Int, Long, String};
    written == read
        || matches!(
            (written, read),
            (Int, Long | Float | Double)
                | (Long, Float | Double)
                | (Float, Double)
                | (String, Bytes)
                | (Bytes, String)
        )
}
