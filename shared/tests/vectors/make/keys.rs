//! Codes, the key schedule, sealing, envelopes and shares.

use handover_shared::keys::code::WordList;
use handover_shared::keys::schedule::seal_envelope;
use handover_shared::keys::{hybrid, seal};

use super::super::common::{Counting, LINK, OTHER_TID, TID, World, counted};
use super::super::file::Vector;
use super::Files;

pub fn codes(world: &World, files: &mut Files) {
    let text = world.code.to_text().to_string();
    let english = world.code.to_words(WordList::English).to_string();
    let chinese = world.code.to_words(WordList::Chinese).to_string();
    let full_width: String = text.chars().map(|char| char::from_u32(char as u32 + 0xfee0).unwrap()).collect();
    let head = "A code is written as text and as words. [S5.1] [S5.2]";
    files.add("code-write", Vector::new(head, "write-code", "ok").with("code", world.code.expose()));
    files.add("code-write-ones", Vector::new(head, "write-code", "ok").with("code", [0xff; 20]));

    let accepted = [
        ("upper-case", "Upper case is accepted.", text.to_uppercase()),
        (
            "gaps",
            "White space and hyphens are accepted anywhere.",
            format!("{} - {}\u{2010}{}", &text[..7], &text[7..20], &text[20..]),
        ),
        ("full-width", "Full-width forms are folded.", format!("{full_width}＠ｒｅｌａｙ．ｅｘａｍｐｌｅ")),
        ("link", "A link may be pasted whole.", format!("handover:{text}@relay.example:443")),
        (
            "command",
            "A command may be pasted whole; the usual port is left out.",
            format!("handover pull {text}@[0::1]:4433"),
        ),
        ("english", "Words may be separated by commas.", english.replace(' ', ", ")),
        ("chinese", "Chinese words need no separator.", format!("{}@relay.example", chinese.replace(' ', ""))),
    ];
    for (name, head, input) in accepted {
        let vector = Vector::new(&format!("{head} [S5.3]"), "read-code", "ok").with_text("input", &input);
        files.add(&format!("code-read-{name}"), vector);
    }

    let hrp = |hrp| bech32::Hrp::parse(hrp).unwrap();
    let elder = bech32::encode::<bech32::Bech32>(hrp("ho"), world.code.expose()).unwrap();
    let foreign = bech32::encode::<bech32::Bech32m>(hrp("bc"), world.code.expose()).unwrap();
    let refused = [
        (
            "one-wrong",
            "One wrong character is located.",
            "the code is mistyped at 28",
            text.replacen("wpug", "wqug", 1),
        ),
        (
            "two-wrong",
            "Two wrong characters are noticed, and not located.",
            "the code is mistyped",
            text.replacen("wpug", "wqgg", 1),
        ),
        ("foreign-character", "The alphabet has no b.", "the code is mistyped at 19", text.replacen("fpg9", "bpg9", 1)),
        ("bech32", "The checksum is that of bech32m, not of bech32.", "the code is mistyped", elder),
        ("other-prefix", "The human-readable part is another one.", "the code is mistyped at 1", foreign),
        (
            "short",
            "A character is missing.",
            "the code has 40 characters or words, 41 are needed",
            text[..40].to_owned(),
        ),
        (
            "long",
            "There is a character too many.",
            "the code has 42 characters or words, 41 are needed",
            format!("{text}q"),
        ),
        (
            "unknown-word",
            "The third word is not in the list.",
            "word 3 of the code is unknown",
            english.replacen("liar", "lair", 1),
        ),
        (
            "swapped-words",
            "Two words are in each other's place.",
            "the code is mistyped",
            english.replacen("amount liar", "liar amount", 1),
        ),
        (
            "missing-word",
            "A word is missing.",
            "the code has 14 characters or words, 15 are needed",
            english.rsplit_once(' ').unwrap().0.to_owned(),
        ),
        (
            "address",
            "Port 0 is no port.",
            "the code is followed by something that is not an address",
            format!("{text}@relay.example:0"),
        ),
    ];
    for (name, head, expect, input) in refused {
        let vector = Vector::new(&format!("{head} [S5.3]"), "read-code", expect).with_text("input", &input);
        files.add(&format!("code-refuse-{name}"), vector);
    }
}

