//! From a schema's JSON text to its types.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::{Definition, Field, Name, Primitive, Shape, Type};

/// Far more than schemas of services have; what is beyond is refused, since comparing costs the product of both.
const MAX_TYPES: usize = 10_000;

/// Reads a schema. Defaults are not held against their types, as Pulsar does not.
pub fn parse(text: &[u8]) -> Result<Definition, String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| format!("not JSON: {error}"))?;
    let mut parser = Parser::default();
    let root = parser.schema(&value, "")?;
    Ok(Definition { types: parser.types, root })
}

#[derive(Default)]
struct Parser {
    types: Vec<Type>,
    named: HashMap<String, usize>,
}

impl Parser {
    fn schema(&mut self, value: &Value, namespace: &str) -> Result<usize, String> {
        match value {
            Value::String(name) => self.by_name(name, namespace),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => self.complex(object, namespace),
            _ => Err("a schema is a name, an object or an array".into()),
        }
    }

    fn by_name(&mut self, name: &str, namespace: &str) -> Result<usize, String> {
        if let Some(primitive) = Primitive::from_name(name) {
            return self.add(Shape::Primitive(primitive), None, BTreeMap::new());
        }
        let full = full_name(name, namespace);
        let found = self.named.get(&full).or_else(|| self.named.get(name));
        found.copied().ok_or_else(|| format!("`{}` is not a type", name.escape_debug()))
    }

    fn union(&mut self, branches: &[Value], namespace: &str) -> Result<usize, String> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        for branch in branches {
            let index = self.schema(branch, namespace)?;
            if matches!(self.types.get(index).map(|kind| &kind.shape), Some(Shape::Union(_))) {
                return Err("a union contains a union".into());
            }
            if !seen.insert(self.branch_name(index)) {
                return Err(format!("a union has `{}` twice", self.branch_name(index)));
            }
            found.push(index);
        }
        if found.is_empty() {
            return Err("a union has no branches".into());
        }
        self.add(Shape::Union(found), None, BTreeMap::new())
    }

    /// What no other branch of a union may be called.
    fn branch_name(&self, index: usize) -> String {
        match self.types.get(index) {
            Some(Type { name: Some(name), .. }) => name.full.clone(),
            Some(Type { shape: Shape::Primitive(primitive), .. }) => primitive.name().into(),
            Some(Type { shape: Shape::Array(_), .. }) => "array".into(),
            _ => "map".into(),
        }
    }

    fn complex(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<usize, String> {
        let kind = text(object, "type").ok_or("a schema has no `type`")?;
        match kind {
            "record" | "error" | "enum" | "fixed" => self.named(kind, object, namespace),
            "array" | "map" => {
                let of = if kind == "array" { "items" } else { "values" };
                let inner = object.get(of).ok_or_else(|| format!("{kind} without `{of}`"))?;
                let inner = self.schema(inner, namespace)?;
                let shape = if kind == "array" { Shape::Array(inner) } else { Shape::Map(inner) };
                self.add(shape, None, extra(object, &["type", of]))
            }
            _ => match Primitive::from_name(kind) {
                Some(primitive) => self.add(Shape::Primitive(primitive), None, extra(object, &["type"])),
                None => self.by_name(kind, namespace),
            },
        }
    }

    fn named(&mut self, kind: &str, object: &Map<String, Value>, around: &str) -> Result<usize, String> {
        let given = text(object, "name").ok_or_else(|| format!("{kind} without `name`"))?;
        let full = full_name(given, text(object, "namespace").unwrap_or(around));
        let (namespace, short) = full.rsplit_once('.').unwrap_or(("", &full));
        check_name(short)?;
        if namespace.is_empty() && Primitive::from_name(short).is_some() {
            return Err(format!("`{short}` is the name of a primitive type"));
        }
        let namespace = namespace.to_owned();
        let aliases = aliases(object).map(|alias| full_name(alias, &namespace)).collect();
        let name = Name { full: full.clone(), aliases };
        let kept = extra(
            object,
            &["type", "name", "namespace", "aliases", "doc", "fields", "symbols", "default", "size"],
        );
        // A place for it first, since its own fields may refer to it.
        let index = self.add(Shape::Record(Vec::new()), Some(name), kept)?;
        if self.named.insert(full.clone(), index).is_some() {
            return Err(format!("`{full}` is defined twice"));
        }
        let shape = match kind {
            "enum" => enumeration(object, &full)?,
            "fixed" => {
                let size = object.get("size").and_then(Value::as_u64);
                Shape::Fixed(size.ok_or_else(|| format!("fixed `{full}` without a size"))?)
            }
            _ => Shape::Record(self.fields(object, &full, &namespace)?),
        };
        if let Some(place) = self.types.get_mut(index) {
            place.shape = shape;
        }
        Ok(index)
    }

    fn fields(&mut self, object: &Map<String, Value>, of: &str, space: &str) -> Result<Vec<Field>, String> {
        let given = object.get("fields").and_then(Value::as_array);
        let (mut fields, mut seen) = (Vec::new(), HashSet::new());
        for field in given.ok_or_else(|| format!("record `{of}` without a list of fields"))? {
            let field = field.as_object().ok_or_else(|| format!("a field of `{of}` is not an object"))?;
            let name = text(field, "name").ok_or_else(|| format!("a field of `{of}` has no name"))?;
            check_name(name)?;
            if !seen.insert(name) {
                return Err(format!("`{of}` has the field `{name}` twice"));
            }
            let kind = field.get("type").ok_or_else(|| format!("the field `{of}.{name}` has no type"))?;
            fields.push(Field {
                name: name.to_owned(),
                aliases: aliases(field).map(str::to_owned).collect(),
                kind: self.schema(kind, space).map_err(|error| format!("{of}.{name}: {error}"))?,
                default: field.get("default").cloned(),
                extra: extra(field, &["name", "type", "aliases", "doc", "default"]),
            });
        }
        Ok(fields)
    }

    fn add(
        &mut self,
        shape: Shape,
        name: Option<Name>,
        extra: BTreeMap<String, Value>,
    ) -> Result<usize, String> {
        if self.types.len() >= MAX_TYPES {
            return Err(format!("more than {MAX_TYPES} types in one schema"));
        }
        self.types.push(Type { shape, name, extra });
        Ok(self.types.len() - 1)
    }
}

