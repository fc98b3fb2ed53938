//! What has bitten programs of this kind before, one test for each kind of trouble that no other file has. The table in
//! `README.md` says where every kind is tested.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use handover_shared::fault::Fault;
use handover_shared::ids::{BlockSize, Locator};
use handover_shared::tls::{ExpectedRelay, client_config};
use handover_tests::double::cage::{Cage, placed};
use handover_tests::double::seller::{HostileSeller, Pretence, summary};
use handover_tests::double::seller_wire::{address, endpoint, new_key, runtime, settings};
use handover_tests::double::tcp_wire::{data as record, shake, until_closed};
use handover_tests::{Launch, Person, RelayProc, Scratch, Tree, data, programs, wait};

#[test] // [S15.5] [S6.7]
fn whatever_the_output_option_names_nothing_leaves_it() {
    let names: [&[u8]; 6] = [b"../x", b"/abs", b"C:\\x", b"\\\\srv\\x", b"a/../../b", b"fine.csv"];
    let cage = Cage::new();
    for name in names {
        let is_refused = name.starts_with(b"/") || name.windows(2).any(|two| two == b"..");
        let code = cage.evil.upload(|archive| archive.file(name, b"planted"));
        for what in ["missing", "folder", "folder with things", "file", "link"] {
            let code = match what {
                "missing" => code.clone(),
                _ => cage.evil.upload(|archive| archive.file(name, b"planted")),
            };
            let out = cage.new_out();
            let real = cage.scratch.folder(format!("cage/out-real-{}", out.file_name().unwrap().to_str().unwrap()));
            match what {
                "folder" => std::fs::create_dir(&out).unwrap(),
                "folder with things" => data::write(out.join("mine"), b"mine"),
                "file" => data::write(&out, b"mine"),
                "link" => symlink(&real, &out).unwrap(),
                _ => {}
            }
            let ended = cage.buyer.pull(&code, &out).run();
            let case = format!("{} into a {what}", name.escape_ascii());
            cage.check(&case, &ended);
            let expected = match (what, is_refused) {
                ("file", _) => 9,
                (_, true) => 8,
                (_, false) => 0,
            };
            assert!(ended.code == Some(expected), "{case}: expected {expected}\n{ended}");
            if what == "file" {
                assert_eq!(std::fs::read(&out).unwrap(), b"mine", "{case}");
            } else {
                let mut there = placed(&out);
                there.retain(|name| name != "mine");
                assert_eq!(there.len(), usize::from(!is_refused), "{case}: {there:?}");
            }
        }
    }
}

#[test] // [S10.7]
fn hidden_files_are_counted_before_anything_is_taken() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let source = scratch.join("customers");
    for name in ["list.csv", ".bashrc", "deep/.ssh/authorized_keys", "deep/.env"] {
        data::write(source.join(name), b"x");
    }
    let code = seller.pushed(&relay, [&source]);
    let shown = buyer.run(["pull", &code, "--list"]).exits(0);
    assert!(shown.out().contains("hidden") || shown.err().contains("hidden"), "{shown}");
    let told = buyer.run(["pull", &code, "--list", "--json"]).exits(0);
    let hidden = told.events().iter().find_map(|event| event["hidden"].as_u64());
    assert_eq!(hidden, Some(3), "two files and a folder\n{told}");
}

#[test] // [S11.1]
fn no_header_and_no_option_says_where_a_peer_is() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let help = Launch::new(programs::relay(), "/").args(["serve", "--help"]).run().exits(0).out().to_lowercase();
    for word in ["proxy", "forwarded", "trusted", "x-real"] {
        assert!(!help.contains(word), "{word} is an option");
    }
    // What would be such a header is not QUIC; whoever is made to answer for it, hears less than was said.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let v2 = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c\x7f\0\0\x63\x7f\0\0\x01\0\x50\x11\x51"[..], &[0; 1200]].concat();
    for header in [&b"PROXY UDP4 127.0.0.99 127.0.0.1 80 4433\r\n"[..], &v2] {
        socket.send_to(header, relay.address()).unwrap();
    }
    // Failed attempts still count for the address they come from, and for no other.
    let key = new_key();
    let from = |last| {
        handover_tests::double::seller_wire::Client::try_connect(
            relay.address(),
            &key,
            Ipv4Addr::new(127, 0, 0, last).into(),
        )
    };
    let guesser = from(98).unwrap();
    let peek = handover_shared::protocol::message::Request::Peek(handover_shared::protocol::message::Peek {
        locator: Locator([1; 16]),
    });
    while guesser.ask(&peek).fault() == Some(Fault::NotFound) {}
    assert_eq!(from(99).unwrap().ask(&peek).fault(), Some(Fault::NotFound), "another address is not to blame");
    let mut answer = [0; 2048];
    while let Ok(bytes) = socket.recv(&mut answer) {
        assert!(bytes < v2.len(), "{bytes} bytes for {}", v2.len());
    }
}

