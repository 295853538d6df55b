//! How a key becomes a number: the hashes of the Java client and of the C++ client.

use crate::client::options::Hashing;
use crate::protocol::hashing::{little_endian, murmur3};

impl Hashing {
    /// A number from 0 to 2^31 - 1 for a key as it travels: text, or bytes in base64.
    pub fn hash(self, key: &str) -> u32 {
        let hash = match self {
            Self::Java => java_string_hash(key),
            Self::Murmur3 => murmur3(key.as_bytes()),
            #[allow(clippy::cast_possible_truncation, reason = "the C++ client keeps the low bits as well")]
            Self::Cpp => boost_hash(key.as_bytes()) as u32,
        };
        hash & (u32::MAX >> 1)
    }
}

/// `String.hashCode`: over UTF-16 units, as Java's strings are made of them.
fn java_string_hash(key: &str) -> u32 {
    key.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

/// `boost::hash<std::string>` of Boost 1.82 and later on 64 bits, which `pulsar-client` 3.13 is built with.
fn boost_hash(key: &[u8]) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    const FACTOR: u64 = STEP.wrapping_mul(STEP);

    let mut weyl = folded_product(STEP, FACTOR);
    let mut hash = weyl ^ key.len() as u64;
    let (blocks, tail) = key.as_chunks::<8>();
    for block in blocks.iter().map(|block| u64::from_le_bytes(*block)).chain([little_endian(tail)]) {
        weyl = weyl.wrapping_add(STEP);
        hash ^= folded_product(block.wrapping_add(weyl), FACTOR);
    }
    folded_product(hash.wrapping_add(weyl), FACTOR)
}

/// Both halves of a product of 128 bits, as one.
#[allow(clippy::cast_possible_truncation, reason = "the low half is wanted")]
fn folded_product(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_string_hash_is_that_of_java() {
        // `"…".hashCode() & Integer.MAX_VALUE` in Java.
        assert_eq!(Hashing::Java.hash(""), 0);
        assert_eq!(Hashing::Java.hash("hello"), 99_162_322);
        assert_eq!(Hashing::Java.hash("polygenelubricants"), 0, "i32::MIN without its sign");
        assert_eq!(Hashing::Java.hash("EWR") % 8, 0);
        assert_eq!(Hashing::Java.hash("\u{1f600}"), 0xd83d * 31 + 0xde00, "a surrogate pair");
    }

    #[test]
    fn cpp_is_what_the_official_python_client_does() {
        // Where `pulsar-client` 3.13.0 put these keys, on a topic of 97 partitions of a real broker.
        for (key, partition) in [
            ("a", 6),
            ("ab", 86),
            ("abc", 39),
            ("abcd", 49),
            ("abcde", 94),
            ("abcdefg", 75),
            ("abcdefgh", 11),
            ("abcdefghi", 21),
            ("EWR", 23),
            ("JFK", 22),
            ("0123456789abcdef", 42),
            ("0123456789abcdefXYZ", 1),
            ("Ünïcødé", 90),
            ("日本語", 57),
        ] {
            assert_eq!(Hashing::Cpp.hash(key) % 97, partition, "{key}");
        }
        assert_eq!(Hashing::Cpp.hash("EWR") % 8, 2);
    }
}
