//! Single values of options, parsed once into types that cannot be wrong. Their faults carry no text: what was expected
//! stands in `words/` under `expects-OPTION`.

use handover_shared::ids::Digest;
use handover_shared::invite::Invite;
use handover_shared::keys::code::RelayAddress;
use handover_shared::proof::{Fingerprint, PublicIdentity};

use crate::bandwidth::Timetable;
use crate::link::proxy::Proxy;
use crate::words::Language;

/// A value that is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not understood")]
pub(crate) struct NotUnderstood;

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Auto,
    Fixed(i32),
}

/// What `push --relay` names. The invite's text is kept as typed, since an invite is no value to be copied around.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum RelayWord {
    Embedded,
    Address(RelayAddress),
    Invite(String),
}

impl std::fmt::Debug for RelayWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded => f.write_str("Embedded"),
            Self::Address(address) => write!(f, "Address({address})"),
            Self::Invite(_) => f.write_str("Invite(…)"),
        }
    }
}

/// What `--proxy` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProxyWord {
    /// None, whatever the environment says.
    NoProxy,
    /// This one.
    Proxy(Proxy),
}

/// The word that asks for no proxy.
pub(crate) const NO_PROXY: &str = "none";

/// Reads `none` or the address of a proxy.
pub(crate) fn proxy(text: &str) -> Result<ProxyWord, NotUnderstood> {
    match text {
        NO_PROXY => Ok(ProxyWord::NoProxy),
        text => text.parse().map(ProxyWord::Proxy).or(Err(NotUnderstood)),
    }
}

/// The word that asks for the relay inside the push even when relays are known.
pub(crate) const EMBEDDED: &str = "embedded";

/// Reads `embedded`, an invite or an address.
pub(crate) fn relay(text: &str) -> Result<RelayWord, NotUnderstood> {
    if text == EMBEDDED {
        return Ok(RelayWord::Embedded);
    }
    if Invite::parse(text).is_ok() {
        return Ok(RelayWord::Invite(text.into()));
    }
    address(text).map(RelayWord::Address)
}

/// Reads `host`, `host:port`, `[ipv6]:port`.
pub(crate) fn address(text: &str) -> Result<RelayAddress, NotUnderstood> {
    text.parse().or(Err(NotUnderstood))
}

/// Reads `SHA256:…`, the fingerprint of a key, or a whole public key `ssh-ed25519 AAAA…`.
pub(crate) fn fingerprint(text: &str) -> Result<String, NotUnderstood> {
    let text = text.trim();
    if let Ok(key) = PublicIdentity::of_openssh(text) {
        return Ok(key.fingerprint());
    }
    let read: Result<Fingerprint, _> = text.parse();
    read.map(|fingerprint| fingerprint.to_string()).or(Err(NotUnderstood))
}

/// Reads a SHA-256 in hex, of either case.
pub(crate) fn digest(text: &str) -> Result<Digest, NotUnderstood> {
    Digest::from_hex(&text.trim().to_ascii_lowercase()).ok_or(NotUnderstood)
}

/// Reads a span of time such as `90m`, `36h`, `14d`, `2w`, and joins of them such as `1d12h`, in milliseconds.
pub(crate) fn duration_ms(text: &str) -> Result<u64, NotUnderstood> {
    let mut rest = text;
    let mut total_ms = 0u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (count, tail) = rest.split_at(digits);
        let unit_ms = match tail.chars().next() {
            Some('m') => 60_000,
            Some('h') => 3_600_000,
            Some('d') => 86_400_000,
            Some('w') => 604_800_000,
            _ => return Err(NotUnderstood),
        };
        let count: u64 = count.parse().or(Err(NotUnderstood))?;
        let part_ms = count.checked_mul(unit_ms).ok_or(NotUnderstood)?;
        total_ms = total_ms.checked_add(part_ms).ok_or(NotUnderstood)?;
        rest = tail.get(1..).unwrap_or_default();
    }
    if total_ms == 0 { Err(NotUnderstood) } else { Ok(total_ms) }
}