#[test]
fn a_rule_that_cannot_be_understood_is_not_taken_for_no_rule() {
    let scratch = Scratch::new();
    let config = scratch.join("relay.toml");
    for line in [
        "enrolment = \"maybe\"",
        "enrolment = true",
        "enrollment = \"required\"",
        "max-total = \"lots\"",
        "max-per-seller = -1",
        "failures-per-minute = \"30\"",
        "idle = 5",
        "[limits]",
        "max-transfer = ",
    ] {
        data::write(&config, format!("{line}\n").as_bytes());
        let data = scratch.join("data");
        let ended = Launch::new(programs::relay(), scratch.path())
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .arg("--config")
            .arg(&config)
            .run();
        assert!(ended.code == Some(2), "{line} was accepted\n{ended}");
        assert!(ended.stdout.is_empty() && !data.exists(), "{line}: it began\n{ended}");
    }
}

#[test] // [S13.13] [S11.1]
fn a_peer_cannot_turn_time_outs_off() {
    let scratch = Scratch::new();
    let relay = RelayProc::start_with(&scratch, "relay", &["--idle", "1s"]);
    let mut transport = quinn::TransportConfig::default();
    transport.max_idle_timeout(None).keep_alive_interval(Some(Duration::from_millis(100)));
    let mut wants_for_ever = settings(&new_key());
    wants_for_ever.transport_config(Arc::new(transport));
    let closed = runtime().block_on(async {
        let endpoint = endpoint(Ipv4Addr::LOCALHOST.into());
        let connecting = endpoint.connect_with(wants_for_ever, address(relay.address()), "relay.handover").unwrap();
        let connection = connecting.await.unwrap();
        tokio::time::timeout(wait::USUAL, connection.closed()).await
    });
    assert!(matches!(closed, Ok(quinn::ConnectionError::ApplicationClosed(_))), "{closed:?}");
}

#[test] // [S6.7] [S9.3]
fn work_grows_with_what_is_sent_and_not_with_its_square() {
    let cage = Cage::new();
    let ticks = |count: u64| {
        let told = Pretence { summary: Some(summary("", count, 0).to_bytes()), ..Pretence::default() };
        let code = cage.evil.upload_as(
            &told,
            BlockSize::Small,
            |archive| {
                // Long names that are alike up to their end, deep below one another.
                let mut folder = String::new();
                for _ in 0..20 {
                    folder.push_str("customers");
                    archive.folder(&folder);
                    folder.push('/');
                }
                for number in 0..count {
                    archive.exception(format!("{folder}{number:0200}"), 1);
                }
            },
            |_| {},
        );
        let (ended, _) = cage.pull("many names", &code);
        ended.exits(4).cpu_ticks.max(10)
    };
    let (few, many) = (ticks(3_000), ticks(24_000));
    assert!(many < few * 8 * 3, "3 000 names took {few} ticks, 24 000 took {many}");
}

#[test]
fn a_relay_told_to_listen_on_the_loopback_listens_nowhere_else() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let wanted = format!(":{:04X}", relay.port());
    let sockets = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let listening = |file: &str| -> Vec<String> {
        let text = sockets(file);
        let locals = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned));
        locals.filter(|local| local.ends_with(&wanted)).collect()
    };
    for file in ["/proc/net/udp", "/proc/net/tcp"] {
        assert_eq!(listening(file), [format!("0100007F{wanted}")], "{file}: 127.0.0.1, once");
    }
    for file in ["/proc/net/udp6", "/proc/net/tcp6"] {
        assert!(listening(file).is_empty(), "{file}");
    }
}

#[test] // [S11.1] [S11.7]
fn there_is_nothing_weaker_to_fall_back_to() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    for protocols in [vec![], vec![b"h3".to_vec()], vec![b"handover/0".to_vec()], vec![b"handover/1-plain".to_vec()]] {
        let mut tls = client_config(&new_key(), ExpectedRelay::ToldByOffer).unwrap();
        tls.alpn_protocols = protocols.clone();
        // Who names none at all gets through TLS itself, and no further.
        let over_tcp = runtime().block_on(async {
            let mut stream = shake(relay.address(), tls.clone(), Ipv4Addr::LOCALHOST.into()).await.ok()?;
            // It may be closed already.
            drop(tokio::io::AsyncWriteExt::write_all(&mut stream, &hello_record()).await);
            Some(until_closed(&mut stream).await)
        });
        let is_refused = over_tcp.as_ref().is_none_or(|heard| heard.is_empty() && protocols.is_empty());
        assert!(is_refused, "{protocols:?} was accepted over TCP: {over_tcp:?}");
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let outcome = runtime().block_on(async {
            let endpoint = endpoint(Ipv4Addr::LOCALHOST.into());
            endpoint.connect_with(config, address(relay.address()), "relay.handover").unwrap().await
        });
        assert!(outcome.is_err(), "{protocols:?} was accepted");
    }
    // What TCP is for is the same TLS; nothing is said on it to whoever speaks anything else.
    for spoken in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"\x16\x03\x01\x00\x05hello", b"hr1", &[0; 400]] {
        let mut socket = std::net::TcpStream::connect(relay.address()).unwrap();
        socket.set_read_timeout(Some(wait::USUAL)).unwrap();
        socket.write_all(spoken).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        // The end of it may be a reset.
        drop(socket.read_to_end(&mut heard));
        let is_alert = heard.is_empty() || heard.starts_with(&[0x15]);
        assert!(is_alert && heard.len() < 16, "{}", heard.escape_ascii());
    }
    let weaker = runtime().block_on(shake(relay.address(), without_the_hybrid(), Ipv4Addr::LOCALHOST.into()));
    assert!(weaker.is_err(), "a key exchange of yesterday was accepted over TCP");
    let help = Person::new(&scratch, "somebody").run(["help"]).out().to_lowercase();
    for word in ["plaintext", "no-encrypt", "insecure", "cipher"] {
        assert!(!help.contains(word), "{word} is an option");
    }
}

