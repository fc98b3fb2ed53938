//! The program of the relay.

mod audit;
mod cli;
mod harden;
mod log;
mod options;
mod problem;
mod run;
mod transfers;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    harden::harden();
    let language = words::Language::of_environment();
    match run::run(language) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => problem.tell(language),
    }
}
