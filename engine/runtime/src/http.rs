//! Asking others over HTTP.

use reqwest::StatusCode;

/// The causes are what says that nobody listens; the address in front of them is a secret.
pub(crate) fn described(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        message.push_str(&format!(": {next}"));
        cause = next.source();
    }
    message
}

/// Overloaded and broken services come back; a refusal stays one.
pub(crate) fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, again) in [(500, true), (503, true), (429, true), (404, false), (302, false)] {
            assert_eq!(StatusCode::from_u16(status).map(may_pass).ok(), Some(again), "{status}");
        }
    }
}
