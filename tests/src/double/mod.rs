//! Doubles: they speak the real protocol to the real programs, and do as a test tells them.

pub mod relay;
mod relay_honest;
mod relay_script;

pub use relay::EvilRelay;
pub use relay_honest::{Held, Store};
pub use relay_script::{Say, Visit};
