//! HTTPS with a certificate and a key from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::service::StartError;

/// PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and those between it and an authority that clients know.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

/// Reads the files.
///
/// # Errors
/// [`StartError::Input`] with the file and what is wrong with it.
pub fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, StartError> {
    let wrong = |variable: &str, path: &Path, reason: String| {
        StartError::Input(format!(
            "cannot use {} of {variable}: {reason}; name a file in PEM",
            path.display()
        ))
    };
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| wrong("RATCHET_TLS_CERT", &files.certificate, error.to_string()))?;
    if certificates.is_empty() {
        let reason = "it holds no certificate".to_owned();
        return Err(wrong("RATCHET_TLS_CERT", &files.certificate, reason));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| wrong("RATCHET_TLS_KEY", &files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError::Failed(format!("TLS cannot be set up: {error}")))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| wrong("RATCHET_TLS_KEY", &files.key, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
