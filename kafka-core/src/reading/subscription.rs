//! What a reader reads, as its application says it.

use super::pattern::Pattern;
use crate::error::{Error, ErrorKind};
use crate::group::GroupConfig;
use crate::reader::Start;
use crate::snapshot::TopicPartition;
use kafka_proto::Str;
use std::sync::Arc;

/// The topics of a reader: these, or all that a [`Pattern`] matches.
///
/// One name, several or a pattern become a subscription by themselves:
///
/// ```
/// use kafka_core::{Pattern, Subscription};
///
/// let one: Subscription = "orders".into();
/// let several = Subscription::from(["orders", "payments"]);
/// let pattern = Subscription::from(Pattern::new("orders-.*")?);
/// assert_eq!(one, Subscription::from(vec!["orders".to_owned()]));
/// # assert!(several != one && pattern != one);
/// # Ok::<(), kafka_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Subscription {
    /// These topics; each counts once.
    Topics(Vec<Str>),
    /// All topics whose names it matches, also those that are made later.
    Pattern(Pattern),
}

impl Subscription {
    /// Returns whether it can be read.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where there is no topic, or one without a name.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Topics(topics) if topics.is_empty() => {
                Err(Error::config("topic", "at least one is needed"))
            }
            Self::Topics(topics) => topics.iter().try_for_each(named),
            Self::Pattern(_) => Ok(()),
        }
    }
}

impl From<Pattern> for Subscription {
    fn from(pattern: Pattern) -> Self {
        Self::Pattern(pattern)
    }
}

impl From<&Pattern> for Subscription {
    fn from(pattern: &Pattern) -> Self {
        Self::Pattern(pattern.clone())
    }
}

impl From<&str> for Subscription {
    fn from(topic: &str) -> Self {
        Self::Topics(vec![topic.into()])
    }
}

impl From<String> for Subscription {
    fn from(topic: String) -> Self {
        Self::Topics(vec![topic.into()])
    }
}

impl From<&String> for Subscription {
    fn from(topic: &String) -> Self {
        topic.as_str().into()
    }
}

impl From<Str> for Subscription {
    fn from(topic: Str) -> Self {
        Self::Topics(vec![topic])
    }
}

impl From<&Str> for Subscription {
    fn from(topic: &Str) -> Self {
        topic.clone().into()
    }
}

impl<T: Into<Str>> From<Vec<T>> for Subscription {
    fn from(topics: Vec<T>) -> Self {
        Self::Topics(topics.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Str>, const N: usize> From<[T; N]> for Subscription {
    fn from(topics: [T; N]) -> Self {
        Self::Topics(topics.into_iter().map(Into::into).collect())
    }
}

impl<T: Clone + Into<Str>> From<&[T]> for Subscription {
    fn from(topics: &[T]) -> Self {
        Self::Topics(topics.iter().cloned().map(Into::into).collect())
    }
}

impl<T: Clone + Into<Str>> From<&Vec<T>> for Subscription {
    fn from(topics: &Vec<T>) -> Self {
        topics.as_slice().into()
    }
}

impl<T: Clone + Into<Str>, const N: usize> From<&[T; N]> for Subscription {
    fn from(topics: &[T; N]) -> Self {
        topics.as_slice().into()
    }
}

/// What a reader reads, and where it begins.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReadFrom {
    /// All partitions of topics, each from this place.
    Topics(Subscription, Start),
    /// These partitions, each from its place.
    Partitions(Vec<(TopicPartition, Start)>),
    /// What the group assigns to this member of these topics: from what it has committed, else from this place.
    Group(Arc<GroupConfig>, Subscription, Start),
}

impl ReadFrom {
    /// Returns whether it can be read.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for no topic or one without a name, a partition below zero, and for a setting of the group that is out of its
    /// range, [`Start::Committed`] without a group, and what [`Start::validate`] says of a place.
    pub fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Topics(subscription, start) => subscription.validate().and(place(*start)),
            Self::Partitions(partitions) => partitions.iter().try_for_each(|(of, start)| {
                if of.partition < 0 {
                    return Err(Error::config("partition", "must not be negative"));
                }
                named(&of.topic).and(place(*start))
            }),
            Self::Group(group, subscription, start) => {
                subscription.validate().and(group.validate()).and(start.validate())
            }
        }
    }