pub fn schedule(world: &World, files: &mut Files) {
    let head = "What is derived from a code. [S4.3]";
    files.add("schedule-code", Vector::new(head, "derive-from-code", "ok").with("code", world.code.expose()));
    files.add("schedule-code-zeros", Vector::new(head, "derive-from-code", "ok").with("code", [0; 20]));
    for (name, tid) in [("schedule-content", TID), ("schedule-content-other", OTHER_TID)] {
        let vector = Vector::new("What is derived from a content key. [S4.4]", "derive-from-content-key", "ok");
        files.add(name, vector.with("content-key", world.content.expose()).with("transfer", tid.0));
    }
}

pub fn sealing(files: &mut Files) {
    let (key, context, salt) = (counted::<32>(1), b"context", counted::<24>(100));
    for (name, plain) in [("empty", vec![]), ("short", b"hello".to_vec()), ("whole-chunk", vec![7; 16_384])] {
        let head = format!("A message of {} bytes is sealed. [S4.2]", plain.len());
        let vector = Vector::new(&head, "seal", "ok").with("key", key).with("context", context).with("salt", salt);
        files.add(&format!("seal-{name}"), vector.with("plain", plain));
    }
    let sealed = seal::seal(&key, context, salt, b"hello");
    let whole = seal::seal(&key, context, salt, &[7; 16_384]);
    let altered = |at: usize| {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        altered
    };
    let other_key = "sealed under another key or for another purpose";
    let was_altered = "sealed bytes were altered";
    let cut_short = "sealed bytes are cut short";
    let cases = [
        ("ok", "A sealed message opens.", "ok", key, &context[..], sealed.clone()),
        ("other-key", "Another key does not fit the commitment.", other_key, counted(2), context, sealed.clone()),
        ("other-context", "Another context does not fit the commitment.", other_key, key, b"contexT", sealed.clone()),
        ("altered-salt", "The salt is part of what the commitment covers.", other_key, key, context, altered(0)),
        ("altered-commitment", "The commitment is compared.", other_key, key, context, altered(55)),
        ("altered-text", "A chunk was altered.", was_altered, key, context, altered(56)),
        ("altered-tag", "A tag was altered.", was_altered, key, context, altered(sealed.len() - 1)),
        ("extended", "A byte was added.", was_altered, key, context, [&sealed[..], &[0]].concat()),
        ("truncated", "A byte was cut off.", was_altered, key, context, sealed[..sealed.len() - 1].to_vec()),
        ("header-only", "The last chunk is missing.", cut_short, key, context, sealed[..56].to_vec()),
        (
            "missing-last-chunk",
            "A whole chunk cannot be the last.",
            cut_short,
            key,
            context,
            whole[..whole.len() - 16].to_vec(),
        ),
    ];
    for (name, head, expect, key, context, sealed) in cases {
        let vector = Vector::new(&format!("{head} [S4.2]"), "open", expect);
        files.add(&format!("open-{name}"), vector.with("key", key).with("context", context).with("sealed", sealed));
    }
}

