//! `Debug` for what may hold a credential, a key, a property's value or a payload: those are never shown.

use std::fmt::{Debug, Formatter, Result};

use super::{
    AuthData, CommandConnect, CommandLookupTopic, CommandPartitionedTopicMetadata, EncryptionKeys, KeyValue,
    MessageMetadata, SingleMessageMetadata,
};

impl Debug for AuthData {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("AuthData").field("auth_method_name", &self.auth_method_name).finish_non_exhaustive()
    }
}

impl Debug for CommandConnect {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("CommandConnect")
            .field("client_version", &self.client_version)
            .field("protocol_version", &self.protocol_version)
            .field("auth_method_name", &self.auth_method_name)
            .field("proxy_to_broker_url", &self.proxy_to_broker_url)
            .field("feature_flags", &self.feature_flags)
            .finish_non_exhaustive()
    }
}

impl Debug for CommandLookupTopic {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("CommandLookupTopic")
            .field("topic", &self.topic)
            .field("request_id", &self.request_id)
            .field("authoritative", &self.authoritative)
            .field("advertised_listener_name", &self.advertised_listener_name)
            .finish_non_exhaustive()
    }
}

impl Debug for CommandPartitionedTopicMetadata {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("CommandPartitionedTopicMetadata")
            .field("topic", &self.topic)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl Debug for KeyValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("KeyValue").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Debug for EncryptionKeys {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("EncryptionKeys").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Debug for MessageMetadata {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("MessageMetadata")
            .field("producer_name", &self.producer_name)
            .field("sequence_id", &self.sequence_id)
            .field("publish_time", &self.publish_time)
            .field("properties", &self.properties)
            .field("compression", &self.compression)
            .field("uncompressed_size", &self.uncompressed_size)
            .field("num_messages_in_batch", &self.num_messages_in_batch)
            .field("chunk_id", &self.chunk_id)
            .field("num_chunks_from_msg", &self.num_chunks_from_msg)
            .finish_non_exhaustive()
    }
}

impl Debug for SingleMessageMetadata {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("SingleMessageMetadata")
            .field("properties", &self.properties)
            .field("payload_size", &self.payload_size)
            .field("sequence_id", &self.sequence_id)
            .field("event_time", &self.event_time)
            .field("null_value", &self.null_value)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const CANARY: &str = "canary-7d1f";

    fn show(value: &dyn Debug) -> String {
        let text = format!("{value:?} {value:#?}");
        assert!(!text.contains(CANARY), "{text}");
        text
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = || Some(CANARY.to_owned());
        let bytes = || Some(Bytes::from_static(CANARY.as_bytes()));
        let property = KeyValue { key: "colour".into(), value: CANARY.into() };
        let auth = AuthData { auth_method_name: Some("token".into()), auth_data: bytes() };
        assert!(show(&auth).contains("token"));
        show(&CommandConnect {
            auth_data: bytes(),
            original_auth_data: secret(),
            ..CommandConnect::default()
        });
        show(&CommandLookupTopic { original_auth_data: secret(), ..CommandLookupTopic::default() });
        show(&CommandPartitionedTopicMetadata { original_auth_data: secret(), ..Default::default() });
        show(&EncryptionKeys { value: CANARY.into(), ..EncryptionKeys::default() });
        let metadata = MessageMetadata {
            partition_key: secret(),
            ordering_key: bytes(),
            encryption_param: bytes(),
            properties: vec![property.clone()],
            ..MessageMetadata::default()
        };
        assert!(show(&metadata).contains("colour"));
        let single = SingleMessageMetadata {
            partition_key: secret(),
            ordering_key: bytes(),
            properties: vec![property],
            ..SingleMessageMetadata::default()
        };
        assert!(show(&single).contains("colour"));
    }
}
