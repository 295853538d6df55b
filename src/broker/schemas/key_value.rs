//! A schema of type `KEY_VALUE` holds two: one for the key, one for the value.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::protocol::proto::{KeyValue, Schema, SchemaType};

/// Schemas of the key and of the value.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyValueParts {
    pub key: Schema,
    pub value: Schema,
}

impl KeyValueParts {
    /// Splits a schema: each part's data follows its length in 4 bytes, its type stands in the properties.
    pub fn split(schema: &Schema) -> Result<Self, String> {
        let mut data = schema.schema_data.clone();
        let key = take(&mut data).ok_or("the key's schema is cut off")?;
        let value = take(&mut data).ok_or("the value's schema is cut off")?;
        Ok(Self { key: part(schema, "key", key), value: part(schema, "value", value) })
    }

    /// The data of a schema that holds these two.
    pub fn join(key: &[u8], value: &[u8]) -> Bytes {
        let mut data = BytesMut::with_capacity(8 + key.len() + value.len());
        for part in [key, value] {
            data.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
            data.put_slice(part);
        }
        data.freeze()
    }
}

/// A length of -1 is how Java writes a part without data.
fn take(data: &mut Bytes) -> Option<Bytes> {
    let length = data.try_get_i32().ok()?;
    let length = if length == -1 { 0 } else { usize::try_from(length).ok()? };
    (length <= data.len()).then(|| data.split_to(length))
}

fn part(schema: &Schema, which: &str, data: Bytes) -> Schema {
    let property = |what: &str| {
        let wanted = format!("{which}.schema.{what}");
        schema
            .properties
            .iter()
            .find(|property| property.key == wanted)
            .map(|property| property.value.as_str())
    };
    let kind = property("type").and_then(SchemaType::from_name).unwrap_or(SchemaType::None);
    let properties = property("properties").and_then(|text| serde_json::from_str(text).ok());
    let properties: std::collections::BTreeMap<String, String> = properties.unwrap_or_default();
    Schema {
        name: property("name").unwrap_or_default().to_owned(),
        schema_data: data,
        r#type: kind as i32,
        properties: properties.into_iter().map(|(key, value)| KeyValue { key, value }).collect(),
    }
}
