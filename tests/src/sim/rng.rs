//! Chance, from one number.

use std::ops::RangeInclusive;

use handover_shared::keys::Entropy;

/// SplitMix64: small, fast, and good enough to choose faults.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// From this number.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Sixty-four bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a bound; 0 below 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.word() % bound }
    }

    /// A number of a range.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// True so many times in a million.
    pub fn millionth(&mut self, parts: u64) -> bool {
        self.below(1_000_000) < parts
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, parts: u64) -> bool {
        self.below(100) < parts
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A generator of its own, so that what is drawn from one does not shift the other.
    pub fn fork(&mut self) -> Self {
        Self(self.word())
    }
}

impl Entropy for Rng {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// Bytes that do not compress.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Rng::new(seed).fill(&mut bytes);
    bytes
}

/// Rows as customer tables have them.
pub fn table(seed: u64, length: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut rows = Vec::new();
    while rows.len() < length.min(2000) {
        let row = format!("{},张伟,{:08},2026-11-{:02}\n", rng.below(9999), rng.below(99_999_999), rng.below(30));
        rows.extend_from_slice(row.as_bytes());
    }
    rows.iter().copied().cycle().take(length).collect()
}
