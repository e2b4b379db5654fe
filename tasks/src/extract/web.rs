//! Asking a server over HTTP, patiently: what may be otherwise in a moment is asked again.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use ratchet_artifacts::web;
use ratchet_core::plugin::{TaskContext, TaskError};
use reqwest::header::{HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

/// How often one thing is asked for within an attempt of the task.
const TRIES: u32 = 5;

/// Before the second try; doubled before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// A server that asks for more patience fails the attempt, so that the task's own `retry` decides.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long a server may take to accept, and between two pieces of its answer.
const SILENCE: Duration = Duration::from_secs(60);

/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// Answers that a later try may not meet.
const PASSING: [StatusCode; 6] = [
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

/// Why there is no answer.
pub enum Trouble {
    /// Asking again does not help.
    Final(TaskError),
    /// It may be otherwise in a moment.
    Passing {
        /// A lower-case fragment.
        why: String,
        /// How long the server asks to wait.
        wait: Option<Duration>,
    },
}

/// A client for one address.
pub struct Web {
    client: Client,
}

impl Web {
    /// A client. With `stays`, a redirect to another server is an error: what a request carries is for this one alone.
    ///
    /// # Errors
    /// What the system's TLS refuses.
    pub fn new(address: &Url, stays: bool) -> Result<Web, TaskError> {
        let builder = web::client(address)
            .user_agent(concat!("ratchet/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(SILENCE)
            .read_timeout(SILENCE)
            .referer(false)
            .redirect(Policy::custom(move |attempt| redirect(attempt, stays)));
        let client = builder.build().map_err(|error| {
            TaskError::permanent(format!("no client for {}: {}", shown(address), web::reason(error)))
        })?;
        Ok(Web { client })
    }

    /// A request for an address.
    pub fn request(&self, method: Method, address: &Url) -> RequestBuilder {
        self.client.request(method, address.clone())
    }

    /// Sends once. An answer has a status of success, 304 or 416.
    ///
    /// # Errors
    /// A connection that failed, a redirect that is not followed, any other status.
    pub async fn send(&self, request: RequestBuilder, address: &Url) -> Result<Response, Trouble> {
        let answer = request.send().await.map_err(|error| failed(error, address))?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED || status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(answer);
        }
        if PASSING.contains(&status) {
            return Err(Trouble::Passing {
                why: format!("{} answers {status}", shown(address)),
                wait: retry_after(answer.headers()),
            });
        }
        let help = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "check the key and what it may read",
            StatusCode::NOT_FOUND | StatusCode::GONE => "change the address, or the parameter behind it",
            _ => "look at what the server expects of a request",
        };
        Err(Trouble::Final(
            TaskError::permanent(format!("{} answers {status}", shown(address))).with_help(help),
        ))
    }
}

fn redirect(attempt: Attempt, stays: bool) -> Action {
    let problem = match attempt.previous().last() {
        _ if attempt.previous().len() > REDIRECTS => Some(format!("redirects more than {REDIRECTS} times")),
        _ if attempt.previous().contains(attempt.url()) => Some("redirects in a circle".to_owned()),
        Some(before) if before.scheme() == "https" && attempt.url().scheme() != "https" => {
            Some("redirects from https to a connection that anybody can read".to_owned())
        }
        Some(before) if stays && before.origin() != attempt.url().origin() => Some(format!(
            "redirects to another server, {}, which is not meant to see the request",
            shown(attempt.url())
        )),
        _ => None,
    };
    match problem {
        Some(problem) => attempt.error(problem),
        None => attempt.follow(),
    }
}

/// What a failed exchange means.
pub fn failed(error: reqwest::Error, address: &Url) -> Trouble {
    let shown = shown(address);
    if error.is_redirect() {
        return Trouble::Final(
            TaskError::permanent(format!("{shown} {}", web::reason(error))).with_help("name the final address"),
        );
    }
    if error.is_builder() {
        return Trouble::Final(TaskError::permanent(format!(
            "{shown} cannot be asked: {}",
            web::reason(error)
        )));
    }
    Trouble::Passing {
        why: format!("{shown} cannot be read: {}", web::reason(error)),
        wait: None,
    }
}

/// Counts tries and waits between them.
#[derive(Default)]
pub struct Patience {
    tries: u32,
}

impl Patience {
    /// Waits after a trouble that may pass.
    ///
    /// # Errors
    /// A trouble that does not pass, the last try, and a server that asks for more than a minute.
    pub async fn wait(&mut self, trouble: Trouble, context: &TaskContext) -> Result<(), TaskError> {
        let (why, asked) = match trouble {
            Trouble::Final(error) => return Err(error),
            Trouble::Passing { why, wait } => (why, wait),
        };
        self.tries += 1;
        if self.tries >= TRIES {
            return Err(TaskError::transient(format!("{why}; it was asked {TRIES} times"))
                .with_help("give the task a `retry` with longer waits if the server needs them"));
        }
        let wait = asked.unwrap_or(FIRST_WAIT * 2_u32.pow(self.tries - 1));
        if wait > LONGEST_WAIT {
            let error = TaskError::transient(format!("{why} and asks to wait {} s", wait.as_secs()));
            return Err(error.with_help("give the task a `retry` that waits as long"));
        }
        context.warn(format!("{why}; asked again in {} ms", wait.as_millis()));
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default())
}

/// A header as text.
pub fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// An address without what may be secret in it: user, password, query.
pub fn shown(address: &Url) -> String {
    let mut shown = address.clone();
    // Both fail for addresses that can have none.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_server_says_in_two_ways_how_long_to_wait() {
        let waits = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            retry_after(&headers)
        };
        assert_eq!(waits("7"), Some(Duration::from_secs(7)));
        assert_eq!(waits("Thu, 01 Jan 1970 00:00:01 GMT"), Some(Duration::ZERO));
        let later = Timestamp::now() + Duration::from_secs(30);
        let date = rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&later)
            .unwrap();
        assert!(waits(&date).unwrap() > Duration::from_secs(28), "{date}");
        assert_eq!(waits("soon"), None);
    }

    #[test]
    fn an_address_is_shown_without_keys() {
        let address = Url::parse("https://ada:secret@example.com/a.csv?key=secret#secret").unwrap();
        assert_eq!(shown(&address), "https://example.com/a.csv");
    }
}
