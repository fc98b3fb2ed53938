//! The words of the command line; what they mean to people is in [`crate::words`].

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::options::Options;
use crate::problem::{Exit, Problem};
use crate::words::{self, Language};

/// One call of the program.
#[derive(Debug, Parser)]
#[command(name = "handover-relay", version, disable_help_subcommand = true)]
pub struct Cli {
    #[arg(long, global = true, value_name = "en|zh-CN")]
    pub lang: Option<String>,
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    Serve {
        #[arg(long, env = "HANDOVER_RELAY_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        options: Box<Options>,
    },
    Invite {
        #[arg(long, env = "HANDOVER_RELAY_DATA", value_name = "DIR")]
        data: Option<PathBuf>,
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        uses: Option<u64>,
        #[arg(long, env = "HANDOVER_RELAY_ADVERTISE", value_name = "HOST[:PORT]")]
        advertise: Option<String>,
        #[arg(long, conflicts_with_all = ["uses", "advertise", "revoke"])]
        list: bool,
        #[arg(long, value_name = "NUMBER", conflicts_with_all = ["uses", "advertise"])]
        revoke: Option<i64>,
    },
    Seller {
        #[arg(long, global = true, env = "HANDOVER_RELAY_DATA", value_name = "DIR")]
        data: Option<PathBuf>,
        #[command(subcommand)]
        verb: SellerVerb,
    },
    Transfers {
        #[arg(long, global = true, env = "HANDOVER_RELAY_DATA", value_name = "DIR")]
        data: Option<PathBuf>,
        #[command(subcommand)]
        verb: TransfersVerb,
    },
    Audit {
        #[arg(long, global = true, env = "HANDOVER_RELAY_DATA", value_name = "DIR")]
        data: Option<PathBuf>,
        #[command(subcommand)]
        verb: AuditVerb,
    },
    Version,
}

/// What to do about sellers.
#[derive(Debug, Subcommand)]
pub enum SellerVerb {
    List,
    Revoke {
        #[arg(value_name = "KEY")]
        key: String,
    },
}

/// What to do about transfers.
#[derive(Debug, Subcommand)]
pub enum TransfersVerb {
    List,
    Show {
        #[arg(value_name = "ID")]
        id: String,
    },
    Purge {
        #[arg(value_name = "ID")]
        id: String,
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// What to do about the log.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    Verify {
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
        #[arg(long, value_name = "DIR", conflicts_with = "head")]
        export: Option<PathBuf>,
    },
    Export {
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// Reads the command line; help and version are printed here and end the program well.
pub fn parse(language: Language) -> Result<Option<Cli>, Problem> {
    let matches = match words::explain(Cli::command(), language).try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return told(&error),
    };
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => Ok(Some(cli)),
        Err(error) => told(&error),
    }
}

fn told(error: &clap::Error) -> Result<Option<Cli>, Problem> {
    if error.use_stderr() {
        let text = error.render().to_string();
        let message = text.trim().strip_prefix("error: ").unwrap_or(text.trim()).to_owned();
        return Err(Problem { message, hint: None, exit: Exit::Usage });
    }
    error.print().map(|()| None).map_err(|error| Problem::failed(&error))
}
