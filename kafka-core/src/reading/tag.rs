//! Tags of requests, by which an answer finds the part of a reader that has asked.

/// Which part has asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Fetcher(u64),
    Member(u64),
    Resolver(u64),
}

impl Tag {
    /// Returns the part's own tag.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Fetcher(number) | Self::Member(number) | Self::Resolver(number) => number,
        }
    }
}

impl From<Tag> for u64 {
    fn from(tag: Tag) -> Self {
        let part = match tag {
            Tag::Fetcher(_) => 0,
            Tag::Member(_) => 1,
            Tag::Resolver(_) => 2,
        };
        tag.number() << 2 | part
    }
}

impl From<u64> for Tag {
    fn from(tag: u64) -> Self {
        match tag & 3 {
            0 => Self::Fetcher(tag >> 2),
            1 => Self::Member(tag >> 2),
            _ => Self::Resolver(tag >> 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_comes_back_as_it_left() {
        for tag in [Tag::Fetcher(7), Tag::Member(7), Tag::Resolver(7), Tag::Resolver(0)] {
            assert_eq!(Tag::from(u64::from(tag)), tag);
        }
    }
}
