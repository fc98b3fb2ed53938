//! Where a code comes from, and keeping it out of sight of other processes.
//!
//! A code in the arguments can be read by every user of the machine for as long as the process runs. On Linux the
//! program therefore starts itself again in the same process, with the code in memory that only it can open and with
//! arguments and environment that no longer hold it.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use handover_shared::keys::code::{CodeError, Ticket};
use zeroize::Zeroizing;

use super::args::PullArgs;
use super::ask::Asker;
use super::config::Variables;
use crate::error::Error;

/// The variable that may hold a code.
pub(crate) const VARIABLE: &str = "HANDOVER_CODE";
/// The variable of `--code-file`.
const FILE_VARIABLE: &str = "HANDOVER_CODE_FILE";
/// Where the system shows what [`hide`] has made.
#[cfg(target_os = "linux")]
const MEMORY_LINK: &str = "/memfd:handover-code (deleted)";
/// A code file is one line.
const FILE_BYTES_MAX: u64 = 4096;

/// The code of a pull: from the arguments, a file, the environment, or the person.
pub(crate) fn ticket(args: &PullArgs, variables: &Variables, asker: &Asker) -> Result<Ticket, Error> {
    let text = if !args.code.is_empty() {
        Zeroizing::new(args.code.join(" "))
    } else if let Some(path) = &args.code_file {
        read_file(path)?
    } else if let Some(value) = variables.get(VARIABLE).filter(|value| !value.is_empty()) {
        Zeroizing::new(value.to_string_lossy().into_owned())
    } else {
        asker.code()?
    };
    Ok(Ticket::parse(&text)?)
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, Error> {
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
    let read = fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    wipe_memory(path);
    match read {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Error::Code(CodeError::NotACode)),
        Err(source) => Err(Error::disk("reading the code", path, source)),
    }
}

/// Empties the memory that [`hide`] has made, once its code has been read.
#[cfg(target_os = "linux")]
fn wipe_memory(path: &Path) {
    let is_ours = fs::read_link(path).is_ok_and(|link| link == Path::new(MEMORY_LINK));
    let wiped = |path: &Path| -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).open(path)?;
        let bytes = file.metadata()?.len().min(FILE_BYTES_MAX);
        file.write_all(&vec![0; bytes as usize])?;
        file.set_len(0)
    };
    if is_ours && let Err(error) = wiped(path) {
        tracing::debug!("the memory of the code was not emptied: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn wipe_memory(_path: &Path) {}

/// Writes a code into a file that only its owner can read.
pub(crate) fn write_file(path: &Path, code: &str) -> io::Result<()> {
    let mut file = crate::home::private_options().write(true).create(true).truncate(true).open(path)?;
    #[cfg(unix)]
    if file.metadata()?.is_file() {
        file.set_permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600))?;
    }
    let line = Zeroizing::new(format!("{code}\n"));
    file.write_all(line.as_bytes())?;
    file.flush()
}

/// Starts this program again without the code in its arguments and environment. Returns only if there is nothing to
/// hide or the system does not allow it; then the run simply goes on.
///
/// `places` are the places of the code in `args`, which begin with the program's name.
#[cfg(target_os = "linux")]
pub(crate) fn hide(args: &[OsString], places: &[usize], variables: &Variables) {
    use std::os::fd::AsRawFd;
    use std::os::unix::process::CommandExt;

    let is_file_named = variables.get(FILE_VARIABLE).is_some_and(|value| !value.is_empty());
    if places.is_empty() && is_file_named {
        return;
    }
    let in_arguments: Option<Vec<&str>> = places.iter().map(|place| args.get(*place)?.to_str()).collect();
    let from_arguments = in_arguments.filter(|words| !words.is_empty()).map(|words| Zeroizing::new(words.join(" ")));
    let from_variable = variables.get(VARIABLE).and_then(|value| value.to_str()).map(str::to_owned).map(Zeroizing::new);
    let Some(code) = from_arguments.or(from_variable).filter(|code| !code.is_empty()) else { return };
    let started = (|| -> io::Result<io::Error> {
        let program = std::env::current_exe()?;
        let memory = rustix::fs::memfd_create("handover-code", rustix::fs::MemfdFlags::empty())?;
        let mut memory = fs::File::from(memory);
        memory.write_all(code.as_bytes())?;
        let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
        // Not every system has /proc; without it the code could not be read again.
        fs::File::open(&path)?;
        let mut command = std::process::Command::new(program);
        if let Some(name) = args.first() {
            command.arg0(name);
        }
        let rest = args.iter().enumerate().skip(1).filter(|(place, _)| !places.contains(place)).map(|(_, arg)| arg);
        command.args(rest).env_remove(VARIABLE).env(FILE_VARIABLE, &path);
        Ok(command.exec())
    })();
    let (Ok(error) | Err(error)) = started;
    tracing::debug!("the code stays in the arguments: {error}");
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn hide(_args: &[OsString], _places: &[usize], _variables: &Variables) {}
