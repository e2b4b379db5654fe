//! `extract.http`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use ratchet_artifacts::Bucket;
use ratchet_core::plugin::{
    Blob, Collected, ColumnType, ConfigProblem, Outputs, Plugin, Port, Replay, TaskContext, TaskError,
};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answers::{frame, list, parse};
use super::hand_on::{hand_on, port};
use super::pages::{NextLink, Pages, Walk};
use super::service::{Earlier, Service};
use super::web::shown;
use crate::blocking::blocking;
use crate::known::KnownColumns;
use crate::table::{self, About};
use crate::words::count;

/// Reads a service that answers in JSON into a table.
pub struct Http;

/// Configuration of `extract.http`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address of the service, `http://` or `https://`.
    pub url: String,
    /// What stands behind the `?` of every request: text, numbers, `true` or `false` by name. A key may come from a secret.
    #[serde(default)]
    pub query: BTreeMap<String, Value>,
    /// Headers of every request. A key may come from a secret; it is sent to this server alone.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How the records come page by page. Default: one answer holds them all.
    #[serde(default)]
    pub pages: Option<Pages>,
    /// The most pages. More of them are an error, because a table that lacks its end looks whole. Default: 1000.
    #[serde(default = "thousand")]
    pub most_pages: u64,
    /// The most requests in a second. Default: one after the other without a pause.
    #[serde(default)]
    pub requests_per_second: Option<f64>,
    /// JSON pointer to the list of records in an answer, such as `/data/hours`. Default: the answer is the list.
    #[serde(default)]
    pub records: String,
    /// Columns of the table, each with the JSON pointer to its value in a record, such as `{ TEMP: /main/temp }`. Where a
    /// record lacks it, the value is null. Default: a column for each key of the records.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Types of columns that shall not be inferred. Inference looks at all records: integers if all numbers are whole,
    /// numbers, true or false, text for everything else.
    #[serde(default)]
    pub types: BTreeMap<String, ColumnType>,
    /// Columns by which the rows are sorted, nulls first. Default: the order of the answers.
    #[serde(default)]
    pub sort: Vec<String>,
    /// A column for the time at which the service was asked (UTC), the same in every row and kept with the raw answers.
    /// Default: none.
    #[serde(default)]
    pub collected_as: Option<String>,
    /// When each column's value is known. The mark travels with the table.
    #[serde(default)]
    pub known: KnownColumns,
    /// Name of the dataset. Default: `<dag>-<task>`.
    #[serde(default)]
    pub dataset: String,
}

fn thousand() -> u64 {
    1000
}

#[async_trait]
impl Plugin for Http {
    type Config = HttpConfig;
    const NAME: &'static str = "extract.http";
    const SUMMARY: &'static str = "Reads the records of a service that answers in JSON, page by page, into a table.";
    const REPLAYS: bool = true;

    fn outputs() -> Vec<Port> {
        port("One row for each record, with the digests of the raw answers.")
    }

    fn validate(config: &HttpConfig) -> Vec<ConfigProblem> {
        let mut problems = config.known.problems("/known");
        let mut problem = |pointer: String, message: String, help: &str| {
            problems.push(ConfigProblem {
                pointer,
                message,
                help: Some(help.to_owned()),
            });
        };
        // An empty `url` is a parameter that was not given, often of a task that `when` skips: `run` refuses it.
        if !config.url.is_empty()
            && let Err(message) = address(&config.url)
        {
            problem("/url".to_owned(), message, "write https://example.com/path");
        }
        for (name, value) in &config.query {
            if scalar(value).is_none() {
                problem(
                    format!("/query/{name}"),
                    "is a list or a mapping".to_owned(),
                    "write text, a number, `true` or `false`",
                );
            }
        }
        for (name, value) in &config.headers {
            if header(name, value).is_none() {
                problem(
                    format!("/headers/{name}"),
                    format!("`{name}` is no header, or its value cannot be one"),
                    "use letters, digits and `-` in the name, and one line in the value",
                );
            }
        }
        let pointers = config.columns.iter().map(|(name, at)| (format!("/columns/{name}"), at));
        for (place, pointer) in pointers.chain([("/records".to_owned(), &config.records)]) {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                problem(
                    place,
                    format!("`{pointer}` is no JSON pointer"),
                    "begin it with `/`, such as /data/hours",
                );
            }
        }
        if config
            .requests_per_second
            .is_some_and(|rate| !rate.is_finite() || rate <= 0.0)
        {
            problem(
                "/requests_per_second".to_owned(),
                "is not above 0".to_owned(),
                "write 0.5 for one request in two seconds",
            );
        }
        problems
    }

    async fn run(config: HttpConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let mut first = address(&config.url).map_err(TaskError::permanent)?;
        if !config.query.is_empty() {
            let pairs = config.query.iter().map(|(name, value)| (name, scalar(value)));
            let pairs = pairs.filter_map(|(name, value)| Some((name, value?)));
            first.query_pairs_mut().extend_pairs(pairs);
        }
        let source = shown(&first);
        let bucket = table::open_bucket(&context.bucket_url).await?;
        let (records, raw, collected) = if context.replay.raw.is_empty() {
            ask(&config, first, &bucket, context).await?
        } else {
            read_again(&config, &source, &bucket, &context.replay).await?
        };
        context.info(format!(
            "{} raw answers of {source} are kept and hold {} records",
            raw.len(),
            count(records.len() as u64)
        ));

        let at = collected.at;
        let (place, from) = (format!("reading {source}"), source.clone());
        let shape = config.clone();
        let (frame, notes) = blocking(&place, move || frame(records, &shape, at, &from)).await?;
        for note in notes {
            context.warn(note);
        }
        let about = About {
            dataset: config.dataset,
            source,
            raw,
            collected: Some(collected),
            ..About::default()
        };
        hand_on(&bucket, frame, &config.known, about, context).await
    }
}

