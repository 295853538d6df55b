//! What each fuzz target does with its input: shared by `fuzz/`, which makes inputs up, and `fuzz_corpus.rs`, which
//! repeats those that were kept. Nothing may panic, and what was understood must survive being written and read again.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use fastapi_pulsar_core::broker::Broker;
use fastapi_pulsar_core::broker::config::BrokerOptions;
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::Result;
use fastapi_pulsar_core::protocol::batch::{BatchBuilder, BatchIter};
use fastapi_pulsar_core::protocol::compression::Compression;
use fastapi_pulsar_core::protocol::frame::{self, Frame};
use fastapi_pulsar_core::protocol::message_id::MessageId;
use fastapi_pulsar_core::protocol::proto::CommandConnect;
use fastapi_pulsar_core::protocol::topic::TopicName;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const LIMIT: usize = 1 << 16;

/// The input is what arrives on a connection.
pub fn frame(data: &[u8]) {
    let mut arrived = BytesMut::from(data);
    while let Ok(Some(frame)) = frame::decode(&mut arrived, LIMIT) {
        assert_eq!(show(&frame), show(&through_the_wire(&frame)));
    }
}

fn through_the_wire(frame: &Frame) -> Frame {
    let mut written = BytesMut::new();
    match &frame.payload {
        Some(Ok(payload)) => {
            let broker = payload.broker_metadata.as_ref();
            let header =
                frame::encode_delivery_header(&frame.command, broker, &payload.metadata, &payload.body);
            written.put_slice(&header);
            written.put_slice(&payload.body);
        }
        // The damaged payload is gone: the command alone is compared.
        Some(Err(_)) | None => frame::encode_command(&frame.command, &mut written),
    }
    frame::decode(&mut written, usize::MAX).unwrap().unwrap()
}

/// The whole frame as bytes, since numbers that are NaN are not equal to themselves.
fn show(frame: &Frame) -> Vec<Vec<u8>> {
    let mut parts = vec![frame.command.encode_to_vec()];
    if let Some(Ok(payload)) = &frame.payload {
        parts.push(payload.broker_metadata.map_or_else(Vec::new, |broker| broker.encode_to_vec()));
        parts.push(payload.metadata.encode_to_vec());
        parts.push(payload.body.to_vec());
    }
    parts
}

/// The first byte of the input is the number of messages, the rest the body.
pub fn batch(data: &[u8]) {
    let Some((&count, body)) = data.split_first() else { return };
    let count = usize::from(count);
    let messages: Vec<_> = BatchIter::new(Bytes::copy_from_slice(body), count).collect();
    assert!(messages.len() <= count);
    assert!(messages.iter().rev().skip(1).all(Result::is_ok), "an error is the last");
    let understood: Vec<_> = messages.into_iter().flatten().collect();
    let mut builder = BatchBuilder::new();
    for (metadata, payload) in &understood {
        builder.push(metadata, payload);
    }
    let again = BatchIter::new(builder.finish(), understood.len());
    assert_eq!(again.map(Result::unwrap).collect::<Vec<_>>(), understood);
}

/// The first byte of the input chooses the compression, the next two are the size, the rest is a body.
pub fn compression(data: &[u8]) {
    let [number, high, low, body @ ..] = data else { return };
    let compression = Compression::try_from(i32::from(number % 5)).unwrap();
    let size = u32::from(u16::from_be_bytes([*high, *low]));
    let body = Bytes::copy_from_slice(body);
    if let Ok(plain) = compression.decompress(&body, size, LIMIT) {
        assert!(compression == Compression::None || plain.len() == size as usize);
    }
    let compressed = compression.compress(&body).unwrap();
    let size = u32::try_from(body.len()).unwrap();
    assert_eq!(compression.decompress(&compressed, size, body.len()).unwrap(), body);
}

/// The input is a stored message id.
pub fn message_id(data: &[u8]) {
    let Ok(id) = MessageId::from_bytes(data) else { return };
    let again = MessageId::from_bytes(&id.to_bytes()).unwrap();
    assert_eq!((again, again.batch_size, again.first_chunk), (id, id.batch_size, id.first_chunk));
    assert_eq!(MessageId::from(&id.to_proto()), id);
    assert!(MessageId::EARLIEST <= id || id.ledger.cast_signed() < 0);
}

/// The input is a topic name.
pub fn topic(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(name) = TopicName::parse(text) else { return };
    assert_eq!(TopicName::parse(name.as_str()).unwrap(), name);
    let parts =
        format!("{}://{}/{}/{}", name.domain().as_str(), name.tenant(), name.namespace(), name.local_name());
    assert_eq!(parts, name.as_str());
    let partition = name.with_partition(7);
    assert_eq!(partition, TopicName::parse(partition.as_str()).unwrap());
    assert_eq!((partition.partition(), partition.partitioned()), (Some(7), name.partitioned()));
}

/// The input is what a client says to a broker: behind its introduction if the first byte is even. The broker ends the
/// connection when the client does, whatever was said, and still serves the next one.
pub fn session(data: &[u8]) {
    let Some((first, said)) = data.split_first() else { return };
    let mut introduction = BytesMut::new();
    frame::encode_command(&CommandConnect::default().into(), &mut introduction);
    let said = if first % 2 == 0 { [&introduction, said].concat() } else { said.to_vec() };
    on_a_broker(async |broker| {
        let talk = async |said: &[u8]| talk(said, |stream| broker.serve_stream(stream)).await;
        soon("the broker ends a connection that is over", talk(&said)).await;
        assert!(!soon("the broker serves the next client", talk(&introduction)).await.is_empty());
    });
}

/// The input is what arrives at the admin interface. Its connection ends, whatever was said, and the next one is served.
pub fn admin(data: &[u8]) {
    const HEALTH: &[u8] = b"GET /admin/v2/brokers/health HTTP/1.1\r\nhost: x\r\n\r\n";
    on_a_broker(async |broker| {
        let talk = async |said: &[u8]| talk(said, |stream| broker.serve_admin_stream(stream)).await;
        let answer = soon("the broker ends a connection that is over", talk(data)).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{answer:?}");
        let answer = soon("the broker serves the next client", talk(HEALTH)).await;
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
    });
}

/// Runs with a broker of its own.
fn on_a_broker(test: impl AsyncFnOnce(&Broker)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let handle = tokio::runtime::Handle::current();
        let broker = Broker::start(BrokerOptions::default(), Clock::default(), handle).unwrap();
        test(&broker).await;
        broker.close().await;
    });
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), future).await.expect(what)
}

/// Says something to whoever serves the other end, and returns what it answers until the end.
async fn talk<S: Future<Output = Result<()>>>(said: &[u8], serve: impl FnOnce(DuplexStream) -> S) -> Vec<u8> {
    let (ours, theirs) = tokio::io::duplex(LIMIT);
    let (mut read, mut write) = tokio::io::split(ours);
    let mut answer = Vec::new();
    let speak = async {
        // The broker may have ended the connection already.
        let _ = write.write_all(said).await;
        let _ = write.shutdown().await;
    };
    let (served, (), _) = tokio::join!(serve(theirs), speak, read.read_to_end(&mut answer));
    served.unwrap();
    answer
}
