//! `BaseCommand`: the envelope of every command.

use super::{
    CommandAck, CommandAckResponse, CommandActiveConsumerChange, CommandAddPartitionToTxn,
    CommandAddPartitionToTxnResponse, CommandAddSubscriptionToTxn, CommandAddSubscriptionToTxnResponse,
    CommandAuthChallenge, CommandAuthResponse, CommandCloseConsumer, CommandCloseProducer, CommandConnect,
    CommandConnected, CommandConsumerStats, CommandConsumerStatsResponse, CommandEndTxn,
    CommandEndTxnOnPartition, CommandEndTxnOnPartitionResponse, CommandEndTxnOnSubscription,
    CommandEndTxnOnSubscriptionResponse, CommandEndTxnResponse, CommandError, CommandFlow,
    CommandGetLastMessageId, CommandGetLastMessageIdResponse, CommandGetOrCreateSchema,
    CommandGetOrCreateSchemaResponse, CommandGetSchema, CommandGetSchemaResponse,
    CommandGetTopicsOfNamespace, CommandGetTopicsOfNamespaceResponse, CommandLookupTopic,
    CommandLookupTopicResponse, CommandMessage, CommandNewTxn, CommandNewTxnResponse,
    CommandPartitionedTopicMetadata, CommandPartitionedTopicMetadataResponse, CommandPing, CommandPong,
    CommandProducer, CommandProducerSuccess, CommandReachedEndOfTopic,
    CommandRedeliverUnacknowledgedMessages, CommandSeek, CommandSend, CommandSendError, CommandSendReceipt,
    CommandSubscribe, CommandSuccess, CommandTcClientConnectRequest, CommandTcClientConnectResponse,
    CommandTopicMigrated, CommandUnsubscribe, CommandWatchTopicList, CommandWatchTopicListClose,
    CommandWatchTopicListSuccess, CommandWatchTopicUpdate,
};

/// The envelope of every command: its type as a number, and the command.
///
/// On the wire each command is an optional field of its own; exactly one is set, hence the oneof.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BaseCommand {
    /// The command's field number, repeated: see `Command::type_number`.
    #[prost(int32, required, tag = "1")]
    pub r#type: i32,
    /// `None` for a command that is newer than this list.
    #[prost(
        oneof = "Command",
        tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68"
    )]
    pub command: Option<Command>,
}

