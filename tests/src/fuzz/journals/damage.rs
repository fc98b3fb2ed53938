//! Files of a client that were whole, and then were not: whatever is read of them is what was written.

use std::fs;
use std::path::Path;

use handover::home::Home;
use handover::home::transfers::Secrets;
use handover::pull::probe as pull;
use handover::push::probe::{Journal, Mark, PlanHead, PlanReader, PlanWriter, Point, RecordsReader, Top};
use handover::push::{Origin, Planned};
use handover_shared::archive::catalogue::{Listed, Location, Place, Places};
use handover_shared::archive::item::{Entry, EntryKind, Exception, Mtime, Reason};
use handover_shared::archive::manifest::Record;
use handover_shared::archive::path::EntryPath;
use handover_shared::archive::reader::Reader;
use handover_shared::archive::stream::Position;
use handover_shared::archive::writer::WriterState;
use handover_shared::ids::{BlockCount, BlockIndex, ContentHash};

use crate::fuzz::take::Take;

/// Does something to a file.
fn damage(path: &Path, take: &mut Take<'_>) {
    let mut bytes = fs::read(path).expect("what was written is there");
    for _ in 0..=take.below(3) {
        let at = take.below(bytes.len() as u64) as usize;
        match take.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_slice(take.bytes(40)),
            2 => bytes.drain(at..bytes.len().min(at + 1 + take.below(40) as usize)).for_each(drop),
            3 => bytes.splice(at..at, take.bytes(20).iter().copied()).for_each(drop),
            4 => bytes.iter_mut().skip(at).take(20).for_each(|byte| *byte = 0),
            5 => {
                // A part of it comes twice.
                let copy = bytes[at..bytes.len().min(at + 60)].to_vec();
                bytes.splice(at..at, copy).for_each(drop);
            }
            _ => {
                let bit = take.below(8);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    fs::write(path, bytes).expect("it can be written");
}

/// The seller's marks: what is read is the beginning of what was written. [S14.2] [S14.4]
pub fn marks(folder: &Path, take: &mut Take<'_>) {
    let (marks, records) = (folder.join("marks"), folder.join("records"));
    let journal = Journal::open(marks.clone(), records.clone()).expect("an empty folder");
    let (_, writer) = journal.resume(BlockCount(0)).expect("a new journal");
    let (mut records_out, mut marks_out) = writer.split();
    let mut written = Vec::new();
    let count = 1 + take.below(6);
    for blocks in 1..=count {
        records_out.add(&listed(blocks)).expect("a disk");
        records_out.flush().expect("a disk");
        let point = (!take.one_in(3)).then(|| {
            let (state, places) = (WriterState::default(), Places::new());
            Box::new(Point { state, places, records_bytes: records_out.bytes(), signature: None })
        });
        let total = (blocks == count && take.any()).then_some(BlockCount(blocks));
        let mark = Mark { blocks: BlockCount(blocks), point, total };
        written.push(mark.clone());
        marks_out.add(vec![mark], BlockCount(take.below(blocks))).expect("a disk");
    }
    drop((records_out, marks_out));
    if take.one_in(4) {
        damage(&records, take);
    }
    damage(&marks, take);
    let open = || Journal::open(marks.clone(), records.clone()).expect("a file that can be read");
    let journal = open();
    assert!(journal.made().0 <= count, "more than was made");
    let total = written.iter().rev().find(|mark| mark.blocks == journal.made()).and_then(|mark| mark.total);
    assert_eq!(journal.total(), total.filter(|_| journal.made().0 > 0));
    let durable = BlockCount(take.below(count + 1));
    let Ok((resumption, _writer)) = journal.resume(durable) else { return };
    assert_eq!(resumption.durable, durable);
    if let Some((blocks, point)) = resumption.point {
        let mark = written.iter().find(|mark| mark.blocks == blocks).expect("a mark that was written");
        assert!(mark.point.as_deref() == Some(&point) && blocks <= durable, "a point that was written");
        let length = fs::metadata(&records).expect("the records").len();
        assert_eq!(length, point.records_bytes, "records behind the point do not count");
    }
}

/// The list of records: all of it is read, or it is refused.
pub fn records(folder: &Path, take: &mut Take<'_>) {
    let (marks, path) = (folder.join("marks"), folder.join("records"));
    let (_, writer) = Journal::open(marks, path.clone()).and_then(|it| it.resume(BlockCount(0))).expect("a new one");
    let (mut out, _marks) = writer.split();
    let written: Vec<Listed> = (0..1 + take.below(6)).map(listed).collect();
    written.iter().for_each(|line| out.add(line).expect("a disk"));
    out.flush().expect("a disk");
    let bytes = out.bytes();
    damage(&path, take);
    let skip = take.pick(&[0, 0, 1]);
    let Ok(mut reader) = RecordsReader::open(&path, bytes, skip) else { return };
    let mut read = Vec::new();
    loop {
        match reader.read() {
            Ok(Some(line)) => read.push(line),
            Ok(None) => break assert!(read == written[skip as usize..], "damaged, and taken for whole"),
            Err(_) => break assert!(written[skip as usize..].starts_with(&read), "other lines than were written"),
        }
    }
}

/// The plan: all of it is read, or it is refused. [S14.1]
pub fn plan(folder: &Path, take: &mut Take<'_>) {
    let path = folder.join("plan");
    let tops = [Top { name: b"shop".to_vec(), source: Some("/srv/shop".into()) }];
    let head = PlanHead::new(take.pick(&[None, Some(3)]), &tops);
    let written: Vec<Planned> = (0..take.below(6)).map(planned).collect();
    let mut writer = PlanWriter::create(&path, &head).expect("a disk");
    written.iter().for_each(|planned| writer.add(planned).expect("a disk"));
    writer.finish().expect("a disk");
    damage(&path, take);
    let Ok(mut reader) = PlanReader::open(&path) else { return };
    assert!(*reader.head() == head, "another head than was written");
    let mut read = Vec::new();
    loop {
        match reader.read() {
            Ok(Some(planned)) => read.push(planned),
            Ok(None) => break assert!(read == written, "damaged, and taken for whole"),
            Err(_) => break assert!(written.starts_with(&read), "another plan than was written"),
        }
    }
}

/// What a buyer keeps of a pull under way. [S15.3] [S15.4]
pub fn received(folder: &Path, take: &mut Take<'_>) {
    let (checkpoint, list) = (folder.join("checkpoint"), folder.join("list"));
    let written: Vec<Record> = (0..1 + take.below(6)).map(|number| listed(number).record).collect();
    let bytes = pull::write_list(&list, 0, &written).expect("a disk");
    let position = Position::at(Location { block: BlockIndex(take.below(100)), offset: 7 });
    pull::write_checkpoint(&checkpoint, position, Reader::new(&[7; 32]).state().clone(), bytes).expect("a disk");
    let kept = pull::checkpoint(&checkpoint).expect("a disk");
    assert!(kept.is_some());
    match take.below(3) {
        0 => damage(&checkpoint, take),
        1 => damage(&list, take),
        _ => receipt(folder, take),
    }
    let again = pull::checkpoint(&checkpoint);
    assert!(again.is_ok_and(|again| again.is_none() || again == kept), "another checkpoint than was written");
    if let Ok(read) = pull::list(&list, bytes) {
        assert!(read == written || read.is_empty() && fs::metadata(&list).is_ok_and(|it| it.len() == 0));
    }
    // A run that continues cuts the list back; one that is too short is found out.
    if let Ok(longer) = pull::write_list(&list, bytes, &written[..1]) {
        assert!(longer > bytes && fs::metadata(&list).is_ok_and(|it| it.len() == longer));
    }
}

fn receipt(folder: &Path, take: &mut Take<'_>) {
    let home = Home::open(Some(folder)).expect("a folder");
    let held = home.new_transfer().expect("a transfer");
    let sealed = take.bytes(200).to_vec();
    pull::write_sealed_receipt(&held, &sealed).expect("a disk");
    assert_eq!(pull::sealed_receipt(&held).expect("a disk"), Some(sealed.clone()));
    damage(&held.file("receipt.sealed"), take);
    let again = pull::sealed_receipt(&held);
    assert!(again.is_ok_and(|again| again.is_none_or(|again| again == sealed)), "another receipt than was sealed");
}

/// Keys: the right ones, or none.
pub fn secrets(folder: &Path, take: &mut Take<'_>) {
    let home = Home::open(Some(folder)).expect("a folder");
    let held = home.new_transfer().expect("a transfer");
    let secrets = Secrets {
        code: take.any(),
        content_key: take.any(),
        share: take.any(),
        link_seed: take.any(),
        hybrid_seed: take.any(),
        papers_key: take.any(),
    };
    held.store_secrets(&secrets).expect("a disk");
    damage(&held.file("secrets"), take);
    let Ok(read) = held.secrets() else { return };
    assert!(read.code == secrets.code && read.content_key == secrets.content_key && read.share == secrets.share);
    assert!(read.papers_key == secrets.papers_key, "another key");
    assert!(read.link_seed == secrets.link_seed && read.hybrid_seed == secrets.hybrid_seed, "another key");
}

fn entry(number: u64) -> Entry {
    let path = EntryPath::parse(format!("shop/客户-{number:03}").as_bytes()).expect("a path");
    let mtime = Mtime { seconds: number as i64, nanos: 7 };
    Entry { path, kind: EntryKind::File, mode: 0o640, mtime, size: Some(number), target: None }
}

fn listed(number: u64) -> Listed {
    let frame = Location { block: BlockIndex(number), offset: 9 };
    let hash = ContentHash([number as u8; 32]);
    Listed { record: Record::of_file(entry(number), number, hash), place: Place { frame, item: 5 } }
}

fn planned(number: u64) -> Planned {
    match number % 3 {
        0 => Planned::Entry(entry(number), Origin::InTree),
        1 => Planned::Entry(entry(number), Origin::At("/elsewhere".into())),
        _ => Planned::Exception(Exception { path: entry(number).path, reason: Reason::NotAFile }),
    }
}
