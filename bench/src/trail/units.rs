//! The request units of exchanges with DynamoDB, by the rules that AWS publishes:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html> and
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>.
//!
//! They follow from the items that are asked for, returned and written, so they do not depend on what plays DynamoDB.

use std::collections::HashMap;

use domain::index::Index;
use serde_json::Value;

use super::meter::Exchange;
use crate::error::Error;

/// The indexes of the table.
pub const INDEXES: [Index; 3] = [Index::Repository, Index::Status, Index::Commit];

const READ_BYTES: usize = 4 << 10;
const WRITE_BYTES: usize = 1 << 10;

/// What an operation has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Units {
    /// The requests to DynamoDB.
    pub requests: f64,
    /// The items that were read.
    pub items: f64,
    /// The read request units.
    pub read: f64,
    /// The write request units, those of the indexes among them.
    pub write: f64,
}

/// Counts units. It remembers the items that were written, because what a write costs in an index depends on the item
/// that was there before.
#[derive(Debug, Default)]
pub struct Ledger {
    written: HashMap<(String, String), Value>,
}

impl Ledger {
    /// Returns what these exchanges have cost together.
    pub fn units(&mut self, exchanges: &[Exchange]) -> Result<Units, Error> {
        let mut sum = Units::default();
        for exchange in exchanges {
            let request: Value = serde_json::from_slice(&exchange.request)?;
            let response: Value = serde_json::from_slice(&exchange.response)?;
            sum.requests += 1.0;
            match exchange.operation.as_str() {
                "GetItem" => read(&mut sum, &request, response.get("Item").into_iter()),
                "Query" => read(&mut sum, &request, items(&response["Items"])),
                "PutItem" => sum.write += self.write(&request["Item"], 1.0),
                "TransactWriteItems" => {
                    for item in items(&request["TransactItems"]) {
                        sum.write += self.write(&item["Put"]["Item"], 2.0);
                    }
                }
                other => return Err(Error::Uncounted(other.to_owned())),
            }
        }
        Ok(sum)
    }

    /// Returns the units of one item that is written, of which those in the table count `times`.
    fn write(&mut self, item: &Value, times: f64) -> f64 {
        let key = (text(&item["pk"]).to_owned(), text(&item["sk"]).to_owned());
        let before = self.written.insert(key, item.clone());
        let new = write_units(item);
        let old = before.as_ref().map_or(0.0, write_units);
        let in_indexes = INDEXES.map(|index| {
            let keys = index.attributes();
            let is_in = |item: &Value| item.get(keys[0]).is_some();
            match before.as_ref().filter(|before| is_in(before)) {
                // Another place in the index: the item is removed there and added here.
                Some(before) if is_in(item) && keys.iter().any(|key| before[*key] != item[*key]) => old + new,
                Some(_) if is_in(item) => old.max(new),
                Some(_) => old,
                None if is_in(item) => new,
                None => 0.0,
            }
        });
        times * old.max(new) + in_indexes.iter().sum::<f64>()
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value["S"].as_str().unwrap_or_default()
}

/// Adds a read, which costs at least what the smallest item costs, and half of that if it need not be consistent.
fn read<'a>(sum: &mut Units, request: &Value, read: impl Iterator<Item = &'a Value>) {
    let sizes: Vec<_> = read.map(size).collect();
    let units = sizes.iter().sum::<usize>().div_ceil(READ_BYTES).max(1);
    let is_consistent = request["ConsistentRead"] == true;
    sum.items += sizes.len() as f64;
    sum.read += units as f64 * if is_consistent { 1.0 } else { 0.5 };
}

fn write_units(item: &Value) -> f64 {
    size(item).div_ceil(WRITE_BYTES).max(1) as f64
}

/// Returns the size of an item, in bytes.
fn size(item: &Value) -> usize {
    let attributes = item.as_object().into_iter().flatten();
    attributes
        .map(|(name, value)| name.len() + value_size(value))
        .sum()
}

fn value_size(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|tagged| tagged.iter().next()) else {
        return 0;
    };
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => text.len(),
        // Two digits are a byte, and there is one more, and another one for a sign.
        ("N", Value::String(number)) => {
            let digits = number.bytes().filter(u8::is_ascii_digit).count();
            digits.div_ceil(2) + 1 + usize::from(number.starts_with('-'))
        }
        // Three bytes, and one more for each element.
        ("M", Value::Object(map)) => {
            3 + map
                .iter()
                .map(|(name, value)| name.len() + value_size(value) + 1)
                .sum::<usize>()
        }
        ("L", Value::Array(list)) => 3 + list.iter().map(|value| value_size(value) + 1).sum::<usize>(),
        // BOOL and NULL.
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put(item: &Value) -> Exchange {
        Exchange {
            operation: "PutItem".to_owned(),
            request: json!({ "Item": item }).to_string().into_bytes(),
            response: b"{}".to_vec(),
        }
    }

    fn item(bytes: usize, status: &str) -> Value {
        json!({
            "pk": {"S": "p"}, "sk": {"S": "s"}, "a": {"S": "x".repeat(bytes)},
            "gsi2pk": {"S": status}, "gsi2sk": {"S": "t"},
        })
    }

    #[test]
    fn an_items_size_is_that_of_its_names_and_values() {
        assert_eq!(
            size(&json!({"pk": {"S": "grün"}, "n": {"N": "-12345"}})),
            2 + 5 + 1 + 5
        );
        let nested = json!({"m": {"M": {"a": {"BOOL": true}, "b": {"L": [{"NULL": true}, {"S": "xy"}]}}}});
        assert_eq!(size(&nested), 1 + 3 + (1 + 1 + 1) + (1 + (3 + 2 + 3) + 1));
    }

    #[test]
    fn a_write_costs_once_in_the_table_and_once_or_twice_in_an_index() {
        let mut ledger = Ledger::default();
        let mut write = |item: &Value| ledger.units(&[put(item)]).unwrap().write;
        assert_eq!(write(&item(10, "Open")), 1.0 + 1.0);
        assert_eq!(write(&item(1_500, "Open")), 2.0 + 2.0);
        assert_eq!(write(&item(10, "Delivered")), 2.0 + (2.0 + 1.0));
    }

    #[test]
    fn a_transaction_costs_twice_and_a_read_half_if_it_is_not_consistent() {
        let units = |operation: &str, request: Value, response: Value| {
            let exchange = Exchange {
                operation: operation.to_owned(),
                request: request.to_string().into_bytes(),
                response: response.to_string().into_bytes(),
            };
            Ledger::default().units(&[exchange]).unwrap()
        };
        let event = json!({"pk": {"S": "p"}, "sk": {"S": "e"}, "a": {"S": "x".repeat(1_100)}});
        let transaction =
            json!({"TransactItems": [{"Put": {"Item": event}}, {"Put": {"Item": item(10, "Open")}}]});
        assert_eq!(
            units("TransactWriteItems", transaction, json!({})).write,
            2.0 * 2.0 + 2.0 + 1.0
        );
        let five = json!({"Items": [event, event, event, event, event]});
        let read = units("Query", json!({"ConsistentRead": true}), five.clone());
        assert_eq!((read.items, read.read), (5.0, 2.0));
        assert_eq!(units("Query", json!({}), five).read, 1.0);
        assert_eq!(units("Query", json!({}), json!({"Items": []})).read, 0.5);
        assert_eq!(
            units("GetItem", json!({"ConsistentRead": true}), json!({})).read,
            1.0
        );
    }
}
