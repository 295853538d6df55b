//! What the connection's reader task reports to a partition.

use super::effects::Effects;
use super::partition::{Lost, Partition};
use super::pending::Receipt;
use crate::client::{Disconnect, ProducerSink};
use crate::error::{Error, ErrorKind};
use crate::protocol::proto::CommandSendReceipt;

/// The broker may receive an entry damaged so often, on as many connections, before it is given up.
const MAX_DAMAGED: u8 = 3;

impl ProducerSink for Partition {
    fn receipt(&self, connection: u64, receipt: CommandSendReceipt) {
        let mut effects = Effects::default();
        let mut guard = self.shared.state.lock();
        let state = &mut *guard;
        let Some(lane) = state.lanes.get_mut(self.index) else { return };
        if lane.connection != Some(connection) {
            return;
        }
        match lane.pending.receipt(receipt.sequence_id) {
            Receipt::Confirmed(entry) => {
                let id = lane.confirm(&entry, &receipt);
                effects.finish(*entry, Ok(id), &mut state.pending);
                lane.entry_done(&mut effects);
            }
            Receipt::Stale => {}
            // Something before was lost on the way: send it all again.
            Receipt::Unexpected => self.lose(connection, Lost::Restart),
        }
        drop(guard);
        self.shared.settle(effects);
    }

    fn send_error(&self, connection: u64, sequence_id: u64, error: Error) {
        if matches!(error.kind(), ErrorKind::ProducerFenced | ErrorKind::TopicTerminated) {
            self.fail(&error);
            return;
        }
        let mut effects = Effects::default();
        let mut guard = self.shared.state.lock();
        let state = &mut *guard;
        state.last_error = Some(error.clone());
        let Some(lane) = state.lanes.get_mut(self.index) else { return };
        if lane.connection != Some(connection) {
            return;
        }
        let Some(entry) = lane.pending.sent_entry(sequence_id) else { return };
        let refused = match error.kind() {
            // This message is not wanted; the next ones may be.
            ErrorKind::NotAllowed | ErrorKind::MessageTooLarge | ErrorKind::Authorization => true,
            ErrorKind::Checksum => {
                entry.damaged += 1;
                entry.damaged >= MAX_DAMAGED
            }
            _ => false,
        };
        let id = entry.id;
        if refused {
            if let Some(entry) = lane.pending.remove(id) {
                effects.finish(entry, Err(error), &mut state.pending);
                lane.entry_done(&mut effects);
            }
        } else {
            self.lose(connection, Lost::Restart);
        }
        drop(guard);
        self.shared.settle(effects);
    }

    fn disconnected(&self, connection: u64, reason: Disconnect) {
        let mut state = self.shared.state.lock();
        let hint = match reason {
            Disconnect::Lost(error) => {
                state.last_error = Some(error);
                None
            }
            Disconnect::ClosedByBroker { assigned } => assigned,
            Disconnect::TopicMigrated { url } => url,
        };
        if let Some(lane) = state.lanes.get_mut(self.index)
            && lane.connection == Some(connection)
        {
            lane.connection = None;
        }
        drop(state);
        self.lose(connection, Lost::Disconnected { hint });
    }
}
