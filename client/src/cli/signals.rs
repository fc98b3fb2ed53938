//! What the system tells this process: stop, and say how far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::problem::Exit;
use super::report::Report;
use crate::stop::Stopper;
use crate::t;

/// Listens for signals. The first interruption asks the work to stop, where there is work that can; the second ends
/// the process at once. Either way the state is on disk.
#[derive(Clone)]
pub(crate) struct Signals {
    /// Pieces of work under way that stop when they are asked.
    working: Arc<AtomicUsize>,
}

/// Work that stops when it is asked; ends when dropped.
pub(crate) struct Working(Arc<AtomicUsize>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen(stopper: Stopper, report: Arc<Report>) -> Self {
        let signals = Self { working: Arc::new(AtomicUsize::new(0)) };
        tokio::spawn(listen(signals.working.clone(), stopper, report));
        signals
    }

    /// Work begins that stops when it is asked.
    pub(crate) fn working(&self) -> Working {
        self.working.fetch_add(1, Ordering::SeqCst);
        Working(self.working.clone())
    }

    /// A person is being asked something: an interruption ends the process, whatever work waits for the answer.
    pub(crate) fn asking(&self) -> Asking {
        Asking(self.working.clone(), self.working.swap(0, Ordering::SeqCst))
    }
}

/// A question is open; ends when dropped.
pub(crate) struct Asking(Arc<AtomicUsize>, usize);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.fetch_add(self.1, Ordering::SeqCst);
    }
}

#[cfg(unix)]
async fn listen(working: Arc<AtomicUsize>, stopper: Stopper, report: Arc<Report>) {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::user_defined1(), SignalKind::user_defined2()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut tell), Ok(mut limit)] = kinds.map(signal) else {
        tracing::debug!("signals cannot be heard");
        return;
    };
    let mut asked = false;
    loop {
        tokio::select! {
            Some(()) = interrupt.recv() => interrupted(&mut asked, &working, &stopper, &report),
            Some(()) = terminate.recv() => interrupted(&mut asked, &working, &stopper, &report),
            Some(()) = tell.recv() => report.line_now(),
            Some(()) = limit.recv() => report.toggle_limit(),
            else => return,
        }
    }
}

#[cfg(not(unix))]
async fn listen(working: Arc<AtomicUsize>, stopper: Stopper, report: Arc<Report>) {
    let mut asked = false;
    while tokio::signal::ctrl_c().await.is_ok() {
        interrupted(&mut asked, &working, &stopper, &report);
    }
}

#[expect(clippy::exit, reason = "the person asked for an end at once; what matters is on disk")]
fn interrupted(asked: &mut bool, working: &AtomicUsize, stopper: &Stopper, report: &Report) {
    let can_stop = working.load(Ordering::SeqCst) > 0;
    if *asked || !can_stop {
        super::ask::show_again();
        report.screen.clear();
        report.screen.say_always("\n");
        std::process::exit(i32::from(Exit::Interrupted.number()));
    }
    *asked = true;
    stopper.stop();
    let words = &report.screen.style.words;
    let how = match report.id() {
        Some(id) => t!(words, "stopping-id", id = id.to_string()),
        None => t!(words, "stopping"),
    };
    report.screen.say_always(&format!("\n  {how}\n"));
}
