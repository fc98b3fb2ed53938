use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use handover_shared::fault::Fault;

use super::*;
use crate::cli::style::columns;
use crate::error::Error;
use crate::words::Language;

const KEY: &str = "SHA256:xqC22gVeMJaTgauqkq+afh79H60yYGH4XMQDkUahQk0";
const OTHER: &str = "SHA256:9aaC22gVeMJaTgauqkq+afh79H60yYGH4XMQDkUahQk";

/// One of each fact, and each verdict of those that have several.
pub(crate) fn samples() -> Vec<Fact> {
    let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
    let (six, four) = (at("[2001:db8::7]:4433"), at("192.0.2.7:4433"));
    let path = || PathBuf::from("/srv/客户");
    let silent =
        |is_tcp_open| Fact::UdpSilent { silent: vec![six, four], source: io::ErrorKind::TimedOut.into(), is_tcp_open };
    let relay = |enrolled| Fact::Relay {
        version: "handover-relay/0.1.0".into(),
        transfer_bytes_max: 500_000_000_000,
        expiry_ms_max: 30 * 86_400_000,
        expiry_ms_default: 14 * 86_400_000,
        enrolled,
    };
    let disk =
        |free_bytes, bytes_a_second| Fact::Disk { place: Place::Destination, path: path(), free_bytes, bytes_a_second };
    let failed = |place, kind: io::ErrorKind| Fact::DiskFailed { place, path: path(), source: kind.into() };
    vec![
        Fact::NoRelay,
        Fact::NameNotNeeded(four.ip()),
        Fact::NameFound { host: "relay.example".into(), addresses: vec![six.ip(), four.ip()] },
        Fact::NameUnknown { host: "relay.exmaple".into(), source: io::Error::other("Name or service not known") },
        Fact::NameSilent { host: "relay.example".into() },
        Fact::NoProxy,
        Fact::Proxies(vec![("HTTPS_PROXY".into(), "http://proxy\u{1b}.example:8080".into())]),
        Fact::Udp { answering: vec![six, four], silent: Vec::new() },
        Fact::Udp { answering: vec![four], silent: vec![six] },
        silent(true),
        silent(false),
        Fact::Tcp { answering: vec![four] },
        Fact::TcpSilent { silent: vec![six, four], source: io::ErrorKind::ConnectionRefused.into() },
        Fact::OtherVersion { address: "relay.example".into() },
        Fact::Refused(Fault::Busy),
        Fact::Broken { error: Error::RelayMisbehaved("finished without an answer") },
        Fact::Path { round_trip: Duration::from_micros(1240), datagram_bytes: 1452 },
        Fact::KeyKnown { fingerprint: KEY.into() },
        Fact::KeyOther { seen: OTHER.into(), expected: KEY.into() },
        Fact::KeyNew { fingerprint: KEY.into() },
        Fact::Clock { ahead_ms: -1_400 },
        Fact::Clock { ahead_ms: 3_600_000 },
        Fact::Clock { ahead_ms: -190_000 },
        relay(Enrolled::Yes),
        relay(Enrolled::Never),
        relay(Enrolled::NoMore),
        disk(Some(96_000_000_000), 812_000_000.0),
        disk(Some(20_000_000), 812_000_000.0),
        disk(None, 4_000_000.0),
        failed(Place::Destination, io::ErrorKind::ReadOnlyFilesystem),
        failed(Place::State, io::ErrorKind::StorageFull),
        Fact::RightsFine { path: path() },
        Fact::RightsOpen { path: path(), mode: 0o755 },
        Fact::HomeFailed {
            error: Error::State { what: "no home folder is known", path: PathBuf::from("~"), source: None },
        },
        Fact::Identity { fingerprint: KEY.into() },
        Fact::NoIdentity,
        Fact::NothingInterrupted,
        Fact::Interrupted { ids: vec![2, 7] },
        Fact::Leftovers { path: path(), count: 1 },
    ]
}

/// The samples and what the program adds, as lines.
pub(crate) fn screen(style: &Style) -> String {
    let mut all: Vec<Told> = samples().iter().map(|fact| told(style, fact)).collect();
    all.push(terminal(style, Some(80), Some("zh_CN.UTF-8")));
    all.push(terminal(style, None, Some("C")));
    all.push(terminal(style, None, None));
    all.push(not_done(style));
    let mut text: String = all.iter().map(|told| told.lines(style)).collect();
    text.push_str(&format!("\n  {}\n", summary(style, &all)));
    text
}

#[test]
fn whatever_is_no_good_news_has_advice_and_nothing_else_has() {
    for language in Language::ALL {
        let style = Style::plain(language);
        for fact in samples() {
            let told = told(&style, &fact);
            assert_eq!(told.advice.is_some(), told.verdict != Verdict::Fine, "{told:?}");
            assert!(!told.found.is_empty() && !told.label.is_empty(), "{told:?}");
            assert!(!told.lines(&style).contains('\u{1b}'), "{told:?}");
        }
    }
}

#[test]
fn lines_fit_narrow_terminals_in_both_languages() {
    for language in Language::ALL {
        for width in [60, 80] {
            let mut style = Style::plain(language);
            style.width = width;
            for line in screen(&style).lines() {
                // A key, an address or a path is one word and cannot be broken.
                let has_long_word = line.split(' ').any(|word| columns(word) > 20);
                assert!(columns(line) <= width || has_long_word, "{width}: {line}");
            }
        }
    }
}

#[test]
fn the_first_failure_decides_the_exit_code() {
    let style = Style::plain(Language::English);
    let exit_of = |facts: &[Fact]| exit(&facts.iter().map(|fact| told(&style, fact)).collect::<Vec<_>>());
    let disk = || Fact::DiskFailed {
        place: Place::State,
        path: PathBuf::from("/"),
        source: io::ErrorKind::StorageFull.into(),
    };
    let unknown = || Fact::NameSilent { host: "x".into() };
    assert_eq!(exit_of(&[]), Exit::Done);
    assert_eq!(exit_of(&[Fact::NoRelay, Fact::Interrupted { ids: vec![1] }]), Exit::Done);
    assert_eq!(exit_of(&[Fact::NoRelay, disk(), unknown()]), Exit::Disk);
    assert_eq!(exit_of(&[unknown(), disk()]), Exit::Network);
    assert_eq!(exit_of(&[Fact::Refused(Fault::Busy)]), Exit::RelayRefused);
    assert_eq!(exit_of(&[Fact::KeyOther { seen: OTHER.into(), expected: KEY.into() }]), Exit::Altered);
}
