//! A field's path, as a chain towards the root: written out only where something is wrong.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{self, Write};

/// Longer keys are cut where they are shown: a text full of long keys must not cost its square.
const SHOWN: usize = 100;

/// Where a node stands in its document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'a> {
    /// The document itself.
    Document,
    /// A field of an object.
    Field(&'a Self, &'a str),
    /// An entry of a map.
    Key(&'a Self, &'a str),
    /// An item of a list.
    Index(&'a Self, usize),
}

impl<'a> Path<'a> {
    pub(super) const fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(super) const fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    /// As Go names it: the names of the fields alone.
    pub(super) fn without_indexes(&self) -> String {
        match self {
            Self::Document => String::new(),
            Self::Field(Self::Document, name) => Cut(name).to_string(),
            Self::Field(parent, name) => format!("{}.{}", parent.without_indexes(), Cut(name)),
            Self::Key(parent, _) | Self::Index(parent, _) => parent.without_indexes(),
        }
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
        for (index, c) in self.0.chars().enumerate() {
            match c {
                _ if index == SHOWN => return f.write_char('…'),
                // A message is one line.
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
