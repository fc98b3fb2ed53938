//! Every label that separates one use of a key or hash from another. Each is used for one purpose and holds no zero
//! byte, so that a label followed by a zero byte is never the beginning of another.
//!
//! # Source
//! SPEC [S4.1] [S4.3] to [S4.9] [S8.2] [S10.7] [S10.9] [S10.11] [S10.14].

/// What stands before the label of every derivation by [S4.1].
pub const DERIVE: &[u8] = b"handover/v1/";

/// The salt of the extraction from a code.
pub const CODE: &[u8] = b"handover/v1/code";
/// Derives the locator from a code.
pub const LOCATOR: &[u8] = b"locator";
/// Derives the claim key's seed from a code.
pub const CLAIM: &[u8] = b"claim";
/// Derives the offer key from a code.
pub const OFFER: &[u8] = b"offer";
/// Derives the code psk from a code.
pub const PSK: &[u8] = b"psk";

/// Derives the commitment to a content key.
pub const COMMIT: &[u8] = b"commit";
/// Derives the key of a transfer's blocks from a content key.
pub const BLOCK: &[u8] = b"block";
/// Derives the manifest key from a content key.
pub const MANIFEST: &[u8] = b"manifest";
/// Derives the receipt key from a content key.
pub const RECEIPT: &[u8] = b"receipt";
/// Derives the salt of the inventory from a content key.
pub const INVENTORY: &[u8] = b"inventory";

/// Derives the key of what is said about an agreement from a code.
pub const AGREEMENT: &[u8] = b"agreement";
/// Derives the key of a transfer's papers from a content key.
pub const PAPERS: &[u8] = b"papers";

/// Derives the envelope key from code psk and relay share.
pub const ENVELOPE: &[u8] = b"envelope";

/// Begins the context of a sealed envelope.
pub const ENVELOPE_CONTEXT: &[u8] = b"handover/v1/envelope";
/// Begins the context of a sealed block.
pub const BLOCK_CONTEXT: &[u8] = b"handover/v1/block";
/// Begins the context of a sealed offer.
pub const OFFER_CONTEXT: &[u8] = b"handover/v1/offer";
/// Begins the context of a sealed receipt.
pub const RECEIPT_CONTEXT: &[u8] = b"handover/v1/receipt";

/// Begins the context of an agreement's sealed document.
pub const DOCUMENT_CONTEXT: &[u8] = b"handover/v1/document";
/// Begins the context of a sealed signed agreement.
pub const AGREEMENT_CONTEXT: &[u8] = b"handover/v1/agreement";
/// Begins the context of a sealed refusal.
pub const REFUSAL_CONTEXT: &[u8] = b"handover/v1/refusal";
/// Begins the context of every other sealed paper.
pub const PAPER_CONTEXT: &[u8] = b"handover/v1/paper";

/// Begins what is hashed to the commitment to an agreement.
pub const AGREEMENT_COMMITMENT: &[u8] = b"handover/v1/agreement-commitment";
/// Begins what the claim key signs to refuse an agreement.
pub const REFUSE: &[u8] = b"handover/v1/refuse";

/// Begins what is hashed to a bundle.
pub const BUNDLE: &[u8] = b"handover/v1/bundle";
/// Begins the info of the HPKE that releases a relay share.
pub const SHARE: &[u8] = b"handover/v1/share";

/// Joins a label, a zero byte and parts whose lengths are fixed by the label.
pub fn context(label: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(label.len() + 1 + parts.iter().map(|part| part.len()).sum::<usize>());
    bytes.extend_from_slice(label);
    bytes.push(0);
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Joins a label, a zero byte and `L` of each part.
pub fn context_with_lengths(label: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = context(label, &[]);
    for part in parts {
        #[expect(clippy::cast_possible_truncation, reason = "parts are keys, ids and digests, far below 4 GiB")]
        bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // [S4.1]
    fn no_label_is_used_twice_or_holds_a_zero_byte() {
        let derivations = [LOCATOR, CLAIM, OFFER, PSK, AGREEMENT, COMMIT, BLOCK, MANIFEST, RECEIPT, PAPERS, ENVELOPE]
            .map(|label| [DERIVE, label].concat());
        let others = [
            CODE,
            ENVELOPE_CONTEXT,
            BLOCK_CONTEXT,
            OFFER_CONTEXT,
            RECEIPT_CONTEXT,
            DOCUMENT_CONTEXT,
            AGREEMENT_CONTEXT,
            REFUSAL_CONTEXT,
            PAPER_CONTEXT,
            AGREEMENT_COMMITMENT,
            REFUSE,
            BUNDLE,
            SHARE,
        ]
        .map(<[u8]>::to_vec);
        for set in [derivations.as_slice(), others.as_slice()] {
            for (index, label) in set.iter().enumerate() {
                assert!(!label.contains(&0));
                assert!(!set[..index].contains(label));
            }
        }
    }

    #[test] // [S4.1]
    fn parts_carry_their_length() {
        assert_eq!(context(b"a", &[b"bc", b"d"]), b"a\0bcd");
        assert_eq!(context_with_lengths(b"a", &[b"bc", b""]), b"a\0\0\0\0\x02bc\0\0\0\0");
    }
}
