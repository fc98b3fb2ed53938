//! An invite: what a seller needs to use a relay, as one line that can be copied.
//!
//! # Shape
//! `hr1…@HOST[:PORT]`: bech32m (BIP-350) with human-readable part `hr` of 48 bytes, the relay's key and the enrolment
//! secret; the port 4433 is left out; IPv6 literals stand in brackets.
//!
//! # Source
//! SPEC [S5.5].

use std::fmt;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use zeroize::Zeroizing;

use crate::ids::LinkKey;
use crate::keys::address::RelayAddress;
use crate::limits;
use crate::protocol::message::INVITE_SECRET_BYTES;

/// A parsed invite; its secret is wiped when dropped and never printed by `Debug`.
pub struct Invite {
    /// Whom to expect at the address.
    pub relay_key: LinkKey,
    /// What enrols a seller.
    pub secret: Zeroizing<[u8; INVITE_SECRET_BYTES]>,
    /// Where it is.
    pub address: RelayAddress,
}

/// Why a text is not an invite; holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// It does not begin like one.
    #[error("not an invite: it begins with hr1")]
    NotAnInvite,
    /// The checksum does not fit.
    #[error("the invite has a typing error")]
    Typo,
    /// Its decoded length is wrong.
    #[error("the invite holds {seen} bytes, {wanted} are needed")]
    WrongLength {
        /// Bytes it holds.
        seen: usize,
        /// Bytes it should hold.
        wanted: usize,
    },
    /// What stands behind the `@` is no address, or nothing does.
    #[error("the invite names no valid address")]
    BadAddress,
}

const HRP: Hrp = Hrp::parse_unchecked("hr");
const BYTES: usize = LinkKey::LEN + INVITE_SECRET_BYTES;

impl Invite {
    /// Reads an invite; white space around it and upper case are accepted.
    ///
    /// # Errors
    /// [`InviteError`] tells what is wrong without repeating the text.
    pub fn parse(text: &str) -> Result<Self, InviteError> {
        let text = text.trim();
        if text.len() > limits::INVITE_CHARS_MAX {
            return Err(InviteError::NotAnInvite);
        }
        let is_invite = text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("hr1"));
        if !is_invite {
            return Err(InviteError::NotAnInvite);
        }
        let (token, address) = text.split_once('@').ok_or(InviteError::BadAddress)?;
        let checked = CheckedHrpstring::new::<Bech32m>(token).or(Err(InviteError::Typo))?;
        if checked.hrp() != HRP {
            return Err(InviteError::NotAnInvite);
        }
        let bytes: Zeroizing<Vec<u8>> = Zeroizing::new(checked.byte_iter().collect());
        if bytes.len() != BYTES {
            return Err(InviteError::WrongLength { seen: bytes.len(), wanted: BYTES });
        }
        let (key, rest) = bytes.split_at(LinkKey::LEN);
        let relay_key = LinkKey::from_slice(key).ok_or(InviteError::Typo)?;
        let mut secret = Zeroizing::new([0; INVITE_SECRET_BYTES]);
        secret.copy_from_slice(rest);
        let address = address.parse().or(Err(InviteError::BadAddress))?;
        let invite = Self { relay_key, secret, address };
        // The last character has a bit to spare, so that a second spelling would pass the checksum.
        let is_only_spelling = invite.to_text().get(..token.len()).is_some_and(|own| own.eq_ignore_ascii_case(token));
        if is_only_spelling { Ok(invite) } else { Err(InviteError::Typo) }
    }

    /// Writes the invite; the text is a secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        bytes[..LinkKey::LEN].copy_from_slice(&self.relay_key.0);
        bytes[LinkKey::LEN..].copy_from_slice(&self.secret[..]);
        let mut text = Zeroizing::new(String::with_capacity(limits::INVITE_CHARS_MAX));
        #[expect(clippy::expect_used, reason = "48 bytes are far below what bech32m may hold, and a String takes all")]
        bech32::encode_to_fmt::<Bech32m, _>(&mut *text, HRP, &bytes[..]).expect("48 bytes fit");
        text.push('@');
        text.push_str(&self.address.to_string());
        text
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invite({} at {}, …)", self.relay_key, self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(host: &str, port: u16) -> Invite {
        Invite {
            relay_key: LinkKey([7; 32]),
            secret: Zeroizing::new([9; INVITE_SECRET_BYTES]),
            address: RelayAddress { host: host.into(), port },
        }
    }

    #[test] // [S5.5]
    fn goes_both_ways_with_every_kind_of_address() {
        for (host, port, end) in [
            ("relay.shop.example", 4433, "@relay.shop.example"),
            ("192.0.2.7", 9, "@192.0.2.7:9"),
            ("2001:db8::1", 4433, "@[2001:db8::1]"),
            ("::1", 65535, "@[::1]:65535"),
        ] {
            let text = invite(host, port).to_text();
            assert!(text.starts_with("hr1") && text.ends_with(end), "{host}");
            for form in
                [text.to_string(), format!("  {} \n", *text), text.replace('@', " @").to_uppercase().replace(' ', "")]
            {
                let read = Invite::parse(&form).unwrap();
                assert_eq!(
                    (read.relay_key, &read.secret[..], read.address.port),
                    (LinkKey([7; 32]), &[9; 16][..], port)
                );
                assert_eq!(read.address.host, host);
            }
        }
    }

    #[test] // [S5.5]
    fn says_what_is_wrong() {
        let text = invite("relay.example", 4433).to_text();
        let token = text.split_once('@').unwrap().0;
        let typo = format!("{}{}", if token.as_bytes()[5] == b'q' { "hr1pp" } else { "hr1qq" }, &text[5..]);
        let short = bech32::encode::<Bech32m>(HRP, &[1; 47]).unwrap();
        for (form, error) in [
            (String::new(), InviteError::NotAnInvite),
            ("ho1qq@relay".into(), InviteError::NotAnInvite),
            ("h\u{e4}1qq@relay".into(), InviteError::NotAnInvite),
            ("hr1".repeat(200), InviteError::NotAnInvite),
            (token.to_owned(), InviteError::BadAddress),
            (typo, InviteError::Typo),
            (format!("{short}@relay"), InviteError::WrongLength { seen: 47, wanted: 48 }),
            (format!("{token}@"), InviteError::BadAddress),
            (format!("{token}@relay:0"), InviteError::BadAddress),
            (format!("{token}@relay:65536"), InviteError::BadAddress),
            (format!("{token}@relay:+1"), InviteError::BadAddress),
            (format!("{token}@[::1"), InviteError::BadAddress),
            (format!("{token}@[::1]4433"), InviteError::BadAddress),
            (format!("{token}@[relay]"), InviteError::BadAddress),
            (format!("{token}@a b"), InviteError::BadAddress),
        ] {
            assert_eq!(Invite::parse(&form).err(), Some(error), "{form}");
        }
    }

    #[test] // [S4.8]
    fn debug_keeps_the_secret() {
        let invite = invite("relay.example", 1);
        let shown = format!("{invite:?}");
        assert!(!shown.contains("0909") && !shown.contains("9, 9") && shown.contains("relay.example:1"), "{shown}");
    }
}
