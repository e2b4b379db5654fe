//! Whether the content at an address is another one, without a run to find out.
//!
//! What tells contents apart is an ETag where the server gives one, otherwise a SHA-256 of the content. A file is read
//! only if its size or its time changed, and left alone while it is being written.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ratchet_artifacts::{outside, sha256_of_file, web};
use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap, LAST_MODIFIED};
use reqwest::{Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A file that was written less than this ago may still be written.
const SETTLED: Duration = Duration::from_secs(2);

/// How long a server may take to answer, and between two pieces of its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was seen of a content. Serialized into the metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    /// The server's word for this content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it was written, as the system or the server says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// Of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Fingerprint {
    /// Whether it stands for another content.
    pub(super) fn differs(&self, other: &Self) -> bool {
        match (&self.sha256, &other.sha256, &self.etag, &other.etag) {
            (Some(one), Some(other), ..) => one != other,
            (_, _, Some(one), Some(other)) => one != other,
            _ => self != other,
        }
    }

    /// A few letters for people.
    pub(super) fn shown(&self) -> String {
        match (&self.sha256, &self.etag) {
            (Some(digest), _) => format!("SHA-256 {}", digest.get(..12).unwrap_or(digest)),
            (_, Some(etag)) => format!("ETag {etag}"),
            _ => format!(
                "{} bytes of {}",
                self.size.unwrap_or_default(),
                self.modified.as_deref().unwrap_or("an unknown time")
            ),
        }
    }
}

/// What a look saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// There is nothing at the address.
    Missing,
    /// It is being written: look again soon.
    Settling,
    /// This.
    Content(Fingerprint),
}

/// Looks at an address. `before` is what was seen last.
///
/// # Errors
///
/// It cannot be read. A lower-case fragment that names no password.
pub(super) async fn look(
    address: &str,
    working_directory: &Path,
    before: Option<&Fingerprint>,
) -> Result<Sight, String> {
    match address.split_once("://") {
        None => file(&working_directory.join(address), before).await,
        Some(("file", _)) => {
            let url = Url::parse(address).map_err(|error| format!("`{address}` is no address: {error}"))?;
            let path: PathBuf = url
                .to_file_path()
                .map_err(|()| format!("`{address}` names no file; write file:///absolute/path"))?;
            file(&path, before).await
        }
        Some(("s3", _)) => {
            let found = outside::look(address, &[]).await.map_err(|error| error.to_string())?;
            Ok(found.map_or(Sight::Missing, |found| {
                Sight::Content(Fingerprint {
                    etag: found.etag,
                    size: Some(found.bytes),
                    modified: Some(found.modified.to_string()),
                    sha256: None,
                })
            }))
        }
        Some(("http" | "https", _)) => on_the_web(address).await,
        Some((scheme, _)) => Err(format!(
            "`{scheme}://` cannot be watched; name a path, file://, s3:// or http(s)://"
        )),
    }
}

async fn file(path: &Path, before: Option<&Fingerprint>) -> Result<Sight, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let metadata = match tokio::fs::metadata(path).await {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => return Err(format!("{} is no file", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Sight::Missing),
        Err(error) => return Err(failed(error)),
    };
    let modified = metadata.modified().map_err(failed)?;
    let mut seen = Fingerprint {
        size: Some(metadata.len()),
        modified: Some(since_epoch(modified)),
        ..Fingerprint::default()
    };
    if let Some(before) = before
        && before.size == seen.size
        && before.modified == seen.modified
    {
        return Ok(Sight::Content(before.clone()));
    }
    // A time in the future says nothing: then the content is taken as it is.
    if SystemTime::now()
        .duration_since(modified)
        .is_ok_and(|age| age < SETTLED)
    {
        return Ok(Sight::Settling);
    }
    let content = path.to_path_buf();
    let digest = tokio::task::spawn_blocking(move || sha256_of_file(&content)).await;
    let digest = digest.map_err(std::io::Error::other).flatten().map_err(failed)?;
    let after = tokio::fs::metadata(path).await.map_err(failed)?;
    if Some(after.len()) != seen.size || after.modified().map_err(failed)? != modified {
        return Ok(Sight::Settling);
    }
    seen.sha256 = Some(digest);
    Ok(Sight::Content(seen))
}

fn since_epoch(time: SystemTime) -> String {
    let elapsed = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", elapsed.as_secs(), elapsed.subsec_nanos())
}