pub fn envelopes(world: &World, files: &mut Files) {
    let (digest, commit, salt) = (world.offer_digest().0, world.commit().0, counted::<24>(3));
    let (psk, share) = (*world.keys.psk.expose(), *world.share.expose());
    let vector = Vector::new("A content key is sealed under code and relay share. [S4.5]", "seal-envelope", "ok")
        .with("psk", psk)
        .with("share", share)
        .with("transfer", TID.0)
        .with("offer-digest", digest)
        .with("content-key", world.content.expose())
        .with("salt", salt);
    files.add("envelope-seal", vector);

    let envelope = seal_envelope(&world.keys.psk, &world.share, &TID, &world.offer_digest(), &world.content, salt);
    let bad = "bad message";
    let zeros = [0; 32];
    let longer = [&envelope[..], &[0]].concat();
    let shorter = envelope[..103].to_vec();
    let good = envelope.clone();
    let cases = [
        ("ok", "The envelope opens.", "ok", psk, share, TID, digest, good.clone(), commit),
        ("other-code", "Another code's psk does not open it.", bad, zeros, share, TID, digest, good.clone(), commit),
        (
            "other-share",
            "Without the relay share the code opens nothing.",
            bad,
            psk,
            zeros,
            TID,
            digest,
            good.clone(),
            commit,
        ),
        ("other-transfer", "It is bound to its transfer.", bad, psk, share, OTHER_TID, digest, good.clone(), commit),
        ("other-offer", "It is bound to its sealed offer.", bad, psk, share, TID, zeros, good.clone(), commit),
        ("other-commit", "The key in it is not the one the offer named.", bad, psk, share, TID, digest, good, zeros),
        ("truncated", "A byte was cut off.", bad, psk, share, TID, digest, shorter, commit),
        ("extended", "A byte was added.", bad, psk, share, TID, digest, longer, commit),
    ];
    for (name, head, expect, psk, share, tid, digest, envelope, commit) in cases {
        let vector = Vector::new(&format!("{head} [S4.5]"), "open-envelope", expect)
            .with("psk", psk)
            .with("share", share)
            .with("transfer", tid.0)
            .with("offer-digest", digest)
            .with("envelope", envelope)
            .with("commit", commit);
        files.add(&format!("envelope-open-{name}"), vector);
    }
}

pub fn shares(world: &World, files: &mut Files) {
    let public = world.hybrid.public().as_bytes().to_vec();
    let bad = "bad message";
    let cases = [
        ("ok", "Link key and hybrid key are bound together.", "ok", public.clone()),
        ("short", "The hybrid key is a byte short.", bad, public[..1215].to_vec()),
        ("small-order", "The X25519 half is of small order.", bad, [&public[..1184], &[0; 32]].concat()),
        ("not-reduced", "The ML-KEM half is not reduced.", bad, [&[0xff; 1184], &public[1184..]].concat()),
    ];
    for (name, head, expect, hybrid) in cases {
        let vector = Vector::new(&format!("{head} [S4.6]"), "bundle", expect).with("link-key", LINK.0);
        files.add(&format!("bundle-{name}"), vector.with("hybrid-key", hybrid));
    }

    let bundle = world.bundle();
    let released =
        hybrid::release_share(&world.hybrid.public(), &TID, &bundle, &world.share, &mut Counting(0x77)).unwrap();
    let (seed, bound) = (*world.hybrid.seed().expose(), bundle.0);
    let (enc, sealed) = (released.encapsulated, released.sealed);
    let small = [&enc[..1088], &[0; 32]].concat();
    let mut altered = sealed.clone();
    altered[0] ^= 1;
    let cases = [
        ("ok", "The buyer opens the relay share.", "ok", seed, TID, bound, enc.clone(), sealed.clone()),
        ("other-key", "Another hybrid key does not.", bad, [1; 32], TID, bound, enc.clone(), sealed.clone()),
        ("other-transfer", "It is bound to its transfer.", bad, seed, OTHER_TID, bound, enc.clone(), sealed.clone()),
        ("other-bundle", "It is bound to the bundle.", bad, seed, TID, [0; 32], enc.clone(), sealed.clone()),
        ("small-order", "The encapsulated X25519 key is of small order.", bad, seed, TID, bound, small, sealed),
        ("altered", "The sealed share was altered.", bad, seed, TID, bound, enc, altered),
    ];
    for (name, head, expect, seed, tid, bundle, encapsulated, sealed) in cases {
        let vector = Vector::new(&format!("{head} [S4.7]"), "accept-share", expect)
            .with("hybrid-seed", seed)
            .with("transfer", tid.0)
            .with("bundle", bundle)
            .with("encapsulated", encapsulated)
            .with("sealed", sealed);
        files.add(&format!("share-{name}"), vector);
    }
}
