//! `feeds/<collection>/schema.json`: what the rows of a record collection are.
//!
//! A collection is a feed whose rows people and programs add over the prediction API, for the next training. A line of its segments
//! holds a row, `{"row": {...}, "at": "<instant>", "by": "<who>"}`, or takes one away, `{"delete": {"<key field>": ...}, "at": ...}`:
//! of several lines with one key the last holds.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::names::check_name;
use crate::versions::encode;
use crate::{Bucket, BucketError};

/// Feeds that serving fills by itself.
const TAKEN: [&str; 2] = ["feedback", "predictions"];

/// A record collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collection {
    /// Name, `[a-z][a-z0-9-]*`; also the feed's.
    pub name: String,
    /// Fields that tell rows apart.
    pub key: Vec<String>,
    /// JSON Schema of a row.
    pub schema: Value,
}

/// What applying a collection did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// There was none of this name.
    Added,
    /// Its schema is another now.
    Changed,
    /// It stood there like this.
    Unchanged,
}

/// Why a collection is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectionError {
    /// The bucket failed, or the name is wrong.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// It cannot be what it says.
    #[error("collection '{name}' {problem}")]
    Wrong {
        /// Its name.
        name: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
}

impl Collection {
    /// What is wrong with it, all at once.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if TAKEN.contains(&self.name.as_str()) {
            problems.push("has a name that the API itself fills; choose another".to_owned());
        }
        if self.schema["type"] != "object" {
            problems.push("has a schema of something else than an object; add `type: object`".to_owned());
        }
        if self.key.is_empty() {
            problems.push("has no key; name the fields under `key` that tell rows apart".to_owned());
        }
        let required = self.schema["required"].as_array();
        for (place, field) in self.key.iter().enumerate() {
            let property = &self.schema["properties"][field];
            let kind = property["type"].as_str().unwrap_or_default();
            if property.is_null() {
                problems.push(format!(
                    "has a key field '{field}' that its schema does not have under `properties`"
                ));
            } else if !matches!(kind, "string" | "integer" | "number" | "boolean") {
                problems.push(format!(
                    "has a key field '{field}' that may be something else than one text, number or boolean; give it one `type`"
                ));
            }
            if !required.is_some_and(|required| required.iter().any(|name| name == field.as_str())) {
                problems.push(format!(
                    "has a key field '{field}' that is not `required`; add it there"
                ));
            }
            if self.key.iter().skip(place + 1).any(|other| other == field) {
                problems.push(format!("names '{field}' twice in its key"));
            }
        }
        problems
    }

    /// The key of a row that fits the schema, as one text: equal for equal keys, however a number is written.
    pub fn key_of(&self, row: &Map<String, Value>) -> String {
        let values: Vec<Value> = self.key.iter().map(|field| plain(row.get(field))).collect();
        Value::Array(values).to_string()
    }

    /// The key fields of a row alone.
    pub fn key_fields(&self, row: &Map<String, Value>) -> Map<String, Value> {
        self.key
            .iter()
            .map(|field| (field.clone(), plain(row.get(field))))
            .collect()
    }
}

/// 1 and 1.0 are one number.
fn plain(value: Option<&Value>) -> Value {
    let value = value.cloned().unwrap_or_default();
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && number.abs() < 9e15 => Value::from(number as i64),
        _ => value,
    }
}

/// Writes what the rows of a collection are. Its key stays what it is: rows are told apart by it.
///
/// # Errors
///
/// [`CollectionError`] with all that is wrong, or if the bucket fails.
pub async fn apply(bucket: &Bucket, collection: &Collection) -> Result<Applied, CollectionError> {
    check_name("collection", &collection.name)?;
    let wrong = |problem: String| CollectionError::Wrong {
        name: collection.name.clone(),
        problem,
    };
    let problems = collection.problems();
    if !problems.is_empty() {
        return Err(wrong(problems.join("; it ")));
    }
    let before = get(bucket, &collection.name).await?;
    let applied = match &before {
        None => Applied::Added,
        Some(before) if before == collection => return Ok(Applied::Unchanged),
        Some(before) if before.key != collection.key => {
            return Err(wrong(format!(
                "has the key [{}] already, and its rows are told apart by it; keep the key, or give the collection another name",
                before.key.join(", ")
            )));
        }
        Some(_) => Applied::Changed,
    };
    let path = path(&collection.name);
    let content = encode(bucket, &path, collection)?;
    bucket.overwrite(&path, content).await?;
    Ok(applied)
}

