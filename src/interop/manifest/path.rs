//! A field's path, as a chain towards the root: written out only where something is wrong.

use core::fmt;

/// Longer keys are cut where they are shown: a text full of long keys must not cost its square.
const SHOWN: usize = 100;

/// Where a node stands in its document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'a> {
    /// The document itself.
    Document,
    /// A field of an object.
    Field(&'a Path<'a>, &'a str),
    /// An entry of a map.
    Key(&'a Path<'a>, &'a str),
    /// An item of a list.
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(super) const fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(super) const fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    pub(super) const fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => Ok(()),
            Self::Field(Self::Document, name) => Cut(name).fmt(f),
            Self::Field(parent, name) => write!(f, "{parent}.{}", Cut(name)),
            Self::Key(parent, key) => write!(f, "{parent}[{}]", Cut(key)),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

struct Cut<'a>(&'a str);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}
