//! Reads the shards of a stream in memory, which split, expire and fail.

use std::collections::BTreeSet;
use std::sync::Mutex;

use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsOutput;
use aws_sdk_dynamodbstreams::primitives::DateTime as AwsDateTime;
use aws_sdk_dynamodbstreams::types::{SequenceNumberRange, StreamRecord};

use super::super::stream::Description;
use super::*;

/// A stream in memory, whose records are numbers.
#[derive(Default)]
struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    shards: Vec<MemoryShard>,
    is_disabled: bool,
    /// The iterators that were used up.
    expired: BTreeSet<String>,
    /// What the next calls for a shard fail with.
    failures: Vec<(&'static str, &'static str)>,
    /// How many records one call returns at most.
    page: usize,
}

struct MemoryShard {
    id: &'static str,
    parent: Option<&'static str>,
    /// The numbers of the records, and the seconds of their times.
    records: Vec<(u64, i64)>,
    /// How many of them are no longer there.
    trimmed: usize,
    is_closed: bool,
}

impl Memory {
    /// A stream with an open shard that has a record.
    fn new() -> Self {
        let memory = Self::default();
        memory.0.lock().unwrap().page = 100;
        memory.shard("a", None);
        memory.put("a", &[1]);
        memory
    }

    fn shard(&self, id: &'static str, parent: Option<&'static str>) {
        self.0.lock().unwrap().shards.push(MemoryShard {
            id,
            parent,
            records: vec![],
            trimmed: 0,
            is_closed: false,
        });
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut MemoryShard)) {
        let mut state = self.0.lock().unwrap();
        change(state.shards.iter_mut().find(|shard| shard.id == id).unwrap());
    }

    fn put(&self, id: &str, numbers: &[u64]) {
        self.put_at(id, numbers, Utc::now().timestamp());
    }

    fn put_at(&self, id: &str, numbers: &[u64], at: i64) {
        self.change(id, |shard| {
            shard.records.extend(numbers.iter().map(|number| (*number, at)));
        });
    }

    fn close(&self, id: &str) {
        self.change(id, |shard| shard.is_closed = true);
    }

    /// Lets all iterators expire that there are.
    fn expire(&self) {
        let mut state = self.0.lock().unwrap();
        let all: Vec<_> = state
            .shards
            .iter()
            .map(|shard| (shard.id, shard.records.len()))
            .collect();
        for (id, records) in all {
            state
                .expired
                .extend((0..=records).map(|at| format!("{id}:{at}:0")));
        }
    }

    fn fail(&self, id: &'static str, code: &'static str) {
        self.0.lock().unwrap().failures.push((id, code));
    }
}

fn failure(code: &str) -> AwsFailure {
    AwsFailure::of_item("dynamodb:GetRecords", Some(code), None)
}

impl Stream for &Memory {
    async fn describe(&self) -> Result<Description, AwsFailure> {
        let state = self.0.lock().unwrap();
        let shards = state.shards.iter().map(|shard| {
            let ending = shard.is_closed.then(|| "9".to_owned());
            let range = SequenceNumberRange::builder().set_ending_sequence_number(ending);
            Shard::builder()
                .shard_id(shard.id)
                .set_parent_shard_id(shard.parent.map(str::to_owned))
                .sequence_number_range(range.build())
                .build()
        });
        Ok(Description {
            shards: shards.collect(),
            is_disabled: state.is_disabled,
        })
    }

    async fn iterator(&self, id: &str, position: &Position) -> Result<Option<String>, AwsFailure> {
        let state = self.0.lock().unwrap();
        let Some(shard) = state.shards.iter().find(|shard| shard.id == id) else {
            return Err(failure("ResourceNotFoundException"));
        };
        let at = match position {
            Position::Latest => shard.records.len(),
            Position::Oldest => shard.trimmed,
            Position::After(number) => {
                let number: u64 = number.parse().unwrap();
                let found = shard
                    .records
                    .iter()
                    .position(|record| record.0 == number)
                    .unwrap();
                if found < shard.trimmed {
                    return Err(failure("TrimmedDataAccessException"));
                }
                found + 1
            }
        };
        // A renewed iterator is another one.
        let renewed = usize::from(state.expired.contains(&format!("{id}:{at}:0")));
        Ok(Some(format!("{id}:{at}:{renewed}")))
    }

    async fn records(&self, iterator: &str) -> Result<GetRecordsOutput, AwsFailure> {
        let mut state = self.0.lock().unwrap();
        let (id, rest) = iterator.split_once(':').unwrap();
        if let Some((_, code)) = state.failures.pop_if(|(of, _)| *of == id) {
            return Err(failure(code));
        }
        if state.expired.contains(iterator) {
            return Err(failure("ExpiredIteratorException"));
        }
        let at: usize = rest.split(':').next().unwrap().parse().unwrap();
        let page = state.page;
        let Some(shard) = state.shards.iter().find(|shard| shard.id == id) else {
            return Err(failure("ResourceNotFoundException"));
        };
        if at < shard.trimmed {
            return Err(failure("TrimmedDataAccessException"));
        }
        let records = shard.records.iter().skip(at).take(page).map(|(number, seconds)| {
            let change = StreamRecord::builder()
                .sequence_number(number.to_string())
                .approximate_creation_date_time(AwsDateTime::from_secs(*seconds));
            Record::builder().dynamodb(change.build()).build()
        });
        let records: Vec<_> = records.collect();
        let next = at + records.len();
        let is_over = shard.is_closed && next == shard.records.len();
        let next = (!is_over).then(|| format!("{id}:{next}:0"));
        Ok(GetRecordsOutput::builder()
            .set_records(Some(records))
            .set_next_shard_iterator(next)
            .build())
    }
}

