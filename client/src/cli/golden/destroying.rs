//! The certificate of a destruction.

use handover_shared::ids::{Digest, Root, TransferId};
use handover_shared::proof::destruction::{
    DestructionText, Method, NotCovered, Outcome, Saw, Scope, Side, Technique, Verification, WitnessText,
    check_destruction, check_witness,
};
use handover_shared::proof::{Fingerprint, Identity, Kind, Written, sign};

use super::{AT, golden};
use crate::cli::certificates;
use crate::destroy::{Certificate, Item, ItemKind, Witness};
use crate::private::Private;

#[test]
fn certificates_of_destruction() {
    golden("certificate", |style| {
        let pages: Vec<_> = certificates().iter().map(|one| certificates::page(&style, one)).collect();
        pages.join("\n")
    });
}

/// Something that is held.
pub(in crate::cli) fn item() -> Item {
    Item { kind: ItemKind::Partial, path: Private::new("/home/li/.handover/00".into()), files: 3, bytes: 4_000_000 }
}

fn text(verdict: Outcome, remaining: u64) -> DestructionText {
    let wording = |text| Written::new("text", text, 255).unwrap();
    let (signer, _) = people();
    DestructionText {
        transfer: TransferId([9; 16]),
        side: Side::Seller,
        offer: Digest([1; 32]),
        receipt: Some(Digest([2; 32])),
        root: Some(Root([3; 32])),
        destroyer_key: Fingerprint::of(&signer.public()),
        destroyer: wording("王小明"),
        organisation: Some(wording("Wang Appliances 王家电")),
        reason: Some(wording("合同第七条 \"移交后销毁\"")),
        host: wording("shop-1"),
        folder: Some(wording("/srv/客户")),
        media: wording("ext, rotating drive"),
        tool: wording("handover 0.1.0"),
        method: Method::Clear,
        technique: Technique::OverwriteAndUnlink,
        scope: Scope::MachineAndSource,
        items: 7,
        bytes: 1_200_000,
        source_files: 1204,
        source_bytes: 3_200_000_000,
        source_kept: 2,
        overwritten: 1208,
        remaining,
        started: AT.into(),
        finished: handover_shared::ids::Millis(AT.0 + 65_000).into(),
        verification: Verification::NamesGone,
        verdict,
        not_covered: NotCovered::Usual,
        relay_deletion: None,
    }
}

fn people() -> (Identity, Identity) {
    (Identity::of_seed(&[1; 32]), Identity::of_seed(&[2; 32]))
}

fn signed(text: &DestructionText) -> Certificate {
    let text = text.to_text();
    let signature = sign(Kind::Destruction, &text, &people().0).unwrap();
    let verified = check_destruction(&text, &signature).unwrap();
    Certificate { text, signature, verified, witness: None }
}

/// One with a witness, one of a buyer that failed, one that nobody can be sure of.
pub(in crate::cli) fn certificates() -> [Certificate; 3] {
    let (_, other) = people();
    let mut witnessed = signed(&text(Outcome::Pass, 0));
    let witness = WitnessText {
        transfer: TransferId([9; 16]),
        certificate: witnessed.verified.id(),
        verdict: Outcome::Pass,
        destroyer_key: witnessed.statement().destroyer_key,
        witness_key: Fingerprint::of(&other.public()),
        witness: Written::new("text", "李律师", 255).unwrap(),
        organisation: None,
        saw: Saw::Destruction,
        time: AT.into(),
    };
    let text_of_witness = witness.to_text();
    let signature = sign(Kind::Witness, &text_of_witness, &other).unwrap();
    check_witness(&witnessed.verified, &text_of_witness, &signature).unwrap();
    let by = other.public();
    witnessed.witness = Some(Witness { text: text_of_witness, signature, statement: witness, by });
    let failed = DestructionText {
        side: Side::Buyer,
        scope: Scope::Machine,
        technique: Technique::Unlink,
        organisation: None,
        reason: None,
        source_files: 0,
        source_bytes: 0,
        source_kept: 0,
        overwritten: 0,
        ..text(Outcome::Failed, 1)
    };
    [witnessed, signed(&failed), signed(&text(Outcome::Unknown, 0))]
}
