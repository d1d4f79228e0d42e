//! CRC-32 (IEEE 802.3), which some venues take over the digits of their book.

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0u32;
    while byte < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
}

/// A checksum that is fed piece by piece.
///
/// ```
/// let mut crc = venues::crc32::Crc32::default();
/// crc.update(b"1234");
/// crc.update(b"56789");
/// assert_eq!(crc.value(), 0xCBF4_3926);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Crc32(u32);

impl Default for Crc32 {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Crc32 {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let [low, ..] = self.0.to_le_bytes();
            self.0 = (self.0 >> 8) ^ TABLE[usize::from(low ^ byte)];
        }
    }

    /// The checksum of all bytes taken.
    #[must_use]
    pub fn value(self) -> u32 {
        !self.0
    }
}

impl std::fmt::Write for Crc32 {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.update(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit, as the polynomial says.
    fn naive(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for bit in bytes.iter().flat_map(|byte| (0..8).map(move |n| u32::from(byte >> n & 1))) {
            let out = (crc ^ bit) & 1;
            crc = (crc >> 1) ^ (out * 0xEDB8_8320);
        }
        !crc
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_the_definition(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64), cut in 0usize..64,
        ) {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let mut crc = Crc32::default();
            crc.update(head);
            crc.update(tail);
            proptest::prop_assert_eq!(crc.value(), naive(&bytes));
        }
    }
}
