//! How much room a folder has, and how fast what is written there is durable.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Fact, Place};

/// At most so much is written, and no more than half of what is free.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// At least so much is written: a few bytes find room in the corner of a disk that is full.
const BYTES_MIN: u64 = 16 * 1024;
/// Writing stops after so long.
const SPAN: Duration = Duration::from_millis(800);
/// A disk that has not answered by then is told as one that does not.
const PATIENCE: Duration = Duration::from_secs(4);
const PIECE_BYTES: usize = 1024 * 1024;

/// Looks at a folder; at the nearest one above it, if it is not there yet.
pub async fn examine(place: Place, folder: &Path) -> Fact {
    let wanted = folder.to_path_buf();
    let measuring = tokio::task::spawn_blocking(move || {
        let path = nearest(&wanted);
        (measure(&path), path)
    });
    let failed = |path: PathBuf, source: io::Error| Fact::DiskFailed { place, path, source };
    match tokio::time::timeout(PATIENCE, measuring).await {
        Ok(Ok((Ok((free_bytes, bytes_a_second)), path))) => Fact::Disk { place, path, free_bytes, bytes_a_second },
        Ok(Ok((Err(source), path))) => failed(path, source),
        Ok(Err(panicked)) => failed(folder.to_path_buf(), io::Error::other(panicked)),
        Err(_elapsed) => failed(folder.to_path_buf(), io::ErrorKind::TimedOut.into()),
    }
}

/// The folder itself, or the first one above it that is there.
fn nearest(folder: &Path) -> PathBuf {
    let whole = std::path::absolute(folder).unwrap_or_else(|_unknown| folder.to_path_buf());
    whole.ancestors().find(|path| path.exists()).unwrap_or(&whole).to_path_buf()
}

/// Writes for a moment, and says how much room there is and how many bytes a second were durable.
fn measure(folder: &Path) -> io::Result<(Option<u64>, f64)> {
    let free_bytes = free(folder);
    let bytes_max = free_bytes.map_or(BYTES_MAX, |free| (free / 2).clamp(BYTES_MIN, BYTES_MAX));
    let path = folder.join(format!(".handover-doctor-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    // Without a name nothing is left behind, however this ends.
    fs::remove_file(&path)?;
    // What compresses would measure the file system's cleverness.
    let mut piece = vec![0; PIECE_BYTES];
    blake3::Hasher::new().update(&std::process::id().to_be_bytes()).finalize_xof().fill(&mut piece);
    let (began, mut written) = (Instant::now(), 0);
    loop {
        let length = usize::try_from(bytes_max - written).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        file.write_all(&piece[..length])?;
        written += length as u64;
        if began.elapsed() >= SPAN || written >= bytes_max {
            break;
        }
    }
    file.sync_all()?;
    Ok((free_bytes, written as f64 / began.elapsed().as_secs_f64().max(1e-6)))
}

fn free(folder: &Path) -> Option<u64> {
    match rustix::fs::statvfs(folder) {
        Ok(stat) => Some(stat.f_bavail.saturating_mul(stat.f_frsize)),
        Err(error) => {
            tracing::debug!(%error, "free space is unknown");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_behind_and_a_folder_that_is_not_there_is_that_above() {
        let scratch = tempfile::tempdir().unwrap();
        let below = scratch.path().join("not/there/yet");
        assert_eq!(nearest(&below), scratch.path());
        let (free_bytes, bytes_a_second) = measure(&nearest(&below)).unwrap();
        assert!(free_bytes.is_some() && bytes_a_second > 0.0);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_written_to_says_why() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        fs::write(&file, b"").unwrap();
        assert_eq!(measure(&file).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(measure(&scratch.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
