//! Log lines for developers, on standard error, only when asked for. They hold no name, code or key.

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::screen::Screen;

/// The variable that says what to log, as `tracing` writes it.
pub(crate) const VARIABLE: &str = "HANDOVER_LOG";

/// Begins logging if it is asked for.
pub(crate) fn begin(verbose: u8, variable: Option<&OsString>, screen: &Arc<Screen>) {
    let directives = match (variable.and_then(|value| value.to_str()), verbose) {
        (Some(directives), _) if !directives.is_empty() => directives,
        (_, 0) => return,
        (_, 1) => "handover=debug,handover_relay=debug,handover_shared=debug",
        _ => "handover=trace,handover_relay=trace,handover_shared=trace,quinn=debug",
    };
    let filter = EnvFilter::builder().parse_lossy(directives);
    let logger = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Around(screen.clone()))
        .try_init();
    if let Err(error) = logger {
        screen.say_always(&format!("{error}\n"));
    }
}

/// Writes around the progress lines.
struct Around(Arc<Screen>);

struct Line(Arc<Screen>, Vec<u8>);

impl<'a> MakeWriter<'a> for Around {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.0.clone(), Vec::new())
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.say_always(&String::from_utf8_lossy(&self.1));
    }
}
