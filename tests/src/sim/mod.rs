//! The simulated world: seller, relay and buyers on one seeded clock, with everything going wrong that can.
//!
//! Real are the three machines of [`handover_shared::protocol`], the whole of [`handover_shared::archive`], keys, claims,
//! statements and messages. Simulated are what a machine stands on: disks that forget what was not synced, a network that
//! cuts, delays and brings late what nobody waits for, clocks, people. Between any two effects of anybody there can be a
//! crash. The model says what must be true, in the words of the SPEC; the mutants break one rule each, and
//! the model has to notice.
//!
//! | module | what |
//! |---|---|
//! | `world` | one world: schedule, faults, the end |
//! | `ctx` | clock, queue, network |
//! | `faults` | what goes wrong, and the mutants |
//! | `model` | what must be true |
//! | `disk`, `ledger` | what survives a crash |
//! | `relay`, `acts` | the relay's shell |
//! | `seller`, `papers`, `source`, `packing`, `journal` | the seller's shell |
//! | `buyer`, `placing` | the buyer's shell |
//! | `link` | a client's end of a connection |
//! | `rng` | chance |

mod buyer;
mod ctx;
mod disk;
mod faults;
mod journal;
mod ledger;
mod link;
mod model;
mod packing;
mod papers;
mod placing;
mod relay;
mod rng;
mod seller;
mod source;
mod world;

pub use faults::Mutant;
pub use rng::Rng;
pub use world::Tally;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs one world.
///
/// # Errors
/// What was not as it must be.
pub fn run(seed: u64, mutant: Option<Mutant>) -> Result<Tally, String> {
    caught(|| world::World::new(seed, mutant, false).run())
}

/// Runs one world and tells everything that happens in it.
///
/// # Errors
/// As [`run`].
pub fn replay(seed: u64, mutant: Option<Mutant>) -> (Result<Tally, String>, Vec<String>) {
    let mut world = world::World::new(seed, mutant, true);
    let outcome = caught(|| world.run());
    (outcome, world.trace())
}

fn caught(run: impl FnOnce() -> Result<Tally, String>) -> Result<Tally, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}
