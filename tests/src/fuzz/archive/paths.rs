//! What a path may be and where a link may lead, said once more and as plainly as can be. [S6.7] [S6.8]

use std::cmp::Ordering;
use std::collections::BTreeMap;

use handover_shared::archive::path::{EntryPath, Target};
use handover_shared::archive::reader::Event;

/// Links are followed so often, as systems do.
const HOPS_MAX: u32 = 40;

/// Two paths and a target, separated by 0xff: all is accepted or refused as the rules say, and ordered so.
pub fn paths(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == 0xff);
    let (one, two, target) = (parts.next(), parts.next().unwrap_or(b"a"), parts.next().unwrap_or(b"b"));
    let Some(one) = one else { return };
    for bytes in [one, two] {
        let parsed = EntryPath::parse(bytes);
        assert_eq!(parsed.is_ok(), is_path(bytes), "{}", bytes.escape_ascii());
        assert_eq!(EntryPath::parse_listed(bytes).is_ok(), is_listed_path(bytes), "{}", bytes.escape_ascii());
        if let Ok(path) = &parsed {
            assert!(path.as_bytes() == bytes && path.depth() == components(bytes).len() && path.is_within_limits());
            assert_eq!(format!("{path:?}"), "…", "a path prints nothing");
            check_children(path, two);
        }
    }
    if let (Ok(one), Ok(two)) = (EntryPath::parse(one), EntryPath::parse(two)) {
        assert_eq!(one.cmp(&two), order(one.as_bytes(), two.as_bytes()));
    }
    if let Ok(link) = EntryPath::parse(one) {
        let parsed = Target::parse(target, &link);
        assert_eq!(parsed.is_ok(), is_target(target, link.depth()), "{}", target.escape_ascii());
        if parsed.is_ok() {
            let mut tree = Model::default();
            tree.links.insert(link.as_bytes().to_vec(), target.to_vec());
            tree.assert_no_escape();
        }
    }
}

fn check_children(path: &EntryPath, name: &[u8]) {
    let joined = [path.as_bytes(), b"/", name].concat();
    let is_name = !name.contains(&b'/');
    assert_eq!(path.child(name).is_ok(), is_name && is_path(&joined));
    assert_eq!(path.listed_child(name).is_ok(), is_name && is_listed_path(&joined));
    if let Ok(child) = path.child(name) {
        assert_eq!((child.parent(), child.name()), (Some(path.as_bytes()), name));
    }
}

/// The components of a path.
pub fn components(path: &[u8]) -> Vec<&[u8]> {
    path.split(|byte| *byte == b'/').collect()
}

/// The order of entries: component by component.
pub fn order(one: &[u8], two: &[u8]) -> Ordering {
    components(one).cmp(&components(two))
}

/// Whether these bytes are the path of an entry.
pub fn is_path(path: &[u8]) -> bool {
    let parts = components(path);
    path.len() <= 4096 && parts.len() <= 64 && parts.iter().all(|part| is_name(part) && part.len() <= 255)
}

/// Whether these bytes are the path of something that is listed for its name.
pub fn is_listed_path(path: &[u8]) -> bool {
    let parts = components(path);
    let (name, above) = parts.split_last().expect("splitting gives one part at least");
    let joined = above.join(&b'/');
    is_name(name) && name.len() <= 1024 && (above.is_empty() || is_path(&joined))
}

fn is_name(part: &[u8]) -> bool {
    !part.is_empty() && part != b"." && part != b".." && !part.contains(&0)
}

/// Whether a link so deep may point there.
pub fn is_target(target: &[u8], depth: usize) -> bool {
    if target.is_empty() || target.len() > 4096 || target[0] == b'/' || target.contains(&0) {
        return false;
    }
    let real: Vec<&[u8]> = components(target).into_iter().filter(|part| !part.is_empty() && *part != b".").collect();
    let climbs = real.iter().take_while(|part| **part == b"..").count();
    climbs < depth && real[climbs..].iter().all(|part| *part != b"..")
}

/// A tree as a buyer's disk would have it.
#[derive(Debug, Default)]
pub struct Model {
    /// Links and their targets, by path.
    pub links: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Model {
    /// Takes what a reader lets through.
    pub fn take(&mut self, event: &Event<'_>) {
        let record = match event {
            Event::FileEnd(record) | Event::Folder(record) | Event::Link(record) => record,
            Event::FileBegin(entry) => return assert!(is_path(entry.path.as_bytes())),
            Event::Exception(record) => return assert!(is_listed_path(record.path.as_bytes())),
            _ => return,
        };
        assert!(is_path(record.path.as_bytes()), "{}", record.path.as_bytes().escape_ascii());
        if let Some(target) = &record.target {
            self.links.insert(record.path.as_bytes().to_vec(), target.as_bytes().to_vec());
        }
    }

    /// Follows every link as a file system does: no way leads out of the root.
    pub fn assert_no_escape(&self) {
        for link in self.links.keys() {
            assert!(self.stays_inside(link), "the link {} leads out", link.escape_ascii());
        }
    }

    fn stays_inside(&self, path: &[u8]) -> bool {
        let mut hops = 0;
        let mut here: Vec<Vec<u8>> = Vec::new();
        let mut ahead: Vec<Vec<u8>> = components(path).into_iter().rev().map(<[u8]>::to_vec).collect();
        while let Some(part) = ahead.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." if here.pop().is_none() => return false,
                b".." => continue,
                _ => here.push(part),
            }
            let Some(target) = self.links.get(&here.join(&b'/')) else { continue };
            hops += 1;
            if hops > HOPS_MAX {
                return true;
            }
            if target.first() == Some(&b'/') {
                return false;
            }
            here.pop();
            ahead.extend(components(target).into_iter().rev().map(<[u8]>::to_vec));
        }
        true
    }
}
