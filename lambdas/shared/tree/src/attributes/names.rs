//! The attributes that are looked up.

/// How many attributes are looked up.
pub const COUNT: usize = 8;

/// An attribute that is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    ExportIgnore,
    ExportSubst,
    Text,
    Eol,
    Crlf,
    Ident,
    WorkingTreeEncoding,
    Filter,
}

impl Name {
    /// All of them, by index.
    pub const ALL: [(Self, &str); COUNT] = [
        (Self::ExportIgnore, "export-ignore"),
        (Self::ExportSubst, "export-subst"),
        (Self::Text, "text"),
        (Self::Eol, "eol"),
        (Self::Crlf, "crlf"),
        (Self::Ident, "ident"),
        (Self::WorkingTreeEncoding, "working-tree-encoding"),
        (Self::Filter, "filter"),
    ];

    pub fn index(self) -> usize {
        self as usize
    }
}

/// A set of attributes that are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Names(u8);

impl Names {
    pub const ALL: Self = Self(u8::MAX);
    pub const NONE: Self = Self(0);

    pub fn of(name: Name) -> Self {
        Self::at(name.index())
    }

    /// Returns the set of the attribute with this index, which is below [`COUNT`].
    pub fn at(index: usize) -> Self {
        Self(1 << index)
    }

    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub fn intersects(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}
