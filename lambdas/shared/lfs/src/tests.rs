//! Fetches LFS objects from a real server, pushed by the real client, and from servers that violate the protocol.

mod scene;
mod server;

mod answers;
mod bodies;
mod elsewhere;
mod real;
mod tls;
