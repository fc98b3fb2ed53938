//! What the process does for its secrets before anything else.

/// No core dumps, no tracing by other users' processes, files for the owner alone.
#[cfg(unix)]
pub fn harden() {
    use rustix::process::{Resource, Rlimit, setrlimit, umask};

    umask(rustix::fs::Mode::from_raw_mode(0o077));
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        eprintln!("handover-relay: core dumps stay possible: {error}");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        eprintln!("handover-relay: core dumps stay possible: {error}");
    }
}

/// The other systems keep a process's memory to its user.
#[cfg(not(unix))]
pub fn harden() {}
