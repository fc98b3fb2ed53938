//! Repeatable randomness for made-up data: the same seed gives the same files.

/// A small generator (xorshift64*); good enough for made-up data and for nothing else.
pub(super) struct Random(u64);

impl Random {
    /// Begins a sequence.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below a bound, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound.max(1)
    }

    /// One of some things.
    pub(super) fn one_of<T: Copy>(&mut self, things: &[T]) -> T {
        let place = self.below(things.len() as u64) as usize;
        things[place]
    }
}
