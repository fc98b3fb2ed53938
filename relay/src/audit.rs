//! The log, from the operator's side: looked at as a whole, and written out for others.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write};
use std::path::Path;

use handover_relay::home;
use handover_relay::ledger::rows::Read;
use handover_relay::ledger::verify::{Damage, Frontier, HeadsChecked, Verified};
use handover_relay::ledger::{log, verify};
use handover_shared::limits::{SIGNATURE_BYTES_MAX, STATEMENT_BYTES_MAX};
use handover_shared::proof::log::check_head;
use handover_shared::proof::{Fingerprint, Kind, LogEntry, LogHeadText, PublicIdentity};
use handover_shared::protocol::message::Signed;

use crate::problem::{Exit, Problem};
use crate::run::{look, print};
use crate::words::Word;

const ENTRIES: &str = "log-entries.txt";
const HEADS: &str = "log-heads.txt";
const SIGNERS: &str = "relay_signers";
/// How every signature ends.
const END: &str = "-----END SSH SIGNATURE-----\n";

/// Checks the ledger's own log; with a head that somebody holds, also that the log begins with it.
pub fn verify(data: &Path, head: Option<&Path>) -> Result<(), Problem> {
    let relay = Fingerprint::of_link_key(&home::existing_key(data)?.public());
    let verified = look(data, |rows| Ok(verify::verify(rows, relay)))?.map_err(damaged)?;
    if let Some(path) = head {
        let held = read_head(path)?;
        let held = check_head(&relay, &held).map_err(|fault| altered(format!("{}: {fault}", path.display())))?;
        let size = held.text().size;
        let is_there = size <= verified.entries && look(data, |rows| log::root(rows, size))? == held.text().root;
        if !is_there {
            return Err(altered(format!("the log does not begin with the {size} entries of {}", path.display())));
        }
        print(&format!("head\tsize {size}\tthe log begins with it"))?;
    }
    tell(relay, &verified)
}

fn tell(relay: Fingerprint, verified: &Verified) -> Result<(), Problem> {
    let Verified { entries, root, heads } = verified;
    print(&format!("log\tentries {entries}\theads {heads}\troot {root}\trelay {relay}\tholds"))
}

/// Writes the whole log: every entry's text, every head with its signature, and who signs.
pub fn export(data: &Path, folder: &Path) -> Result<(), Problem> {
    let key = home::existing_key(data)?.public();
    fs::create_dir_all(folder).map_err(|error| disk("make", folder, &error))?;
    let signer = PublicIdentity::of_bytes(key.0).map_err(|fault| Problem::failed(&fault))?;
    let namespaces = format!("{},{}", Kind::LogHead.namespace(), Kind::Deletion.namespace());
    let line = format!("relay namespaces=\"{namespaces}\" {}\n", signer.to_openssh("").trim_end());
    let written = look(data, |rows| Ok(write_all(rows, folder, &line)))?;
    let entries = written?;
    print(&format!("{}\tentries {entries}", folder.display()))
}

fn write_all(rows: &dyn Read, folder: &Path, signers: &str) -> Result<u64, Problem> {
    let create = |name: &str| {
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        file.map(BufWriter::new).map_err(|error| disk("make", &path, &error))
    };
    let finish = |mut file: BufWriter<File>, name: &str| {
        let done = file.flush().and_then(|()| file.get_ref().sync_all());
        done.map_err(|error| disk("write", &folder.join(name), &error))
    };
    let mut entries = create(ENTRIES)?;
    let mut number = 0;
    loop {
        let page = rows.log_rows(number, log::PAGE)?;
        let Some(last) = page.last() else { break };
        number = last.number + 1;
        for row in &page {
            let text = log::checked(rows, row)?.to_text();
            entries.write_all(text.as_bytes()).map_err(|error| disk("write", &folder.join(ENTRIES), &error))?;
        }
    }
    finish(entries, ENTRIES)?;
    let mut heads = create(HEADS)?;
    let mut above = 0;
    while let Some((size, head)) = rows.heads(above, 1)?.into_iter().next() {
        above = size;
        let both = format!("{}{}", head.text, head.signature);
        heads.write_all(both.as_bytes()).map_err(|error| disk("write", &folder.join(HEADS), &error))?;
    }
    finish(heads, HEADS)?;
    let mut file = create(SIGNERS)?;
    file.write_all(signers.as_bytes()).map_err(|error| disk("write", &folder.join(SIGNERS), &error))?;
    finish(file, SIGNERS)?;
    Ok(number)
}

