//! A folder per test. It is removed when the test passes; when it fails, the folder stays and is named, together with
//! the command that repeats the test.

use std::path::{Path, PathBuf};

use crate::data::Dice;

/// The environment variable with the seed of all random choices.
pub const SEED_VARIABLE: &str = "HANDOVER_TEST_SEED";
const SEED: u64 = 20_261_122;

/// The folder of one test.
pub struct Scratch {
    path: PathBuf,
    seed: u64,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// Makes a folder below the folder for temporary files.
    pub fn new() -> Self {
        let seed = std::env::var(SEED_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(SEED);
        let made = tempfile::Builder::new().prefix("handover-test-").tempdir().expect("a scratch folder can be made");
        // The path may be shown and compared, so it is written as the system sees it.
        let path = std::fs::canonicalize(made.keep()).expect("a folder just made can be resolved");
        Self { path, seed }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside the folder.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a folder inside the folder.
    pub fn folder(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir_all(&path).expect("a folder can be made");
        path
    }

    /// Dice of the test's seed; another `purpose` throws other numbers.
    pub fn dice(&self, purpose: &str) -> Dice {
        Dice::new(self.seed, purpose)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept: {}", self.path.display());
            eprintln!("again: {}", replay(self.seed));
        } else if let Err(error) = remove(&self.path) {
            eprintln!("could not remove {}: {error}", self.path.display());
        }
    }
}

/// The command that repeats the running test.
fn replay(seed: u64) -> String {
    let own = std::env::current_exe().unwrap_or_default();
    let stem = own.file_stem().and_then(|stem| stem.to_str()).unwrap_or("?");
    let binary = stem.rsplit_once('-').map_or(stem, |(name, _hash)| name);
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("?");
    format!(
        "{SEED_VARIABLE}={seed} cargo test -p handover-tests --test {binary} -- --exact {test} --include-ignored \
         --nocapture"
    )
}

/// Removes a folder with everything in it, also where a test took away its own rights.
fn remove(path: &Path) -> std::io::Result<()> {
    if std::fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    open_up(path)?;
    std::fs::remove_dir_all(path)
}

fn open_up(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
