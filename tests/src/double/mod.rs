//! Doubles: they speak the real protocol to the real programs, and do as a test tells them.

pub mod cage;
pub mod relay;
mod relay_honest;
mod relay_script;
pub mod seller;
pub mod seller_archive;
pub mod seller_wire;
pub mod stranger;
pub mod tcp_wire;

pub use relay::EvilRelay;
pub use relay_honest::{Held, Store};
pub use relay_script::{Say, Visit};
