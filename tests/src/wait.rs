//! The one place where the kit lets time pass: looking again and again until something is there or patience ends.

use std::time::{Duration, Instant};

/// How long anything may take that normally takes a second or two, on a machine that is busy with other things.
pub const USUAL: Duration = Duration::from_secs(60);
/// How long a transfer of some hundred megabytes may take in a build without optimisation.
pub const LONG: Duration = Duration::from_secs(240);

const PAUSE: Duration = Duration::from_millis(2);
const PATIENCE_VARIABLE: &str = "HANDOVER_TEST_PATIENCE";

/// The limit, multiplied by the environment variable `HANDOVER_TEST_PATIENCE` for slow machines.
pub fn patience(limit: Duration) -> Duration {
    let factor = std::env::var(PATIENCE_VARIABLE).ok().and_then(|text| text.parse::<u32>().ok()).unwrap_or(1);
    limit * factor.max(1)
}

/// Lets a span pass that dice have thrown. It is for choosing the moment of a fault, never for waiting until something
/// has happened.
pub fn moment(span: Duration) {
    std::thread::sleep(span);
}

/// Looks until there is something to see.
///
/// # Errors
/// Nothing came within the limit.
pub fn try_until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T, Duration> {
    let limit = patience(limit);
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return Ok(seen);
        }
        if start.elapsed() > limit {
            return Err(limit);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Looks until there is something to see.
///
/// # Panics
/// When nothing came within the limit; the text says what was waited for.
pub fn until<T>(what: &str, limit: Duration, look: impl FnMut() -> Option<T>) -> T {
    match try_until(limit, look) {
        Ok(seen) => seen,
        Err(limit) => panic!("waited {} s for {what}", limit.as_secs()),
    }
}
