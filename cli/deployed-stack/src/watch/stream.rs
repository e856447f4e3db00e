//! The calls of DynamoDB Streams.

use aws::AwsFailure;
use aws_config::SdkConfig;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsOutput;
use aws_sdk_dynamodbstreams::types::{Shard, ShardIteratorType, StreamStatus};

/// Where the reading of a shard begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// After what there is now.
    Latest,
    /// With the oldest record that there still is.
    Oldest,
    /// After the record of this sequence number.
    After(String),
}

/// The shards of a stream.
#[derive(Debug, Clone, Default)]
pub struct Description {
    /// Those that have records of the last 24 hours.
    pub shards: Vec<Shard>,
    /// Whether the stream gets no more records, because it was turned off.
    pub is_disabled: bool,
}

/// A stream of DynamoDB.
pub trait Stream: Send + Sync {
    /// Returns its shards.
    fn describe(&self) -> impl Future<Output = Result<Description, AwsFailure>> + Send;

    /// Returns an iterator of a shard, or `None` if the shard has nothing to read.
    fn iterator(
        &self,
        shard: &str,
        position: &Position,
    ) -> impl Future<Output = Result<Option<String>, AwsFailure>> + Send;

    /// Returns the next records of an iterator, and the iterator after them unless they end the shard.
    fn records(&self, iterator: &str) -> impl Future<Output = Result<GetRecordsOutput, AwsFailure>> + Send;
}

/// The stream of a table.
#[derive(Debug, Clone)]
pub struct TableStream {
    client: Client,
    arn: String,
}

impl TableStream {
    /// Creates a client of the stream with this ARN.
    #[must_use]
    pub fn new(config: &SdkConfig, arn: String) -> Self {
        Self {
            client: Client::new(config),
            arn,
        }
    }
}

impl Stream for TableStream {
    async fn describe(&self) -> Result<Description, AwsFailure> {
        let mut description = Description::default();
        let mut last = None;
        loop {
            let page = self
                .client
                .describe_stream()
                .stream_arn(&self.arn)
                .set_exclusive_start_shard_id(last)
                .send()
                .await
                .map_err(|error| AwsFailure::new("dynamodb:DescribeStream", &error))?;
            let Some(page) = page.stream_description else {
                return Ok(description);
            };
            description.is_disabled = matches!(
                page.stream_status,
                Some(StreamStatus::Disabled | StreamStatus::Disabling)
            );
            description.shards.extend(page.shards.unwrap_or_default());
            last = page.last_evaluated_shard_id;
            if last.is_none() {
                return Ok(description);
            }
        }
    }

    async fn iterator(&self, shard: &str, position: &Position) -> Result<Option<String>, AwsFailure> {
        let (kind, after) = match position {
            Position::Latest => (ShardIteratorType::Latest, None),
            Position::Oldest => (ShardIteratorType::TrimHorizon, None),
            Position::After(number) => (ShardIteratorType::AfterSequenceNumber, Some(number.clone())),
        };
        let iterator = self
            .client
            .get_shard_iterator()
            .stream_arn(&self.arn)
            .shard_id(shard)
            .shard_iterator_type(kind)
            .set_sequence_number(after)
            .send()
            .await;
        let iterator = iterator.map_err(|error| AwsFailure::new("dynamodb:GetShardIterator", &error))?;
        Ok(iterator.shard_iterator)
    }

    async fn records(&self, iterator: &str) -> Result<GetRecordsOutput, AwsFailure> {
        let records = self.client.get_records().shard_iterator(iterator).send().await;
        records.map_err(|error| AwsFailure::new("dynamodb:GetRecords", &error))
    }
}
