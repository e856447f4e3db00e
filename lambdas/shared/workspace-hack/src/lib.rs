//! Nothing. Its manifest names what only dependencies use, with the features that they have in any function. `sam build`
//! builds one function at a time: so they have the same features in each, and what stands on them is compiled once.
//!
//! crc-fast is named because it is a C library too, which LTO is not for: what it stands on is compiled to machine code in
//! functions that have it, and to bitcode alone in others, with all that stands on that. The wiring tests hold the list to
//! what cargo says.