/// Checks a log that was written out, without its ledger, entry by entry.
pub fn verify_export(folder: &Path) -> Result<(), Problem> {
    let open = |name: &str| {
        let path = folder.join(name);
        File::open(&path).map(BufReader::new).map_err(|error| disk("read", &path, &error))
    };
    let mut entries = Texts { lines: open(ENTRIES)?, end: "}\n" };
    let mut heads = Heads { texts: open(HEADS)? };
    let first = heads.next().map_err(|error| disk("read", &folder.join(HEADS), &error))?;
    let Some(mut waiting) = first else { return Err(altered("there is no signed head".to_owned())) };
    let parse = |head: &Signed| LogHeadText::parse(&head.text).map_err(|fault| altered(format!("a head: {fault}")));
    let relay = parse(&waiting)?.relay_key;
    let mut checked = HeadsChecked::new(relay);
    let mut frontier = Frontier::default();
    let mut previous = None;
    let mut is_over = false;
    while let Some(text) = entries.next().map_err(|error| disk("read", &folder.join(ENTRIES), &error))? {
        let number = frontier.size();
        let entry = LogEntry::parse(&text).map_err(|fault| altered(format!("entry {number}: {fault}")))?;
        if entry.number != number || entry.previous != previous {
            return Err(altered(format!("entry {number} does not follow the one before it")));
        }
        let leaf = entry.leaf();
        frontier.push(leaf);
        previous = Some(leaf);
        if !is_over && parse(&waiting)?.size == frontier.size() {
            checked.check(frontier.size(), &waiting, &frontier).map_err(damaged)?;
            match heads.next().map_err(|error| disk("read", &folder.join(HEADS), &error))? {
                Some(next) => waiting = next,
                None => is_over = true,
            }
        }
    }
    if !is_over {
        let size = parse(&waiting)?.size;
        return Err(damaged(Damage::Head { size, what: "is of other entries than there are" }));
    }
    tell(relay, &Verified { entries: frontier.size(), root: frontier.root(), heads: checked.count() })
}

/// Texts that end with a line of their own.
struct Texts<R> {
    lines: R,
    end: &'static str,
}

impl<R: BufRead> Texts<R> {
    fn next(&mut self) -> io::Result<Option<String>> {
        let mut text = String::new();
        loop {
            let before = text.len();
            let room = (STATEMENT_BYTES_MAX + SIGNATURE_BYTES_MAX + 1 - before.min(STATEMENT_BYTES_MAX)) as u64;
            let read = self.lines.by_ref().take(room).read_line(&mut text)?;
            match read {
                0 if text.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ if &text[before..] == self.end => return Ok(Some(text)),
                _ if text.len() > STATEMENT_BYTES_MAX => return Err(io::ErrorKind::InvalidData.into()),
                _ => {}
            }
        }
    }
}

struct Heads<R> {
    texts: R,
}

impl<R: BufRead> Heads<R> {
    fn next(&mut self) -> io::Result<Option<Signed>> {
        let Some(text) = (Texts { lines: &mut self.texts, end: "}\n" }).next()? else { return Ok(None) };
        let signature = Texts { lines: &mut self.texts, end: END }.next()?;
        signature.map(|signature| Some(Signed { text, signature })).ok_or(io::ErrorKind::UnexpectedEof.into())
    }
}

/// A head and its signature beside it.
fn read_head(path: &Path) -> Result<Signed, Problem> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".sig");
    let read = |path: &Path, most: usize| {
        let mut text = String::new();
        let file = File::open(path).and_then(|file| file.take(most as u64 + 1).read_to_string(&mut text));
        file.map_err(|error| disk("read", path, &error)).map(|_| text)
    };
    Ok(Signed { text: read(path, STATEMENT_BYTES_MAX)?, signature: read(Path::new(&beside), SIGNATURE_BYTES_MAX)? })
}

fn damaged(damage: Damage) -> Problem {
    match damage {
        Damage::Ledger(error) => error.into(),
        damage => altered(damage.to_string()),
    }
}

fn altered(message: String) -> Problem {
    Problem { message, hint: Some(Word::HintAltered), exit: Exit::Altered }
}

fn disk(tried: &str, path: &Path, error: &io::Error) -> Problem {
    Problem { message: format!("cannot {tried} {}: {error}", path.display()), hint: None, exit: Exit::Disk }
}
