//! Requests to `ratchet serve`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::AUTHORIZATION;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::tokens::{Token, Tokens};
use crate::failure::{Failure, Status};

/// Stands in for the token of `ratchet login`: for programs, with an API key.
const TOKEN: &str = "RATCHET_TOKEN";
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// One service and what proves that one may ask it.
pub struct Client {
    server: Url,
    http: reqwest::Client,
    token: Option<String>,
}

impl Client {
    /// A service with the token that `ratchet login` kept, or that stands in `RATCHET_TOKEN`.
    ///
    /// # Errors
    ///
    /// The address is none, or there is no token that holds.
    pub fn open(server: &str) -> Result<Self, Failure> {
        let mut client = Self::anonymous(server)?;
        let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
        client.token = match token {
            Some(token) => Some(token),
            None => {
                let tokens = Tokens::open()?;
                let token = tokens.get(client.server.as_str());
                let token = token
                    .filter(|token| token.expires_at > Timestamp::now())
                    .ok_or_else(|| {
                        Failure::input(format!("there is no token for {}, or it has expired", client.server))
                            .help(format!("get one: `ratchet login --server {}`", client.server))
                    })?;
                Some(token.token.clone())
            }
        };
        Ok(client)
    }

    fn anonymous(server: &str) -> Result<Self, Failure> {
        let wrong = |reason: &dyn std::fmt::Display| {
            Failure::input(format!("`{server}` is not the address of a service: {reason}"))
                .help("write it as http://127.0.0.1:8080")
        };
        let server: Url = server.parse().map_err(|error| wrong(&error))?;
        if !matches!(server.scheme(), "http" | "https") || server.host_str().is_none() {
            return Err(wrong(&"it begins with neither http:// nor https://"));
        }
        let mut builder = reqwest::Client::builder().timeout(TIMEOUT);
        if is_loopback(&server) {
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| Failure::service(format!("no connection can be made: {error}")))?;
        Ok(Self {
            server,
            http,
            token: None,
        })
    }

    /// Gets a token for a name and a password, and keeps it. Answers where, and the role.
    ///
    /// # Errors
    ///
    /// The service cannot be reached or refuses, or the token cannot be kept.
    pub async fn log_in(server: &str, user: &str, password: &str) -> Result<(Url, Tokens, String), Failure> {
        let client = Self::anonymous(server)?;
        let form = [("grant_type", "password"), ("username", user), ("password", password)];
        let request = client.request(Method::POST, &["api", "v1", "token"])?.form(&form);
        let response = request.send().await.map_err(|error| client.unreachable(&error))?;
        let status = response.status();
        let answer: Value = response.json().await.map_err(|error| client.unreachable(&error))?;
        let Some(token) = answer["access_token"].as_str().filter(|_| status.is_success()) else {
            let reason = answer["error_description"].as_str().unwrap_or("it gives no reason");
            return Err(Failure::input(format!("{} gives no token: {reason}", client.server))
                .help("`ratchet users list` on that machine shows who may log in"));
        };
        let seconds = answer["expires_in"].as_i64().unwrap_or_default();
        let mut tokens = Tokens::open()?;
        let token = Token {
            token: token.to_owned(),
            user: user.to_owned(),
            expires_at: Timestamp::now() + SignedDuration::from_secs(seconds),
        };
        tokens.keep(client.server.as_str(), token)?;
        let role = answer["role"].as_str().unwrap_or_default().to_owned();
        Ok((client.server, tokens, role))
    }

    /// True if what is sent can be read on the way.
    pub fn is_open(server: &Url) -> bool {
        server.scheme() == "http" && !is_loopback(server)
    }

    /// Reads what stands at a path, whose parts are given unescaped.
    ///
    /// # Errors
    ///
    /// The service cannot be reached, or refuses.
    pub async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, String)]) -> Result<T, Failure> {
        self.get_if_there(path, query)
            .await?
            .map_err(|problem| self.refused(StatusCode::NOT_FOUND, &problem))
    }

    /// The same, with the problem document if nothing is there.
    ///
    /// # Errors
    ///
    /// The service cannot be reached, or refuses otherwise.
    pub async fn get_if_there<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Result<T, Value>, Failure> {
        let mut request = self.request(Method::GET, path)?;
        if !query.is_empty() {
            let mut url = self.url(path)?;
            url.query_pairs_mut().extend_pairs(query);
            request = self.authorized(self.http.get(url));
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(Err(response.json().await.unwrap_or_default()));
        }
        self.answer(response).await.map(Ok)
    }

    /// Sends a document.
    ///
    /// # Errors
    ///
    /// The service cannot be reached, or refuses.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        headers: &[(&'static str, &str)],
        body: &Value,
    ) -> Result<T, Failure> {
        let mut request = self.request(Method::POST, path)?.json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        self.answer(response).await
    }

    fn url(&self, path: &[&str]) -> Result<Url, Failure> {
        let mut url = self.server.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().extend(path)),
            Err(()) => return Err(Failure::input(format!("{} can have no path", self.server))),
        }
        Ok(url)
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Failure> {
        Ok(self.authorized(self.http.request(method, self.url(path)?)))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    async fn answer<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failure> {
        let status = response.status();
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        if !status.is_success() {
            return Err(self.refused(status, &serde_json::from_str(&text).unwrap_or_default()));
        }
        serde_json::from_str(&text).map_err(|error| {
            Failure::service(format!("{} answers something else: {error}", self.server))
                .help("check that it is `ratchet serve` of the same version")
        })
    }

    fn refused(&self, status: StatusCode, problem: &Value) -> Failure {
        let faults = problem["errors"].as_array().into_iter().flatten();
        let faults: Vec<String> = faults
            .map(|fault| {
                let text = |field: &str| fault[field].as_str().unwrap_or_default().to_owned();
                format!("{}: {}", text("pointer").trim_start_matches('/'), text("message"))
            })
            .collect();
        let message = match (faults.is_empty(), problem["detail"].as_str()) {
            (false, _) => faults.join("\nerror: "),
            (true, Some(detail)) => detail.to_owned(),
            (true, None) => format!("{} answers {status}", self.server),
        };
        let kind = if status.is_client_error() {
            Status::Input
        } else {
            Status::Service
        };
        let failure = Failure::new(kind, message);
        if status == StatusCode::UNAUTHORIZED {
            return failure.help(format!("`ratchet login --server {}`", self.server));
        }
        failure
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        Failure::service(format!("{} cannot be reached: {reason}", self.server))
            .help("check the address, and that `ratchet serve` runs there")
    }
}

fn is_loopback(server: &Url) -> bool {
    let host = server.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path_stay_parts() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for server in ["http://127.0.0.1:1", "http://127.0.0.1:1/"] {
            let client = Client::anonymous(server).unwrap();
            let url = client.url(&["api", "v1", "runs", "a/../b?c"]).unwrap();
            assert_eq!(url.as_str(), "http://127.0.0.1:1/api/v1/runs/a%2F..%2Fb%3Fc");
        }
        assert!(Client::anonymous("127.0.0.1:8080").is_err());
        assert!(Client::anonymous("file:///etc").is_err());
    }

    #[test]
    fn only_this_machine_is_safe_without_tls() {
        let open = |server: &str| Client::is_open(&server.parse().unwrap());
        assert!(open("http://ratchet.example.org") && open("http://192.0.2.1:8080"));
        assert!(!open("https://ratchet.example.org") && !open("http://[::1]:8080") && !open("http://localhost"));
    }
}
