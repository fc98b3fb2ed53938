//! Names inside an archive: relative paths, their order, and where a link may point.
//!
//! # Source
//! SPEC [S6.7] [S6.8].

use std::cmp::Ordering;
use std::fmt;

use minicbor::bytes::ByteSlice;

use super::fault::{ArchiveFault, decode_error};
use crate::limits;

/// A relative path whose components are neither empty nor `.` nor `..` and hold no NUL; it cannot lead out of the
/// folder it is put in.
///
/// # Shape
/// Components joined by `/`. Within the limits of [S3.1], except that the last component of a path listed for being
/// too long or too deep may exceed them ([`EntryPath::parse_listed`]).
///
/// # Security
/// Bytes as the seller has them: any encoding, control characters included. `Debug` prints none of them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntryPath(Box<[u8]>);

impl EntryPath {
    /// Takes a path within all limits.
    ///
    /// # Errors
    /// [`ArchiveFault::PathLimit`] and [`ArchiveFault::Path`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ArchiveFault> {
        check_within_limits(bytes)?; // [S3.1]
        check_components(bytes)?; // [S6.7]
        Ok(Self(bytes.into()))
    }

    /// Takes a path whose last component alone may be too long or too deep, as an exception names it.
    ///
    /// # Errors
    /// As [`EntryPath::parse`].
    pub fn parse_listed(bytes: &[u8]) -> Result<Self, ArchiveFault> {
        // [S6.5]
        let (parent, name) = match bytes.iter().rposition(|&byte| byte == b'/') {
            Some(at) => (&bytes[..at], &bytes[at + 1..]),
            None => (&[][..], bytes),
        };
        if name.len() > limits::LISTED_COMPONENT_BYTES_MAX {
            return Err(ArchiveFault::PathLimit);
        }
        if parent.len() + name.len() < bytes.len() {
            check_within_limits(parent)?;
        }
        check_components(bytes)?;
        Ok(Self(bytes.into()))
    }

    /// The path of something in this folder.
    ///
    /// # Errors
    /// As [`EntryPath::parse`]; a name that holds `/` is [`ArchiveFault::Path`].
    pub fn child(&self, name: &[u8]) -> Result<Self, ArchiveFault> {
        Self::parse(&self.joined(name)?)
    }

    /// The path of something in this folder that can only be listed.
    ///
    /// # Errors
    /// As [`EntryPath::parse_listed`]; a name that holds `/` is [`ArchiveFault::Path`].
    pub fn listed_child(&self, name: &[u8]) -> Result<Self, ArchiveFault> {
        Self::parse_listed(&self.joined(name)?)
    }

    fn joined(&self, name: &[u8]) -> Result<Vec<u8>, ArchiveFault> {
        if name.contains(&b'/') {
            return Err(ArchiveFault::Path);
        }
        Ok([&self.0, &b"/"[..], name].concat())
    }

    /// The whole path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The components from the top.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
        self.0.split(|&byte| byte == b'/')
    }

    /// How many components there are, at least 1.
    pub fn depth(&self) -> usize {
        self.components().count()
    }

    /// The last component.
    pub fn name(&self) -> &[u8] {
        self.components().next_back().unwrap_or(&self.0)
    }

    /// The path of the folder this is in; `None` at the top.
    pub fn parent(&self) -> Option<&[u8]> {
        self.0.iter().rposition(|&byte| byte == b'/').map(|at| &self.0[..at])
    }

    /// Whether every limit of [S3.1] is kept, as every path but a listed one's does.
    pub fn is_within_limits(&self) -> bool {
        check_within_limits(&self.0).is_ok()
    }
}

impl Ord for EntryPath {
    /// The order of the component sequences: `/` below every other byte. // [S6.7]
    fn cmp(&self, other: &Self) -> Ordering {
        // No path holds NUL, so 0 is free to stand for the separator.
        let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
        match self.0.iter().zip(&other.0).find(|(a, b)| a != b) {
            Some((&a, &b)) => rank(a).cmp(&rank(b)),
            None => self.0.len().cmp(&other.0.len()),
        }
    }
}

