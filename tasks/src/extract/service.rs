//! A service that answers page by page, asked no faster than it wants and for no page that it gave before.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ratchet_artifacts::{BlobRef, Bucket, datasets, sha256};
use ratchet_core::plugin::{PageTag, Table, TaskContext, TaskError};
use reqwest::header::{ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Method, StatusCode, Url};
use tokio::time::{Instant, sleep_until};

use super::web::{Patience, Trouble, Web, failed, shown, text};
use crate::table;

/// Pages of the newest version, by the digest of their address, where the service named their content.
#[derive(Default)]
pub struct Earlier(BTreeMap<String, (PageTag, BlobRef)>);

impl Earlier {
    /// What the newest version of a dataset was read from; nothing if there is none.
    pub async fn of(bucket: &Bucket, dataset: &str, context: &TaskContext) -> Earlier {
        let default = Table::default_name(&context.run.dag, &context.task, "table");
        let name = if dataset.is_empty() { &default } else { dataset };
        // A name that cannot be one is told when the version is registered.
        let latest = datasets::latest(bucket, name).await.ok().flatten();
        let pages = latest.into_iter().flat_map(|latest| {
            let tags = latest.collected.map(|collected| collected.pages).unwrap_or_default();
            tags.into_iter().zip(latest.raw)
        });
        let named = pages.filter(|(tag, _)| tag.etag.is_some() || tag.last_modified.is_some());
        let tagged = named.map(|(tag, raw)| {
            let tag = PageTag {
                address: tag.address,
                etag: tag.etag,
                last_modified: tag.last_modified,
            };
            (tag.address.clone(), (tag, raw))
        });
        Earlier(tagged.collect())
    }
}

/// One answer.
pub struct Page {
    /// Its headers.
    pub headers: HeaderMap,
    /// The content, fetched or as it was kept.
    pub content: Bytes,
    /// What the service says of it.
    pub tag: PageTag,
    /// True if it was kept, and the service says that it still holds.
    pub is_unchanged: bool,
}

/// One server.
pub struct Service {
    web: Web,
    headers: HeaderMap,
    pause: Option<Duration>,
    next: Instant,
    earlier: Earlier,
}

impl Service {
    /// A service at an address. `headers` go to this server alone.
    ///
    /// # Errors
    /// As [`Web::new`].
    pub fn new(
        address: &Url,
        headers: HeaderMap,
        requests_per_second: Option<f64>,
        earlier: Earlier,
    ) -> Result<Service, TaskError> {
        Ok(Service {
            web: Web::new(address, true)?,
            headers,
            pause: requests_per_second.map(|rate| Duration::from_secs_f64(1.0 / rate)),
            next: Instant::now(),
            earlier,
        })
    }

    /// One page, patiently.
    ///
    /// # Errors
    /// A service that does not answer after several tries, or refuses; a bucket that lacks a page that was kept.
    pub async fn page(&mut self, address: &Url, bucket: &Bucket, context: &TaskContext) -> Result<Page, TaskError> {
        let mut patience = Patience::default();
        let digest = sha256(address.as_str().as_bytes());
        let earlier = self.earlier.0.get(&digest).cloned();
        let (headers, content) = loop {
            if let Some(pause) = self.pause {
                sleep_until(self.next).await;
                self.next = Instant::now() + pause;
            }
            match self.ask(address, earlier.as_ref().map(|(tag, _)| tag)).await {
                Ok(answer) => break answer,
                Err(trouble) => patience.wait(trouble, context).await?,
            }
        };
        match (content, earlier) {
            (Some(content), _) => Ok(Page {
                tag: PageTag {
                    address: digest,
                    etag: text(&headers, ETAG),
                    last_modified: text(&headers, LAST_MODIFIED),
                },
                headers,
                content,
                is_unchanged: false,
            }),
            (None, Some((tag, raw))) => Ok(Page {
                headers,
                content: bucket.get_blob(&raw).await.map_err(table::from_bucket)?,
                tag,
                is_unchanged: true,
            }),
            (None, None) => Err(TaskError::transient(format!(
                "{} answers that nothing has changed, which it was not asked",
                shown(address)
            ))),
        }
    }

    /// Headers and content; no content if that of `earlier` still holds.
    async fn ask(&self, address: &Url, earlier: Option<&PageTag>) -> Result<(HeaderMap, Option<Bytes>), Trouble> {
        let mut request = self.web.request(Method::GET, address).headers(self.headers.clone());
        if let Some(PageTag {
            etag, last_modified, ..
        }) = earlier
        {
            for (name, value) in [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
        }
        let answer = self.web.send(request, address).await?;
        let headers = answer.headers().clone();
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Ok((headers, None));
        }
        let content = answer.bytes().await.map_err(|error| failed(error, address))?;
        Ok((headers, Some(content)))
    }
}
