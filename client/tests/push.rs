//! Pushes real files through a real relay in the same process.

mod bench;

use bench::{Bench, Seen};
use handover::home::transfers::State;

#[tokio::test(flavor = "multi_thread")]
async fn a_small_folder_is_safe_at_the_relay() {
    let bench = Bench::new().await;
    bench.small_tree();
    let seen = Seen::new();

    let pushed = bench.push(bench.options(&["shop"]), &seen).await.unwrap();

    assert_eq!((pushed.id, pushed.files, pushed.exceptions), (1, 3, 0), "{:?}", seen.lines());
    assert!(seen.code().starts_with("ho1"));
    let facts = bench.facts(1);
    assert_eq!(facts.state, State::Waiting);
    assert_eq!((facts.folders, facts.links, facts.label.as_str()), (4, 1, "shop"));
    let secrets = bench.home().transfer(1).unwrap().secrets().unwrap();
    assert!(secrets.share.is_none() && secrets.code.is_some() && secrets.content_key.is_some());
    assert_eq!(bench.home().relays().unwrap().len(), 1, "enrolled and in the book");
}
