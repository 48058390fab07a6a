//! FNV-1a, the hash that the kubelet uses for container definitions and back-off keys.

use core::hash::Hasher;

/// 64-bit FNV-1a: small, without a random seed, so the same in every process.
pub(crate) struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    /// Adds a text and its end, so that `ab`, `c` and `a`, `bc` differ.
    pub(crate) fn text(&mut self, text: &str) {
        self.write(text.as_bytes());
        self.write(&[0xff]);
    }
}

impl Hasher for Fnv1a {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
