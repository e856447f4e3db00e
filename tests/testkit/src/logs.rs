//! What is logged in a test.

use std::io;
use std::sync::Mutex;

use serde_json::Value;

/// The lines that a subscriber has written, each of which is a JSON object.
#[derive(Debug, Default)]
pub struct Lines(Mutex<Vec<u8>>);

impl Lines {
    /// Returns the fields of all lines with this message.
    pub fn fields(&self, message: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let fields = text.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line["fields"].take()
        });
        fields.filter(|fields| fields["message"] == message).collect()
    }
}

impl io::Write for &Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
