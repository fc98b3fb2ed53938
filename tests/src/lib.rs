//! The kit of the tests: it starts the real programs, watches them, and compares what went in with what came out.
//!
//! | module | what |
//! |---|---|
//! | [`blows`] | one handover whose parties are killed, frozen and ended, and must end well |
//! | [`disk`] | a disk whose power can be cut |
//! | [`programs`] | builds `handover` and `handover-relay` once per test process and knows where they are |
//! | [`scratch`] | a folder per test, removed when it passes, kept and named when it fails |
//! | [`process`] | one process: its output as it comes, signals, a deadline after which it is killed and shown |
//! | [`proxy`] | a piece of network that can be cut or lose datagrams, and can change the address behind which a client is |
//! | [`gateway`] | proxies as offices have them |
//! | [`relay`] | a relay on a loopback port that can be killed and started again |
//! | [`person`] | a machine with a home of its own that pushes or pulls |
//! | [`strace`] | makes chosen system calls of a process fail |
//! | [`tree`] | what a folder holds, to the nanosecond, and how two differ |
//! | [`data`] | seeded files and names |
//! | [`double`] | parties that speak the real protocol and mean no good |
//! | [`log_book`] | a relay's log in memory, to be altered in every way |
//! | [`faults_table`] | what was tried against the programs, and what came of it, as the tests found it |
//! | [`needles`] | searches files and the memory of a process for what must not be there |
//! | [`sim`] | the simulated world: three machines, one seeded clock, every fault |
//! | [`fuzz`] | the bodies of the fuzz targets |
//! | [`wait`] | the one place where time passes |
//!
//! A test says what must happen; it never sleeps. Every random choice comes from one seed, and a test that fails prints
//! the command that repeats it.

// A failure in the kit is a failed test: it must be loud, and it has nobody to return an error to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the kit runs inside tests only")]

pub mod blows;
pub mod data;
pub mod disk;
pub mod double;
pub mod faults_table;
pub mod fuzz;
pub mod gateway;
pub mod log_book;
pub mod needles;
pub mod person;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod relay;
pub mod scratch;
pub mod sim;
pub mod strace;
pub mod tree;
pub mod wait;

pub use person::{Language, Person, Pushing};
pub use process::{Ended, Input, Launch, Running};
pub use relay::RelayProc;
pub use scratch::Scratch;
pub use tree::Tree;
