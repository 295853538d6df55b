//! Whether there is a message that was not handed out: here, or at the broker.

use super::Consumer;
use super::control::LastMessage;
use super::core::Core;
use super::partition::Partition;
use super::read_position::Start;
use crate::error::Result;
use crate::protocol::message_id::MessageId;

impl Consumer {
    /// Whether a message is there that was not handed out, as the Java client has it for readers: what was handed
    /// out last, or else where reading started, is compared with the last message of the topic.
    pub async fn has_message_available(&self) -> Result<bool> {
        self.check_open()?;
        if self.queued() > 0 || self.core().queue.is_stopped() {
            return Ok(true);
        }
        for partition in self.core().all() {
            if is_available(self.core(), &partition).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

async fn is_available(core: &Core, partition: &Partition) -> Result<bool> {
    let LastMessage { last, mark_delete } = core.last_message_id(partition).await?;
    let Some(last) = last else { return Ok(false) };
    let (read, start) = {
        let reading = partition.reading.lock();
        (reading.last, reading.start.clone())
    };
    Ok(match (read, start) {
        (Some(read), _) => behind(&read, &last),
        (None, Start::Id { id, inclusive }) if id != MessageId::LATEST => {
            id == MessageId::EARLIEST || behind(&id, &last) || (inclusive && !behind(&last, &id))
        }
        // Only the broker knows where the subscription stands.
        (None, _) => mark_delete.is_some_and(|mark| {
            (mark.ledger, mark.entry.cast_signed()) < (last.ledger, last.entry.cast_signed())
        }),
    })
}

/// Whether `next` comes after `read` in one partition.
fn behind(read: &MessageId, next: &MessageId) -> bool {
    let place = |id: &MessageId| (id.ledger, id.entry.cast_signed(), id.batch_index);
    place(read) < place(next)
}
