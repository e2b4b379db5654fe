//! Mail, by the server that `RATCHET_SMTP_URL` names.

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::Error;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use ratchet_artifacts::web::use_ring;

use super::TIMEOUT;

/// Address of the mail server: `smtp://host:25`, `smtp://user:password@host:587?tls=required`, `smtps://host`.
pub(crate) const SERVER: &str = "RATCHET_SMTP_URL";

/// Who it comes from.
const SENDER: &str = "RATCHET_MAIL_FROM";

/// A mail and the server that takes it.
pub(super) struct Mail {
    message: Message,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Mail {
    pub fn new(addresses: &[String], subject: &str, lines: &[String]) -> Result<Self, String> {
        let server = std::env::var(SERVER).map_err(|_| {
            format!("no mail server is known; set {SERVER}, such as smtp://user:password@host:587?tls=required")
        })?;
        let sender = std::env::var(SENDER)
            .map_err(|_| format!("it is not known from whom; set {SENDER}, such as ratchet@example.com"))?;
        // The address holds a password: an error must not repeat it.
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&server)
            .map_err(|_| format!("{SERVER} is no address of a mail server; write smtp:// or smtps:// and a host"))?
            .timeout(Some(TIMEOUT))
            .build();
        let mut builder = Message::builder()
            .from(mailbox(&sender, SENDER)?)
            .subject(subject)
            .header(ContentType::TEXT_PLAIN);
        for address in addresses {
            builder = builder.to(mailbox(address, "`mail`")?);
        }
        let mut body = format!("{subject}\n");
        for line in lines {
            body.push_str(&format!("- {line}\n"));
        }
        let message = builder
            .body(body)
            .map_err(|error| format!("the mail cannot be written: {error}"))?;
        Ok(Self { message, transport })
    }

    /// One try. An error says whether another one may help.
    pub async fn send(&self) -> Result<(), (String, bool)> {
        use_ring();
        let sent = self.transport.send(self.message.clone()).await;
        sent.map(drop)
            .map_err(|error| (described(&error), !error.is_permanent()))
    }
}

fn mailbox(address: &str, place: &str) -> Result<Mailbox, String> {
    address
        .parse()
        .map_err(|error| format!("`{address}` in {place} is no mail address: {error}"))
}

fn described(error: &Error) -> String {
    let mut message = format!("the mail server: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !message.contains(&next_text) {
            message.push_str(&format!(": {next_text}"));
        }
        cause = next.source();
    }
    message
}