    /// Asks the assignors of the group for their names.
    pub(super) fn named(self) -> Self {
        match self {
            Self::Group(group, subscription, start) => {
                Self::Group(Arc::new(Arc::unwrap_or_clone(group).named()), subscription, start)
            }
            other => other,
        }
    }

    /// Where a partition begins of which nothing else is known.
    pub(super) fn start(&self) -> Start {
        match self {
            Self::Topics(_, start) | Self::Group(.., start) => *start,
            Self::Partitions(_) => Start::First,
        }
    }

    pub(super) fn group(&self) -> Option<&Arc<GroupConfig>> {
        match self {
            Self::Group(group, ..) => Some(group),
            _ => None,
        }
    }

    pub(super) fn subscription(&self) -> Option<&Subscription> {
        match self {
            Self::Topics(subscription, _) | Self::Group(_, subscription, _) => Some(subscription),
            Self::Partitions(_) => None,
        }
    }

    /// Replaces the topics.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] where partitions were chosen.
    pub(super) fn subscribe(&mut self, new: Subscription) -> Result<(), Error> {
        match self {
            Self::Topics(subscription, _) | Self::Group(_, subscription, _) => *subscription = new,
            Self::Partitions(_) => {
                let problem =
                    "a reader of chosen partitions subscribes to no topics; `assign` changes what it reads";
                return Err(Error::new(ErrorKind::Misuse(problem)));
            }
        }
        Ok(())
    }

    /// Checks that partitions are chosen.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] where topics are subscribed to.
    pub(super) fn check_assignable(&self) -> Result<(), Error> {
        let problem = match self {
            Self::Partitions(_) => return Ok(()),
            Self::Topics(..) => {
                "a reader of whole topics has no partitions chosen; `subscribe` changes what it reads"
            }
            Self::Group(..) => {
                "a group assigns the partitions of its members; `subscribe` changes the topics"
            }
        };
        Err(Error::new(ErrorKind::Misuse(problem)))
    }
}

fn named(topic: &Str) -> Result<(), Error> {
    if topic.is_empty() { Err(Error::config("topic", "must not be empty")) } else { Ok(()) }
}

/// Where reading without a group can begin.
fn place(start: Start) -> Result<(), Error> {
    match start {
        Start::Committed => {
            Err(Error::config("start", "at what was committed means nothing without a group"))
        }
        start => start.validate(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_kinds_become_a_subscription() {
        let one = Subscription::Topics(vec!["a".into()]);
        let (string, name) = ("a".to_owned(), Str::from("a"));
        let ones: [Subscription; 9] = [
            "a".into(),
            string.clone().into(),
            (&string).into(),
            name.clone().into(),
            (&name).into(),
            ["a"].into(),
            vec![string.clone()].into(),
            (&[string][..]).into(),
            (&vec![name]).into(),
        ];
        assert!(ones.iter().all(|subscription| *subscription == one));
        let two = Subscription::Topics(vec!["b".into(), "a".into()]);
        assert_eq!([Subscription::from(["b", "a"]), (&["b", "a"]).into()], [two.clone(), two]);
    }

    #[test]
    fn what_names_nothing_is_refused() {
        let of = |names: &[&'static str]| Subscription::from(names).validate();
        assert_eq!(of(&["a", "b"]), Ok(()));
        for wrong in [of(&[]), of(&["a", ""])] {
            assert!(matches!(wrong.unwrap_err().kind(), ErrorKind::Config { setting: "topic", .. }));
        }
    }
}
