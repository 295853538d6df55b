//! What a session does while the storage is behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::broker::config::BrokerOptions;
use crate::broker::core::{Core, Sessions};
use crate::broker::faults::Faults;
use crate::broker::policies::Policies;
use crate::broker::registry::Registry;
use crate::broker::server;
use crate::broker::storage::{Done, Op, Storage, Stored};
use crate::broker::topic::Services;
use crate::clock::Clock;
use crate::error::Result;
use crate::protocol::frame;
use crate::protocol::proto::{
    BaseCommand, CommandConnect, CommandGetOrCreateSchema, CommandPing, CommandSeek, CommandSubscribe,
    Schema, SchemaType,
};
use crate::protocol::topic::TopicName;

/// A disk that writes when the test says so, and has so much left to write as it says.
#[derive(Default)]
struct Behind {
    waiting: Mutex<Vec<Done>>,
    pending: AtomicUsize,
    asked: AtomicUsize,
}

impl Behind {
    /// All that was handed over is stored.
    fn catch_up(&self) {
        loop {
            let waiting = std::mem::take(&mut *self.waiting.lock());
            if waiting.is_empty() {
                return;
            }
            for done in waiting {
                done(Ok(()));
            }
        }
    }
}

impl Storage for Behind {
    fn is_durable(&self) -> bool {
        true
    }

    fn commit(&self, _ops: Vec<Op>, done: Done) {
        self.waiting.lock().push(done);
    }

    fn load(&self) -> Result<Stored> {
        Ok(Stored::default())
    }

    fn pending_bytes(&self) -> usize {
        self.asked.fetch_add(1, Ordering::AcqRel);
        self.pending.load(Ordering::Acquire)
    }

    fn close(&self, done: Done) {
        self.waiting.lock().push(done);
    }
}

fn core(storage: Arc<dyn Storage>) -> Arc<Core> {
    let clock = Clock::default();
    let services = Arc::new(Services::new(clock.clone(), storage, 1 << 20, 1 << 30, 0));
    Arc::new(Core {
        options: BrokerOptions::default(),
        clock,
        registry: Arc::new(Registry::open(services, Policies::default(), Stored::default()).unwrap()),
        faults: Arc::<Faults>::default(),
        authenticator: None,
        address: ([127, 0, 0, 1], 0).into(),
        sessions: Mutex::new(Sessions::default()),
    })
}

async fn send(stream: &mut DuplexStream, command: impl Into<BaseCommand>) {
    let mut bytes = BytesMut::new();
    frame::encode_command(&command.into(), &mut bytes);
    stream.write_all(&bytes).await.unwrap();
}

async fn receive(stream: &mut DuplexStream, buffer: &mut BytesMut) -> &'static str {
    loop {
        if let Some(frame) = frame::decode_raw(buffer, 1 << 20).unwrap() {
            return frame.command.command.unwrap().name();
        }
        assert_ne!(stream.read_buf(buffer).await.unwrap(), 0, "the broker has ended the connection");
    }
}

async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect(what)
}

/// A client's connection to a broker on this disk, past its introduction.
async fn connect(disk: &Arc<Behind>) -> (Arc<Core>, DuplexStream, BytesMut) {
    let core = core(Arc::clone(disk) as Arc<dyn Storage>);
    let (mut stream, theirs) = tokio::io::duplex(1 << 16);
    let serving = Arc::clone(&core);
    tokio::spawn(async move { server::serve_stream(&serving, theirs).await });
    let mut buffer = BytesMut::new();
    send(&mut stream, CommandConnect::default()).await;
    assert_eq!(soon("an answer", receive(&mut stream, &mut buffer)).await, "Connected");
    (core, stream, buffer)
}

#[tokio::test]
async fn a_client_is_left_unread_while_the_storage_is_behind() {
    let disk = Arc::<Behind>::default();
    disk.pending.store(usize::MAX, Ordering::Release);
    let (_core, mut stream, mut buffer) = connect(&disk).await;
    let asked = |times| {
        let disk = Arc::clone(&disk);
        async move {
            let before = disk.asked.load(Ordering::Acquire);
            while disk.asked.load(Ordering::Acquire) < before + times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    soon("the broker's look at the storage", asked(1)).await;
    send(&mut stream, CommandPing {}).await;
    soon("more looks", asked(3)).await;
    let early = tokio::time::timeout(Duration::ZERO, receive(&mut stream, &mut buffer)).await;
    assert!(early.is_err(), "the ping was read: {early:?}");
    disk.pending.store(0, Ordering::Release);
    assert_eq!(soon("an answer", receive(&mut stream, &mut buffer)).await, "Pong");
}

fn subscribe() -> BaseCommand {
    CommandSubscribe {
        topic: "t".into(),
        subscription: "s".into(),
        consumer_id: 1,
        request_id: 2,
        ..CommandSubscribe::default()
    }
    .into()
}

#[tokio::test]
async fn a_client_hears_of_what_it_made_when_that_is_stored() {
    let disk = Arc::<Behind>::default();
    let (_core, mut stream, mut buffer) = connect(&disk).await;
    let schema = CommandGetOrCreateSchema {
        request_id: 3,
        topic: "t".into(),
        schema: Schema { r#type: SchemaType::String as i32, ..Schema::default() },
    };
    let seek = CommandSeek { consumer_id: 1, request_id: 4, message_publish_time: Some(0), message_id: None };
    // The seek closes the consumer, which is made again.
    let steps: [(BaseCommand, &[&str], &str); 4] = [
        (subscribe(), &[], "Success"),
        (schema.into(), &[], "GetOrCreateSchemaResponse"),
        (seek.into(), &["CloseConsumer"], "Success"),
        (subscribe(), &[], "Success"),
    ];
    for (command, at_once, stored) in steps {
        send(&mut stream, command).await;
        // Answered behind them: whatever is told at once is told by now.
        send(&mut stream, CommandPing {}).await;
        for name in at_once.iter().chain(&["Pong"]) {
            assert_eq!(soon("an answer", receive(&mut stream, &mut buffer)).await, *name);
        }
        disk.catch_up();
        assert_eq!(soon("an answer", receive(&mut stream, &mut buffer)).await, stored);
    }
}

#[tokio::test]
async fn a_consumer_that_is_closed_before_it_is_stored_is_refused() {
    let disk = Arc::<Behind>::default();
    let (core, mut stream, mut buffer) = connect(&disk).await;
    send(&mut stream, subscribe()).await;
    send(&mut stream, CommandPing {}).await;
    assert_eq!(soon("an answer", receive(&mut stream, &mut buffer)).await, "Pong");
    core.registry.existing(&TopicName::parse("t").unwrap()).unwrap().unload();
    disk.catch_up();
    for name in ["CloseConsumer", "Error"] {
        assert_eq!(soon("an answer", receive(&mut stream, &mut buffer)).await, name);
    }
}
