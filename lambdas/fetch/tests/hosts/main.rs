//! Runs `Fetch` against git hosts on the loopback: real ones (git's own `git http-backend`, OpenSSH's server), and
//! hostile ones that speak just enough of HTTP and git. Each failure has its code, names the URL and no secret, and
//! leaves nothing in the staging area.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

mod gnupg;
mod scene;
mod tls;
mod token;

mod bases;
mod certificates;
mod commits;
mod credentials;
mod damage;
mod endless;
mod lineage;
mod logins;
mod outages;
mod paths;
mod progress;
mod redirects;
mod signatures;
mod submodules;
mod versions;
