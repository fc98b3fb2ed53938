//! The pipeline without a relay: stopped and continued at every block, with files that change under it.

mod scanning;
mod world;

use std::sync::Arc;
use std::time::Duration;

use handover_shared::archive::item::Reason;
use handover_shared::ids::BlockSize;

use world::{Told, World, random};

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")] // [S8.4] [S14.4]
async fn a_run_can_be_cut_off_behind_every_block_and_goes_on() {
    let world = World::new(BlockSize::Small);
    for index in 0..40 {
        world.file(&format!("small/{index:02}"), &random(&format!("{index}"), 3000 + index * 97));
    }
    world.file("large.bin", &random("large", 3 * MIB + 123));
    world.file("text.txt", &b"customers, customers, customers\n".repeat(60_000));
    world.folder("zz/empty");
    world.plan();
    let whole = world.run(0, u64::MAX).await;
    let total = whole.total.unwrap();
    let expected = world.decode(&whole.blocks);
    assert_eq!(expected.files["top/large.bin"].len(), 3 * MIB + 123);

    // Nobody knows how many of the blocks that were made came to be durable.
    for (made, durable) in (0..total).flat_map(|made| [(made, made), (made, made / 2), (made, made.saturating_sub(1))])
    {
        world.forget();
        let first = world.run(0, made).await;
        let mut blocks = first.blocks[..durable as usize].to_vec();
        let second = world.run(durable, u64::MAX).await;
        blocks.extend(second.blocks);
        assert_eq!(blocks.len() as u64, second.total.unwrap(), "{made} made, {durable} durable");
        let got = world.decode(&blocks);
        assert!(got == expected, "{made} made, {durable} durable");
    }
}

#[tokio::test(flavor = "multi_thread")] // [S14.4]
async fn a_run_that_is_cut_off_again_and_again_comes_to_its_end() {
    let world = World::new(BlockSize::Small);
    world.file("large.bin", &random("large", 5 * MIB));
    world.file("more.txt", &b"one line and another\n".repeat(50_000));
    world.plan();
    let mut blocks = Vec::new();
    let total = loop {
        let run = world.run(blocks.len() as u64, 20).await;
        blocks.extend(run.blocks);
        if let Some(total) = run.total {
            break total;
        }
    };
    assert_eq!(blocks.len() as u64, total);
    let got = world.decode(&blocks);
    assert!(got.files["top/large.bin"] == random("large", 5 * MIB));
    assert!(got.sections > 3, "every run began a section: {}", got.sections);
    assert_eq!(world.rest(total), "nothing", "everything was made");
}

#[tokio::test(flavor = "multi_thread")] // [S8.5]
async fn a_run_cut_off_in_the_padding_adds_only_what_is_missing() {
    let world = World::new(BlockSize::Small);
    world.file("large.bin", &random("large", 5 * MIB));
    world.plan();
    let whole = world.run(0, u64::MAX).await;
    let total = whole.total.unwrap();
    let stream = world.decode(&whole.blocks).stream_blocks;
    assert!(total - stream > 2, "{stream} of {total} are the stream");
    for durable in stream..total {
        let rest = world.run_again(durable).await;
        assert_eq!(rest.blocks.len() as u64, total - durable);
        let blocks = [&whole.blocks[..durable as usize], &rest.blocks[..]].concat();
        assert_eq!(world.decode(&blocks).stream_blocks, stream);
    }
}

#[tokio::test(flavor = "multi_thread")] // [S6.4] [S14.5]
async fn a_large_file_that_changes_once_is_read_again() {
    let world = World::new(BlockSize::Large);
    let path = world.file("changing.bin", &random("before", 96 * MIB));
    world.file("steady.bin", b"steady");
    world.plan();
    let after = random("after", 96 * MIB);
    let beside = path.with_extension("new");
    std::fs::write(&beside, &after).unwrap();
    // Nobody takes blocks meanwhile, so it cannot have been read to its end.
    let run = world.run_with(Told::default(), 0, 1, || std::fs::rename(&beside, &path).unwrap()).await;
    let got = world.decode(&run.blocks);
    assert!(got.files["top/changing.bin"] == after);
    assert_eq!((got.voids, got.exceptions.len()), (1, 0));
    assert_eq!(run.told.again(), [2]);
}

