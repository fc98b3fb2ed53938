//! Where the two programs are. They are built here, each alone and in the profile of the running test, so that what is
//! tested is what a user gets: a build of the whole workspace would give the relay the features of the client.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A folder that holds both programs; nothing is built then.
pub const FOLDER_VARIABLE: &str = "HANDOVER_BIN_DIR";

/// The client.
pub fn handover() -> &'static Path {
    &programs().handover
}

/// The relay.
pub fn relay() -> &'static Path {
    &programs().relay
}

/// The root of the source tree.
pub fn source_tree() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().expect("the crate lies inside the workspace").to_path_buf()
}

/// Cargo, as it started this test.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Whether a program of the system can be found.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    // Where daemons live is on the path of root only.
    std::env::split_paths(&folders)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

struct Programs {
    handover: PathBuf,
    relay: PathBuf,
}

fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let folder = match std::env::var_os(FOLDER_VARIABLE) {
            Some(folder) => PathBuf::from(folder),
            None => build(),
        };
        let program = |name: &str| {
            let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
            assert!(path.is_file(), "no program at {}", path.display());
            std::fs::canonicalize(&path).expect("the path of a program can be resolved")
        };
        Programs { handover: program("handover"), relay: program("handover-relay") }
    })
}

fn build() -> PathBuf {
    let own = std::env::current_exe().expect("the test knows its own path");
    // TARGET/PROFILE/deps/test-1234, and for an example TARGET/PROFILE/examples/name.
    let folder = own.ancestors().nth(2).expect("a test lies inside the target folder").to_path_buf();
    let target = folder.parent().expect("a profile lies inside the target folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()).expect("a profile has a name") {
        "debug" => "dev",
        other => other,
    };
    for package in ["handover", "handover-relay"] {
        let built = Command::new(cargo())
            .args(["build", "--quiet", "--locked", "--bins", "--profile", profile, "--package", package])
            .arg("--target-dir")
            .arg(target)
            .current_dir(source_tree())
            .status()
            .expect("cargo can be started");
        assert!(built.success(), "cargo could not build {package}");
    }
    folder
}
