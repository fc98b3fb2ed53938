//! Bytes that are wiped when dropped, print nothing, are not cloned silently and are compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::entropy::Entropy;

/// A secret of `N` bytes. There is no `Clone` and no `PartialEq`: a copy is asked for by name, a comparison takes the
/// same time whatever it finds.
///
/// # Source
/// SPEC [S4.8].
pub struct Secret<const N: usize>(Box<Zeroizing<[u8; N]>>);

// [S4.8] The bytes stay in one place on the heap, so that moving a secret leaves no copy behind.
impl<const N: usize> Secret<N> {
    /// Takes bytes that are already secret.
    pub fn new(bytes: Zeroizing<[u8; N]>) -> Self {
        Self(Box::new(bytes))
    }

    /// Makes a fresh one.
    pub fn from_entropy(entropy: &mut dyn Entropy) -> Self {
        let mut secret = Self::zeroed();
        entropy.fill(&mut secret.0[..]);
        secret
    }

    /// Copies exactly `N` bytes out of a buffer that its owner wipes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != N {
            return None;
        }
        let mut secret = Self::zeroed();
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// A second copy.
    pub fn duplicate(&self) -> Self {
        let mut secret = Self::zeroed();
        secret.0.copy_from_slice(&self.0[..]);
        secret
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub fn ct_eq(&self, other: &Self) -> bool {
        bool::from(self.0[..].ct_eq(&other.0[..]))
    }

    pub(crate) fn zeroed() -> Self {
        Self(Box::new(Zeroizing::new([0; N])))
    }

    #[cfg(feature = "endpoint")]
    pub(crate) fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::entropy::tests::Counting;

    #[test] // [S4.8]
    fn prints_nothing_and_compares_content() {
        let secret = Secret::<4>::from_entropy(&mut Counting(1));
        assert_eq!(format!("{secret:?} {secret:#?}"), "… …");
        assert_eq!(secret.expose(), &[1, 2, 3, 4]);
        assert!(secret.ct_eq(&secret.duplicate()));
        assert!(!secret.ct_eq(&Secret::from_slice(&[1, 2, 3, 5]).unwrap()));
        assert!(Secret::<4>::from_slice(&[1, 2, 3]).is_none());
        assert!(Secret::<4>::from_slice(&[1, 2, 3, 4, 5]).is_none());
    }
}