/// Every command. The large and rare ones are boxed, so that the frequent ones stay small to move.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Command {
    #[prost(message, boxed, tag = "2")]
    Connect(Box<CommandConnect>),
    #[prost(message, boxed, tag = "3")]
    Connected(Box<CommandConnected>),
    #[prost(message, boxed, tag = "4")]
    Subscribe(Box<CommandSubscribe>),
    #[prost(message, boxed, tag = "5")]
    Producer(Box<CommandProducer>),
    #[prost(message, tag = "6")]
    Send(CommandSend),
    #[prost(message, tag = "7")]
    SendReceipt(CommandSendReceipt),
    #[prost(message, tag = "8")]
    SendError(CommandSendError),
    #[prost(message, tag = "9")]
    Message(CommandMessage),
    #[prost(message, tag = "10")]
    Ack(CommandAck),
    #[prost(message, tag = "11")]
    Flow(CommandFlow),
    #[prost(message, tag = "12")]
    Unsubscribe(CommandUnsubscribe),
    #[prost(message, boxed, tag = "13")]
    Success(Box<CommandSuccess>),
    #[prost(message, tag = "14")]
    Error(CommandError),
    #[prost(message, tag = "15")]
    CloseProducer(CommandCloseProducer),
    #[prost(message, tag = "16")]
    CloseConsumer(CommandCloseConsumer),
    #[prost(message, boxed, tag = "17")]
    ProducerSuccess(Box<CommandProducerSuccess>),
    #[prost(message, tag = "18")]
    Ping(CommandPing),
    #[prost(message, tag = "19")]
    Pong(CommandPong),
    #[prost(message, tag = "20")]
    RedeliverUnacknowledgedMessages(CommandRedeliverUnacknowledgedMessages),
    #[prost(message, boxed, tag = "21")]
    PartitionedTopicMetadata(Box<CommandPartitionedTopicMetadata>),
    #[prost(message, tag = "22")]
    PartitionedTopicMetadataResponse(CommandPartitionedTopicMetadataResponse),
    #[prost(message, boxed, tag = "23")]
    LookupTopic(Box<CommandLookupTopic>),
    #[prost(message, boxed, tag = "24")]
    LookupTopicResponse(Box<CommandLookupTopicResponse>),
    #[prost(message, tag = "25")]
    ConsumerStats(CommandConsumerStats),
    #[prost(message, boxed, tag = "26")]
    ConsumerStatsResponse(Box<CommandConsumerStatsResponse>),
    #[prost(message, tag = "27")]
    ReachedEndOfTopic(CommandReachedEndOfTopic),
    #[prost(message, boxed, tag = "28")]
    Seek(Box<CommandSeek>),
    #[prost(message, tag = "29")]
    GetLastMessageId(CommandGetLastMessageId),
    #[prost(message, boxed, tag = "30")]
    GetLastMessageIdResponse(Box<CommandGetLastMessageIdResponse>),
    #[prost(message, tag = "31")]
    ActiveConsumerChange(CommandActiveConsumerChange),
    #[prost(message, boxed, tag = "32")]
    GetTopicsOfNamespace(Box<CommandGetTopicsOfNamespace>),
    #[prost(message, tag = "33")]
    GetTopicsOfNamespaceResponse(CommandGetTopicsOfNamespaceResponse),
    #[prost(message, tag = "34")]
    GetSchema(CommandGetSchema),
    #[prost(message, boxed, tag = "35")]
    GetSchemaResponse(Box<CommandGetSchemaResponse>),
    #[prost(message, boxed, tag = "36")]
    AuthChallenge(Box<CommandAuthChallenge>),
    #[prost(message, boxed, tag = "37")]
    AuthResponse(Box<CommandAuthResponse>),
    #[prost(message, tag = "38")]
    AckResponse(CommandAckResponse),
    #[prost(message, boxed, tag = "39")]
    GetOrCreateSchema(Box<CommandGetOrCreateSchema>),
    #[prost(message, tag = "40")]
    GetOrCreateSchemaResponse(CommandGetOrCreateSchemaResponse),
    #[prost(message, tag = "50")]
    NewTxn(CommandNewTxn),
    #[prost(message, tag = "51")]
    NewTxnResponse(CommandNewTxnResponse),
    #[prost(message, tag = "52")]
    AddPartitionToTxn(CommandAddPartitionToTxn),
    #[prost(message, tag = "53")]
    AddPartitionToTxnResponse(CommandAddPartitionToTxnResponse),
    #[prost(message, tag = "54")]
    AddSubscriptionToTxn(CommandAddSubscriptionToTxn),
    #[prost(message, tag = "55")]
    AddSubscriptionToTxnResponse(CommandAddSubscriptionToTxnResponse),
    #[prost(message, tag = "56")]
    EndTxn(CommandEndTxn),
    #[prost(message, tag = "57")]
    EndTxnResponse(CommandEndTxnResponse),
    #[prost(message, boxed, tag = "58")]
    EndTxnOnPartition(Box<CommandEndTxnOnPartition>),
    #[prost(message, tag = "59")]
    EndTxnOnPartitionResponse(CommandEndTxnOnPartitionResponse),
    #[prost(message, boxed, tag = "60")]
    EndTxnOnSubscription(Box<CommandEndTxnOnSubscription>),
    #[prost(message, tag = "61")]
    EndTxnOnSubscriptionResponse(CommandEndTxnOnSubscriptionResponse),
    #[prost(message, tag = "62")]
    TcClientConnectRequest(CommandTcClientConnectRequest),
    #[prost(message, tag = "63")]
    TcClientConnectResponse(CommandTcClientConnectResponse),
    #[prost(message, boxed, tag = "64")]
    WatchTopicList(Box<CommandWatchTopicList>),
    #[prost(message, tag = "65")]
    WatchTopicListSuccess(CommandWatchTopicListSuccess),
    #[prost(message, boxed, tag = "66")]
    WatchTopicUpdate(Box<CommandWatchTopicUpdate>),
    #[prost(message, tag = "67")]
    WatchTopicListClose(CommandWatchTopicListClose),
    #[prost(message, tag = "68")]
    TopicMigrated(CommandTopicMigrated),
}

