//! Sealing the relay share to the buyer: HPKE with X-Wing, so that X25519 and ML-KEM-768 would both have to break.
//!
//! # Shape
//! | bytes | what |
//! |---|---|
//! | 32 | secret: a seed |
//! | 1184 + 32 | public: ML-KEM-768 encapsulation key, X25519 public key |
//! | 1088 + 32 | encapsulated: ML-KEM-768 ciphertext, X25519 public key |
//! | 32 + 16 | sealed share |
//!
//! # Source
//! SPEC [S4.6] [S4.7], RFC 9180, draft-connolly-cfrg-xwing-kem.

use std::convert::Infallible;
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::entropy::Entropy;
use super::labels;
use super::secret::Secret;
use crate::fault::Fault;
use crate::ids::{Bundle, LinkKey, TransferId};

/// Bytes of a hybrid public key.
pub const PUBLIC_BYTES: usize = 1216;
/// Bytes of an encapsulated key.
pub const ENCAPSULATED_BYTES: usize = 1120;
/// Bytes of a sealed relay share.
pub const SEALED_SHARE_BYTES: usize = 48;

const X25519_BYTES: usize = 32;

/// The buyer's hybrid key, made for one claim.
pub struct HybridSecret {
    seed: Secret<32>,
    public: HybridPublic,
}

impl HybridSecret {
    /// Makes a fresh one.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self::of_seed(Secret::from_entropy(entropy))
    }

    /// The key of a seed that was kept.
    pub fn of_seed(seed: Secret<32>) -> Self {
        let public = XWing::sk_to_pk(&private_key(&seed));
        Self { seed, public: HybridPublic { bytes: public.to_bytes().to_vec(), key: public } }
    }

    /// The seed, to be kept on disk by the buyer.
    pub fn seed(&self) -> &Secret<32> {
        &self.seed
    }

    /// The public half.
    pub fn public(&self) -> HybridPublic {
        self.public.clone()
    }
}

impl fmt::Debug for HybridSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A hybrid public key that a share may be sealed to.
#[derive(Clone, PartialEq, Eq)]
pub struct HybridPublic {
    bytes: Vec<u8>,
    key: <XWing as Kem>::PublicKey,
}

impl HybridPublic {
    /// Reads a public key from outside.
    ///
    /// # Errors
    /// [`Fault::BadMessage`] for a wrong length, an ML-KEM half that is not reduced, or an X25519 half with which
    /// every Diffie-Hellman has the same result.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() != PUBLIC_BYTES {
            return Err(Fault::BadMessage);
        }
        let key = <XWing as Kem>::PublicKey::from_bytes(bytes).or(Err(Fault::BadMessage))?;
        contributory_tail(bytes)?; // [S4.6]
        Ok(Self { bytes: bytes.to_vec(), key })
    }

    /// Its bytes, as they travel.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for HybridPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HybridPublic({}…)", crate::ids::hex(&self.bytes[..8]))
    }
}

/// Binds a buyer's link key and hybrid key.
pub fn bundle(link: &LinkKey, hybrid: &HybridPublic) -> Bundle {
    // [S4.6]
    let bytes = labels::context_with_lengths(labels::BUNDLE, &[&link.0, hybrid.as_bytes()]);
    let mut bundle = Bundle([0; 32]);
    bundle.0.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    bundle
}

/// A relay share on its way to the buyer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedShare {
    /// The encapsulated key, [`ENCAPSULATED_BYTES`].
    pub encapsulated: Vec<u8>,
    /// The share with its tag, [`SEALED_SHARE_BYTES`].
    pub sealed: Vec<u8>,
}

