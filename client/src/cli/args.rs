//! The words of the command line. What they mean to a person stands in `words/`, under `help-COMMAND` and
//! `help-COMMAND-OPTION`.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use handover_shared::ids::Digest;

use super::values::{self, Level, ProxyWord, RelayWord};
use crate::bandwidth::Timetable;
use crate::link::network::TransportChoice;

#[derive(Debug, Parser)]
#[command(
    name = "handover",
    version,
    arg_required_else_help = true,
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = true,
    infer_subcommands = false
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) everywhere: Everywhere,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Everywhere {
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    #[arg(long, global = true, value_name = "when", default_value = "auto")]
    pub(crate) color: ColorWhen,
    #[arg(long, global = true, value_name = "language", value_parser = values::language)]
    pub(crate) lang: Option<crate::words::Language>,
    #[arg(long, global = true, value_name = "dir")]
    pub(crate) home: Option<PathBuf>,
    #[arg(long, global = true, value_name = "transport", default_value = "auto")]
    pub(crate) transport: TransportWord,
    #[arg(long, global = true, value_name = "proxy", value_parser = values::proxy)]
    pub(crate) proxy: Option<ProxyWord>,
    #[arg(long, global = true, value_name = "file")]
    pub(crate) passphrase_file: Option<PathBuf>,
    #[arg(short, long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportWord {
    Auto,
    Quic,
    Tcp,
}