macro_rules! commands {
    ($($number:literal $name:ident $message:ident,)+) => {
        impl Command {
            /// The number of the command's type, which is that of its field as well.
            pub const fn type_number(&self) -> i32 {
                match self { $(Command::$name(_) => $number,)+ }
            }

            /// The command's name, for logs.
            pub const fn name(&self) -> &'static str {
                match self { $(Command::$name(_) => stringify!($name),)+ }
            }

            /// One command of each type, without content.
            #[cfg(test)]
            pub(crate) fn of_each_type() -> Vec<Self> {
                vec![$(Command::from($message::default()),)+]
            }

            /// Whether a command of this type is in the list.
            pub const fn knows(type_number: i32) -> bool {
                matches!(type_number, $($number)|+)
            }
        }

        $(
            impl From<$message> for Command {
                fn from(message: $message) -> Self {
                    Command::$name(message.into())
                }
            }

            impl From<$message> for BaseCommand {
                fn from(message: $message) -> Self {
                    Command::from(message).into()
                }
            }
        )+
    };
}

commands! {
    2 Connect CommandConnect,
    3 Connected CommandConnected,
    4 Subscribe CommandSubscribe,
    5 Producer CommandProducer,
    6 Send CommandSend,
    7 SendReceipt CommandSendReceipt,
    8 SendError CommandSendError,
    9 Message CommandMessage,
    10 Ack CommandAck,
    11 Flow CommandFlow,
    12 Unsubscribe CommandUnsubscribe,
    13 Success CommandSuccess,
    14 Error CommandError,
    15 CloseProducer CommandCloseProducer,
    16 CloseConsumer CommandCloseConsumer,
    17 ProducerSuccess CommandProducerSuccess,
    18 Ping CommandPing,
    19 Pong CommandPong,
    20 RedeliverUnacknowledgedMessages CommandRedeliverUnacknowledgedMessages,
    21 PartitionedTopicMetadata CommandPartitionedTopicMetadata,
    22 PartitionedTopicMetadataResponse CommandPartitionedTopicMetadataResponse,
    23 LookupTopic CommandLookupTopic,
    24 LookupTopicResponse CommandLookupTopicResponse,
    25 ConsumerStats CommandConsumerStats,
    26 ConsumerStatsResponse CommandConsumerStatsResponse,
    27 ReachedEndOfTopic CommandReachedEndOfTopic,
    28 Seek CommandSeek,
    29 GetLastMessageId CommandGetLastMessageId,
    30 GetLastMessageIdResponse CommandGetLastMessageIdResponse,
    31 ActiveConsumerChange CommandActiveConsumerChange,
    32 GetTopicsOfNamespace CommandGetTopicsOfNamespace,
    33 GetTopicsOfNamespaceResponse CommandGetTopicsOfNamespaceResponse,
    34 GetSchema CommandGetSchema,
    35 GetSchemaResponse CommandGetSchemaResponse,
    36 AuthChallenge CommandAuthChallenge,
    37 AuthResponse CommandAuthResponse,
    38 AckResponse CommandAckResponse,
    39 GetOrCreateSchema CommandGetOrCreateSchema,
    40 GetOrCreateSchemaResponse CommandGetOrCreateSchemaResponse,
    50 NewTxn CommandNewTxn,
    51 NewTxnResponse CommandNewTxnResponse,
    52 AddPartitionToTxn CommandAddPartitionToTxn,
    53 AddPartitionToTxnResponse CommandAddPartitionToTxnResponse,
    54 AddSubscriptionToTxn CommandAddSubscriptionToTxn,
    55 AddSubscriptionToTxnResponse CommandAddSubscriptionToTxnResponse,
    56 EndTxn CommandEndTxn,
    57 EndTxnResponse CommandEndTxnResponse,
    58 EndTxnOnPartition CommandEndTxnOnPartition,
    59 EndTxnOnPartitionResponse CommandEndTxnOnPartitionResponse,
    60 EndTxnOnSubscription CommandEndTxnOnSubscription,
    61 EndTxnOnSubscriptionResponse CommandEndTxnOnSubscriptionResponse,
    62 TcClientConnectRequest CommandTcClientConnectRequest,
    63 TcClientConnectResponse CommandTcClientConnectResponse,
    64 WatchTopicList CommandWatchTopicList,
    65 WatchTopicListSuccess CommandWatchTopicListSuccess,
    66 WatchTopicUpdate CommandWatchTopicUpdate,
    67 WatchTopicListClose CommandWatchTopicListClose,
    68 TopicMigrated CommandTopicMigrated,
}

