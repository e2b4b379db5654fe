//! How a template fails.

/// A template that cannot be read or has no value. `Display` is a lower-case fragment with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{expression}`: {message}{}", help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default())]
pub struct TemplateError {
    /// The expression, as written.
    pub expression: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl TemplateError {
    pub(crate) fn new(expression: &str, message: impl Into<String>) -> Self {
        Self {
            expression: shorten(expression),
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

/// A message is no place for a page of expression.
fn shorten(expression: &str) -> String {
    const MOST: usize = 200;
    let mut characters = expression.chars();
    let start: String = characters.by_ref().take(MOST).collect();
    if characters.next().is_some() {
        format!("{start}...")
    } else {
        start
    }
}
