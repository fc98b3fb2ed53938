//! Statements are checked by OpenSSH itself, and by nothing else, when it comes to a dispute. Needs `ssh-keygen`.
#![cfg(feature = "endpoint")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::World;
use handover_shared::proof::{self, Identity, IdentityFault, Kind};

#[test] // [S10.1] [S16.4] [S16.5]
fn openssh_accepts_every_kind_of_statement_and_nothing_else() {
    let world = World::new();
    let relay = common::relay_identity();
    let statements = [
        (Kind::Offer, world.offer.to_text(), &world.seller),
        (Kind::Seal, world.seal.to_text(), &world.seller),
        (Kind::Claim, world.claim.to_text(), &world.buyer),
        (Kind::Receipt, world.receipt.to_text(), &world.buyer),
        (Kind::LogHead, common::log_head().to_text(), &relay),
        (Kind::Deletion, common::deletion().to_text(), &relay),
        (Kind::Destruction, common::destruction(&world).to_text(), &world.seller),
        (Kind::Witness, common::witness(&world).to_text(), &world.buyer),
    ];
    for (kind, text, signer) in statements {
        let signature = proof::sign(kind, &text, signer).unwrap();
        let other = if signer.public() == world.seller.public() { &world.buyer } else { &world.seller };

        assert!(openssh_accepts(kind.namespace(), &text, &signature, signer), "{kind:?}");

        assert!(!openssh_accepts(kind.namespace(), &text.replacen(": ", ":  ", 1), &signature, signer), "altered");
        assert!(!openssh_accepts(kind.namespace(), &text, &signature, other), "other signer");
        for wrong in Kind::ALL.into_iter().filter(|wrong| *wrong != kind) {
            assert!(!openssh_accepts(wrong.namespace(), &text, &signature, signer), "{kind:?} is not {wrong:?}");
        }
    }
    // The second signature of a claim, by the key derived from the code.
    let (text, _, by_claim_key) = world.signed_claim(&world.claim);
    assert!(openssh_accepts(Kind::Claim.namespace(), &text, &by_claim_key, world.keys.claim.identity()));
}

#[test] // [S10.1] [S10.2]
fn keys_and_signatures_of_openssh_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    run(ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "Ada Ж", "-f"]).arg(&path), "");
    let identity = Identity::of_openssh(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(identity.comment(), "Ada Ж");
    let line = fs::read_to_string(path.with_extension("pub")).unwrap();
    assert_eq!(proof::PublicIdentity::of_openssh(&line), Ok(identity.public()));
    assert_eq!(identity.public().to_openssh("Ada Ж"), line.trim_end());
    let shown = String::from_utf8(run(ssh_keygen(&["-l", "-f"]).arg(&path), "").stdout).unwrap();
    assert!(shown.contains(&format!(" {} ", identity.public().fingerprint())), "{shown}");
    let as_link = handover_shared::ids::LinkKey(*identity.public().as_bytes());
    assert_eq!(proof::fingerprint_of_link_key(&as_link), identity.public().fingerprint());

    let text = World::new().receipt.to_text();
    let signed = run(ssh_keygen(&["-q", "-Y", "sign", "-n", Kind::Receipt.namespace(), "-f"]).arg(&path), &text);
    let signature = String::from_utf8(signed.stdout).unwrap();
    assert_eq!(proof::verify(Kind::Receipt, &text, &signature), Ok(identity.public()));
    assert_eq!(proof::sign(Kind::Receipt, &text, &identity).unwrap(), signature, "the very same bytes");

    let sha256 = run(
        ssh_keygen(&["-q", "-Y", "sign", "-O", "hashalg=sha256", "-n", Kind::Receipt.namespace(), "-f"]).arg(&path),
        &text,
    );
    let signature = String::from_utf8(sha256.stdout).unwrap();
    assert!(matches!(
        proof::verify(Kind::Receipt, &text, &signature),
        Err(proof::ProofFault::SignatureUse("version, reserved bytes or hash"))
    ));
}