/// Reads a size such as `500`, `64M`, `1.5G`, `2GiB`: decimal units, binary with `i`.
pub(crate) fn size_bytes(text: &str) -> Result<u64, NotUnderstood> {
    let end = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let (unit, base) = match unit.strip_suffix('i') {
        Some(unit) => (unit, 1024u64),
        None => (unit, 1000u64),
    };
    let power = match unit {
        "" if base == 1000 => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(NotUnderstood),
    };
    let factor = base.pow(power);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().or(Err(NotUnderstood))?;
    let bytes = whole.checked_mul(factor).ok_or(NotUnderstood)?;
    if fraction.is_empty() {
        return if number.ends_with('.') { Err(NotUnderstood) } else { Ok(bytes) };
    }
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 6).ok_or(NotUnderstood)?;
    let part: u64 = fraction.parse().or(Err(NotUnderstood))?;
    bytes.checked_add(part * factor / 10u64.pow(digits)).ok_or(NotUnderstood)
}

/// Reads `auto` or 1 to 19.
pub(crate) fn level(text: &str) -> Result<Level, NotUnderstood> {
    if text == "auto" {
        return Ok(Level::Auto);
    }
    let level = text.parse::<i32>().ok().filter(|level| (1..=19).contains(level));
    level.map(Level::Fixed).ok_or(NotUnderstood)
}

/// Reads a limit of bandwidth: a rate, two rates, or a timetable of them.
pub(crate) fn bandwidth(text: &str) -> Result<Timetable, NotUnderstood> {
    text.parse().or(Err(NotUnderstood))
}

/// Reads `en` or `zh-CN`, and close spellings of them.
pub(crate) fn language(text: &str) -> Result<Language, NotUnderstood> {
    match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "en" | "en-us" | "en-gb" => Ok(Language::English),
        "zh" | "zh-cn" | "zh-hans" => Ok(Language::Chinese),
        _ => Err(NotUnderstood),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let table = [
            ("90m", Ok(5_400_000)),
            ("36h", Ok(129_600_000)),
            ("14d", Ok(1_209_600_000)),
            ("2w", Ok(1_209_600_000)),
            ("1d12h", Ok(129_600_000)),
            ("0d", Err(NotUnderstood)),
            ("", Err(NotUnderstood)),
            ("14", Err(NotUnderstood)),
            ("d", Err(NotUnderstood)),
            ("14 d", Err(NotUnderstood)),
            ("-1d", Err(NotUnderstood)),
            ("1y", Err(NotUnderstood)),
            ("1日", Err(NotUnderstood)),
            ("99999999999999999999d", Err(NotUnderstood)),
            ("9999999999999999d", Err(NotUnderstood)),
        ];
        for (text, expected) in table {
            assert_eq!(duration_ms(text), expected, "{text:?}");
        }
    }

    #[test]
    fn sizes() {
        let table = [
            ("0", Ok(0)),
            ("500", Ok(500)),
            ("64M", Ok(64_000_000)),
            ("64 MB", Ok(64_000_000)),
            ("1.5g", Ok(1_500_000_000)),
            ("2GiB", Ok(2_147_483_648)),
            ("1.5KiB", Ok(1536)),
            ("1T", Ok(1_000_000_000_000)),
            ("", Err(NotUnderstood)),
            ("M", Err(NotUnderstood)),
            ("1.", Err(NotUnderstood)),
            ("1.2.3", Err(NotUnderstood)),
            ("1i", Err(NotUnderstood)),
            ("1x", Err(NotUnderstood)),
            ("-1", Err(NotUnderstood)),
            ("99999999T", Err(NotUnderstood)),
        ];
        for (text, expected) in table {
            assert_eq!(size_bytes(text), expected, "{text:?}");
        }
    }

    #[test]
    fn levels_languages_and_relays() {
        assert_eq!(level("auto"), Ok(Level::Auto));
        assert_eq!(level("1"), Ok(Level::Fixed(1)));
        assert_eq!(level("19"), Ok(Level::Fixed(19)));
        for bad in ["0", "20", "fast", ""] {
            assert_eq!(level(bad), Err(NotUnderstood), "{bad}");
        }
        assert_eq!(language("zh_CN"), Ok(Language::Chinese));
        assert_eq!(language("EN"), Ok(Language::English));
        assert_eq!(language("fr"), Err(NotUnderstood));
        assert_eq!(relay("embedded"), Ok(RelayWord::Embedded));
        assert_eq!(relay("relay.example:443"), Ok(RelayWord::Address("relay.example:443".parse().unwrap())));
        assert_eq!(relay("http://relay"), Err(NotUnderstood));
        assert_eq!(format!("{:?}", RelayWord::Invite("hr1secret".into())), "Invite(…)");
    }
}