/// Reads so many times, and returns the numbers of the records.
async fn read(shards: &mut Shards<&Memory>, times: usize) -> Vec<u64> {
    let mut records = Vec::new();
    for _ in 0..times {
        shards.read(&mut records).await.unwrap();
    }
    let numbers = records.iter().filter_map(sequence_number);
    numbers.map(|number| number.parse().unwrap()).collect()
}

#[tokio::test]
async fn only_what_comes_from_now_on_is_read_and_each_record_once() {
    let memory = Memory::new();
    memory.shard("old", None);
    memory.put("old", &[8, 9]);
    memory.close("old");
    let mut shards = Shards::open(&memory).await.unwrap();
    assert_eq!(read(&mut shards, 2).await, [0; 0]);
    memory.put("a", &[2, 3]);
    assert_eq!(read(&mut shards, 2).await, [2, 3]);
    memory.put("a", &[4]);
    assert_eq!(read(&mut shards, 2).await, [4]);
}

#[tokio::test]
async fn shards_that_continue_others_are_read_after_them_from_their_beginning() {
    let memory = Memory::new();
    memory.shard("other", None);
    let mut shards = Shards::open(&memory).await.unwrap();
    memory.0.lock().unwrap().page = 1;
    memory.put("a", &[2, 3]);
    memory.close("a");
    // Two continue it, one of which is closed already too. They are known early, because another shard has ended
    // before.
    for id in ["left", "right"] {
        memory.shard(id, Some("a"));
    }
    memory.put("left", &[4]);
    memory.close("left");
    memory.put("right", &[5, 6]);
    memory.shard("last", Some("left"));
    memory.put("last", &[7]);
    memory.close("other");
    let read = read(&mut shards, 12).await;
    let place = |number| read.iter().position(|found| *found == number).unwrap();
    let mut sorted = read.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [2, 3, 4, 5, 6, 7], "{read:?}");
    assert!(place(2) < place(3) && place(3) < place(4) && place(3) < place(5) && place(4) < place(7));
}

#[tokio::test]
async fn a_shard_that_continues_another_may_be_described_late() {
    let memory = Memory::new();
    let mut shards = Shards::open(&memory).await.unwrap();
    memory.close("a");
    assert_eq!(read(&mut shards, 3).await, [0; 0]);
    memory.shard("b", Some("a"));
    memory.put("b", &[2]);
    assert_eq!(read(&mut shards, 3).await, [2]);
    assert!(!shards.are_over());
}

#[tokio::test]
async fn an_iterator_that_has_expired_is_renewed_where_it_was() {
    let memory = Memory::new();
    let mut shards = Shards::open(&memory).await.unwrap();
    memory.put("a", &[2]);
    assert_eq!(read(&mut shards, 1).await, [2]);
    memory.expire();
    memory.put("a", &[3]);
    assert_eq!(read(&mut shards, 2).await, [3]);
}

#[tokio::test]
async fn what_came_before_an_iterator_expired_that_has_read_nothing_is_not_lost() {
    let memory = Memory::new();
    memory.put_at("a", &[2], 1_000);
    let mut shards = Shards::open(&memory).await.unwrap();
    assert_eq!(read(&mut shards, 1).await, [0; 0]);
    memory.expire();
    memory.put("a", &[3]);
    let found = read(&mut shards, 2).await;
    // The record of a minute ago may come again, but not the one of long ago.
    assert_eq!(found.last(), Some(&3), "{found:?}");
    assert!(!found.contains(&2), "{found:?}");
}

#[tokio::test]
async fn after_records_that_are_no_longer_there_the_next_ones_are_read() {
    let memory = Memory::new();
    let mut shards = Shards::open(&memory).await.unwrap();
    memory.put("a", &[2]);
    assert_eq!(read(&mut shards, 1).await, [2]);
    memory.put("a", &[3, 4]);
    memory.change("a", |shard| shard.trimmed = 3);
    assert_eq!(read(&mut shards, 1).await, [4]);
    memory.expire();
    memory.put("a", &[5, 6]);
    memory.change("a", |shard| shard.trimmed = 5);
    assert_eq!(read(&mut shards, 1).await, [6]);
}

#[tokio::test]
async fn a_failed_reading_loses_nothing() {
    let memory = Memory::new();
    memory.shard("b", None);
    let mut shards = Shards::open(&memory).await.unwrap();
    memory.put("a", &[2]);
    memory.put("b", &[3]);
    memory.fail("b", "LimitExceededException");
    let mut records = Vec::new();
    let failed = shards.read(&mut records).await.unwrap_err();
    assert!(failed.transient, "{failed}");
    assert_eq!(records.len(), 1);
    assert_eq!(read(&mut shards, 1).await, [3]);
    // An iterator that expires again and again is no reason to go on for ever.
    for _ in 0..=RENEWALS {
        memory.fail("b", "ExpiredIteratorException");
    }
    assert!(shards.read(&mut records).await.is_err());
}

#[tokio::test]
async fn a_stream_that_was_turned_off_is_over_when_all_was_read() {
    let memory = Memory::new();
    let mut shards = Shards::open(&memory).await.unwrap();
    memory.put("a", &[2]);
    memory.close("a");
    memory.0.lock().unwrap().is_disabled = true;
    assert!(!shards.are_over());
    assert_eq!(read(&mut shards, 1).await, [2]);
    assert!(shards.are_over());
}