/// A greeting, as it travels over TCP.
fn hello_record() -> Vec<u8> {
    use handover_shared::protocol::message::{Hello, Request};
    record(&Request::Hello(Hello { version: "x".into() }).to_bytes())
}

/// The settings of a client that knows the usual key exchange alone.
fn without_the_hybrid() -> rustls::ClientConfig {
    use rustls::crypto::{CryptoProvider, aws_lc_rs};
    let provider = CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..aws_lc_rs::default_provider() };
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let mut config = builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    config.alpn_protocols = vec![b"handover/1".to_vec()];
    config
}

#[test] // [S5.5] [S13.12]
fn nothing_secret_is_the_same_twice() {
    let scratch = Scratch::new();
    let relays: Vec<RelayProc> = ["one", "two"].iter().map(|name| RelayProc::start_with(&scratch, name, &[])).collect();
    let parts: Vec<&str> = relays.iter().map(|relay| relay.invite().split('@').next().unwrap()).collect();
    let alike = parts[0].bytes().zip(parts[1].bytes()).filter(|(one, two)| one == two).count();
    assert!(alike < 20, "two invites have {alike} of {} characters in common", parts[0].len());
    let keys: Vec<Vec<u8>> =
        relays.iter().map(|relay| std::fs::read(relay.data().join("relay.key")).unwrap()).collect();
    assert_ne!(keys[0], keys[1]);
    let seller = Person::new(&scratch, "seller");
    data::write(scratch.join("x"), b"x");
    let codes: Vec<String> =
        (0..2).map(|_| seller.pushed(&relays[0], ["--new".as_ref(), scratch.join("x").as_os_str()])).collect();
    assert_ne!(codes[0], codes[1]);
}

#[test] // [S6.6] [S15.6]
fn what_is_the_same_is_the_same_in_every_byte() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (seller, buyer) = (Person::new(&scratch, "seller"), Person::new(&scratch, "buyer"));
    let (source, out) = (scratch.join("big.bin"), scratch.join("out"));
    let mut bytes = scratch.dice("big").bytes(5_000_000);
    data::write(&source, &bytes);
    let code = seller.pushed(&relay, [&source]);
    // Same name, size and time; one bit in the middle.
    bytes[2_345_678] ^= 1;
    data::write(out.join("big.bin"), &bytes);
    let time = std::fs::metadata(&source).unwrap().modified().unwrap();
    std::fs::File::options().write(true).open(out.join("big.bin")).unwrap().set_modified(time).unwrap();
    let ended = buyer.handover(["pull", &code, "--yes", "--no-input", "--conflict", "rename", "--out"]).arg(&out).run();
    let ended = ended.exits(0);
    assert_eq!(std::fs::read(out.join("big.bin")).unwrap(), bytes, "the buyer's own stays\n{ended}");
    Tree::of(&source).must_equal(&Tree::of(out.join("big (1).bin")));
}

#[test] // [S13.12]
fn a_seller_who_is_thrown_out_is_out_at_once() {
    let scratch = Scratch::new();
    let relay = RelayProc::start(&scratch);
    let (evil, good) = (HostileSeller::enrol(&relay), HostileSeller::enrol(&relay));
    let deal = evil.deal(BlockSize::Small);
    evil.send(&deal, &Pretence::default(), |archive| archive.file("a", b"one"), |_| {});
    let operator =
        |words: &[&str]| Launch::new(programs::relay(), "/").args(words).arg("--data").arg(relay.data()).run();
    let shown = handover_shared::proof::fingerprint_of_link_key(&evil.client.key());
    assert!(operator(&["seller", "list"]).exits(0).out().contains(&shown));
    operator(&["seller", "revoke", &shown]).exits(0);
    let announced = |who: &HostileSeller| who.announcement(&who.deal(BlockSize::Small), 1, &Pretence::default()).0;
    assert_eq!(evil.create(announced(&evil)).unwrap_err().fault(), Some(Fault::NotEnrolled));
    good.create(announced(&good)).unwrap();
}
