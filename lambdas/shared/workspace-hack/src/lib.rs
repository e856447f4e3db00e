//! Has no code. Its manifest pins one feature set for what all functions depend on, so `sam build`, which builds one
//! function at a time, compiles it once. The wiring tests compare the manifest with what cargo says.
//!
//! crc-fast is named because it is a library for C too, to which link-time optimization does not apply. Cargo compiles
//! its dependencies to machine code in functions that have it, and to bitcode alone in others. So they, and all that
//! depends on them, would be compiled twice if only some functions had it.
