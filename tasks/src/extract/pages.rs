//! How a service gives its records page by page.

use std::collections::BTreeSet;

use ratchet_core::plugin::TaskError;
use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the next page is asked for. Pages end where one has no records, or where the answer names no next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pages {
    /// By its number.
    Number(Number),
    /// By how many records came before it.
    Offset(Offset),
    /// By a word that the answer before it gave.
    Cursor(Cursor),
    /// By an address that the answer before it gave.
    NextLink(NextLink),
}

/// Pages with numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// The query parameter that holds the number, such as `page`.
    pub parameter: String,
    /// The number of the first page. Default: 1.
    #[serde(default = "one")]
    pub first: u64,
}

fn one() -> u64 {
    1
}

/// Pages by the number of records before them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offset {
    /// The query parameter that holds the number of records to pass over, such as `offset`.
    pub parameter: String,
}

/// Pages that name the one after them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The query parameter that holds the word, such as `cursor`.
    pub parameter: String,
    /// JSON pointer to the word in the answer before, such as `/meta/next`. Nothing, null or empty there: it was the last page.
    pub next: String,
}

/// Pages that give the address of the one after them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NextLink {
    /// JSON pointer to the address in the answer before, such as `/links/next`. Nothing, null or empty there: it was the last
    /// page. Default: the header `Link` with `rel="next"`.
    #[serde(default)]
    pub next: Option<String>,
}

/// The addresses of the pages, one after the other.
pub struct Walk {
    pages: Option<Pages>,
    first: Url,
    seen: BTreeSet<Url>,
    number: u64,
    records: u64,
}

impl Walk {
    /// Begins at `address`, which has the query of every page.
    pub fn new(address: Url, pages: Option<Pages>) -> Walk {
        Walk {
            number: match &pages {
                Some(Pages::Number(Number { first, .. })) => *first,
                _ => 0,
            },
            pages,
            first: address,
            seen: BTreeSet::new(),
            records: 0,
        }
    }

    /// The first page.
    pub fn begin(&mut self) -> Url {
        let first = match &self.pages {
            Some(Pages::Number(Number { parameter, .. })) => with(&self.first, parameter, &self.number.to_string()),
            Some(Pages::Offset(Offset { parameter })) => with(&self.first, parameter, "0"),
            _ => self.first.clone(),
        };
        self.seen.insert(first.clone());
        first
    }

    /// The page after one that gave `records` records; none after the last.
    ///
    /// # Errors
    /// A page that was asked for already, an address that is none or that of another server.
    pub fn next(&mut self, answer: &Value, headers: &HeaderMap, records: u64) -> Result<Option<Url>, TaskError> {
        self.records += records;
        self.number += 1;
        let word = |pointer: &str| answer.pointer(pointer).and_then(word).filter(|word| !word.is_empty());
        let next = match &self.pages {
            None => None,
            Some(Pages::Number(_) | Pages::Offset(_)) if records == 0 => None,
            Some(Pages::Number(Number { parameter, .. })) => {
                Some(with(&self.first, parameter, &self.number.to_string()))
            }
            Some(Pages::Offset(Offset { parameter })) => Some(with(&self.first, parameter, &self.records.to_string())),
            Some(Pages::Cursor(Cursor { parameter, next })) => {
                word(next).map(|word| with(&self.first, parameter, &word))
            }
            Some(Pages::NextLink(NextLink { next })) => {
                let link = match next {
                    Some(pointer) => word(pointer),
                    None => in_header(headers),
                };
                link.map(|link| self.follow(&link)).transpose()?
            }
        };
        if let Some(next) = &next
            && !self.seen.insert(next.clone())
        {
            return Err(
                TaskError::permanent("the service names a page as its next one that it gave already").with_help(
                    "check `pages`: the parameter may have another name, so that the first page comes again and again",
                ),
            );
        }
        Ok(next)
    }

    fn follow(&self, link: &str) -> Result<Url, TaskError> {
        let next = self.first.join(link).map_err(|error| {
            TaskError::permanent(format!("the address of the next page is none: {error}"))
                .with_help("check the pointer under `pages`")
        })?;
        if next.origin() != self.first.origin() {
            return Err(TaskError::permanent(format!(
                "the next page lies on another server, {}",
                super::web::shown(&next)
            ))
            .with_help("name that server in `url`; what a request carries is sent to no other"));
        }
        Ok(next)
    }
}

