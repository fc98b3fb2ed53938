//! What a record is made of, as it travels in it.

use handover_shared::proof;
use serde::{Deserialize, Serialize};

/// Everything a record is made from. Statements prove themselves; what `told` and `stated` hold is the word of whoever made
/// the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The form of the record.
    pub form: u32,
    /// The program that made it.
    pub program: String,
    /// The transfer, hex.
    pub transfer: String,
    /// Which side made it.
    pub made_by: Side,
    /// When, by that side's clock, RFC 3339 in UTC.
    pub made: String,
    /// Minutes that the times in the record are ahead of UTC.
    pub offset_minutes: i32,
    /// Where the relay was.
    pub relay: String,
    /// What the buyer calls itself; it came with the receipt and is not signed.
    pub buyer: Option<Named>,
    /// How the transfer stands, as the maker knows.
    pub standing: Standing,
    /// What the relay told.
    pub told: Vec<ToldEvent>,
    /// What became of everything on the buyer's disk; only the buyer knows.
    pub outcome: Option<Outcome>,
    /// What the offer names by its hash: CBOR in base64.
    #[serde(skip)]
    pub summary: Option<String>,
    /// What the seal names by its hash.
    #[serde(skip)]
    pub inventory: Option<String>,
    /// Statements with their signatures.
    #[serde(skip)]
    pub statements: Vec<Given>,
}

impl Evidence {
    /// SHA-256 over all of it: a slip or a change by hand shows, even in what nobody has signed.
    pub fn checksum(&self) -> String {
        let mut all = proof::Digester::default();
        let data = serde_json::to_string(self).unwrap_or_default();
        let statements = self.statements.iter().flat_map(|given| {
            [
                Some(&given.kind),
                Some(&given.text),
                Some(&given.signature),
                given.second.as_ref(),
                given.document.as_ref(),
            ]
        });
        for part in [Some(&data), self.summary.as_ref(), self.inventory.as_ref()].into_iter().chain(statements) {
            let part = part.map_or("", String::as_str);
            all.update(&(part.len() as u64).to_be_bytes());
            all.update(part.as_bytes());
        }
        all.finish().to_hex()
    }
}

/// A side of the transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Who hands over.
    Seller,
    /// Who takes over.
    Buyer,
}

/// A name and an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The organisation.
    pub organisation: Option<String>,
}

/// How a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Something can still happen.
    Open,
    /// It ended as it should.
    Ended,
    /// The seller took it back.
    Revoked,
    /// Its time was over.
    Expired,
    /// The buyer refused the agreement.
    Refused,
    /// The relay's operator took it down.
    #[serde(rename = "taken-down")]
    TakenDown,
    /// It cannot go on.
    Failed,
}

/// One thing the relay told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToldEvent {
    /// When, by the relay's clock, milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    pub what: What,
    /// The fingerprint of the connection's key, where somebody did it.
    pub by: Option<String>,
}

/// What a relay tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It accepted the transfer.
    Created,
    /// It had the first block.
    FirstBlock,
    /// It had everything.
    Completed,
    /// The code was used.
    Claimed,
    /// Somebody else came with the code.
    ClaimRefused,
    /// The receipt came.
    Receipted,
    /// It deleted the data.
    Deleted,
    /// The time was over.
    Expired,
    /// The seller took it back.
    Revoked,
    /// The buyer refused the agreement.
    RefusedByBuyer,
    /// Something small and sealed was laid beside the data.
    PaperDeposited,
    /// The relay's operator took it down.
    TakenDown,
}

/// What became of everything on the buyer's disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Files that were there already.
    pub unchanged: u64,
    /// Files not placed because the buyer keeps what is there.
    pub kept_existing: u64,
    /// Entries placed under another name.
    pub renamed: u64,
    /// Entries that were not preserved in everything, those that were not sent included.
    pub exceptions: u64,
}

/// A statement as it was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Its kind as a word.
    pub kind: String,
    /// The text.
    pub text: String,
    /// The armoured signature.
    pub signature: String,
    /// A second signature over the same text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<String>,
    /// What it names by its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}
