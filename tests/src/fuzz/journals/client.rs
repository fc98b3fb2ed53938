//! The files of a client.

use std::fs;
use std::path::{Path, PathBuf};

use handover::home::Home;
use handover::home::transfers::Folder;
use handover::push::probe::{Journal, PlanReader, RecordsReader};
use handover::{pull, receipts};
use handover_shared::ids::{BlockCount, TransferId};

use crate::fuzz::take::Take;

/// Files of a home, and of a transfer in it.
const HOME_FILES: [&str; 4] = ["identity", "identity.toml", "link.key", "relays.toml"];
const TRANSFER_FILES: [&str; 22] = [
    "facts.json",
    "secrets",
    "marks",
    "records",
    "plan",
    "checkpoint",
    "list",
    "moves",
    "outcome",
    "conflict",
    "code.hash",
    "offer.txt",
    "offer.sig",
    "offer.summary",
    "offer.hash",
    "claim.txt",
    "claim.sig",
    "seal.txt",
    "receipt.txt",
    "receipt.sig",
    "receipt.sealed",
    "lock",
];

/// Any bytes in up to three files; then everything is read.
pub fn any_file(folder: &Path, take: &mut Take<'_>) {
    let transfer = folder.join("transfers/1");
    fs::create_dir_all(&transfer).expect("a folder can be made");
    for _ in 0..3 {
        let at = take.below((HOME_FILES.len() + TRANSFER_FILES.len()) as u64) as usize;
        let path = match HOME_FILES.get(at) {
            Some(name) => folder.join(name),
            None => transfer.join(TRANSFER_FILES[at - HOME_FILES.len()]),
        };
        fs::write(path, take.bytes(2000)).expect("a file can be written");
        if take.is_over() {
            break;
        }
    }
    read_everything(folder, &transfer);
}

fn read_everything(home_folder: &Path, transfer: &Path) {
    let home = Home::open(Some(home_folder)).expect("its folders are there");
    drop((home.identity(), home.relays(), home.link_secret()));
    drop(receipts::read(&home, 1).map(|receipt| assert!(receipt.text.len() <= 4096)));
    for folder in home.transfers().expect("the folder can be read") {
        read_transfer(&folder);
    }
    drop(pull::probe::checkpoint(&transfer.join("checkpoint")));
    let list = transfer.join("list");
    let bytes = fs::metadata(&list).map_or(0, |meta| meta.len());
    drop(pull::probe::list(&list, bytes));
    read_plan(&transfer.join("plan"));
    read_journal(transfer.join("marks"), transfer.join("records"));
}

fn read_transfer(folder: &Folder) {
    if let Ok(facts) = folder.facts() {
        drop((facts.transfer_id(), facts.relay_address(), facts.relay_key()));
        for path in facts.sources.iter().chain(&facts.destination) {
            drop(path.to_path());
        }
        assert_eq!(format!("{:?}", facts.sources).matches('…').count(), facts.sources.len(), "paths print nothing");
    }
    drop(folder.secrets());
    pull::probe::kept(folder, &TransferId([7; 16]));
}

fn read_plan(path: &Path) {
    let Ok(mut plan) = PlanReader::open(path) else { return };
    while let Ok(Some(planned)) = plan.read() {
        assert!(!planned.path().as_bytes().is_empty());
    }
}

fn read_journal(marks: PathBuf, records: PathBuf) {
    if let Ok(metadata) = fs::metadata(&records)
        && let Ok(mut lines) = RecordsReader::open(&records, metadata.len(), 0)
    {
        while let Ok(Some(_)) = lines.read() {}
    }
    let Ok(journal) = Journal::open(marks, records) else { return };
    let made = journal.made();
    assert!(journal.acknowledged() <= made);
    if let Ok((resumption, _writer)) = journal.resume(made) {
        assert!(resumption.durable == made && resumption.point.is_none_or(|(blocks, _)| blocks <= made));
    } else {
        assert!(made > BlockCount(0), "an empty journal begins anew");
    }
}
