//! Every bound on bytes from outside, compared before anything is allocated, looped over or recursed into.
//!
//! # Source
//! SPEC [S3.1]. Sizes in bytes unless the name says otherwise.

/// One control message, type byte and CBOR.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// The two messages that carry a sealed offer.
pub const OFFER_MESSAGE_BYTES_MAX: usize = 512 * 1024;
/// A sealed offer.
pub const SEALED_OFFER_BYTES_MAX: usize = 256 * 1024;
/// A signed text.
pub const STATEMENT_BYTES_MAX: usize = 4 * 1024;
/// An armoured SSHSIG signature.
pub const SIGNATURE_BYTES_MAX: usize = 4 * 1024;
/// Lines of an inventory that name entries.
pub const INVENTORY_LINES_MAX: usize = 120;
/// How deep an inventory names entries.
pub const INVENTORY_DEPTH_MAX: usize = 8;
/// Endings of names that an inventory counts one by one.
pub const INVENTORY_TYPES_MAX: usize = 24;
/// Exceptions that an inventory names.
pub const INVENTORY_EXCEPTIONS_MAX: usize = 60;
/// An inventory: every line at its longest, six bytes for each of a path.
pub const INVENTORY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A path inside an archive.
pub const PATH_BYTES_MAX: usize = 4096;
/// Components of a path.
pub const PATH_COMPONENTS_MAX: usize = 64;
/// One component of a path.
pub const COMPONENT_BYTES_MAX: usize = 255;
/// The last component of a path that is listed for being too long or too deep.
pub const LISTED_COMPONENT_BYTES_MAX: usize = 1024;
/// The target of a link.
pub const TARGET_BYTES_MAX: usize = 4096;
/// The bytes of one Data item, and the piece of a file that is hashed as one subtree.
pub const PIECE_BYTES: usize = 1024 * 1024;
/// What a frame holds before compression.
pub const FRAME_RAW_BYTES_MAX: usize = PIECE_BYTES + 64 * 1024;
/// One page of the catalogue, CBOR.
pub const PAGE_BYTES_MAX: usize = 256 * 1024;
/// The record in the tail block.
pub const TAIL_BYTES_MAX: usize = 48 * 1024;
/// A sealed block of a large transfer, and what it carries.
pub const BLOCK_BYTES_LARGE: u32 = 1_048_576;
/// A sealed block of a small transfer.
pub const BLOCK_BYTES_SMALL: u32 = 65_536;
/// Below this scanned total a transfer uses small blocks.
pub const SMALL_TRANSFER_BYTES: u64 = 8 * 1024 * 1024;
/// Blocks in one transfer.
pub const BLOCKS_MAX: u64 = 1 << 32;
/// A label or an organisation's name, in characters.
pub const LABEL_CHARS_MAX: usize = 120;
/// The biggest entries named in an offer.
pub const BIGGEST_MAX: usize = 8;
/// The name of one of the biggest entries in an offer, in characters.
pub const BIGGEST_NAME_CHARS_MAX: usize = 255;
/// The lengths a sealed offer's content is padded to.
pub const OFFER_PADDED_BYTES: [usize; 4] = [4 * 1024, 16 * 1024, 64 * 1024, 252 * 1024];
/// A code as somebody typed or pasted it.
pub const CODE_INPUT_BYTES_MAX: usize = 4 * 1024;
/// An OpenSSH key file.
pub const IDENTITY_FILE_BYTES_MAX: usize = 16 * 1024;
/// Rounds of bcrypt-pbkdf that a key file may ask for before a passphrase can be tried.
pub const PASSPHRASE_ROUNDS_MAX: u32 = 4096;
/// Rounds of bcrypt-pbkdf for a key file that is written here; twice what `ssh-keygen` takes.
pub const PASSPHRASE_ROUNDS: u32 = 48;
/// A message of an ssh-agent.
pub const AGENT_MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Keys that an ssh-agent may list.
pub const AGENT_KEYS_MAX: usize = 1024;
/// A receipt sealed to the seller.
pub const SEALED_RECEIPT_BYTES_MAX: usize = 16 * 1024;
/// A signed agreement, or a refusal of it, sealed to the seller.
pub const SEALED_AGREEMENT_BYTES_MAX: usize = 16 * 1024;
/// A person's full name under an agreement, in characters.
pub const FULL_NAME_CHARS_MAX: usize = 64;
/// The name of an agreement's document, in characters.
pub const DOCUMENT_NAME_CHARS_MAX: usize = 80;
/// Why somebody refuses an agreement, in characters.
pub const REASON_CHARS_MAX: usize = 200;
/// An agreement's document, sealed.
pub const SEALED_DOCUMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Every other paper, sealed.
pub const SEALED_PAPER_BYTES_MAX: u64 = 64 * 1024;
/// Times a file that changes while it is read is read.
pub const READ_ATTEMPTS_MAX: u32 = 3;
/// Bidirectional streams a client may hold open on one connection.
pub const STREAMS_MAX: u32 = 16;
/// The bytes of one data record on TCP. [S11.8]
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Silence after which an end of a connection says that it is there, in milliseconds. [S11.5]
pub const KEEP_ALIVE_MS: u64 = 4_000;
/// Silence after which a connection is given up, in milliseconds. [S11.5]
pub const IDLE_MS_MAX: u32 = 12_000;
/// Link keys whose refused claims are remembered for one transfer.
pub const REFUSED_CLAIMS_MAX: usize = 64;
/// Events sent in one snapshot.
pub const EVENTS_MAX: usize = 256;
/// A written invite: its bech32m part, `@`, a host name and a port.
pub const INVITE_CHARS_MAX: usize = 90 + 1 + 253 + 6;
/// Entries of the log in one answer.
pub const LOG_ENTRIES_MAX: usize = 20;
/// Hashes in one proof about the log: a consistency proof has at most one more than twice the height of the tree.
pub const LOG_PROOF_HASHES_MAX: usize = 128;
/// Why an operator takes a transfer down, in characters.
pub const TAKEDOWN_REASON_CHARS_MAX: usize = 500;
/// Times a block that does not open is fetched again.
pub const BLOCK_REPEATS_MAX: u32 = 3;