fn enumeration(object: &Map<String, Value>, name: &str) -> Result<Shape, String> {
    let given = object.get("symbols").and_then(Value::as_array);
    let mut symbols = Vec::new();
    let mut seen = HashSet::new();
    for symbol in given.ok_or_else(|| format!("enum `{name}` without a list of symbols"))? {
        let symbol = symbol.as_str().ok_or_else(|| format!("a symbol of `{name}` is not text"))?;
        check_name(symbol)?;
        if !seen.insert(symbol) {
            return Err(format!("enum `{name}` has `{symbol}` twice"));
        }
        symbols.push(symbol.to_owned());
    }
    let default = text(object, "default").map(str::to_owned);
    if let Some(default) = default.as_ref().filter(|default| !symbols.contains(default)) {
        return Err(format!("the default `{}` is not a symbol of `{name}`", default.escape_debug()));
    }
    Ok(Shape::Enum { symbols, default })
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.trim_start_matches('.').to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let starts = name.starts_with(|first: char| first.is_alphabetic() || first == '_');
    if starts && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_') {
        Ok(())
    } else {
        Err(format!(
            "`{}` is not a name: letters, digits and _, not beginning with a digit",
            name.escape_debug()
        ))
    }
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

fn aliases(object: &Map<String, Value>) -> impl Iterator<Item = &str> {
    object.get("aliases").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn extra(object: &Map<String, Value>, known: &[&str]) -> BTreeMap<String, Value> {
    let rest = object.iter().filter(|(key, _)| !known.contains(&key.as_str()));
    rest.map(|(key, value)| (key.clone(), value.clone())).collect()
}
