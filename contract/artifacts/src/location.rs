//! From an address to a store: a local directory or S3.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use url::Url;

use crate::BucketError;

/// A store and the address under which other processes find it.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) url: String,
    /// Whether a first question over the network should be asked before the bucket is used.
    pub(crate) remote: bool,
}

/// Opens `url`, with `options` (`AWS_*` names) over the environment.
pub(crate) fn open(url: &str, options: &[(&str, &str)]) -> Result<Opened, BucketError> {
    match url.split_once("://") {
        _ if url.trim().is_empty() => Err(BucketError::InvalidUrl {
            url: url.to_owned(),
            detail: "it is empty; give a directory, file:///directory or s3://bucket/prefix".to_owned(),
        }),
        None => open_directory(url, Path::new(url)),
        Some(("file", _)) => open_directory(url, &file_path(url)?),
        Some(("s3", _)) => open_s3(url, options),
        Some((scheme, _)) => Err(BucketError::UnknownScheme {
            url: without_user(url),
            scheme: scheme.to_owned(),
        }),
    }
}

/// The path in a `file://` address.
fn file_path(url: &str) -> Result<PathBuf, BucketError> {
    let wrong = |detail: &str| BucketError::InvalidUrl {
        url: url.to_owned(),
        detail: detail.to_owned(),
    };
    let parsed = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(wrong(
            "'?' and '#' have no meaning in it; write them as %3F and %23, or give a plain path",
        ));
    }
    parsed
        .to_file_path()
        .map_err(|()| wrong("a file address has three slashes before the path: file:///directory"))
}

fn open_directory(url: &str, directory: &Path) -> Result<Opened, BucketError> {
    let failed = |source| BucketError::Directory {
        url: url.to_owned(),
        source,
    };
    fs::create_dir_all(directory).map_err(failed)?;
    fs::read_dir(directory).map_err(failed)?;
    let directory = directory.canonicalize().map_err(failed)?;
    check_hard_links(url, &directory, |original, link| fs::hard_link(original, link))?;
    let address = Url::from_directory_path(&directory)
        .map_err(|()| failed(io::Error::other("the path cannot be written as an address")))?;
    let store = LocalFileSystem::new_with_prefix(&directory)
        .map_err(|error| failed(io::Error::other(error)))?
        .with_fsync(true);
    Ok(Opened {
        store: Arc::new(store),
        url: address.as_str().trim_end_matches('/').to_owned(),
        remote: false,
    })
}

/// Tries a hard link, because creating an object only where none is rests on it.
///
/// A directory that may only be read passes: a replica needs no more, and a write to it says what is wrong.
fn check_hard_links(
    url: &str,
    directory: &Path,
    hard_link: impl Fn(&Path, &Path) -> io::Result<()>,
) -> Result<(), BucketError> {
    let original = directory.join(format!(".probe-{}", uuid::Uuid::now_v7()));
    let link = original.with_extension("link");
    match fs::File::create_new(&original) {
        Ok(_) => {}
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            tracing::debug!(bucket = url, %error, "the bucket can only be read");
            return Ok(());
        }
        Err(source) => {
            return Err(BucketError::Directory {
                url: url.to_owned(),
                source,
            });
        }
    }
    let linked = hard_link(&original, &link);
    for probe in [&link, &original] {
        if let Err(error) = fs::remove_file(probe)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(path = %probe.display(), %error, "a probe file stays behind");
        }
    }
    linked.map_err(|source| BucketError::NoHardLinks {
        url: url.to_owned(),
        source,
    })
}

fn open_s3(url: &str, options: &[(&str, &str)]) -> Result<Opened, BucketError> {
    let wrong = |detail: String| BucketError::InvalidUrl {
        url: without_user(url),
        detail,
    };
    let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(wrong(
            "credentials do not belong in it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
        ));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() || parsed.port().is_some() {
        return Err(wrong(
            "it has more than s3://bucket/prefix; the server's address goes into AWS_ENDPOINT_URL".to_owned(),
        ));
    }
    let Some(bucket) = parsed.host_str().filter(|bucket| !bucket.is_empty()) else {
        return Err(wrong("it names no bucket; write s3://bucket/prefix".to_owned()));
    };
    let prefix = object_store::path::Path::from_url_path(parsed.path()).map_err(|error| wrong(error.to_string()))?;

    install_crypto_provider();
    let builder = configure(options).map_err(wrong)?.with_bucket_name(bucket);
    check_endpoint(&builder).map_err(wrong)?;
    let store = builder
        .build()
        .map_err(|error| wrong(format!("{error}; check the AWS_* variables")))?;
    let (store, address): (Arc<dyn ObjectStore>, String) = if prefix.as_ref().is_empty() {
        (Arc::new(store), format!("s3://{bucket}"))
    } else {
        let address = format!("s3://{bucket}/{prefix}");
        (Arc::new(PrefixStore::new(store, prefix)), address)
    };
    Ok(Opened {
        store,
        url: address,
        remote: true,
    })
}

