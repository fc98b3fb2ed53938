//! Being written.
use super::args::DemoArgs;
use super::problem::Exit;
use super::{Context, Failure};
use std::path::PathBuf;
pub(super) async fn run(_args: DemoArgs, _context: &Context) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
pub(super) async fn relay(_data: PathBuf, _context: &Context) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
