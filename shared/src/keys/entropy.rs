//! Where random bytes come from: an argument, so that a test decides them.

/// Makes bytes that nobody can predict.
pub trait Entropy {
    /// Overwrites all of `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// Makes an array of random bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// When the operating system has no randomness to give; no key may be made then.
    fn fill(&mut self, bytes: &mut [u8]) {
        #[expect(clippy::expect_used, reason = "without randomness no key may be made, and nothing else can be done")]
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives randomness");
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Counts upwards, so that whatever a test makes of it is the same every time.
    pub(crate) struct Counting(pub(crate) u8);

    impl Entropy for Counting {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0;
                self.0 = self.0.wrapping_add(1);
            }
        }
    }

    #[test]
    fn two_draws_differ() {
        let os: &mut dyn Entropy = &mut OsEntropy;
        assert_ne!(os.array::<32>(), os.array::<32>());
    }
}
