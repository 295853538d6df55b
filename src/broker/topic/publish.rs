//! What becomes of what is published: checked, stored, answered in order, handed to the subscriptions.

use std::sync::Arc;

use bytes::Bytes;

use super::Topic;
use super::state::State;
use crate::broker::entry::{Entry, Facts};
use crate::broker::outlet::Outlet;
use crate::broker::position::Position;
use crate::broker::storage::Op;
use crate::error::Result;
use crate::protocol::frame::FRAME_OVERHEAD;
use crate::protocol::proto::{
    CommandSendError, CommandSendReceipt, MessageIdData, MessageMetadata, ServerError,
};

/// One send, as decoded by the session.
#[derive(Debug)]
pub struct Publish {
    pub producer_id: u64,
    pub sequence_id: u64,
    /// Of a batch: its last message's.
    pub highest_sequence_id: Option<u64>,
    /// As the command says.
    pub num_messages: u32,
    /// Size of the metadata, metadata and body.
    pub bytes: Bytes,
    /// CRC-32C over `bytes`.
    pub checksum: u32,
    pub metadata: Box<MessageMetadata>,
}

/// A send on its way to the disk, with what its producer is told then. In order.
pub(super) struct Writing {
    /// None: nothing is stored, and its answer only waits for its turn.
    entry: Option<Arc<Entry>>,
    outlet: Arc<dyn Outlet>,
    producer_id: u64,
    sequence_id: u64,
    answer: Answer,
}

enum Answer {
    /// Stored here; the highest sequence id goes with it.
    Receipt(MessageIdData, u64),
    Refused(ServerError, String),
}

impl Writing {
    pub(super) fn position(&self) -> Option<Position> {
        self.entry.as_ref().map(|entry| entry.position)
    }
}

impl Topic {
    /// Takes an entry; the receipt, or the error, goes through the producer's outlet. A send of a producer that is not
    /// connected (any more) is dropped: its client has been told, and sends again.
    pub fn publish(self: &Arc<Self>, outlet_id: u64, send: Publish) {
        let now = self.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let key = (outlet_id, send.producer_id);
        let Some(producer) = state.producers.get(key) else { return };
        let outlet = Arc::clone(&producer.outlet);
        let messages = u64::from(send.num_messages.max(1));
        let size = send.bytes.len() as u64;
        let answer = |answer, entry| Writing {
            entry,
            outlet,
            producer_id: send.producer_id,
            sequence_id: send.sequence_id,
            answer,
        };
        if let Err((error, message)) = self.check_send(state, &send) {
            self.write(state, answer(Answer::Refused(error, message.into()), None), now);
            return;
        }
        let highest = send.highest_sequence_id.unwrap_or(send.sequence_id).max(send.sequence_id);
        let facts = Facts::of(&send.metadata);
        if state.dedup.is_duplicate(&facts, is_last_chunk(&send.metadata)) {
            self.write(state, answer(Answer::Receipt(nowhere(), highest), None), now);
            return;
        }
        if !self.make_room(state, now) {
            return;
        }
        if let Some(producer) = state.producers.get(key) {
            producer.messages += messages;
            producer.bytes += size;
        }
        state.counters.messages_in += messages;
        state.counters.bytes_in += size;
        let position = self.place_next(state);
        let entry =
            Arc::new(Entry { position, stored_at: now, bytes: send.bytes, checksum: send.checksum, facts });
        self.services.memory.take(&entry);
        let receipt = Answer::Receipt(position.to_proto(), highest);
        self.write(state, answer(receipt, Some(entry)), now);
        Self::throttle(state, messages, size, now);
    }

    fn check_send(&self, state: &State, send: &Publish) -> Result<(), (ServerError, &'static str)> {
        if state.terminated.is_some() {
            return Err((ServerError::TopicTerminatedError, "the topic is terminated"));
        }
        // As Pulsar does: the limit is for the body, and metadata may come on top (the C++ client's chunks fill it).
        if send.bytes.len() > self.services.max_message_size.saturating_add(FRAME_OVERHEAD) {
            return Err((ServerError::NotAllowedError, "the message is larger than this broker takes"));
        }
        Ok(())
    }

