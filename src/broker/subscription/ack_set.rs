//! Which messages of a batch are still to be acknowledged.

/// A bit for each message of a batch, set while it is unacknowledged: as it travels, in words of 64 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckSet(Vec<u64>);

impl AckSet {
    /// Nothing of the batch is acknowledged.
    pub fn full(messages: u32) -> Self {
        let (words, rest) = (messages / 64, messages % 64);
        let mut bits = vec![u64::MAX; words as usize];
        if rest > 0 {
            bits.push((1 << rest) - 1);
        }
        Self(bits)
    }

    /// Acknowledges what another set no longer holds; words that it lacks are acknowledged. Returns how many messages
    /// that were not before.
    pub fn retain(&mut self, wire: &[i64]) -> u32 {
        let before = self.remaining();
        let given = wire.iter().map(|word| word.cast_unsigned()).chain(std::iter::repeat(0));
        for (word, given) in self.0.iter_mut().zip(given) {
            *word &= given;
        }
        before - self.remaining()
    }

    /// How many messages are unacknowledged.
    pub fn remaining(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub fn to_wire(&self) -> Vec<i64> {
        self.0.iter().map(|word| word.cast_signed()).collect()
    }

    pub fn words(&self) -> &[u64] {
        &self.0
    }

    pub fn from_words(words: Vec<u64>) -> Self {
        Self(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_acknowledged_once() {
        let mut set = AckSet::full(70);
        assert_eq!((set.remaining(), set.words()), (70, &[u64::MAX, 0b11_1111][..]));
        assert_eq!(set.retain(&[!1, -1]), 1, "the first message");
        assert_eq!(set.retain(&[!1, -1]), 0);
        assert_eq!(set.to_wire(), [!1, 0b11_1111]);
        assert_eq!(set.retain(&[-1]), 6, "a word that is left out is acknowledged");
        assert_eq!(set.retain(&[]), 63);
        assert_eq!(set.remaining(), 0);
        assert_eq!(AckSet::full(64).words().len(), 1);
    }
}
