//! The attributes that are looked up.

/// How many there are.
pub const WANTED: usize = 8;

/// One of them.
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
    /// All of them, by their index.
    pub const ALL: [(Self, &str); WANTED] = [
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

/// Some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Names(u8);

impl Names {
    pub const ALL: Self = Self(u8::MAX);
    pub const NONE: Self = Self(0);

    pub fn of(name: Name) -> Self {
        Self::at(name.index())
    }

    /// The one with this index, which is below [`WANTED`].
    pub fn at(index: usize) -> Self {
        Self(1 << index)
    }

    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}
