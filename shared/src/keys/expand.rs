//! HKDF as the key schedule uses it.
//!
//! # Source
//! SPEC [S4.1], RFC 5869.

use aws_lc_rs::hkdf;
#[cfg(feature = "endpoint")]
use aws_lc_rs::hmac;

#[cfg(feature = "endpoint")]
use super::{labels, secret::Secret};

/// `Extract(salt, secret)`. The salt may be secret as well: neither is kept.
#[cfg(feature = "endpoint")]
pub(super) fn extract(salt: &[u8], secret: &[u8]) -> Secret<32> {
    let mut prk = Secret::zeroed();
    #[expect(clippy::expect_used, reason = "the output of HMAC-SHA-256 is 32 bytes long")]
    hmac::sign_to_buffer(&hmac::Key::new(hmac::HMAC_SHA256, salt), secret, prk.expose_mut())
        .expect("the buffer has the size of the output");
    prk
}

/// `X(prk, label, parts, N)`.
#[cfg(feature = "endpoint")]
pub(super) fn derive<const N: usize>(prk: &[u8; 32], label: &[u8], parts: &[&[u8]]) -> Secret<N> {
    let info = labels::context_with_lengths(&[labels::DERIVE, label].concat(), parts);
    let mut out = Secret::zeroed();
    expand(hkdf::HKDF_SHA256, prk, &info, out.expose_mut());
    out
}

/// `HKDF-Expand(prk, info, length of out)`.
pub(super) fn expand(algorithm: hkdf::Algorithm, prk: &[u8; 32], info: &[u8], out: &mut [u8]) {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let prk = hkdf::Prk::new_less_safe(algorithm, prk);
    #[expect(clippy::expect_used, reason = "all lengths asked for are constants far below 255 hashes")]
    prk.expand(&[info], Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("the length is within what HKDF can give");
}

#[cfg(all(test, feature = "endpoint"))]
mod tests {
    use super::*;
    use crate::ids::{hex, unhex};

    #[test] // [S4.1] RFC 5869, appendix A.1
    fn extract_and_expand_are_those_of_the_rfc() {
        let prk = extract(&unhex("000102030405060708090a0b0c").unwrap(), &[0x0b; 22]);
        assert_eq!(hex(prk.expose()), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
        let mut okm = [0; 42];
        expand(hkdf::HKDF_SHA256, prk.expose(), &unhex("f0f1f2f3f4f5f6f7f8f9").unwrap(), &mut okm);
        assert_eq!(hex(&okm), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    }
}
