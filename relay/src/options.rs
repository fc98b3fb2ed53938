//! The options of `serve`: from the command line, the environment, a file, and what holds when nothing is said, in this
//! order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use handover_relay::config::default_data_folder;
use handover_relay::{Advertise, Config, Enrolment, Limits};
use handover_shared::keys::address::RelayAddress;
use serde::Deserialize;

use crate::log::Format;
use crate::problem::{Exit, Problem};
use crate::words::Word;

/// Bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Everything that can be said; what is absent is taken from the next source.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Options {
    #[arg(long, env = "HANDOVER_RELAY_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    #[arg(long, env = "HANDOVER_RELAY_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    #[arg(long, env = "HANDOVER_RELAY_ADVERTISE", value_name = "HOST[:PORT]")]
    pub advertise: Option<String>,
    #[arg(long, env = "HANDOVER_RELAY_ENROLMENT", value_name = "required|open", value_parser = parse_enrolment)]
    pub enrolment: Option<Enrolment>,
    #[arg(long, env = "HANDOVER_RELAY_MAX_TRANSFER", value_name = "SIZE")]
    pub max_transfer: Option<Size>,
    #[arg(long, env = "HANDOVER_RELAY_MAX_TOTAL", value_name = "SIZE")]
    pub max_total: Option<Size>,
    #[arg(long, env = "HANDOVER_RELAY_MAX_PER_SELLER", value_name = "SIZE")]
    pub max_per_seller: Option<Size>,
    #[arg(long, env = "HANDOVER_RELAY_TRANSFERS_PER_SELLER", value_name = "N")]
    pub transfers_per_seller: Option<u64>,
    #[arg(long, env = "HANDOVER_RELAY_MIN_FREE", value_name = "SIZE")]
    pub min_free: Option<Size>,
    #[arg(long, env = "HANDOVER_RELAY_MAX_EXPIRY", value_name = "TIME")]
    pub max_expiry: Option<Span>,
    #[arg(long, env = "HANDOVER_RELAY_DEFAULT_EXPIRY", value_name = "TIME")]
    pub default_expiry: Option<Span>,
    #[arg(long, env = "HANDOVER_RELAY_CONNECTIONS", value_name = "N")]
    pub connections: Option<u32>,
    #[arg(long, env = "HANDOVER_RELAY_CONNECTIONS_PER_ADDRESS", value_name = "N")]
    pub connections_per_address: Option<u32>,
    #[arg(long, env = "HANDOVER_RELAY_IDLE", value_name = "TIME")]
    pub idle: Option<Span>,
    #[arg(long, env = "HANDOVER_RELAY_FAILURES_PER_MINUTE", value_name = "N")]
    pub failures_per_minute: Option<u32>,
    #[arg(long, env = "HANDOVER_RELAY_HANDSHAKES_PER_SECOND", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub handshakes_per_second: Option<u32>,
    #[arg(long, env = "HANDOVER_RELAY_LOG_FORMAT", value_name = "text|json", value_enum)]
    pub log_format: Option<Format>,
    #[arg(long, env = "HANDOVER_RELAY_LOG", value_name = "LEVEL")]
    pub log: Option<String>,
}

/// Bytes, written `512MiB`, `10GB`, `1T` or as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// Milliseconds, written `90d`, `12h`, `30m` or `45s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u64);

impl Options {
    /// Takes what is absent from a file.
    pub fn or_file(self, path: &Path) -> Result<Self, Problem> {
        let failed = |message: String| Problem { message, hint: Some(Word::HintConfig), exit: Exit::Usage };
        let length =
            std::fs::metadata(path).map_err(|error| failed(format!("cannot read {}: {error}", path.display())))?;
        if length.len() > FILE_BYTES_MAX {
            return Err(failed(format!(
                "{} is {} bytes long, the limit is {FILE_BYTES_MAX}",
                path.display(),
                length.len()
            )));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| failed(format!("cannot read {}: {error}", path.display())))?;
        let file: Self = toml::from_str(&text).map_err(|error| failed(format!("{}: {error}", path.display())))?;
        Ok(Self {
            listen: self.listen.or(file.listen),
            data: self.data.or(file.data),
            advertise: self.advertise.or(file.advertise),
            enrolment: self.enrolment.or(file.enrolment),
            max_transfer: self.max_transfer.or(file.max_transfer),
            max_total: self.max_total.or(file.max_total),
            max_per_seller: self.max_per_seller.or(file.max_per_seller),
            transfers_per_seller: self.transfers_per_seller.or(file.transfers_per_seller),
            min_free: self.min_free.or(file.min_free),
            max_expiry: self.max_expiry.or(file.max_expiry),
            default_expiry: self.default_expiry.or(file.default_expiry),
            connections: self.connections.or(file.connections),
            connections_per_address: self.connections_per_address.or(file.connections_per_address),
            idle: self.idle.or(file.idle),
            failures_per_minute: self.failures_per_minute.or(file.failures_per_minute),
            handshakes_per_second: self.handshakes_per_second.or(file.handshakes_per_second),
            log_format: self.log_format.or(file.log_format),
            log: self.log.or(file.log),
        })
    }

