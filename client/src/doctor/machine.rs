//! What this machine keeps for itself: who may read it, who signs, what was interrupted, what was left behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Fact, Listener};
use crate::error::Error;
use crate::home::Home;
use crate::home::transfers::{Facts, State};

/// Files of the state folder that are looked at one by one.
const OWN_FILES: [&str; 5] = ["identity", "identity.toml", "link.key", "relays.toml", "config.toml"];

/// Looks at this machine's own files, and at what lies in a destination.
pub fn examine(home: &Home, destination: &Path, tell: &mut impl Listener) {
    tell.hear(rights(home.state_folder()));
    match home.identity() {
        Ok(Some(owner)) => tell.hear(Fact::Identity { fingerprint: owner.identity.public().fingerprint() }),
        Ok(None) => tell.hear(Fact::NoIdentity),
        Err(error) => tell.hear(Fact::HomeFailed { error }),
    }
    match transfers(home) {
        Ok(all) => {
            let ids: Vec<u64> = all.iter().filter(|facts| is_interrupted(facts)).map(|facts| facts.id).collect();
            tell.hear(if ids.is_empty() { Fact::NothingInterrupted } else { Fact::Interrupted { ids } });
            if let Some(fact) = leftovers(&all, destination) {
                tell.hear(fact);
            }
        }
        Err(error) => tell.hear(Fact::HomeFailed { error }),
    }
}

fn transfers(home: &Home) -> Result<Vec<Facts>, Error> {
    home.transfers()?.iter().map(|folder| folder.facts()).collect()
}

/// Whether a transfer could go on.
pub fn is_interrupted(facts: &Facts) -> bool {
    match facts.state {
        State::Preparing | State::Sending | State::Claiming | State::Receiving | State::Received => true,
        // A relay inside a push lives only as long as the push.
        State::Waiting => facts.embedded,
        State::Collected
        | State::Delivered
        | State::Revoked
        | State::Expired
        | State::Refused
        | State::TakenDown
        | State::Failed => false,
    }
}

#[cfg(unix)]
fn rights(folder: &Path) -> Fact {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS: u32 = 0o077;
    let files = OWN_FILES.iter().map(|name| folder.join(name));
    for path in std::iter::once(folder.to_path_buf()).chain(files) {
        let Ok(meta) = fs::metadata(&path) else { continue };
        let mode = meta.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            return Fact::RightsOpen { path, mode };
        }
    }
    Fact::RightsFine { path: folder.to_path_buf() }
}

#[cfg(not(unix))]
fn rights(folder: &Path) -> Fact {
    Fact::RightsFine { path: folder.to_path_buf() }
}

/// Work folders in the destination that no transfer of this machine will come back for.
fn leftovers(all: &[Facts], destination: &Path) -> Option<Fact> {
    let path = destination.join(String::from_utf8_lossy(crate::pull::WORK_FOLDER).as_ref());
    let wanted: BTreeSet<&str> =
        all.iter().filter(|facts| is_interrupted(facts)).map(|it| it.transfer.as_str()).collect();
    let names = fs::read_dir(&path).ok()?.flatten().map(|entry| entry.file_name());
    let count = names.filter(|name| !name.to_str().is_some_and(|name| wanted.contains(name))).count() as u64;
    (count > 0).then_some(Fact::Leftovers { path, count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn heard(home: &Home, destination: &Path) -> Vec<Fact> {
        let mut facts = Vec::new();
        examine(home, destination, &mut |fact| facts.push(fact));
        facts
    }

    #[test]
    fn a_new_machine_is_fine() {
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::open(Some(&scratch.path().join("home"))).unwrap();
        let facts = heard(&home, scratch.path());
        assert!(facts.iter().all(|fact| fact.verdict() == Verdict::Fine), "{facts:?}");
        assert_eq!(facts.len(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn what_others_can_read_and_what_was_left_behind_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().unwrap();
        let home = Home::open(Some(&scratch.path().join("home"))).unwrap();
        home.create_identity(Some("Wang"), None).unwrap();
        let key = home.state_folder().join("identity");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        fs::create_dir_all(scratch.path().join(".handover").join("ab".repeat(16))).unwrap();
        let facts = heard(&home, scratch.path());
        assert!(matches!(&facts[0], Fact::RightsOpen { path, mode: 0o644 } if *path == key), "{facts:?}");
        assert!(matches!(&facts[1], Fact::Identity { .. }), "{facts:?}");
        assert!(matches!(&facts[3], Fact::Leftovers { count: 1, .. }), "{facts:?}");
        fs::set_permissions(home.state_folder(), fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(rights(home.state_folder()), Fact::RightsOpen { mode: 0o750, .. }));
    }
}
