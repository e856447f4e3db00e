//! A request, as the servers of tests read it.

use std::collections::HashMap;
use std::io::{Error, Result};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// A request, whole.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The next one of a connection.
    ///
    /// # Errors
    /// The connection's.
    pub async fn read(connection: &mut (impl AsyncBufRead + Unpin)) -> Result<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line).await? == 0 {
                return Err(Error::other("closed"));
            }
            match line.trim_end() {
                "" => break,
                text => lines.push(text.to_owned()),
            }
        }
        let mut words = lines[0].split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let headers: HashMap<_, _> = lines[1..]
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers
            .get("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await?;
        Ok(Self {
            method,
            target,
            headers,
            body,
        })
    }

    /// Whether it logs in as [`Host::with_password`](crate::http::Host::with_password) wants it.
    #[must_use]
    pub fn has_password(&self, password: &str) -> bool {
        let pair = STANDARD.encode(format!("{}:{password}", crate::http::USERNAME));
        self.headers
            .get("authorization")
            .is_some_and(|given| *given == format!("Basic {pair}"))
    }

    /// Whether it logs in at all.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.headers.contains_key("authorization")
    }

    /// Whether it asks a git host for the pack: the shallow commits are asked for in a request before.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.body.ends_with(b"0009done\n")
    }
}