async fn on_the_web(address: &str) -> Result<Sight, String> {
    let url = Url::parse(address).map_err(|error| format!("the address is none: {error}"))?;
    let shown = without_password(&url);
    let failed = |error: reqwest::Error| format!("{shown} cannot be read: {}", web::reason(error));
    let builder = web::client(&url).connect_timeout(PATIENCE).read_timeout(PATIENCE);
    let client = builder.build().map_err(failed)?;
    let head = client.head(url.clone()).send().await.map_err(failed)?;
    match head.status() {
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(Sight::Missing),
        status if status.is_success() => {
            if let Some(seen) = told(head.headers()) {
                return Ok(Sight::Content(seen));
            }
        }
        // Some servers do not know HEAD.
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {}
        status => return Err(format!("{shown} answers {status}")),
    }
    let answer = client.get(url).send().await.map_err(failed)?;
    match answer.status() {
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Sight::Missing),
        status if !status.is_success() => Err(format!("{shown} answers {status}")),
        _ => match told(answer.headers()) {
            Some(seen) => Ok(Sight::Content(seen)),
            None => whole(answer).await.map(Sight::Content).map_err(failed),
        },
    }
}

/// What the headers say, if that tells contents apart.
fn told(headers: &HeaderMap) -> Option<Fingerprint> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let seen = Fingerprint {
        etag: text(ETAG),
        size: text(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        modified: text(LAST_MODIFIED),
        sha256: None,
    };
    (seen.etag.is_some() || seen.modified.is_some()).then_some(seen)
}

async fn whole(mut answer: Response) -> reqwest::Result<Fingerprint> {
    let mut digest = Sha256::new();
    let mut size = 0;
    while let Some(piece) = answer.chunk().await? {
        size += piece.len() as u64;
        digest.update(&piece);
    }
    Ok(Fingerprint {
        size: Some(size),
        sha256: Some(hex::encode(digest.finalize())),
        ..Fingerprint::default()
    })
}

fn without_password(url: &Url) -> String {
    let mut shown = url.clone();
    // Fails for addresses that can have none.
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.to_string()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn age(path: &Path, seconds: u64) {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds))
            .unwrap();
    }

    async fn seen(path: &Path, before: Option<&Fingerprint>) -> Fingerprint {
        match look("a.csv", path, before).await.unwrap() {
            Sight::Content(seen) => seen,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_file_is_told_apart_by_its_content_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.csv");
        let missing = look("a.csv", directory.path(), None).await.unwrap();
        assert_eq!(missing, Sight::Missing);
        std::fs::write(&path, "one").unwrap();
        assert_eq!(
            look("a.csv", directory.path(), None).await.unwrap(),
            Sight::Settling,
            "it is being written"
        );
        age(&path, 60);
        let first = seen(directory.path(), None).await;
        // The same content with another time.
        age(&path, 30);
        let touched = seen(directory.path(), Some(&first)).await;
        assert!(touched != first && !touched.differs(&first));
        std::fs::write(&path, "two").unwrap();
        age(&path, 10);
        assert!(seen(directory.path(), Some(&touched)).await.differs(&touched));
        let error = look(".", directory.path(), None).await.unwrap_err();
        assert!(error.contains("is no file"), "{error}");
    }

    /// Answers each request with these header lines, counting them.
    async fn server(head: &'static str, get: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://ada:secret@{}/a.csv?key=secret", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                let answer = if request[..read].starts_with(b"HEAD") {
                    head
                } else {
                    get
                };
                let answer = format!("HTTP/1.1 {answer}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_server_says_by_an_etag_or_else_the_content_is_read() {
        let get = "200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc";
        let tagged = server(
            "200 OK\r\nconnection: close\r\netag: \"v7\"\r\ncontent-length: 3\r\n\r\n",
            get,
        )
        .await;
        let expected = Fingerprint {
            etag: Some("\"v7\"".to_owned()),
            size: Some(3),
            ..Fingerprint::default()
        };
        let here = Path::new("/");
        assert_eq!(look(&tagged, here, None).await.unwrap(), Sight::Content(expected));
        for head in [
            "405 Method Not Allowed\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            "200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\n",
        ] {
            let Sight::Content(read) = look(&server(head, get).await, here, None).await.unwrap() else {
                panic!("{head}")
            };
            let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
            assert_eq!((read.sha256.as_deref(), read.size), (Some(digest), Some(3)));
        }
        let gone = "404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(
            look(&server(gone, gone).await, here, None).await.unwrap(),
            Sight::Missing
        );
        let broken = "503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let error = look(&server(broken, broken).await, here, None).await.unwrap_err();
        assert!(error.contains("503") && !error.contains("secret"), "{error}");
    }
}
