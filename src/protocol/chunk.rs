//! Chunks: a message too large for one entry travels as several, each with these fields in its metadata.

use super::proto::MessageMetadata;
use crate::error::{Error, ErrorKind, Result};

/// Which part of which message an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Names the message: its chunks have this in common.
    pub uuid: &'a str,
    /// The place of the chunk, from 0.
    pub index: u32,
    /// The number of chunks, at least 2.
    pub count: u32,
    /// The size of all bodies together, as sent, in bytes.
    pub total_size: u32,
}

impl<'a> Chunk<'a> {
    /// The chunk that the metadata describe; `None` for a message that is whole.
    pub fn of(metadata: &'a MessageMetadata) -> Result<Option<Self>> {
        if metadata.num_chunks_from_msg() <= 1 {
            return Ok(None);
        }
        let (Some(uuid), Some(index), Some(total_size)) =
            (metadata.uuid.as_deref(), metadata.chunk_id, metadata.total_chunk_msg_size)
        else {
            return Err(damaged("a chunk lacks its message's name, its index or the total size"));
        };
        let count = metadata.num_chunks_from_msg().unsigned_abs();
        match (u32::try_from(index), u32::try_from(total_size)) {
            (Ok(index), Ok(total_size)) if index < count => Ok(Some(Self { uuid, index, count, total_size })),
            _ => Err(damaged("a chunk's index or total size is out of range")),
        }
    }

    pub fn is_first(&self) -> bool {
        self.index == 0
    }

    pub fn is_last(&self) -> bool {
        self.index + 1 == self.count
    }

    /// Writes the chunk into the metadata of its entry.
    pub fn write_to(&self, metadata: &mut MessageMetadata) {
        metadata.uuid = Some(self.uuid.to_owned());
        metadata.chunk_id = Some(self.index.cast_signed());
        metadata.num_chunks_from_msg = Some(self.count.cast_signed());
        metadata.total_chunk_msg_size = Some(self.total_size.cast_signed());
    }
}

fn damaged(context: &str) -> Error {
    Error::new(ErrorKind::Decode, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(index: u32) -> MessageMetadata {
        let mut metadata = MessageMetadata::default();
        Chunk { uuid: "p-7", index, count: 3, total_size: 900 }.write_to(&mut metadata);
        metadata
    }

    #[test]
    fn a_chunk_comes_back() {
        for index in 0..3 {
            let metadata = metadata(index);
            let chunk = Chunk::of(&metadata).unwrap().unwrap();
            assert_eq!(chunk, Chunk { uuid: "p-7", index, count: 3, total_size: 900 });
            assert_eq!((chunk.is_first(), chunk.is_last()), (index == 0, index == 2));
        }
    }

    #[test]
    fn a_whole_message_is_no_chunk() {
        assert_eq!(Chunk::of(&MessageMetadata::default()).unwrap(), None);
        let single = MessageMetadata { num_chunks_from_msg: Some(1), ..MessageMetadata::default() };
        assert_eq!(Chunk::of(&single).unwrap(), None);
    }

    #[test]
    fn a_chunk_out_of_range_or_without_a_field_is_an_error() {
        let broken = [
            MessageMetadata { uuid: None, ..metadata(0) },
            MessageMetadata { chunk_id: None, ..metadata(0) },
            MessageMetadata { total_chunk_msg_size: None, ..metadata(0) },
            MessageMetadata { chunk_id: Some(-1), ..metadata(0) },
            MessageMetadata { total_chunk_msg_size: Some(-1), ..metadata(0) },
            metadata(3),
        ];
        for metadata in broken {
            assert_eq!(Chunk::of(&metadata).unwrap_err().kind(), ErrorKind::Decode);
        }
    }
}
