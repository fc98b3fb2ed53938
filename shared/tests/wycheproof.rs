//! Project Wycheproof's vectors of chunked encryption with AES-256-GCM, through the functions the archive uses.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use handover_shared::keys::seal::{self, HEADER_BYTES, SALT_BYTES, SealFault};
use wycheproof::TestResult;
use wycheproof::chunked_encryption::{Test, TestFlag, TestName, TestSet};

#[test] // [S4.2]
fn all_vectors() {
    let set = TestSet::load(TestName::Cobblestone256).unwrap();
    let tests: Vec<&Test> = set.test_groups.iter().flat_map(|group| &group.tests).collect();
    assert_eq!(tests.len(), 35);
    let (mut valid, mut refused) = (0, 0);
    for test in tests {
        let sealed = miniz_oxide::inflate::decompress_to_vec_zlib(&test.ct).unwrap();
        let Ok(key) = <[u8; 32]>::try_from(&test.key[..]) else {
            // A key of another size cannot be handed to these functions at all.
            assert!(test.flags.contains(&TestFlag::InvalidKeySize), "test {}", test.tc_id);
            refused += 1;
            continue;
        };
        match test.result {
            TestResult::Valid => {
                check_valid(test, &key, &sealed);
                valid += 1;
            }
            TestResult::Invalid | TestResult::Acceptable => {
                check_refused(test, &key, &sealed);
                refused += 1;
            }
        }
    }
    assert!(valid >= 5 && refused >= 20, "{valid} valid, {refused} refused");
}

fn check_valid(test: &Test, key: &[u8; 32], sealed: &[u8]) {
    let plain = seal::open(key, &test.ctx, sealed).unwrap();
    assert_eq!(Some(plain.len()), test.msg_length, "test {}", test.tc_id);
    assert_eq!(Some(sha512(&plain)), test.msg_sha512.as_ref().map(|hash| hash.to_vec()), "test {}", test.tc_id);
    assert_eq!(seal::plain_len(sealed.len()), Some(plain.len()));
    assert_eq!(seal::sealed_len(plain.len()), sealed.len());

    let mut buffer = sealed.to_vec();
    assert_eq!(seal::open_in_place(key, &test.ctx, &mut buffer).unwrap(), &plain[..], "test {}", test.tc_id);

    let salt: [u8; SALT_BYTES] = sealed[..SALT_BYTES].try_into().unwrap();
    assert_eq!(seal::seal(key, &test.ctx, salt, &plain), sealed, "test {}", test.tc_id);
}

fn check_refused(test: &Test, key: &[u8; 32], sealed: &[u8]) {
    let fault = seal::open(key, &test.ctx, sealed).unwrap_err();
    let mut buffer = sealed.to_vec();
    assert_eq!(seal::open_in_place(key, &test.ctx, &mut buffer), Err(fault), "test {}", test.tc_id);
    match fault {
        SealFault::Length => assert_eq!(seal::plain_len(sealed.len()), None),
        SealFault::Commitment => assert_eq!(buffer, sealed, "nothing is decrypted before the commitment is checked"),
        SealFault::Tag => assert!(buffer.iter().all(|byte| *byte == 0), "nothing of a refused message stays"),
    }
    if test.flags.contains(&TestFlag::HeaderFailure) {
        assert_ne!(fault, SealFault::Tag, "test {}", test.tc_id);
    }
    if test.flags.contains(&TestFlag::WrongKey) || test.flags.contains(&TestFlag::WrongContext) {
        assert_eq!(fault, SealFault::Commitment, "test {}", test.tc_id);
    }
}

fn sha512(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, bytes).as_ref().to_vec()
}

#[test] // [S4.2] [S8.1]
fn lengths_around_every_boundary() {
    for plain_len in [0, 1, 16_383, 16_384, 16_385, 32_767, 32_768, 65_416, 1_047_496] {
        let plain: Vec<u8> = (0..plain_len).map(|at| at as u8).collect();
        let mut out = b"before".to_vec();
        seal::seal_into(&[7; 32], b"context", [9; SALT_BYTES], &plain, &mut out);
        let sealed = &mut out[6..];
        let mut exact = vec![0xff; sealed.len()];
        assert_eq!(seal::seal_to(&[7; 32], b"context", [9; SALT_BYTES], &plain, &mut exact), Ok(()));
        assert_eq!(exact, sealed);
        exact.push(0);
        let longer = seal::seal_to(&[7; 32], b"context", [9; SALT_BYTES], &plain, &mut exact);
        assert_eq!(longer, Err(SealFault::Length));
        assert_eq!(sealed.len(), seal::sealed_len(plain_len));
        assert_eq!(seal::plain_len(sealed.len()), Some(plain_len));
        assert_eq!(*seal::open(&[7; 32], b"context", sealed).unwrap(), plain);
        assert_eq!(seal::open_in_place(&[7; 32], b"context", sealed).unwrap(), plain);
    }
    assert_eq!(seal::sealed_len(65_416), 65_536);
    assert_eq!(seal::sealed_len(1_047_496), 1_048_576);
    for refused in [0, HEADER_BYTES, HEADER_BYTES + 15, HEADER_BYTES + 16_400, HEADER_BYTES + 16_415] {
        assert_eq!(seal::plain_len(refused), None, "{refused}");
    }
}