/// The address with one query parameter set.
fn with(address: &Url, name: &str, value: &str) -> Url {
    let mut address = address.clone();
    let others: Vec<(String, String)> = address
        .query_pairs()
        .filter(|(other, _)| other != name)
        .map(|(other, value)| (other.into_owned(), value.into_owned()))
        .collect();
    address
        .query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair(name, value);
    address
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `<https://example.com/?page=2>; rel="next", <...>; rel="last"`.
fn in_header(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let mut links = all.flat_map(|header| header.split(','));
    let next = links.find(|link| {
        let mut parameters = link.split(';').skip(1).map(str::trim);
        parameters.any(|parameter| matches!(parameter, "rel=\"next\"" | "rel=next"))
    })?;
    let address = next.split(';').next()?.trim();
    Some(address.strip_prefix('<')?.strip_suffix('>')?.to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use reqwest::header::HeaderValue;
    use serde_json::json;

    use super::*;

    fn walk(pages: Value) -> Walk {
        let address = Url::parse("https://example.com/hours?station=7").unwrap();
        Walk::new(address, serde_json::from_value(pages).unwrap())
    }

    fn next(walk: &mut Walk, answer: Value, records: u64) -> Option<String> {
        let next = walk.next(&answer, &HeaderMap::new(), records).unwrap();
        next.map(|url| url.to_string())
    }

    #[test]
    fn pages_are_counted_until_one_is_empty() {
        let base = "https://example.com/hours?station=7";
        let mut numbered = walk(json!({ "number": { "parameter": "page" } }));
        assert_eq!(numbered.begin().as_str(), format!("{base}&page=1"));
        assert_eq!(next(&mut numbered, json!([]), 5), Some(format!("{base}&page=2")));
        assert_eq!(next(&mut numbered, json!([]), 0), None);
        let mut offset = walk(json!({ "offset": { "parameter": "from" } }));
        assert_eq!(offset.begin().as_str(), format!("{base}&from=0"));
        assert_eq!(next(&mut offset, json!([]), 40), Some(format!("{base}&from=40")));
        assert_eq!(next(&mut offset, json!([]), 2), Some(format!("{base}&from=42")));
        assert_eq!(next(&mut offset, json!([]), 0), None);
        let mut single = walk(Value::Null);
        assert_eq!(single.begin().as_str(), base);
        assert_eq!(next(&mut single, json!([]), 5), None);
    }

    #[test]
    fn an_answer_names_the_next_page_by_a_word_or_an_address() {
        let base = "https://example.com/hours?station=7";
        let mut cursor = walk(json!({ "cursor": { "parameter": "after", "next": "/meta/next" } }));
        assert_eq!(cursor.begin().as_str(), base);
        let answer = json!({ "meta": { "next": "a b" } });
        assert_eq!(next(&mut cursor, answer, 1), Some(format!("{base}&after=a+b")));
        for end in [
            json!({ "meta": { "next": null } }),
            json!({ "meta": { "next": "" } }),
            json!({}),
        ] {
            assert_eq!(next(&mut cursor, end, 1), None);
        }
        let mut link = walk(json!({ "next_link": { "next": "/next" } }));
        link.begin();
        let answer = json!({ "next": "/hours?page=2" });
        assert_eq!(
            next(&mut link, answer, 1),
            Some("https://example.com/hours?page=2".to_owned())
        );
        let mut header = walk(json!({ "next_link": {} }));
        header.begin();
        let mut headers = HeaderMap::new();
        let value =
            "<https://example.com/hours?page=1>; rel=\"prev\", <https://example.com/hours?page=3>; rel=\"next\"";
        headers.insert(LINK, HeaderValue::from_static(value));
        let next = header.next(&json!([]), &headers, 1).unwrap().unwrap();
        assert_eq!(next.as_str(), "https://example.com/hours?page=3");
    }

    #[test]
    fn circles_and_other_servers_are_refused() {
        let mut link = walk(json!({ "next_link": { "next": "/next" } }));
        link.begin();
        let mut refused = |next: &str| {
            let answer = json!({ "next": next });
            link.next(&answer, &HeaderMap::new(), 1).unwrap_err().message
        };
        assert!(
            refused("https://other.example.com/hours?key=secret")
                .contains("another server, https://other.example.com/hours")
        );
        assert!(refused("?station=7").contains("that it gave already"));
        assert!(refused("https://").contains("is none"));
    }
}
