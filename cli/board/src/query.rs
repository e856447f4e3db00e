//! Which pushes a page lists, as the query of its URL says it: as `push-code pushes list` takes it.

use audit::Filter;
use deployed_stack::filter::{ref_name, since};
use domain::git::RepositoryPath;
use domain::push::SourceName;
use domain::push_index::{Category, Position};
use url::form_urlencoded;

/// How far back pushes are listed if the query does not say it.
const SINCE: &str = "7d";

/// A query, as it was written. What is empty was not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The repository.
    pub repository: String,
    /// The ref.
    pub ref_name: String,
    /// The source.
    pub source: String,
    /// The categories, in lower case.
    pub status: Vec<String>,
    /// How long ago the pushes were received at most.
    pub since: String,
    /// The last push of the page before.
    pub before: String,
}

/// A field of the query, and why it cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The name of the field.
    pub field: &'static str,
    /// The rule that it violates.
    pub rule: String,
}

impl Query {
    /// Reads the query of a URL. Names that are not known are left out.
    pub fn parse(query: &str) -> Self {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.trim().to_owned();
            if value.is_empty() {
                continue;
            }
            match &*name {
                "repository" => read.repository = value,
                "ref" => read.ref_name = value,
                "source" => read.source = value,
                "status" => read.status.push(value),
                "since" => read.since = value,
                "before" => read.before = value,
                _ => {}
            }
        }
        read
    }

    /// Returns the query of a URL.
    pub fn write(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let status = self.status.iter().map(|status| ("status", status));
        let fields = [
            ("repository", &self.repository),
            ("ref", &self.ref_name),
            ("source", &self.source),
            ("since", &self.since),
            ("before", &self.before),
        ];
        for (name, value) in fields.into_iter().chain(status) {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    /// Returns whether the query says anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns how far back pushes are listed.
    pub fn since(&self) -> &str {
        if self.since.is_empty() { SINCE } else { &self.since }
    }

    /// Returns the filter, or what cannot be applied.
    pub fn filter(&self) -> Result<Filter, Wrong> {
        let mut filter = Filter::since(since(self.since()).map_err(wrong("since"))?);
        filter.repository = parse::<RepositoryPath>("repository", &self.repository)?;
        filter.source = parse::<SourceName>("source", &self.source)?;
        filter.before = parse::<Position>("before", &self.before)?;
        if !self.ref_name.is_empty() {
            filter.ref_name = Some(ref_name(&self.ref_name).map_err(wrong("ref"))?);
        }
        if !self.status.is_empty() {
            let categories = self.status.iter().map(|status| category(status));
            filter.categories = categories.collect::<Result<_, _>>()?;
        }
        Ok(filter)
    }
}

/// Returns the name of a category in a query.
pub fn name(category: Category) -> String {
    format!("{category:?}").to_lowercase()
}

fn category(text: &str) -> Result<Category, Wrong> {
    let mut all = Category::ALL.into_iter();
    all.find(|category| name(*category) == text).ok_or_else(|| {
        let names = Category::ALL.map(name).join(", ");
        wrong("status")(format!("it must be one of {names}"))
    })
}

fn parse<T: std::str::FromStr<Err = domain::Invalid>>(
    field: &'static str,
    text: &str,
) -> Result<Option<T>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse().map(Some);
    parsed.map_err(|invalid: domain::Invalid| wrong(field)(invalid.to_string()))
}

fn wrong(field: &'static str) -> impl FnOnce(String) -> Wrong {
    move |rule| Wrong { field, rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_written_as_it_is_read() {
        let text = "repository=group%2Fa+b&ref=main&source=gitlab&since=12h&status=failed&status=open";
        let query = Query::parse(text);
        assert_eq!(query.repository, "group/a b");
        assert_eq!(query.status, ["failed", "open"]);
        assert_eq!(query.write(), text);
        assert_eq!(Query::parse("since=&unknown=1&ref=++"), Query::default());
    }

    #[test]
    fn a_filter_is_the_querys_or_names_the_field_that_cannot_be_applied() {
        let filter = Query::parse("ref=main&status=failed&since=1h").filter().unwrap();
        assert_eq!(filter.ref_name.unwrap().as_str(), "refs/heads/main");
        assert_eq!(filter.categories, [Category::Failed]);
        assert_eq!(Query::default().filter().unwrap().categories, Category::ALL);
        for (query, field) in [
            ("repository=..", "repository"),
            ("ref=a..b", "ref"),
            ("source=A", "source"),
            ("status=Failed", "status"),
            ("since=yesterday", "since"),
            ("before=now", "before"),
        ] {
            assert_eq!(Query::parse(query).filter().unwrap_err().field, field, "{query}");
        }
    }
}