    /// Refuses a send that the session could not decode, or whose checksum does not match; in its turn.
    pub fn refuse(
        self: &Arc<Self>,
        outlet_id: u64,
        producer_id: u64,
        sequence_id: u64,
        error: ServerError,
        message: &str,
    ) {
        let now = self.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(producer) = state.producers.get((outlet_id, producer_id)) else { return };
        let outlet = Arc::clone(&producer.outlet);
        let answer = Answer::Refused(error, message.into());
        self.write(state, Writing { entry: None, outlet, producer_id, sequence_id, answer }, now);
    }

    /// Where the next entry goes; a ledger that is full is closed first.
    fn place_next(self: &Arc<Self>, state: &mut State) -> Position {
        if let Some(position) = state.writing.iter().rev().find_map(Writing::position) {
            return position.next();
        }
        self.roll_if_full(state);
        state.log.next_position()
    }

    /// Stores an entry and answers it; at once in memory, and otherwise when the disk has it.
    fn write(self: &Arc<Self>, state: &mut State, writing: Writing, now: u64) {
        if !self.is_durable() {
            self.written(state, writing, now);
            return;
        }
        let mut ops = Vec::new();
        if let Some(entry) = &writing.entry {
            ops.push(Op::Append { topic: self.name.clone(), entry: Arc::clone(entry) });
            if state.dedup.is_enabled() {
                ops.push(Op::PutSequence {
                    topic: self.name.clone(),
                    producer: entry.facts.producer.clone(),
                    sequence_id: entry.facts.highest_sequence_id,
                });
            }
        } else if state.writing.is_empty() {
            self.written(state, writing, now);
            return;
        }
        state.writing.push_back(writing);
        let topic = Arc::clone(self);
        self.services.storage.commit(ops, Box::new(move |result| topic.stored(result)));
    }

    /// The storage has done with the oldest of `writing`.
    fn stored(self: &Arc<Self>, result: Result<()>) {
        let now = self.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(mut writing) = state.writing.pop_front() else { return };
        if let Err(error) = result {
            if let Some(entry) = writing.entry.take() {
                self.services.memory.give_back([&*entry]);
            }
            writing.answer = Answer::Refused(ServerError::PersistenceError, error.to_string());
        }
        self.written(state, writing, now);
    }

    fn written(self: &Arc<Self>, state: &mut State, writing: Writing, now: u64) {
        let appended = writing.entry.is_some();
        if let Some(entry) = writing.entry {
            if self.name.is_persistent() {
                state.uncompacted += entry.bytes.len() as u64;
            }
            self.plan_for(state, &entry);
            state.log.append(entry);
        }
        let (producer_id, sequence_id) = (writing.producer_id, writing.sequence_id);
        match writing.answer {
            Answer::Receipt(message_id, highest) => {
                let receipt = CommandSendReceipt {
                    producer_id,
                    sequence_id,
                    message_id: Some(message_id),
                    highest_sequence_id: Some(highest),
                };
                writing.outlet.send(&receipt.into());
            }
            Answer::Refused(error, message) => {
                let error = CommandSendError { producer_id, sequence_id, error: error as i32, message };
                writing.outlet.send(&error.into());
            }
        }
        if appended {
            for subscription in state.subscriptions.values_mut() {
                subscription.appended(&state.log, now);
            }
            self.forget_dispatched(state);
        }
    }
}

/// Pulsar's receipt for a duplicate names no entry.
fn nowhere() -> MessageIdData {
    MessageIdData { ledger_id: u64::MAX, entry_id: u64::MAX, ..MessageIdData::default() }
}

fn is_last_chunk(metadata: &MessageMetadata) -> bool {
    match (metadata.chunk_id, metadata.num_chunks_from_msg) {
        (Some(chunk), Some(chunks)) => chunk.saturating_add(1) >= chunks,
        _ => true,
    }
}
