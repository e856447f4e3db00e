//! The processors that Lambda runs functions on.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A processor architecture. Its name is the template's for it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Display, EnumString, IntoStaticStr, VariantArray,
)]
pub enum Architecture {
    /// Processors of Intel and AMD.
    #[strum(serialize = "x86_64")]
    X86_64,
    /// AWS Graviton.
    #[strum(serialize = "arm64")]
    Arm64,
}

impl Architecture {
    /// This machine's architecture.
    pub const THIS: Self = if cfg!(target_arch = "aarch64") {
        Self::Arm64
    } else {
        Self::X86_64
    };

    /// Returns all of them, the template's default first.
    #[must_use]
    pub fn all() -> &'static [Self] {
        Self::VARIANTS
    }

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns Rust's name for Linux on it.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_is_found_by_its_name() {
        for &architecture in Architecture::all() {
            assert_eq!(architecture.name().parse(), Ok(architecture));
            assert_eq!(architecture.to_string(), architecture.name());
        }
        assert_eq!("arm64".parse(), Ok(Architecture::Arm64));
        assert!("aarch64".parse::<Architecture>().is_err());
    }
}
