//! Requests, as the servers of tests read them.

use std::collections::HashMap;
use std::io::{Error, Result};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// A whole request.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers, with names in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads the next request of a connection.
    ///
    /// # Errors
    /// Returns the error of the connection.
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

    /// Returns whether it has the login that [`Host::with_password`](crate::http::Host::with_password) requires.
    #[must_use]
    pub fn has_password(&self, password: &str) -> bool {
        let pair = STANDARD.encode(format!("{}:{password}", crate::http::USERNAME));
        self.headers
            .get("authorization")
            .is_some_and(|given| *given == format!("Basic {pair}"))
    }

    /// Returns whether it has any login.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.headers.contains_key("authorization")
    }

    /// Returns whether it asks a git host for the pack. (An earlier request asks for the shallow commits.)
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.body.ends_with(b"0009done\n")
    }
}