    /// What the relay is started with.
    pub fn config(&self) -> Result<Config, Problem> {
        let plain = Config::new(data_folder(self.data.clone())?);
        let usual = plain.limits;
        let limits = Limits {
            enrolment: self.enrolment.unwrap_or(usual.enrolment),
            transfer_bytes_max: self.max_transfer.map_or(usual.transfer_bytes_max, |size| size.0),
            total_bytes_max: self.max_total.map_or(usual.total_bytes_max, |size| size.0),
            seller_bytes_max: self.max_per_seller.map_or(usual.seller_bytes_max, |size| size.0),
            seller_transfers_max: self.transfers_per_seller.unwrap_or(usual.seller_transfers_max),
            free_bytes_min: self.min_free.map_or(usual.free_bytes_min, |size| size.0),
            expiry_ms_max: self.max_expiry.map_or(usual.expiry_ms_max, |span| span.0),
            expiry_ms_default: self.default_expiry.map_or(usual.expiry_ms_default, |span| span.0),
            connections_max: self.connections.unwrap_or(usual.connections_max),
            connections_per_address_max: self.connections_per_address.unwrap_or(usual.connections_per_address_max),
            idle_ms_max: self.idle.map_or(usual.idle_ms_max, |span| span.0),
            handshakes_per_second_max: self.handshakes_per_second.unwrap_or(usual.handshakes_per_second_max),
            failures_per_minute_max: self.failures_per_minute.unwrap_or(usual.failures_per_minute_max),
        };
        let advertise = self.advertise.as_deref().map(parse_advertise).transpose()?.unwrap_or_default();
        Ok(Config { listen: self.listen.unwrap_or(plain.listen), advertise, limits, ..plain })
    }
}

/// The data folder that was named, or the usual one.
pub fn data_folder(named: Option<PathBuf>) -> Result<PathBuf, Problem> {
    named.or_else(default_data_folder).ok_or_else(|| Problem::usage("no home folder: name a data folder with --data"))
}

/// Reads `HOST` or `HOST:PORT`; only a port that was written counts.
pub fn parse_advertise(text: &str) -> Result<Advertise, Problem> {
    let address: RelayAddress = text.parse().map_err(|error| Problem::usage(format!("--advertise {text}: {error}")))?;
    let after_brackets = text.rsplit(']').next().unwrap_or(text);
    let port = after_brackets.contains(':').then_some(address.port);
    Ok(Advertise { host: Some(address.host), port })
}

fn parse_enrolment(text: &str) -> Result<Enrolment, String> {
    match text {
        "required" => Ok(Enrolment::Required),
        "open" => Ok(Enrolment::Open),
        _ => Err("required or open".to_owned()),
    }
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const UNITS: [(&str, u64); 13] = [
            ("", 1),
            ("B", 1),
            ("K", 1 << 10),
            ("KiB", 1 << 10),
            ("KB", 1_000),
            ("M", 1 << 20),
            ("MiB", 1 << 20),
            ("MB", 1_000_000),
            ("G", 1 << 30),
            ("GiB", 1 << 30),
            ("GB", 1_000_000_000),
            ("T", 1 << 40),
            ("TiB", 1 << 40),
        ];
        of_units(text, &UNITS).map(Self).ok_or_else(|| format!("{text} is not a size such as 500GB or 512MiB"))
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const UNITS: [(&str, u64); 5] =
            [("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
        of_units(text, &UNITS).map(Self).ok_or_else(|| format!("{text} is not a time such as 14d or 12h"))
    }
}

fn of_units(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Reads a value of a file that is written as on the command line.
macro_rules! deserialize_from_text {
    ($($name:ident)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

deserialize_from_text!(Size Span);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        for (text, bytes) in
            [("0", Some(0)), ("512MiB", Some(512 << 20)), ("10gb", Some(10_000_000_000)), ("1T", Some(1 << 40))]
        {
            assert_eq!(text.parse::<Size>().ok().map(|size| size.0), bytes, "{text}");
        }
        for text in ["", "MiB", "-1", "1.5G", "1X", "99999999T"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        assert_eq!("14d".parse(), Ok(Span(14 * 86_400_000)));
        for text in ["14", "d", "", "1y"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_stands_behind_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.toml");
        std::fs::write(
            &path,
            "listen = \"127.0.0.1:9\"\nmax-transfer = \"1GiB\"\ndata = \"/srv/relay\"\nenrolment = \"open\"\n",
        )
        .unwrap();
        let words = Options { max_transfer: Some(Size(5)), ..Options::default() };

        let config = words.or_file(&path).unwrap().config().unwrap();

        assert_eq!(config.listen, "127.0.0.1:9".parse().unwrap());
        assert_eq!((config.limits.transfer_bytes_max, config.limits.enrolment), (5, Enrolment::Open));
        assert_eq!(config.data, Path::new("/srv/relay"));
    }

    #[test]
    fn an_unknown_line_of_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.toml");
        std::fs::write(&path, "max-transfers = \"1GiB\"\n").unwrap();
        assert_eq!(Options::default().or_file(&path).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn an_advertised_port_counts_only_when_written() {
        for (text, host, port) in [
            ("relay.example", "relay.example", None),
            ("relay.example:9", "relay.example", Some(9)),
            ("relay.example:4433", "relay.example", Some(4433)),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[2001:db8::1]:9", "2001:db8::1", Some(9)),
        ] {
            assert_eq!(parse_advertise(text).unwrap(), Advertise { host: Some(host.into()), port }, "{text}");
        }
        assert!(parse_advertise("a b").is_err());
    }
}