/// The environment, our patience, then what the caller says.
fn configure(options: &[(&str, &str)]) -> Result<AmazonS3Builder, String> {
    let mut builder = AmazonS3Builder::from_env()
        // A few seconds in all: who waits for longer wants to read what is wrong.
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 3.0,
            },
            max_retries: 4,
            retry_timeout: Duration::from_secs(60),
        })
        // The whole request; the default of 30 s is too short for a large table on a slow line.
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), "300 seconds")
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ReadTimeout), "30 seconds")
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), "5 seconds");
    for (name, value) in options {
        let key: AmazonS3ConfigKey = name.to_ascii_lowercase().parse().map_err(|_| {
            format!("'{name}' is no setting of S3; see AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, AWS_ALLOW_HTTP")
        })?;
        builder = builder.with_config(key, *value);
    }
    Ok(builder)
}

/// The two mistakes with a server of one's own, which the client reports in words that help nobody.
fn check_endpoint(builder: &AmazonS3Builder) -> Result<(), String> {
    let Some(endpoint) = builder
        .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint))
    else {
        return Ok(());
    };
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(format!(
            "AWS_ENDPOINT_URL is '{endpoint}'; it begins with https:// or http://"
        ));
    }
    let allowed = builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    if endpoint.starts_with("http://") && allowed.is_none_or(|allowed| !is_true(&allowed)) {
        return Err(format!(
            "AWS_ENDPOINT_URL is '{endpoint}' without encryption; set AWS_ALLOW_HTTP=true to permit that"
        ));
    }
    Ok(())
}

/// The spellings that the client takes for yes.
fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "1" | "true" | "on" | "yes" | "y")
}

/// One provider for the whole process; the first that installs one wins, and ours is the same everywhere.
fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none()
        && rustls::crypto::ring::default_provider().install_default().is_err()
    {
        tracing::debug!("another thread installed the crypto provider first");
    }
}

/// An address without what stands before `@`, so that no message shows a password.
fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn refusal(url: &str, options: &[(&str, &str)]) -> String {
        open(url, options).err().unwrap().to_string()
    }

    #[test]
    fn a_path_and_its_address_open_the_same_bucket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("with space");
        let plain = open(path.to_str().unwrap(), &[]).unwrap();
        let address = open(&plain.url, &[]).unwrap();
        assert_eq!(plain.url, address.url);
        assert!(
            plain.url.starts_with("file:///") && plain.url.ends_with("with%20space"),
            "{}",
            plain.url
        );
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "no probe stays behind");
    }

    #[test]
    fn wrong_addresses_say_what_to_write() {
        assert!(refusal("", &[]).contains("empty"));
        assert!(refusal("gs://b", &[]).contains("scheme 'gs'"));
        assert!(refusal("file://data/store", &[]).contains("three slashes"));
        assert!(refusal("s3:///prefix", &[]).contains("s3://bucket/prefix"));
        assert!(refusal("s3://bucket:9000/prefix", &[]).contains("AWS_ENDPOINT_URL"));
    }

    #[test]
    fn no_message_shows_a_password() {
        let message = refusal("s3://key:hidden@bucket/prefix", &[]);
        assert!(
            message.contains("credentials do not belong") && !message.contains("hidden"),
            "{message}"
        );
        assert!(!refusal("ftp://key:hidden@host/x", &[]).contains("hidden"));
    }

    #[test]
    fn an_unencrypted_endpoint_must_be_allowed() {
        let endpoint = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
        assert!(refusal("s3://bucket", &[endpoint, ("AWS_ALLOW_HTTP", "false")]).contains("AWS_ALLOW_HTTP=true"));
        let opened = open("s3://bucket/a/b/", &[endpoint, ("AWS_ALLOW_HTTP", "true")]).unwrap();
        assert_eq!(opened.url, "s3://bucket/a/b");
        assert!(refusal("s3://bucket", &[("AWS_ENDPOINT_URL", "127.0.0.1:9")]).contains("begins with https://"));
        assert!(refusal("s3://bucket", &[("AWS_NONSENSE", "1")]).contains("'AWS_NONSENSE' is no setting"));
    }

    #[test]
    fn a_file_in_the_way_of_the_directory_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let url = file.path().to_str().unwrap();
        let message = refusal(url, &[]);
        assert!(message.contains(url) && message.contains("RATCHET_STORE"), "{message}");
    }

    #[test]
    fn a_share_without_hard_links_is_refused_with_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |_: &Path, _: &Path| Err(io::Error::from(io::ErrorKind::Unsupported));
        let message = check_hard_links("file:///share", directory.path(), refused)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("file:///share") && message.contains("s3://bucket/prefix"),
            "{message}"
        );
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            0,
            "no probe stays behind"
        );
    }
}
