//! The program `handover`.

use std::process::ExitCode;

fn main() -> ExitCode {
    handover::cli::main(std::env::args_os().collect())
}
