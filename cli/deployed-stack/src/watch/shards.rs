//! The records of a stream, whose shards are closed and continued by others every few hours.
//!
//! The changes of one item are in one shard, and then in the shards that continue it. A shard is read after the one
//! that it continues, so the changes of an item come in their order.

use std::collections::{BTreeMap, BTreeSet};

use aws::AwsFailure;
use aws_sdk_dynamodbstreams::types::{Record, Shard};
use chrono::{DateTime, TimeDelta, Utc};

use super::stream::{Position, Stream};

/// How many times an iterator is renewed before the shard counts as one that cannot be read.
const RENEWALS: usize = 3;

/// How far the clock of this machine may differ from that of DynamoDB, which a record's time is of.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);

/// The shards of a stream, from now on.
#[derive(Debug)]
pub struct Shards<S> {
    stream: S,
    /// Those that are read.
    open: BTreeMap<String, Reading>,
    /// Those that continue a shard that was not read to its end yet.
    waiting: Vec<Shard>,
    /// All that were ever described.
    known: BTreeSet<String>,
    /// Those that were read to their end, and of which no shard is known yet that continues them.
    ended: BTreeSet<String>,
    is_disabled: bool,
}

/// How far a shard was read.
#[derive(Debug)]
struct Reading {
    /// Where an iterator begins that is made anew.
    position: Position,
    /// The iterator, or `None` if it has to be made anew.
    iterator: Option<String>,
    /// When it was read the last time.
    read_at: DateTime<Utc>,
    /// From when on records are new, if no number says it.
    since: Option<DateTime<Utc>>,
}

impl<S: Stream> Shards<S> {
    /// Opens the shards that there are, after what they have now.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub async fn open(stream: S) -> Result<Self, AwsFailure> {
        let mut shards = Self {
            stream,
            open: BTreeMap::new(),
            waiting: Vec::new(),
            known: BTreeSet::new(),
            ended: BTreeSet::new(),
            is_disabled: false,
        };
        let description = shards.stream.describe().await?;
        shards.is_disabled = description.is_disabled;
        for shard in description.shards {
            let id = shard.shard_id.clone().unwrap_or_default();
            if !is_closed(&shard) {
                shards.begin(&id, Position::Latest).await?;
            }
            shards.known.insert(id);
        }
        Ok(shards)
    }

    /// Returns whether there is nothing more to read, because the stream was turned off.
    #[must_use]
    pub fn are_over(&self) -> bool {
        self.is_disabled && self.open.is_empty() && self.waiting.is_empty()
    }

    /// Reads what has come since, and adds it to `records`, also if it fails then.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read. No record is lost if this is called again.
    pub async fn read(&mut self, records: &mut Vec<Record>) -> Result<(), AwsFailure> {
        for id in self.open.keys().cloned().collect::<Vec<_>>() {
            let Some(reading) = self.open.get_mut(&id) else {
                continue;
            };
            if reading.read(&self.stream, &id, records).await? {
                self.open.remove(&id);
                self.ended.insert(id);
            }
        }
        if !self.ended.is_empty() || self.open.is_empty() || !self.waiting.is_empty() {
            self.find_more().await?;
        }
        Ok(())
    }

    /// Opens the shards that continue others, once those were read to their end.
    async fn find_more(&mut self) -> Result<(), AwsFailure> {
        let description = self.stream.describe().await?;
        self.is_disabled = description.is_disabled;
        for shard in description.shards {
            if let Some(parent) = &shard.parent_shard_id {
                self.ended.remove(parent);
            }
            if self.known.insert(shard.shard_id.clone().unwrap_or_default()) {
                self.waiting.push(shard);
            }
        }
        while let Some(ready) = self.waiting.iter().position(|shard| self.is_ready(shard)) {
            let id = self.waiting[ready].shard_id.clone().unwrap_or_default();
            self.begin(&id, Position::Oldest).await?;
            self.waiting.remove(ready);
        }
        Ok(())
    }

    fn is_ready(&self, shard: &Shard) -> bool {
        shard.parent_shard_id.as_ref().is_none_or(|parent| {
            let mut waiting = self.waiting.iter();
            !self.open.contains_key(parent) && !waiting.any(|shard| shard.shard_id.as_ref() == Some(parent))
        })
    }

    async fn begin(&mut self, id: &str, position: Position) -> Result<(), AwsFailure> {
        let iterator = self.stream.iterator(id, &position).await?;
        let reading = Reading {
            position,
            iterator,
            read_at: Utc::now(),
            since: None,
        };
        self.open.insert(id.to_owned(), reading);
        Ok(())
    }
}

impl Reading {
    /// Reads the next records. Returns whether the shard has ended.
    async fn read(
        &mut self,
        stream: &impl Stream,
        id: &str,
        records: &mut Vec<Record>,
    ) -> Result<bool, AwsFailure> {
        let mut renewals = 0;
        let read = loop {
            let iterator = match self.iterator.clone() {
                Some(iterator) => Ok(Some(iterator)),
                None => stream.iterator(id, &self.position).await,
            };
            let read = match iterator {
                Ok(None) => return Ok(true),
                Ok(Some(iterator)) => stream.records(&iterator).await,
                Err(failure) => Err(failure),
            };
            match read {
                Ok(read) => break read,
                // The shard is as old as what it had.
                Err(failure) if failure.is("ResourceNotFoundException") => return Ok(true),
                Err(failure) if renewals < RENEWALS && self.renews_after(&failure) => renewals += 1,
                Err(failure) => return Err(failure),
            }
        };
        self.read_at = Utc::now();
        self.iterator = read.next_shard_iterator;
        let found = read.records.unwrap_or_default();
        if let Some(number) = found.iter().filter_map(sequence_number).next_back() {
            self.position = Position::After(number);
        }
        let since = self.since;
        let is_new =
            |record: &Record| since.is_none_or(|since| created_at(record).is_none_or(|at| at >= since));
        records.extend(found.into_iter().filter(is_new));
        Ok(self.iterator.is_none())
    }

    /// Chooses where a new iterator begins, if the old one cannot be used any more. Returns whether that is so.
    fn renews_after(&mut self, failure: &AwsFailure) -> bool {
        let is_expired = failure.is("ExpiredIteratorException");
        let is_trimmed = failure.is("TrimmedDataAccessException");
        if !is_expired && !is_trimmed {
            return false;
        }
        // The latest record now may be one that has come after the last reading.
        if self.position == Position::Latest {
            self.since = Some(self.read_at - CLOCK_SKEW);
            self.position = Position::Oldest;
        }
        if is_trimmed {
            self.position = Position::Oldest;
        }
        self.iterator = None;
        true
    }
}

fn is_closed(shard: &Shard) -> bool {
    let range = shard.sequence_number_range.as_ref();
    range.is_some_and(|range| range.ending_sequence_number.is_some())
}

fn sequence_number(record: &Record) -> Option<String> {
    record.dynamodb.as_ref()?.sequence_number.clone()
}

fn created_at(record: &Record) -> Option<DateTime<Utc>> {
    let at = record.dynamodb.as_ref()?.approximate_creation_date_time?;
    DateTime::from_timestamp(at.secs(), at.subsec_nanos())
}

#[cfg(test)]
mod tests;