/// Seals a relay share to the buyer.
///
/// # Errors
/// [`Fault::Internal`] if the key encapsulation fails, which it does for no key that [`HybridPublic`] holds.
pub fn release_share(
    to: &HybridPublic,
    tid: &TransferId,
    bundle: &Bundle,
    share: &Secret<32>,
    entropy: &mut dyn Entropy,
) -> Result<SealedShare, Fault> {
    let (encapsulated, sealed) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &to.key,
        &info(tid, bundle),
        share.expose(),
        b"",
        &mut Feed(entropy),
    )
    .or(Err(Fault::Internal))?;
    Ok(SealedShare { encapsulated: encapsulated.to_bytes().to_vec(), sealed })
}

/// Opens what [`release_share`] made.
///
/// # Errors
/// [`Fault::BadMessage`] when lengths are wrong, the X25519 half is not contributory, or the share was sealed to
/// another key, transfer or bundle.
pub fn accept_share(
    with: &HybridSecret,
    tid: &TransferId,
    bundle: &Bundle,
    encapsulated: &[u8],
    sealed: &[u8],
) -> Result<Secret<32>, Fault> {
    if encapsulated.len() != ENCAPSULATED_BYTES || sealed.len() != SEALED_SHARE_BYTES {
        return Err(Fault::BadMessage);
    }
    contributory_tail(encapsulated)?; // [S4.7]
    let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(encapsulated).or(Err(Fault::BadMessage))?;
    let share = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeR::Base,
        &private_key(&with.seed),
        &encapsulated,
        &info(tid, bundle),
        sealed,
        b"",
    )
    .or(Err(Fault::BadMessage))?;
    Secret::from_slice(&Zeroizing::new(share)).ok_or(Fault::BadMessage)
}

fn info(tid: &TransferId, bundle: &Bundle) -> Vec<u8> {
    labels::context_with_lengths(labels::SHARE, &[&tid.0, &bundle.0])
}

fn private_key(seed: &Secret<32>) -> <XWing as Kem>::PrivateKey {
    #[expect(clippy::expect_used, reason = "every seed of 32 bytes is an X-Wing private key")]
    <XWing as Kem>::PrivateKey::from_bytes(seed.expose()).expect("the seed has the key's length")
}

/// Refuses bytes whose last 32 are an X25519 key of small order. The result of a Diffie-Hellman with such a key is
/// the same for every scalar, so the scalar used to find out does not matter.
fn contributory_tail(bytes: &[u8]) -> Result<(), Fault> {
    let mut tail = [0; X25519_BYTES];
    tail.copy_from_slice(&bytes[bytes.len() - X25519_BYTES..]);
    let probe = StaticSecret::from([0x5a; X25519_BYTES]);
    if probe.diffie_hellman(&PublicKey::from(tail)).was_contributory() { Ok(()) } else { Err(Fault::BadMessage) }
}

/// Gives an [`Entropy`] to HPKE.
struct Feed<'a>(&'a mut dyn Entropy);

