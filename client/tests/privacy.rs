//! Names, contents and secrets of a push reach neither the log nor what events print of themselves.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bench;

use std::io::Write;
use std::sync::{Arc, Mutex};

use bench::{Bench, Seen};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_logging_and_events_hold_no_name_content_or_code() {
    let log = Log::default();
    let filter = "handover=trace,handover_relay=trace,handover_shared=trace,quinn=debug,warn";
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let bench = Bench::new().await;
    let root = bench.path("PlantedFolder");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("PlantedName.csv"), b"PlantedContent").unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("PlantedPipe"), mode).unwrap();
    let doomed = root.join("PlantedGone");
    std::fs::write(&doomed, b"PlantedContent").unwrap();
    let seen = Seen::acting(move |event| {
        if format!("{event:?}").starts_with("CodeReady") {
            std::fs::remove_file(&doomed).unwrap();
        }
    });

    let pushed = bench.push(bench.options(&["PlantedFolder"]), &seen).await.unwrap();
    let missing = bench.push(bench.options(&["PlantedMissing"]), &seen).await.unwrap_err();

    assert_eq!((pushed.files, pushed.exceptions), (1, 2));
    let code = seen.code();
    let code = code.split('@').next().unwrap();
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    let told = format!("{}\n{missing:?}\n{missing}", seen.lines().join("\n"));
    assert!(logged.contains("announces") && told.contains("Exception"), "both were really kept:\n{logged}\n{told}");
    for secret in ["Planted", code, &code[3..]] {
        assert!(!logged.contains(secret), "{secret} in the log:\n{logged}");
        assert!(!told.contains(secret), "{secret} in the events:\n{told}");
    }
}
