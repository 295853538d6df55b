//! CRC-32C, as Pulsar guards a payload frame with it.

/// The checksum of `parts` as if they were one buffer, without joining them.
#[inline]
pub fn crc32c(parts: &[&[u8]]) -> u32 {
    parts.iter().fold(0, |sum, part| crc32c::crc32c_append(sum, part))
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn of_the_check_string() {
        // The check value of CRC-32C in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc32c(&[b"123456789"]), 0xe306_9283);
    }

    #[test]
    fn of_parts_is_that_of_the_whole() {
        assert_eq!(crc32c(&[b"1234", b"", b"56789"]), crc32c(&[b"123456789"]));
        assert_eq!(crc32c(&[]), 0);
    }
}
