//! Which rule of the archive was broken.

/// Why bytes are not an archive this side takes, or why a call would not make one.
///
/// # Security
/// It holds a number and nothing of the archive: no name, no content, no offset a peer chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u16)]
#[non_exhaustive]
pub enum ArchiveFault {
    /// An item's tag is unknown.
    #[error("unknown item")]
    ItemTag = 1,
    /// An item is cut short or longer than its kind may be.
    #[error("an item's length is wrong")]
    ItemLength,
    /// An item's body is not the one encoding of its fields.
    #[error("an item is not encoded as it must be")]
    ItemEncoding,
    /// An entry has a mode, time, size or target that its kind cannot have.
    #[error("an entry's fields do not fit together")]
    EntryField,
    /// A path is absolute, has an empty, `.` or `..` component, or a NUL.
    #[error("a path is not allowed")]
    Path,
    /// A path is longer or deeper than the limit.
    #[error("a path is too long or too deep")]
    PathLimit,
    /// An entry does not come behind the one before it.
    #[error("an entry is out of order")]
    PathOrder,
    /// An entry's folder has not come before it.
    #[error("an entry has no folder")]
    PathParent,
    /// A link's target is empty, absolute, too long, or leaves the root.
    #[error("a link's target is not allowed")]
    Target,
    /// An item stands where a file's Data or EntryEnd must stand, or the other way round.
    #[error("an item is in the wrong place")]
    ItemPlace,
    /// Data is empty, longer than a piece, or follows a short piece.
    #[error("a piece of data has the wrong length")]
    DataLength,
    /// A file's data exceeds the size that its entry announced.
    #[error("a file is longer than announced")]
    DataBeyondSize,
    /// An EntryEnd's size is not that of the data.
    #[error("a file's size is not what its data has")]
    EndSize,
    /// An EntryEnd's hash is not that of the data.
    #[error("a file's hash is not that of its data")]
    EndHash,
    /// What follows a void is not the same path once more.
    #[error("a void is not followed by the same path")]
    AfterVoid,
    /// Something else than pages stands in the catalogue, or pages outside of it.
    #[error("pages and entries are mixed")]
    PagePlace,
    /// A page does not begin where the one before it ended, or is empty.
    #[error("a page is out of order")]
    PageOrder,
    /// The catalogue does not list what was received, where it was received.
    #[error("the catalogue is not that of the entries")]
    Catalogue,
    /// A frame's head has an unknown codec, a set zero, or lengths that cannot be.
    #[error("a frame's head is wrong")]
    FrameHead,
    /// A compressed frame does not give exactly its raw length.
    #[error("a frame cannot be unpacked")]
    FrameContent,
    /// A block was not sealed under this key for this place, or was altered.
    #[error("a block is not authentic")]
    BlockSealed,
    /// A block's payload has an unknown kind or flag, a wrong length, or a set zero.
    #[error("a block's payload is wrong")]
    BlockPayload,
    /// Blocks come in an order that no archive has.
    #[error("a block is out of order")]
    BlockOrder,
    /// There are more blocks than a transfer may have.
    #[error("too many blocks")]
    BlockLimit,
    /// The stream ends within a frame.
    #[error("the stream ends within a frame")]
    StreamEnd,
    /// The tail record is not the one encoding of its fields, or exceeds a limit.
    #[error("the tail is not encoded as it must be")]
    TailEncoding,
    /// The tail's numbers are not those of what was received.
    #[error("the tail's numbers are not those of the archive")]
    TailNumbers,
    /// The tail's root is not that of what was received.
    #[error("the tail's root is not that of the archive")]
    TailRoot,
    /// The archive ends within a file or before its catalogue is complete.
    #[error("the archive ends too early")]
    Unfinished,
    /// A kept state is not one that this module makes.
    #[error("a kept state is damaged")]
    State,
    /// The compressor could not be set up.
    #[error("the compressor cannot be set up")]
    Compressor,
}

impl ArchiveFault {
    /// The number that may be shown or kept.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The rule of the SPEC that was broken.
    pub fn rule(self) -> &'static str {
        match self {
            Self::ItemTag | Self::ItemLength => "S6.1",
            Self::ItemEncoding | Self::TailEncoding | Self::State => "S2.2",
            Self::EntryField => "S6.2",
            Self::Path | Self::PathOrder | Self::PathParent => "S6.7",
            Self::PathLimit => "S3.1",
            Self::Target => "S6.8",
            Self::ItemPlace | Self::DataLength | Self::DataBeyondSize => "S6.3",
            Self::EndSize | Self::EndHash | Self::AfterVoid => "S6.4",
            Self::PagePlace | Self::PageOrder | Self::Catalogue => "S9.3",
            Self::FrameHead | Self::Compressor => "S7.1",
            Self::FrameContent => "S7.3",
            Self::BlockSealed => "S8.2",
            Self::BlockPayload => "S8.3",
            Self::StreamEnd => "S8.4",
            Self::BlockOrder | Self::BlockLimit => "S8.5",
            Self::TailNumbers | Self::TailRoot | Self::Unfinished => "S9.5",
        }
    }
}

/// Brings a fault out of a decoder of a kept state.
pub(super) fn decode_error(fault: ArchiveFault) -> minicbor::decode::Error {
    minicbor::decode::Error::custom(fault)
}