impl From<TransportWord> for TransportChoice {
    fn from(word: TransportWord) -> Self {
        match word {
            TransportWord::Auto => Self::Auto,
            TransportWord::Quic => Self::Quic,
            TransportWord::Tcp => Self::Tcp,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(alias = "send", alias = "tx")]
    Push(Box<PushArgs>),
    #[command(alias = "receive", alias = "recv", alias = "rx")]
    Pull(Box<PullArgs>),
    #[command(alias = "list", alias = "ls")]
    Status {
        #[arg(value_name = "id")]
        id: Option<u64>,
    },
    Wait {
        #[arg(value_name = "id")]
        id: u64,
    },
    Resume(ResumeArgs),
    Revoke {
        #[arg(value_name = "id")]
        id: u64,
    },
    Code {
        #[arg(value_name = "id")]
        id: u64,
        #[arg(long, conflicts_with = "chinese")]
        words: bool,
        #[arg(long)]
        chinese: bool,
        #[arg(long)]
        qr: bool,
    },
    #[command(subcommand, subcommand_required = true)]
    Receipt(ReceiptCommand),
    Verify(VerifyArgs),
    Record(RecordArgs),
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Destroy(DestroyArgs),
    Witness {
        #[arg(value_name = "file")]
        file: PathBuf,
        #[arg(long)]
        present: bool,
    },
    #[command(subcommand, subcommand_required = true)]
    Audit(AuditCommand),
    #[command(subcommand, subcommand_required = true)]
    Identity(IdentityCommand),
    #[command(subcommand, subcommand_required = true)]
    Relay(RelayCommand),
    Doctor(DoctorArgs),
    Demo(DemoArgs),
    Completions {
        #[arg(value_name = "shell")]
        shell: Shell,
    },
    Help {
        #[arg(value_name = "command")]
        command: Vec<String>,
    },
    /// Runs a relay for the demo until its standard input ends; one line on stdout, the invite.
    #[command(hide = true)]
    RelayForDemo {
        #[arg(value_name = "dir")]
        data: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    #[arg(value_name = "path", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[arg(long, value_name = "relay", value_parser = values::relay)]
    pub(crate) relay: Option<RelayWord>,
    #[arg(long, value_name = "duration", value_parser = values::duration_ms)]
    pub(crate) expires: Option<u64>,
    #[arg(long, value_name = "file")]
    pub(crate) agreement: Option<PathBuf>,
    #[arg(long, value_name = "text")]
    pub(crate) label: Option<String>,
    #[arg(long, value_name = "glob")]
    pub(crate) exclude: Vec<String>,
    #[arg(long, value_name = "glob")]
    pub(crate) include: Vec<String>,
    #[arg(long, value_name = "file")]
    pub(crate) exclude_from: Vec<PathBuf>,
    #[arg(long)]
    pub(crate) follow: bool,
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    #[arg(long, value_name = "level", value_parser = values::level)]
    pub(crate) level: Option<Level>,
    #[arg(long, value_name = "limit", value_parser = values::bandwidth)]
    pub(crate) bwlimit: Option<Timetable>,
    #[arg(long)]
    pub(crate) wait: bool,
    #[arg(long)]
    pub(crate) no_qr: bool,
    #[arg(long, value_name = "file")]
    pub(crate) code_file: Option<PathBuf>,
    #[arg(long)]
    pub(crate) new: bool,
    #[arg(long = "as", value_name = "name")]
    pub(crate) name: Option<String>,
    #[arg(long, value_name = "fingerprint", value_parser = values::fingerprint)]
    pub(crate) expect_buyer: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    #[arg(value_name = "code")]
    pub(crate) code: Vec<String>,
    #[arg(short, long, value_name = "dir")]
    pub(crate) out: Option<PathBuf>,
    #[arg(long)]
    pub(crate) list: bool,
    #[arg(long, value_name = "policy")]
    pub(crate) conflict: Option<ConflictWord>,
    #[arg(long, value_name = "limit", value_parser = values::bandwidth)]
    pub(crate) bwlimit: Option<Timetable>,
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[arg(long, value_name = "sha256", value_parser = values::digest, requires = "as_name", conflicts_with = "refuse_agreement")]
    pub(crate) accept_agreement: Option<Digest>,
    #[arg(long = "as", value_name = "name", requires = "accept_agreement")]
    pub(crate) as_name: Option<String>,
    #[arg(long)]
    pub(crate) refuse_agreement: bool,
    #[arg(long, value_name = "text", requires = "refuse_agreement")]
    pub(crate) reason: Option<String>,
    #[arg(long, value_name = "file")]
    pub(crate) code_file: Option<PathBuf>,
    #[arg(long, value_name = "relay", value_parser = values::relay)]
    pub(crate) relay: Option<RelayWord>,
    #[arg(long, value_name = "fingerprint", value_parser = values::fingerprint)]
    pub(crate) expect_seller: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    #[arg(value_name = "id")]
    pub(crate) id: Option<u64>,
    #[arg(long, value_name = "limit", value_parser = values::bandwidth)]
    pub(crate) bwlimit: Option<Timetable>,
}

#[derive(Debug, Args)]
pub(crate) struct DestroyArgs {
    #[command(subcommand)]
    pub(crate) command: Option<DestroyCommand>,
    #[arg(value_name = "id", required = true)]
    pub(crate) id: Option<u64>,
    #[arg(long)]
    pub(crate) source: bool,
    #[arg(long, value_name = "text", requires = "source")]
    pub(crate) confirm: Option<String>,
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[arg(long, value_name = "text")]
    pub(crate) reason: Option<String>,
    #[arg(long, value_name = "dir")]
    pub(crate) certificate: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DestroyCommand {
    Verify {
        #[arg(value_name = "file")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[arg(value_name = "dir-or-id")]
    pub(crate) folder: PathBuf,
    #[arg(long, value_name = "id")]
    pub(crate) id: Option<u64>,
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConflictWord {
    Ask,
    Skip,
    Rename,
    Overwrite,
    Fail,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    Show {
        #[arg(value_name = "id")]
        id: u64,
    },
    Verify {
        #[arg(value_name = "file-or-id")]
        file: PathBuf,
        #[arg(long, value_name = "file")]
        signature: Option<PathBuf>,
        #[arg(long, value_name = "file")]
        allowed_signers: Option<PathBuf>,
    },
    Export {
        #[arg(value_name = "id")]
        id: u64,
        #[arg(value_name = "dir")]
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct RecordArgs {
    #[command(subcommand)]
    pub(crate) command: Option<RecordCommand>,
    #[arg(value_name = "id", required = true)]
    pub(crate) id: Option<u64>,
    #[arg(short, long, value_name = "file")]
    pub(crate) out: Option<PathBuf>,
    #[arg(long, value_name = "file")]
    pub(crate) annex: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecordCommand {
    Verify {
        #[arg(value_name = "file")]
        file: PathBuf,
        #[arg(long, value_name = "fingerprint", value_parser = values::fingerprint)]
        seller: Option<String>,
        #[arg(long, value_name = "fingerprint", value_parser = values::fingerprint)]
        buyer: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    Show {
        #[arg(value_name = "id")]
        id: u64,
    },
    Verify {
        #[arg(value_name = "dir-or-id")]
        what: PathBuf,
        #[arg(value_name = "dir-or-id")]
        other: Option<PathBuf>,
    },
    Export {
        #[arg(value_name = "id")]
        id: u64,
        #[arg(value_name = "dir")]
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    Show,
    Create(NameArgs),
    Import {
        #[arg(value_name = "file", required_unless_present = "agent")]
        file: Option<PathBuf>,
        #[arg(long, value_name = "fingerprint", num_args = 0..=1, conflicts_with = "file", value_parser = values::fingerprint)]
        agent: Option<Option<String>>,
        #[command(flatten)]
        names: NameArgs,
    },
    Passphrase {
        #[arg(long, value_name = "file")]
        new_passphrase_file: Option<PathBuf>,
        #[arg(long, conflicts_with = "new_passphrase_file")]
        remove: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    #[arg(long, value_name = "name")]
    pub(crate) name: Option<String>,
    #[arg(long, value_name = "name")]
    pub(crate) organisation: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RelayCommand {
    Add {
        #[arg(value_name = "invite")]
        invite: Option<String>,
    },
    #[command(alias = "ls")]
    List,
    Test {
        #[arg(value_name = "relay", value_parser = values::relay)]
        address: Option<RelayWord>,
    },
    #[command(alias = "rm")]
    Remove {
        #[arg(value_name = "address", value_parser = values::address)]
        address: handover_shared::keys::code::RelayAddress,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[arg(long, value_name = "relay", value_parser = values::relay)]
    pub(crate) relay: Option<RelayWord>,
    #[arg(short, long, value_name = "dir")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    #[arg(long, value_name = "size", value_parser = values::size_bytes)]
    pub(crate) size: Option<u64>,
    #[arg(long, value_name = "count")]
    pub(crate) files: Option<u64>,
    #[arg(long)]
    pub(crate) keep: bool,
}
