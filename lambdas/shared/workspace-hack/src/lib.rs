//! Nothing. Its manifest names what only dependencies use, with the features that they have in any function. `sam build`
//! builds one function at a time: so they have the same features in each, and what stands on them is compiled once. The
//! wiring tests hold the list to what cargo says.
