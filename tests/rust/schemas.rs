//! The broker's schemas: versions, and which new ones are accepted. `tests/data/schemas/compatibility.json` holds what
//! a real broker decides; `tests/conformance/test_schema_rules.py` holds that file against one.

#![allow(clippy::unwrap_used)] // this is how a test fails

use bytes::Bytes;
use fastapi_pulsar_core::broker::schemas::{
    CompatibilityStrategy, KeyValueParts, SchemaRegistry, SchemaVersion,
};
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::proto::{KeyValue, Schema, SchemaType};
use fastapi_pulsar_core::protocol::topic::TopicName;
use serde_json::Value;

const ONE: &str = r#"{"type":"record","name":"Order","fields":[{"name":"a","type":"int"}]}"#;
const ONE_DOCUMENTED: &str =
    r#"{"name":"Order","type":"record","doc":"x","fields":[{"name":"a","type":"int","doc":"y"}]}"#;
const TWO: &str = r#"{"type":"record","name":"Order","fields":[{"name":"a","type":"int"},{"name":"b","type":"int","default":0}]}"#;
const TEXT: &str = r#"{"type":"record","name":"Order","fields":[{"name":"a","type":"string"}]}"#;

fn schema(kind: SchemaType, data: &str) -> Schema {
    Schema {
        name: "x".into(),
        schema_data: Bytes::copy_from_slice(data.as_bytes()),
        r#type: kind as i32,
        properties: Vec::new(),
    }
}

fn topic() -> TopicName {
    TopicName::parse("orders").unwrap()
}

/// Whether the second schema may follow the first.
fn accepts(first: &Schema, second: &Schema, strategy: CompatibilityStrategy) -> bool {
    let registry = SchemaRegistry::default();
    registry.register(&topic(), first, strategy, 0).unwrap();
    match registry.register(&topic(), second, strategy, 0) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::IncompatibleSchema);
            assert_eq!(error.topic(), Some("persistent://public/default/orders"));
            false
        }
    }
}

fn table() -> Value {
    serde_json::from_str(include_str!("../data/schemas/compatibility.json")).unwrap()
}