/// Records, the raw answers that hold them, and when and under which names those came.
type Answered = (Vec<Map<String, Value>>, Vec<Blob>, Collected);

/// Asks the service, page by page.
async fn ask(config: &HttpConfig, first: Url, bucket: &Bucket, context: &TaskContext) -> Result<Answered, TaskError> {
    let source = shown(&first);
    let mut collected = Collected::at(Timestamp::now());
    let headers = config.headers.iter().filter_map(|(name, value)| header(name, value));
    // An answer that only says that nothing has changed need not repeat the link to the next page.
    let earlier = match &config.pages {
        Some(Pages::NextLink(NextLink { next: None })) => Earlier::default(),
        _ => Earlier::of(bucket, &config.dataset, context).await,
    };
    let mut service = Service::new(&first, headers.collect(), config.requests_per_second, earlier)?;
    let mut walk = Walk::new(first, config.pages.clone());
    let mut page = Some(walk.begin());
    let (mut records, mut raw, mut unchanged) = (Vec::new(), Vec::new(), 0_u64);
    while let Some(at) = page {
        if raw.len() as u64 >= config.most_pages {
            return Err(
                TaskError::permanent(format!("{source} has more than {} pages", config.most_pages))
                    .with_help("raise `most_pages`, or ask for fewer records with `query`"),
            );
        }
        let answer = service.page(&at, bucket, context).await?;
        unchanged += u64::from(answer.is_unchanged);
        collected.pages.push(answer.tag);
        let place = format!("page {} of {source}", raw.len() + 1);
        let blob = bucket
            .put_blob(answer.content.clone())
            .await
            .map_err(table::from_bucket)?;
        raw.push(table::to_blob(&blob));
        let content = parse(&answer.content, &answer.headers, &place)?;
        let found = list(&content, &config.records, &place)?;
        let number = found.len() as u64;
        records.extend(found);
        page = walk.next(&content, &answer.headers, number)?;
    }
    if unchanged > 0 {
        context.info(format!("{unchanged} of {} pages have not changed", raw.len()));
    }
    Ok((records, raw, collected))
}

/// Reads what the service answered an earlier run.
async fn read_again(
    config: &HttpConfig,
    source: &str,
    bucket: &Bucket,
    replay: &Replay,
) -> Result<Answered, TaskError> {
    let mut records = Vec::new();
    for (number, blob) in replay.raw.iter().enumerate() {
        let content = bucket
            .get_blob(&table::to_blob_ref(blob))
            .await
            .map_err(table::from_bucket)?;
        let place = format!("page {} of {source}", number + 1);
        let answer = parse(&content, &HeaderMap::new(), &place)?;
        records.extend(list(&answer, &config.records, &place)?);
    }
    let collected = replay
        .collected
        .clone()
        .unwrap_or_else(|| Collected::at(Timestamp::now()));
    Ok((records, replay.raw.clone(), collected))
}

fn address(url: &str) -> Result<Url, String> {
    let parsed = Url::parse(url).map_err(|error| format!("`url` is no address: {error}"))?;
    match parsed.scheme() {
        "http" | "https" => Ok(parsed),
        scheme => Err(format!("`url` begins with {scheme}://, not with http:// or https://")),
    }
}

/// A value as it stands in a query.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((name.parse().ok()?, value))
}
