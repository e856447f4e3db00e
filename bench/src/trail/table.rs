//! A table of pushes in the local AWS.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, PutRequest, ScalarAttributeType, WriteRequest,
};
use domain::index::Index;
use domain::push::Push;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};

use super::pushes::Pushes;
use super::units::INDEXES;
use crate::error::Error;

/// The most items of one BatchWriteItem.
const BATCH: usize = 25;
/// How many of these requests are under way at once.
const CONCURRENT: usize = 4;

/// Creates the table `name`, with the keys and indexes of the template's.
pub async fn create(config: &SdkConfig, name: &str) -> Result<(), Error> {
    let keys = [["pk", "sk"]].into_iter().chain(INDEXES.map(Index::attributes));
    let mut create = Client::new(config)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(schema(["pk", "sk"])?));
    for attribute in keys.flatten() {
        let definition = AttributeDefinition::builder()
            .attribute_name(attribute)
            .attribute_type(ScalarAttributeType::S);
        create = create.attribute_definitions(definition.build().map_err(Error::trail("describe a key"))?);
    }
    for index in INDEXES {
        let all = Projection::builder().projection_type(ProjectionType::All);
        let index = GlobalSecondaryIndex::builder()
            .index_name(index.name())
            .set_key_schema(Some(schema(index.attributes())?))
            .projection(all.build());
        create = create.global_secondary_indexes(index.build().map_err(Error::trail("describe an index"))?);
    }
    create.send().await.map_err(Error::trail("create the table"))?;
    Ok(())
}

fn schema([partition, sort]: [&str; 2]) -> Result<Vec<KeySchemaElement>, Error> {
    let element = |name, kind| {
        let element = KeySchemaElement::builder().attribute_name(name).key_type(kind);
        element.build().map_err(Error::trail("describe a key"))
    };
    Ok(vec![
        element(partition, KeyType::Hash)?,
        element(sort, KeyType::Range)?,
    ])
}

/// Writes all items of the pushes, as the trail itself would have written them.
pub async fn fill(config: &SdkConfig, name: &str, pushes: &Pushes) -> Result<(), Error> {
    let bar = ProgressBar::new(pushes.number as u64);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos} of {len} pushes, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(format!("filling the table {name}"));
    let client = Client::new(config);
    let chunks = (0..pushes.number).step_by(BATCH);
    stream::iter(chunks)
        .map(|from| {
            let (client, bar) = (&client, &bar);
            async move {
                let to = (from + BATCH).min(pushes.number);
                let mut requests = Vec::new();
                for index in from..to {
                    let events = pushes.events(index);
                    let items = audit::items_of::<Push>(pushes.push(index).push_id, &events);
                    for item in items.map_err(Error::trail("make the items of a push"))? {
                        let put = PutRequest::builder().set_item(Some(item)).build();
                        let put = put.map_err(Error::trail("make a request"))?;
                        requests.push(WriteRequest::builder().put_request(put).build());
                    }
                }
                for requests in requests.chunks(BATCH) {
                    write(client, name, requests.to_vec()).await?;
                }
                bar.inc((to - from) as u64);
                Ok::<(), Error>(())
            }
        })
        .buffer_unordered(CONCURRENT)
        .try_collect::<()>()
        .await?;
    bar.finish_and_clear();
    Ok(())
}

async fn write(client: &Client, name: &str, mut requests: Vec<WriteRequest>) -> Result<(), Error> {
    while !requests.is_empty() {
        let write = client.batch_write_item().request_items(name, requests);
        let written = write.send().await.map_err(Error::trail("fill the table"))?;
        requests = written
            .unprocessed_items
            .and_then(|mut left| left.remove(name))
            .unwrap_or_default();
    }
    Ok(())
}
