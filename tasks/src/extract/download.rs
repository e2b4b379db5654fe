//! A file from the web: only if it changed, and from where a broken transfer stopped.

use bytes::Bytes;
use jiff::Timestamp;
use ratchet_core::plugin::{Collected, TaskContext, TaskError};
use reqwest::header::{
    CONTENT_RANGE, ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::{Method, Response, StatusCode, Url};

use super::web::{Patience, Trouble, Web, failed, shown, text};

/// A file as it came, with when and under which name.
pub struct Downloaded {
    /// The content.
    pub bytes: Bytes,
    /// When it was asked for, and the server's words for it.
    pub collected: Collected,
}

/// Fetches a file. `earlier` is what the server said with the content that is there already: none comes back if that still
/// holds.
///
/// # Errors
/// A server that cannot be reached or refuses, after several tries; a redirect in a circle or too many of them.
pub async fn download(
    address: &Url,
    earlier: Option<&Collected>,
    context: &TaskContext,
) -> Result<Option<Downloaded>, TaskError> {
    let web = Web::new(address, false)?;
    let mut transfer = Transfer::new();
    let mut patience = Patience::default();
    let mut furthest = 0;
    loop {
        match transfer.go_on(&web, address, earlier).await {
            Ok(false) => return Ok(None),
            Ok(true) => {
                return Ok(Some(Downloaded {
                    bytes: transfer.content.into(),
                    collected: transfer.collected,
                }));
            }
            Err(trouble) => {
                // Who gets further each time may be interrupted any number of times.
                if transfer.content.len() > furthest {
                    furthest = transfer.content.len();
                    patience = Patience::default();
                }
                patience.wait(trouble, context).await?;
            }
        }
    }
}

/// What the server says of the content that is there, without fetching it.
///
/// # Errors
/// As [`download`], and a server that says nothing that tells contents apart.
pub async fn fingerprint(address: &Url) -> Result<String, TaskError> {
    let web = Web::new(address, false)?;
    let request = web.request(Method::HEAD, address);
    let answer = web.send(request, address).await.map_err(|trouble| match trouble {
        Trouble::Final(error) => error,
        Trouble::Passing { why, .. } => TaskError::transient(why),
    })?;
    let told = text(answer.headers(), ETAG).or_else(|| text(answer.headers(), LAST_MODIFIED));
    told.ok_or_else(|| {
        TaskError::permanent(format!(
            "{} says neither an ETag nor when its content was changed",
            shown(address)
        ))
    })
}

struct Transfer {
    content: Vec<u8>,
    collected: Collected,
}

impl Transfer {
    fn new() -> Transfer {
        Transfer {
            content: Vec::new(),
            collected: Collected::at(Timestamp::now()),
        }
    }

    /// What a range has to be conditional on: it may belong to another content by now. A weak tag does not tell bytes apart.
    fn validator(&self) -> Option<&str> {
        let strong = self.collected.etag.as_deref().filter(|tag| !tag.starts_with("W/"));
        strong.or(self.collected.last_modified.as_deref())
    }

    /// Asks for what is missing and takes it. False: the content that was there earlier still holds.
    async fn go_on(&mut self, web: &Web, address: &Url, earlier: Option<&Collected>) -> Result<bool, Trouble> {
        let mut request = web.request(Method::GET, address);
        match (self.content.is_empty(), self.validator()) {
            (false, Some(validator)) => {
                let range = format!("bytes={}-", self.content.len());
                request = request.header(RANGE, range).header(IF_RANGE, validator);
            }
            _ => {
                *self = Transfer::new();
                if let Some(Collected {
                    etag, last_modified, ..
                }) = earlier
                {
                    for (name, value) in [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)] {
                        if let Some(value) = value {
                            request = request.header(name, value);
                        }
                    }
                }
            }
        }
        let answer = web.send(request, address).await?;
        match answer.status() {
            StatusCode::NOT_MODIFIED => return Ok(false),
            StatusCode::PARTIAL_CONTENT if starts_at(answer.headers()) == Some(self.content.len()) => {}
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                *self = Transfer::new();
                return Err(Trouble::Passing {
                    why: format!(
                        "{} gives another part of the file than it was asked for",
                        shown(address)
                    ),
                    wait: None,
                });
            }
            _ => {
                let headers = answer.headers();
                *self = Transfer::new();
                self.collected.etag = text(headers, ETAG);
                self.collected.last_modified = text(headers, LAST_MODIFIED);
            }
        }
        self.take(answer, address).await?;
        Ok(true)
    }

    async fn take(&mut self, mut answer: Response, address: &Url) -> Result<(), Trouble> {
        loop {
            match answer.chunk().await {
                Ok(Some(piece)) => self.content.extend_from_slice(&piece),
                Ok(None) => return Ok(()),
                Err(error) => return Err(failed(error, address)),
            }
        }
    }
}

/// The first byte of `Content-Range: bytes 100-199/200`.
fn starts_at(headers: &HeaderMap) -> Option<usize> {
    let range = text(headers, CONTENT_RANGE)?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}
