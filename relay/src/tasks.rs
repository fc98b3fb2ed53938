//! Tasks that end with the relay, and that a drain waits for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

/// Running tasks.
#[derive(Default)]
pub(crate) struct Tasks {
    set: Mutex<JoinSet<()>>,
    running: watch::Sender<usize>,
}

/// One running task; dropped when it ends in whatever way.
struct Running(watch::Sender<usize>);

impl Tasks {
    /// Runs something.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let running = Running::new(&self.running);
        let mut set = self.lock();
        while set.try_join_next().is_some() {}
        set.spawn(async move {
            let _running = running;
            task.await;
        });
    }

    /// Waits until nothing runs.
    pub(crate) async fn ended(&self) {
        let mut running = self.running.subscribe();
        // The sender lives in what this borrows.
        drop(running.wait_for(|running| *running == 0).await);
    }

    /// Ends everything at its next pause.
    pub(crate) fn abort(&self) {
        self.lock().abort_all();
    }

    fn lock(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|running| *running += 1);
        Self(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}