#[test] // [S10.1]
fn other_keys_of_openssh_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (locked, ecdsa, kept) = (folder.path().join("locked"), folder.path().join("ecdsa"), folder.path().join("kept"));
    run(ssh_keygen(&["-q", "-t", "ed25519", "-N", "secret", "-f"]).arg(&locked), "");
    let fault = Identity::of_openssh(&fs::read_to_string(&locked).unwrap()).unwrap_err();
    assert_eq!(fault, IdentityFault::Encrypted);
    run(ssh_keygen(&["-q", "-t", "ecdsa", "-N", "", "-f"]).arg(&ecdsa), "");
    let fault = Identity::of_openssh(&fs::read_to_string(&ecdsa).unwrap()).unwrap_err();
    assert_eq!(fault, IdentityFault::NotEd25519);
    let text = World::new().receipt.to_text();
    let signed = run(ssh_keygen(&["-q", "-Y", "sign", "-n", Kind::Receipt.namespace(), "-f"]).arg(&ecdsa), &text);
    let fault = proof::verify(Kind::Receipt, &text, &String::from_utf8(signed.stdout).unwrap()).unwrap_err();
    assert!(matches!(fault, proof::ProofFault::SignatureForm(_)), "{fault:?}");

    // And a key made here is a key for OpenSSH.
    let identity = World::new().seller;
    fs::write(&kept, identity.to_openssh().as_bytes()).unwrap();
    private(&kept);
    let public = run(ssh_keygen(&["-y", "-f"]).arg(&kept), "");
    let line = String::from_utf8(public.stdout).unwrap();
    assert_eq!(line.trim_end(), identity.public().to_openssh("seller@example"));
}

#[test] // [S20.2]
fn protected_keys_are_those_of_openssh_in_both_directions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    run(ssh_keygen(&["-q", "-t", "ed25519", "-N", "correct horse", "-f"]).arg(&path), "");
    let pem = fs::read_to_string(&path).unwrap();
    assert!(matches!(Identity::of_openssh(&pem), Err(IdentityFault::Encrypted)));
    assert!(matches!(Identity::of_protected(&pem, b"battery"), Err(IdentityFault::Passphrase)));
    let identity = Identity::of_protected(&pem, b"correct horse").unwrap();
    assert_eq!(Identity::peek(&pem).unwrap(), (identity.public(), proof::Protection::Passphrase));
    let line = fs::read_to_string(path.with_extension("pub")).unwrap();
    assert_eq!(proof::PublicIdentity::of_openssh(&line), Ok(identity.public()));

    let ours = folder.path().join("ours");
    let written = identity.to_protected("长风".as_bytes(), &mut handover_shared::keys::OsEntropy).unwrap();
    fs::write(&ours, written.as_bytes()).unwrap();
    private(&ours);
    let public = run(ssh_keygen(&["-y", "-P", "长风", "-f"]).arg(&ours), "");
    let public = String::from_utf8(public.stdout).unwrap();
    assert_eq!(proof::PublicIdentity::of_openssh(&public), Ok(identity.public()));
    assert!(!output(ssh_keygen(&["-y", "-P", "", "-f"]).arg(&ours), "").status.success());

    // A file that asks for a day of work is refused before any of it is done.
    let slow = with_rounds(&pem, u32::MAX);
    assert!(matches!(Identity::of_protected(&slow, b"x"), Err(IdentityFault::TooMuchWork { seen: u32::MAX, .. })));
}

/// The same key file, asking for other work.
fn with_rounds(pem: &str, rounds: u32) -> String {
    let key = ssh_key::PrivateKey::from_openssh(pem).unwrap();
    let ssh_key::Kdf::Bcrypt { salt, .. } = key.kdf() else { unreachable!("it is protected") };
    let mut bytes = key.to_bytes().unwrap().to_vec();
    let at = bytes.windows(salt.len()).position(|window| window == salt.as_slice()).unwrap() + salt.len();
    bytes[at..at + 4].copy_from_slice(&rounds.to_be_bytes());
    ssh_key::PrivateKey::from_bytes(&bytes).unwrap().to_openssh(ssh_key::LineEnding::LF).unwrap().to_string()
}

fn openssh_accepts(namespace: &str, text: &str, signature: &str, signer: &Identity) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (signers, signed) = (folder.path().join("signers"), folder.path().join("signature"));
    fs::write(&signers, format!("somebody {}\n", signer.public().to_openssh(""))).unwrap();
    fs::write(&signed, signature).unwrap();
    let mut command = ssh_keygen(&["-Y", "verify", "-I", "somebody", "-n", namespace]);
    command.arg("-f").arg(&signers).arg("-s").arg(&signed);
    output(&mut command, text).status.success()
}

fn ssh_keygen(arguments: &[&str]) -> Command {
    let mut command = Command::new("ssh-keygen");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(command: &mut Command, input: &str) -> Output {
    let output = output(command, input);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn output(command: &mut Command, input: &str) -> Output {
    let mut child = command.spawn().expect("ssh-keygen is installed");
    // A program that does not read its input closes it early.
    let written = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(written.is_ok() || !output.status.success(), "{written:?}");
    output
}

#[cfg(unix)]
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn private(_: &Path) {}