#[tokio::test(flavor = "multi_thread")] // [S14.5]
async fn a_file_that_keeps_changing_is_listed_and_the_rest_arrives() {
    let world = World::new(BlockSize::Large);
    let path = world.file("changing.bin", &random("x", 64 * MIB));
    world.file("steady.bin", b"steady");
    world.plan();
    let told = Arc::<Told>::default();
    // Far fewer blocks than the file has fit between the reader and this test, so each attempt meets a change.
    let run = world
        .run_checking(told.clone(), |_, index| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600 | (index % 2) as u32);
            std::fs::set_permissions(&path, mode).unwrap();
        })
        .await;
    let got = world.decode(&run.blocks);
    assert_eq!(got.exceptions, [("top/changing.bin".to_owned(), Reason::KeptChanging)]);
    assert_eq!(told.again(), [2, 3]);
    assert_eq!(got.files["top/steady.bin"], b"steady");
}

#[tokio::test(flavor = "multi_thread")] // [S14.5]
async fn a_file_that_changed_between_two_runs_is_read_again_from_its_beginning() {
    let world = World::new(BlockSize::Small);
    let path = world.file("large.bin", &random("before", 4 * MIB));
    world.plan();
    let first = world.run(0, 20).await;
    std::fs::write(&path, random("after", 4 * MIB)).unwrap();
    let second = world.run(20, u64::MAX).await;
    let got = world.decode(&[first.blocks, second.blocks].concat());
    assert!(got.files["top/large.bin"] == random("after", 4 * MIB));
    assert_eq!(got.voids, 1);
}

#[tokio::test(flavor = "multi_thread")] // [S6.5]
async fn what_became_something_else_is_listed() {
    let world = World::new(BlockSize::Small);
    let gone = world.file("gone", b"1");
    let fifo = world.file("fifo", b"2");
    let link = world.file("link", b"3");
    let short = world.file("short.bin", &random("short", MIB));
    world.plan();
    for path in [&gone, &fifo, &link] {
        std::fs::remove_file(path).unwrap();
    }
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("short.bin", &link).unwrap();
    std::fs::write(&short, b"shorter than planned").unwrap();
    let run = world.run(0, u64::MAX).await;
    let got = world.decode(&run.blocks);
    let expected = [
        ("top/fifo".to_owned(), Reason::NotAFile),
        ("top/gone".into(), Reason::Vanished),
        ("top/link".into(), Reason::KeptChanging),
    ];
    assert_eq!(got.exceptions, expected);
    assert_eq!(got.files["top/short.bin"], b"shorter than planned", "what counts is what is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_nobody_wants_any_more_ends() {
    let world = World::new(BlockSize::Large);
    world.file("large.bin", &random("x", 64 * MIB));
    world.plan();
    world.run_and_drop(2).await;
    // The threads hold the journal's files; they are free once all of them have ended.
    for _ in 0..200 {
        if world.open_records() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} threads are still there", world.open_records());
}

#[tokio::test(flavor = "multi_thread")] // [S14.2]
async fn nothing_leaves_before_its_mark_is_on_disk() {
    let world = World::new(BlockSize::Small);
    world.file("large.bin", &random("x", 4 * MIB));
    world.plan();
    world
        .run_checking(Arc::default(), |world, index| {
            assert!(world.made() > index, "block {index} left, the journal knows {}", world.made());
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_is_an_archive_too() {
    let world = World::new(BlockSize::Small);
    world.plan();
    let run = world.run(0, u64::MAX).await;
    let got = world.decode(&run.blocks);
    assert_eq!(got.folders, ["top"]);
    assert_eq!(run.total, Some(2));
}
