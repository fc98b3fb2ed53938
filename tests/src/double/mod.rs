//! Parties that speak the real protocol and mean no good.

pub mod cage;
pub mod seller;
pub mod seller_archive;
pub mod seller_wire;
pub mod stranger;