impl PartialOrd for EntryPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<C> minicbor::Encode<C> for EntryPath {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for EntryPath {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::parse_listed(d.bytes()?).map_err(decode_error)
    }
}

fn check_within_limits(bytes: &[u8]) -> Result<(), ArchiveFault> {
    if bytes.len() > limits::PATH_BYTES_MAX {
        return Err(ArchiveFault::PathLimit);
    }
    let mut depth = 0;
    for component in bytes.split(|&byte| byte == b'/') {
        depth += 1;
        if depth > limits::PATH_COMPONENTS_MAX || component.len() > limits::COMPONENT_BYTES_MAX {
            return Err(ArchiveFault::PathLimit);
        }
    }
    Ok(())
}

fn check_components(bytes: &[u8]) -> Result<(), ArchiveFault> {
    if bytes.contains(&0) || bytes.split(|&byte| byte == b'/').any(|c| matches!(c, b"" | b"." | b"..")) {
        return Err(ArchiveFault::Path);
    }
    Ok(())
}

/// Where a link points: a relative path that no chain of the archive's links can lead out of the archive.
///
/// # Security
/// `..` stands only in front. The folders it climbs are entries and no links, so climbing is exact; what follows only
/// descends, perhaps over further links, each of which is bound in the same way. `Debug` prints nothing of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target(Box<[u8]>);

impl Target {
    /// Takes the target of the link at this path.
    ///
    /// # Errors
    /// [`ArchiveFault::Target`].
    pub fn parse(bytes: &[u8], link: &EntryPath) -> Result<Self, ArchiveFault> {
        // [S6.8]
        let may_be = !bytes.is_empty()
            && bytes.len() <= limits::TARGET_BYTES_MAX
            && bytes[0] != b'/'
            && !bytes.contains(&0)
            && stays_inside(bytes, link.depth() - 1);
        if may_be { Ok(Self(bytes.into())) } else { Err(ArchiveFault::Target) }
    }

    /// The target's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Whether `..` comes only in front, and not more often than there are folders above.
fn stays_inside(target: &[u8], folders_above: usize) -> bool {
    let mut above = folders_above;
    let mut descended = Climb::Possible;
    for component in target.split(|&byte| byte == b'/') {
        match (component, descended) {
            (b"" | b".", _) => {}
            (b"..", Climb::Possible) if above > 0 => above -= 1,
            (b"..", _) => return false,
            _ => descended = Climb::Over,
        }
    }
    true
}

#[derive(Clone, Copy)]
enum Climb {
    Possible,
    Over,
}

/// Whether others can lie beneath an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// Everything else.
    Leaf,
}

/// Checks that paths rise and that every parent is a folder that came before.
///
/// # Shape
/// It keeps the last path alone: what lies in order between a folder and something in it lies in that folder, so the
/// parent of the next path is the last path or a folder above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    last: Option<(EntryPath, Node)>,
}

impl Tree {
    /// Takes the next path.
    ///
    /// # Errors
    /// [`ArchiveFault::PathOrder`] and [`ArchiveFault::PathParent`]; nothing is taken then.
    pub fn admit(&mut self, path: &EntryPath, node: Node) -> Result<(), ArchiveFault> {
        // [S6.7]
        if let Some((last, _)) = &self.last
            && path <= last
        {
            return Err(ArchiveFault::PathOrder);
        }
        if path.parent().is_some_and(|parent| !self.has_folder(parent)) {
            return Err(ArchiveFault::PathParent);
        }
        self.last = Some((path.clone(), node));
        Ok(())
    }

    fn has_folder(&self, parent: &[u8]) -> bool {
        self.last.as_ref().is_some_and(|(last, node)| match last.as_bytes().strip_prefix(parent) {
            Some(b"") => *node == Node::Folder,
            Some(rest) => rest[0] == b'/',
            None => false,
        })
    }
}

impl<C> minicbor::Encode<C> for Tree {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match &self.last {
            None => e.array(0)?.ok(),
            Some((path, node)) => e.array(2)?.encode_with(path, ctx)?.u8(u8::from(*node == Node::Folder))?.ok(),
        }
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Tree {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        match d.array()? {
            Some(0) => Ok(Self { last: None }),
            Some(2) => {
                let path = d.decode_with(ctx)?;
                let node = match d.u8()? {
                    0 => Node::Leaf,
                    1 => Node::Folder,
                    _ => return Err(decode_error(ArchiveFault::State)),
                };
                Ok(Self { last: Some((path, node)) })
            }
            _ => Err(decode_error(ArchiveFault::State)),
        }
    }
}

