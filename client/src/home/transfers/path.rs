//! Paths of this machine, kept as they are.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A path kept exactly, readable where it is UTF-8.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeptPath {
    /// UTF-8.
    Text(String),
    /// Anything else, as hex.
    Bytes {
        /// Lower-case hex of the path's bytes.
        hex: String,
    },
}

impl KeptPath {
    /// Keeps a path.
    pub fn of(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.into()),
            None => Self::Bytes { hex: handover_shared::ids::hex(path.as_os_str().as_encoded_bytes()) },
        }
    }

    /// The path again; `None` if the kept form is damaged.
    pub fn to_path(&self) -> Option<PathBuf> {
        match self {
            Self::Text(text) => Some(PathBuf::from(text)),
            #[cfg(unix)]
            Self::Bytes { hex } => handover_shared::ids::unhex(hex)
                .map(|bytes| PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes))),
            #[cfg(not(unix))]
            Self::Bytes { .. } => None,
        }
    }
}

impl std::fmt::Debug for KeptPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn paths_are_kept_exactly() {
        use std::os::unix::ffi::OsStrExt;
        for bytes in [&b"plain/path"[..], "客户".as_bytes(), b"caf\xe9"] {
            let path = Path::new(std::ffi::OsStr::from_bytes(bytes));
            let text = serde_json::to_string(&KeptPath::of(path)).unwrap();
            let kept: KeptPath = serde_json::from_str(&text).unwrap();
            assert_eq!(kept.to_path().unwrap(), path);
        }
    }
}