impl TryRng for Feed<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.0.array()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.0.array()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Feed<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::entropy::tests::Counting;

    const TID: TransferId = TransferId([7; 16]);

    fn secret(byte: u8) -> HybridSecret {
        HybridSecret::generate(&mut Counting(byte))
    }

    #[test] // [S4.6]
    fn the_public_key_is_the_kem_half_followed_by_the_x25519_half() {
        use x_wing::KeyExport;
        let secret = secret(1);
        let reference = x_wing::DecapsulationKey::from(*secret.seed().expose());
        let public = secret.public();
        assert_eq!(public.as_bytes(), &x_wing::Decapsulator::encapsulation_key(&reference).to_bytes()[..]);
        assert_eq!(public.as_bytes().len(), 1184 + 32);

        // The other half belongs to the X25519 key that the draft derives: bytes 64 to 96 of SHAKE256(seed).
        let altered = [&public.as_bytes()[..1184], &[9; 32]].concat();
        assert!(HybridPublic::of_bytes(&altered).is_ok(), "any contributory X25519 key may stand there");
        let altered = [&[0xff; 1184], &public.as_bytes()[1184..]].concat();
        assert_eq!(HybridPublic::of_bytes(&altered), Err(Fault::BadMessage), "ML-KEM coefficients are reduced");
    }

    #[test] // [S4.6]
    fn keys_of_other_lengths_or_small_order_are_refused() {
        let good = secret(1).public();
        assert_eq!(HybridPublic::of_bytes(good.as_bytes()).unwrap(), good);
        for len in [0, 1184, 1215] {
            assert_eq!(HybridPublic::of_bytes(&good.as_bytes()[..len]), Err(Fault::BadMessage));
        }
        assert_eq!(HybridPublic::of_bytes(&[good.as_bytes(), &[0]].concat()), Err(Fault::BadMessage));
        for point in small_order() {
            let key = [&good.as_bytes()[..1184], &point].concat();
            assert_eq!(HybridPublic::of_bytes(&key), Err(Fault::BadMessage), "{point:02x?}");
        }
    }

    #[test] // [S4.6]
    fn the_bundle_depends_on_both_keys() {
        let (one, two) = (secret(1).public(), secret(2).public());
        let bundles =
            [bundle(&LinkKey([1; 32]), &one), bundle(&LinkKey([2; 32]), &one), bundle(&LinkKey([1; 32]), &two)];
        assert_ne!(bundles[0], bundles[1]);
        assert_ne!(bundles[0], bundles[2]);
    }

    #[test] // [S4.7]
    fn a_share_reaches_the_key_it_was_sealed_to_and_no_other() {
        let buyer = secret(1);
        let bound = bundle(&LinkKey([1; 32]), &buyer.public());
        let share = Secret::<32>::from_entropy(&mut Counting(100));
        let released = release_share(&buyer.public(), &TID, &bound, &share, &mut Counting(50)).unwrap();
        assert_eq!((released.encapsulated.len(), released.sealed.len()), (ENCAPSULATED_BYTES, SEALED_SHARE_BYTES));
        let accept = |with: &HybridSecret, tid: &TransferId, bound: &Bundle, enc: &[u8], sealed: &[u8]| {
            accept_share(with, tid, bound, enc, sealed).map(|share| *share.expose())
        };
        let (enc, sealed) = (&released.encapsulated[..], &released.sealed[..]);
        assert_eq!(accept(&buyer, &TID, &bound, enc, sealed), Ok(*share.expose()));

        let kept = HybridSecret::of_seed(buyer.seed().duplicate());
        assert_eq!(accept(&kept, &TID, &bound, enc, sealed), Ok(*share.expose()));

        let refused = Err(Fault::BadMessage);
        assert_eq!(accept(&secret(2), &TID, &bound, enc, sealed), refused);
        assert_eq!(accept(&buyer, &TransferId([8; 16]), &bound, enc, sealed), refused);
        assert_eq!(accept(&buyer, &TID, &Bundle([0; 32]), enc, sealed), refused);
        assert_eq!(accept(&buyer, &TID, &bound, &enc[1..], sealed), refused);
        assert_eq!(accept(&buyer, &TID, &bound, enc, &sealed[1..]), refused);
        for at in [0, 1000, 1119] {
            let mut altered = enc.to_vec();
            altered[at] ^= 1;
            assert_eq!(accept(&buyer, &TID, &bound, &altered, sealed), refused);
        }
        for point in small_order() {
            let altered = [&enc[..1088], &point].concat();
            assert_eq!(accept(&buyer, &TID, &bound, &altered, sealed), refused);
        }
        let mut altered = sealed.to_vec();
        altered[47] ^= 1;
        assert_eq!(accept(&buyer, &TID, &bound, enc, &altered), refused);
    }

    /// The points of small order on Curve25519, from RFC 7748 section 7 and its sources.
    fn small_order() -> Vec<[u8; 32]> {
        [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ]
        .map(|text| crate::ids::unhex(text).unwrap().try_into().unwrap())
        .to_vec()
    }
}
