//! Whether a field's default is a value of its type.

use serde_json::Value;

use super::{Definition, Primitive, Shape};

impl Definition {
    /// Whether the type has this value. A default of a union is one of its first branch.
    pub(super) fn takes(&self, kind: usize, value: &Value) -> bool {
        let Some(kind) = self.types.get(kind) else { return false };
        match &kind.shape {
            Shape::Primitive(primitive) => primitive_takes(*primitive, value),
            Shape::Fixed(_) | Shape::Enum { .. } => value.is_string(),
            Shape::Array(items) => {
                value.as_array().is_some_and(|array| array.iter().all(|item| self.takes(*items, item)))
            }
            Shape::Map(values) => {
                value.as_object().is_some_and(|map| map.values().all(|value| self.takes(*values, value)))
            }
            Shape::Union(branches) => branches.first().is_some_and(|first| self.takes(*first, value)),
            Shape::Record(fields) => value.as_object().is_some_and(|object| {
                fields.iter().all(|field| {
                    // What the value leaves out has a default of its own, which is looked at where it counts.
                    object
                        .get(&field.name)
                        .map_or(field.default.is_some(), |value| self.takes(field.kind, value))
                })
            }),
        }
    }
}

fn primitive_takes(primitive: Primitive, value: &Value) -> bool {
    match primitive {
        Primitive::Null => value.is_null(),
        Primitive::Boolean => value.is_boolean(),
        Primitive::Int => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        Primitive::Long => value.is_i64(),
        Primitive::Float | Primitive::Double => value.is_number(),
        Primitive::Bytes | Primitive::String => value.is_string(),
    }
}