/// Bytes inside the structures that travel.
pub(super) fn slice(bytes: &[u8]) -> &ByteSlice {
    bytes.into()
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::codec;

    fn path(text: &str) -> EntryPath {
        EntryPath::parse(text.as_bytes()).unwrap()
    }

    #[test] // [S6.7]
    fn the_separator_is_below_every_other_byte() {
        let rising = ["a", "a/b", "a/b/c", "a/b\u{1}", "a/c", "a\u{1}", "a ", "a-b", "a.txt", "aa", "b", "客"];
        for (index, low) in rising.iter().enumerate() {
            assert_eq!(path(low).cmp(&path(low)), Ordering::Equal);
            for high in &rising[index + 1..] {
                assert!(path(low) < path(high) && path(high) > path(low), "{low:?} {high:?}");
            }
        }
    }

    #[test]
    fn parts_of_a_path() {
        let deep = path("a/b/c");
        assert_eq!((deep.depth(), deep.name(), deep.parent()), (3, &b"c"[..], Some(&b"a/b"[..])));
        assert_eq!((path("a").depth(), path("a").name(), path("a").parent()), (1, &b"a"[..], None));
        assert!(deep.components().eq([b"a", b"b", b"c"]));
        assert!(path("a").child(b"b").unwrap() == path("a/b"));
        assert_eq!(path("a").child(b"b/c"), Err(ArchiveFault::Path));
        assert_eq!(path("a").child(b".."), Err(ArchiveFault::Path));
        assert_eq!(path("a").child(&[b'n'; 256]), Err(ArchiveFault::PathLimit));
        let listed = path("a").listed_child(&[b'n'; 256]).unwrap();
        assert!(!listed.is_within_limits() && deep.is_within_limits());
    }

    #[test] // [S3.1]
    fn limits_are_reached_and_not_passed() {
        let parse = |bytes: Vec<u8>| EntryPath::parse(&bytes).map(|path| path.depth());
        assert_eq!(parse(vec![b'a'; 255]), Ok(1));
        assert_eq!(parse(vec![b'a'; 256]), Err(ArchiveFault::PathLimit));
        assert_eq!(parse([b"a/".repeat(63), b"a".to_vec()].concat()), Ok(64));
        assert_eq!(parse([b"a/".repeat(64), b"a".to_vec()].concat()), Err(ArchiveFault::PathLimit));
        let component = [&[b'a'; 255][..], b"/"].concat();
        assert_eq!(parse(component.repeat(16)[..4095].to_vec()), Ok(16));
        assert_eq!(parse([component.repeat(16), b"a".to_vec()].concat()), Err(ArchiveFault::PathLimit));
    }

    #[test]
    fn no_name_is_printed() {
        let target = Target::parse(b"secret", &path("a")).unwrap();
        assert_eq!(format!("{:?} {target:?}", path("secret")), "… …");
    }

    #[test]
    fn damaged_states_of_a_tree_are_refused() {
        for bytes in [&[0x81, 0][..], &[0x82, 0x41, b'a', 2], &[0x82, 0x42, b'.', b'.', 1]] {
            assert!(codec::decode::<Tree>(bytes).is_err(), "{bytes:02x?}");
        }
    }

    /// Whether these paths keep the rule, by its words.
    fn keeps_the_rule(rows: &[(EntryPath, Node)]) -> bool {
        let components = |path: &EntryPath| path.components().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let rises = rows.windows(2).all(|pair| components(&pair[0].0) < components(&pair[1].0));
        let has_parent = |(index, (path, _)): (usize, &(EntryPath, Node))| {
            let is_parent =
                |(it, node): &(EntryPath, Node)| *node == Node::Folder && Some(it.as_bytes()) == path.parent();
            path.parent().is_none() || rows[..index].iter().any(is_parent)
        };
        rises && rows.iter().enumerate().all(has_parent)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test] // [S6.7]
        fn order_is_that_of_the_components(a in "[a/ -]{1,6}", b in "[a/ -]{1,6}") {
            if let (Ok(a), Ok(b)) = (EntryPath::parse(a.as_bytes()), EntryPath::parse(b.as_bytes())) {
                prop_assert_eq!(a.cmp(&b), a.components().cmp(b.components()));
            }
        }

        #[test] // [S6.7]
        fn a_walk_with_sorted_names_rises(
            tree in btree_map(vec(1_u8..=255, 1..3), btree_map(vec(1_u8..=255, 1..3), any::<()>(), 0..5), 1..6),
        ) {
            let is_name = |name: &&Vec<u8>| EntryPath::parse(name).is_ok() && !name.contains(&b'/');
            let mut checker = Tree::default();
            let mut last: Option<EntryPath> = None;
            for (name, inside) in tree.iter().filter(|(name, _)| is_name(name)) {
                let folder = EntryPath::parse(name).unwrap();
                let walk = inside.keys().filter(is_name).map(|name| folder.child(name).unwrap());
                for path in std::iter::once(folder.clone()).chain(walk) {
                    let node = if path == folder { Node::Folder } else { Node::Leaf };
                    prop_assert_eq!(checker.admit(&path, node), Ok(()));
                    prop_assert!(last.is_none_or(|last| last < path));
                    last = Some(path);
                }
            }
        }

        #[test] // [S6.7]
        fn the_last_path_is_enough_to_judge_the_next(
            rows in vec(("[ab]{1,2}(/[ab-]{1,2}){0,3}", any::<bool>()), 1..8),
            is_sorted in any::<bool>(),
        ) {
            let node = |is_folder| if is_folder { Node::Folder } else { Node::Leaf };
            let mut rows: Vec<_> = rows.into_iter().map(|(text, folder)| (path(&text), node(folder))).collect();
            if is_sorted {
                rows.sort_by(|a, b| a.0.cmp(&b.0));
            }
            let mut checker = Tree::default();
            let admits = rows.iter().all(|(path, node)| {
                checker = codec::decode(&codec::encode(&checker)).unwrap();
                checker.admit(path, *node).is_ok()
            });
            prop_assert_eq!(admits, keeps_the_rule(&rows));
        }

        #[test] // [S6.8]
        fn no_chain_of_links_leaves_the_root(
            links in btree_map("[xy](/[xy]){0,2}", "(\\.\\.?|[xy])(/(\\.\\.?|[xy])){0,4}", 1..6),
        ) {
            // A model of a file system: every path is a folder, but for the links that the rule lets pass.
            let links: std::collections::BTreeMap<_, _> = links
                .into_iter()
                .filter(|(at, target)| Target::parse(target.as_bytes(), &path(at)).is_ok())
                .collect();
            let is_real_folder = |at: &str| !links.keys().any(|link| format!("{at}/").starts_with(&format!("{link}/")));
            for (at, target) in &links {
                let Some((parent, _)) = at.rsplit_once('/') else {
                    prop_assert!(resolve(&links, Vec::new(), target, 40));
                    continue;
                };
                // The archive's order makes the folder of every link a folder.
                if is_real_folder(parent) {
                    let above = parent.split('/').map(str::to_owned).collect();
                    prop_assert!(resolve(&links, above, target, 40));
                }
            }
        }
    }

    /// Follows a target as a system would; false if it climbs above the root.
    fn resolve(links: &std::collections::BTreeMap<String, String>, from: Vec<String>, target: &str, hops: u32) -> bool {
        let mut at = from;
        let mut rest: Vec<String> = target.split('/').rev().map(str::to_owned).collect();
        let mut hops = hops;
        while let Some(component) = rest.pop() {
            match component.as_str() {
                "" | "." => {}
                ".." => {
                    if at.pop().is_none() {
                        return false;
                    }
                }
                name => {
                    at.push(name.to_owned());
                    if let Some(next) = links.get(&at.join("/")) {
                        at.pop();
                        rest.extend(next.split('/').rev().map(str::to_owned));
                        hops -= 1;
                        if hops == 0 {
                            return true;
                        }
                    }
                }
            }
        }
        true
    }
}