/// What the rows of a collection are; `None` if there is none of this name.
///
/// # Errors
///
/// If the name is none, the document is damaged, or the bucket fails.
pub async fn get(bucket: &Bucket, name: &str) -> Result<Option<Collection>, BucketError> {
    check_name("collection", name)?;
    let path = path(name);
    let Some(content) = bucket.get(&path).await? else {
        return Ok(None);
    };
    let read = serde_json::from_slice(&content);
    read.map(Some).map_err(|error| BucketError::ManifestDamaged {
        url: bucket.url().to_owned(),
        path,
        detail: error.to_string(),
    })
}

/// All collections, by name.
///
/// # Errors
///
/// As [`get`].
pub async fn list(bucket: &Bucket) -> Result<Vec<Collection>, BucketError> {
    let mut collections = Vec::new();
    for name in bucket.directories("feeds").await? {
        if check_name("collection", &name).is_ok() {
            collections.extend(get(bucket, &name).await?);
        }
    }
    Ok(collections)
}

fn path(name: &str) -> String {
    format!("feeds/{name}/schema.json")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn deliveries() -> Collection {
        Collection {
            name: "deliveries".to_owned(),
            key: vec!["id".to_owned()],
            schema: json!({
                "type": "object", "required": ["id"], "additionalProperties": false,
                "properties": {"id": {"type": "integer"}, "minutes": {"type": "number", "minimum": 0}},
            }),
        }
    }

    #[tokio::test]
    async fn a_collection_is_applied_changed_and_listed_and_keeps_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let bucket = Bucket::open(directory.path().to_str().unwrap()).await.unwrap();
        let mut collection = deliveries();
        assert_eq!(apply(&bucket, &collection).await.unwrap(), Applied::Added);
        assert_eq!(apply(&bucket, &collection).await.unwrap(), Applied::Unchanged);
        collection.schema["properties"]["courier"] = json!({"type": "string"});
        assert_eq!(apply(&bucket, &collection).await.unwrap(), Applied::Changed);
        assert_eq!(get(&bucket, "deliveries").await.unwrap(), Some(collection.clone()));
        assert_eq!(get(&bucket, "rides").await.unwrap(), None);
        let _ = bucket
            .create("feeds/predictions/2026-01-01/x", "".into())
            .await
            .unwrap();
        assert_eq!(list(&bucket).await.unwrap(), [collection.clone()]);
        collection.key = vec!["courier".to_owned()];
        collection.schema["required"] = json!(["courier"]);
        let refused = apply(&bucket, &collection).await.unwrap_err().to_string();
        assert!(refused.contains("the key [id] already"), "{refused}");
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let wrong = Collection {
            name: "predictions".to_owned(),
            key: vec!["id".to_owned(), "at".to_owned()],
            schema: json!({"properties": {"id": {"type": ["integer", "null"]}}}),
        };
        let problems = wrong.problems().join("\n");
        for expected in [
            "name",
            "type: object",
            "'id' that may be",
            "'id' that is not `required`",
            "'at' that its schema",
        ] {
            assert!(problems.contains(expected), "{expected}: {problems}");
        }
        assert_eq!(deliveries().problems(), Vec::<String>::new());
    }

    #[test]
    fn one_key_however_the_number_is_written() {
        let key = |row: Value| deliveries().key_of(row.as_object().unwrap());
        assert_eq!(key(json!({"id": 7})), key(json!({"id": 7.0, "minutes": 3})));
        assert_ne!(key(json!({"id": 7})), key(json!({"id": "7"})));
    }
}
