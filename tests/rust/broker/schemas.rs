//! Schemas, as producers and consumers meet them.

use fastapi_pulsar_core::client::options::{ConsumerOptions, ProducerOptions, SchemaOptions};
use fastapi_pulsar_core::error::{ErrorKind, Result};
use fastapi_pulsar_core::protocol::topic::TopicName;

use crate::house::{House, send, subscription};
use crate::support::peer::soon;

fn record(field: &str) -> SchemaOptions {
    SchemaOptions {
        name: "Order".into(),
        r#type: "JSON".into(),
        data: format!(r#"{{"type":"record","name":"Order","fields":[{field}]}}"#),
        properties: [("purpose".to_owned(), "test".to_owned())].into(),
    }
}

const REQUIRED: &str = r#"{"name":"a","type":"string"}"#;
const NULLABLE: &str = r#"{"name":"a","type":["null","string"],"default":null}"#;

async fn produce(house: &House, schema: Option<SchemaOptions>) -> Result<()> {
    let options = ProducerOptions { topic: "t".into(), schema, ..ProducerOptions::default() };
    soon("a producer", house.client.producer(options)).await.map(drop)
}

async fn consume(house: &House, schema: SchemaOptions) -> Result<()> {
    let options = ConsumerOptions { schema: Some(schema), ..subscription("t") };
    soon("a consumer", house.client.consumer(options)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_registers_its_schema_and_others_are_held_to_it() {
    let house = House::new();
    let topic = TopicName::parse("t").unwrap();
    assert!(soon("a schema", house.client.schema(&topic, None)).await.unwrap().is_none());
    produce(&house, Some(record(NULLABLE))).await.unwrap();
    produce(&house, Some(record(NULLABLE))).await.unwrap();
    let found = soon("a schema", house.client.schema(&topic, None)).await.unwrap().unwrap();
    assert_eq!(found.version.as_deref(), Some(&[0; 8][..]), "the same schema has one version");
    assert_eq!(found.schema.schema_data, record(NULLABLE).data);
    assert_eq!(found.schema.properties.len(), 1);

    let refused = produce(&house, Some(record(REQUIRED))).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::IncompatibleSchema);
    assert!(refused.to_string().contains("null cannot be read as string"), "{refused}");
    let refused = consume(&house, record(REQUIRED)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::IncompatibleSchema);
    consume(&house, record(NULLABLE)).await.unwrap();
    produce(&house, None).await.unwrap();
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_with_a_schema_gives_it_to_a_new_topic() {
    let house = House::new();
    consume(&house, record(REQUIRED)).await.unwrap();
    let topic = TopicName::parse("t").unwrap();
    assert!(soon("a schema", house.client.schema(&topic, None)).await.unwrap().is_some());
    assert_eq!(
        produce(&house, Some(record(NULLABLE))).await.unwrap_err().kind(),
        ErrorKind::IncompatibleSchema
    );
    send(&house.producer("t").await, "a producer without a schema is let in").await;
    house.close().await;
}