impl From<Command> for BaseCommand {
    fn from(command: Command) -> Self {
        Self { r#type: command.type_number(), command: Some(command) }
    }
}

impl BaseCommand {
    /// The command's name, for logs.
    pub fn name(&self) -> &'static str {
        self.command.as_ref().map_or("unknown", Command::name)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::protocol::proto::MessageIdData;

    #[test]
    fn a_command_is_cheap_to_move() {
        assert!(size_of::<BaseCommand>() < 200, "{} bytes", size_of::<BaseCommand>());
    }

    #[test]
    fn every_type_number_of_the_protocol_is_there_once() {
        let numbers: Vec<i32> = Command::of_each_type().iter().map(Command::type_number).collect();
        let protocol: Vec<i32> = (2..=40).chain(50..=68).collect();
        assert_eq!(numbers, protocol);
        assert!(protocol.into_iter().all(Command::knows));
        assert!(![0, 1, 41, 49, 69].into_iter().any(Command::knows));
    }

    #[test]
    fn a_command_travels_in_the_field_of_its_type_number() {
        for command in Command::of_each_type() {
            let number = command.type_number();
            let base = BaseCommand::from(command);
            let bytes = base.encode_to_vec();
            let key = u32::try_from(number).unwrap() << 3 | 2; // length-delimited
            let mut written = Vec::new();
            prost::encoding::encode_varint(u64::from(key), &mut written);
            assert!(bytes.starts_with(&[8, u8::try_from(number).unwrap()]), "{}", base.name());
            assert!(bytes[2..].starts_with(&written), "{}", base.name());
            assert_eq!(BaseCommand::decode(&bytes[..]).unwrap(), base);
        }
    }

    #[test]
    fn a_command_of_the_future_is_kept_as_unknown() {
        let base = BaseCommand::decode(&[8, 99, 0b1001_1010, 6, 0][..]).unwrap();
        assert_eq!((base.r#type, base.name()), (99, "unknown"));
    }

    #[test]
    fn bit_sets_are_not_packed() {
        let id = MessageIdData { ledger_id: 1, entry_id: 2, ack_set: vec![3, -1], ..Default::default() };
        let minus_one = [0xff; 9].into_iter().chain([1]);
        let bytes: Vec<u8> = [8, 1, 16, 2, 40, 3, 40].into_iter().chain(minus_one).collect();
        assert_eq!(id.encode_to_vec(), bytes);
        assert_eq!(MessageIdData::decode(&bytes[..]).unwrap(), id);
    }
}