#[test]
fn a_real_broker_decides_the_same() {
    let strategies = [
        (CompatibilityStrategy::Backward, "reads_old"),
        (CompatibilityStrategy::Forward, "read_by_old"),
        (CompatibilityStrategy::Full, "full"),
        (CompatibilityStrategy::Undefined, "full"),
        (CompatibilityStrategy::BackwardTransitive, "reads_old"),
        (CompatibilityStrategy::ForwardTransitive, "read_by_old"),
        (CompatibilityStrategy::FullTransitive, "full"),
        (CompatibilityStrategy::AlwaysCompatible, ""),
        (CompatibilityStrategy::AlwaysIncompatible, "same"),
    ];
    let (table, mut wrong) = (table(), Vec::new());
    for row in table["pairs"].as_array().unwrap() {
        for kind in [SchemaType::Avro, SchemaType::Json] {
            let [old, new] = ["old", "new"].map(|side| schema(kind, &row[side].to_string()));
            for (strategy, answer) in strategies {
                let expected = row["same"] == true || row.get(answer).is_none_or(|answer| answer == true);
                if accepts(&old, &new, strategy) != expected {
                    wrong.push(format!("{} under {strategy}, {kind:?}: not {expected}", row["case"]));
                }
            }
            let registry = SchemaRegistry::default();
            registry.register(&topic(), &old, CompatibilityStrategy::AlwaysCompatible, 0).unwrap();
            assert_eq!(registry.version_of(&topic(), &new).is_some(), row["same"] == true, "{}", row["case"]);
        }
    }
    for row in table["texts"].as_array().unwrap() {
        for (kind, answer) in [(SchemaType::Avro, "avro"), (SchemaType::Json, "json")] {
            let schema = schema(kind, row["text"].as_str().unwrap());
            let result =
                SchemaRegistry::default().register(&topic(), &schema, CompatibilityStrategy::Full, 0);
            if result.is_ok() != (row[answer] == true) {
                wrong.push(format!("{} as {kind:?}: {result:?}", row["case"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_same_schema_keeps_its_version() {
    let (registry, full) = (SchemaRegistry::default(), CompatibilityStrategy::Full);
    let register = |text| registry.register(&topic(), &schema(SchemaType::Json, text), full, 7).unwrap();
    let first = register(ONE);
    assert_eq!((first.version, first.added.unwrap().created_at), (SchemaVersion(0), 7));
    assert_eq!(register(ONE_DOCUMENTED).version, SchemaVersion(0));
    let second = register(TWO);
    assert_eq!((second.version, second.added.is_some()), (SchemaVersion(1), true));
    let again = register(ONE);
    assert_eq!((again.version, again.added), (SchemaVersion(0), None));
    assert_eq!(registry.get(&topic(), None).unwrap().version, SchemaVersion(1));
    assert_eq!(registry.get(&topic(), Some(SchemaVersion(0))).unwrap().schema.schema_data, ONE);
    assert!(registry.get(&topic(), Some(SchemaVersion(2))).is_none());
    assert_eq!(registry.all(&topic()).len(), 2);
    assert_eq!(registry.all(&topic().with_partition(3)).len(), 2, "partitions share it");
    assert!(registry.get(&TopicName::parse("other").unwrap(), None).is_none());
}

#[test]
fn versions_count_on_behind_a_deletion_and_survive_a_restart() {
    let (registry, full) = (SchemaRegistry::default(), CompatibilityStrategy::Full);
    assert!(registry.delete(&topic(), 0).is_none());
    let mut stored = Vec::new();
    stored.extend(registry.register(&topic(), &schema(SchemaType::Json, ONE), full, 1).unwrap().added);
    stored.extend(registry.delete(&topic(), 2));
    assert!(registry.get(&topic(), None).is_none() && registry.all(&topic()).is_empty());
    let after = registry.register(&topic(), &schema(SchemaType::String, ""), full, 3).unwrap();
    assert_eq!(after.version, SchemaVersion(2), "of another type, and nothing to be compatible with");
    stored.extend(after.added);

    let restarted = SchemaRegistry::default();
    restarted.restore(&topic(), stored);
    assert_eq!(restarted.get(&topic(), None), registry.get(&topic(), None));
    assert_eq!(restarted.all(&topic()), registry.all(&topic()));
    restarted.forget(&topic());
    let anew = restarted.register(&topic(), &schema(SchemaType::Json, ONE), full, 4).unwrap();
    assert_eq!(anew.version, SchemaVersion(0));
}

#[test]
fn a_refusal_says_what_does_not_fit() {
    let (registry, full) = (SchemaRegistry::default(), CompatibilityStrategy::Undefined);
    registry.register(&topic(), &schema(SchemaType::Json, ONE), full, 0).unwrap();
    let refused = |kind, text| {
        let error = registry.register(&topic(), &schema(kind, text), full, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IncompatibleSchema);
        error.to_string()
    };
    assert_eq!(
        refused(SchemaType::Json, TEXT),
        "the schema is incompatible with version 0 of the topic's under FULL: it does not read what the older one \
         wrote: at `a`, int cannot be read as string (topic persistent://public/default/orders)"
    );
    assert!(refused(SchemaType::Avro, ONE).contains("its type is AVRO, the topic's is JSON"));
    assert!(
        refused(SchemaType::Json, "{").contains("invalid schema definition data for JSON schema: not JSON")
    );
    assert!(refused(SchemaType::Int32, "x").contains("a primitive type has no data"));
}

#[test]
fn transitive_strategies_look_at_every_version() {
    let with = |field: &str| format!(r#"{{"type":"record","name":"R","fields":[{field}]}}"#);
    // Each reads the one before; the last does not read the first.
    let first = schema(SchemaType::Avro, &with(r#"{"name":"a","type":"string"}"#));
    let second = schema(SchemaType::Avro, &with(""));
    let third = schema(SchemaType::Avro, &with(r#"{"name":"a","type":"int","default":0}"#));
    for (strategy, expected) in
        [(CompatibilityStrategy::Backward, true), (CompatibilityStrategy::BackwardTransitive, false)]
    {
        let registry = SchemaRegistry::default();
        registry.register(&topic(), &first, strategy, 0).unwrap();
        registry.register(&topic(), &second, strategy, 0).unwrap();
        assert_eq!(registry.check(&topic(), &third, strategy).is_ok(), expected, "{strategy}");
    }
}

#[test]
fn a_consumer_must_read_what_is_there_and_need_not_be_read() {
    let (registry, full) = (SchemaRegistry::default(), CompatibilityStrategy::Full);
    let check = |text| registry.check_consumer(&topic(), &schema(SchemaType::Json, text), full);
    assert!(check(ONE).unwrap_err().context().contains("does not have a schema"));
    registry.register(&topic(), &schema(SchemaType::Json, ONE), full, 0).unwrap();
    check(ONE).unwrap();
    check(r#"{"type":"record","name":"Order","fields":[{"name":"a","type":"long"}]}"#).unwrap();
    assert_eq!(check(TEXT).unwrap_err().kind(), ErrorKind::IncompatibleSchema);
}

#[test]
fn key_and_value_are_held_to_the_strategy_each() {
    let both = |key: &str, value: &str| {
        let property = |name: &str| KeyValue { key: format!("{name}.schema.type"), value: "AVRO".into() };
        let mut schema = schema(SchemaType::KeyValue, "");
        schema.schema_data = KeyValueParts::join(key.as_bytes(), value.as_bytes());
        schema.properties = vec![property("key"), property("value")];
        schema
    };
    let full = CompatibilityStrategy::Full;
    assert!(accepts(&both(ONE, ONE), &both(ONE, TWO), full));
    assert!(!accepts(&both(ONE, ONE), &both(TEXT, ONE), full));
    assert!(!accepts(&both(ONE, ONE), &both(ONE, TEXT), full));
    assert!(accepts(&both(ONE, ONE), &both(ONE, TEXT), CompatibilityStrategy::AlwaysCompatible));
    for cut in 0..both(ONE, ONE).schema_data.len() {
        let mut torn = both(ONE, ONE);
        torn.schema_data.truncate(cut);
        assert!(SchemaRegistry::default().register(&topic(), &torn, full, 0).is_err(), "cut at {cut}");
    }
}

#[test]
fn primitives_and_protobuf_are_stored() {
    let full = CompatibilityStrategy::Full;
    let text = schema(SchemaType::String, "");
    assert!(accepts(&text, &text, full));
    assert!(!accepts(&text, &schema(SchemaType::Int64, ""), full));
    let native = |root: &str| {
        let data = format!(
            r#"{{"fileDescriptorSet":"","rootMessageTypeName":"{root}","rootFileDescriptorName":"f"}}"#
        );
        schema(SchemaType::ProtobufNative, &data)
    };
    assert!(accepts(&native("p.M"), &native("p.M"), full));
    assert!(!accepts(&native("p.M"), &native("p.N"), full));
    assert!(accepts(&native("p.M"), &native("p.N"), CompatibilityStrategy::AlwaysCompatible));
}

#[test]
fn hostile_schemas_neither_overflow_the_stack_nor_take_for_ever() {
    let started = std::time::Instant::now();
    // Records that hold each other, which only their last field leads to.
    let chain = |prefix: &str| {
        let field = |index: usize| {
            let inner = match index.checked_sub(1) {
                Some(before) => format!(r#"{{"name":"x","type":"A{before}","default":{{}}}}"#),
                None => String::new(),
            };
            let name = if index == 2999 { "last".into() } else { format!("{prefix}{index}") };
            format!(
                r#"{{"name":"{name}","default":{{}},"type":{{"type":"record","name":"A{index}","fields":[{inner}]}}}}"#
            )
        };
        let fields: Vec<_> = (0..3000).map(field).collect();
        format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(","))
    };
    let deep = format!(r#"{}"int"{}"#, r#"{"type":"array","items":"#.repeat(100), "}".repeat(100));
    let branches: Vec<String> = (0..3000)
        .map(|index| {
            format!(r#"{{"type":"record","name":"B{index}","fields":[{{"name":"x{index}","type":"int"}}]}}"#)
        })
        .collect();
    let wide = format!("[{}]", branches.join(","));
    let other = wide.replace("\"B", "\"C");
    for (old, new) in [(chain("a"), chain("b")), (deep.clone(), deep), (wide, other)] {
        let registry = SchemaRegistry::default();
        let full = CompatibilityStrategy::Full;
        registry.register(&topic(), &schema(SchemaType::Avro, &old), full, 0).unwrap();
        drop(registry.register(&topic(), &schema(SchemaType::Avro, &new), full, 0));
    }
    let nested = "[".repeat(200_000);
    let result = SchemaRegistry::default().check(
        &topic(),
        &schema(SchemaType::Avro, &nested),
        CompatibilityStrategy::Full,
    );
    assert!(result.is_err());
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
}
