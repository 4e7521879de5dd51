//! TLS to the broker: rustls with ring, CA from a file and from nowhere else, client certificate
//! where the broker asks for one. Files are read for each connection, so a renewed certificate is
//! used without a restart.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::config::broker::{ClientFiles, TlsFiles};
use crate::config::limits::PEM_FILE_BYTES_MAX;

/// What is wrong with one of the files; the message names it and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// It can't be read.
    #[error("{what} {path} can't be read: {source}")]
    Unreadable {
        /// Which of the files.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is longer than `limits::PEM_FILE_BYTES_MAX`.
    #[error("{what} {path} is larger than {PEM_FILE_BYTES_MAX} bytes: is it the right file?")]
    TooLarge {
        /// Which of the files.
        what: &'static str,
        /// Its path.
        path: PathBuf,
    },
    /// It isn't PEM, or holds nothing of that kind.
    #[error("{what} {path} holds no {expected} in PEM form (-----BEGIN …-----)")]
    NotPem {
        /// Which of the files.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// What is looked for.
        expected: &'static str,
    },
    /// A certificate in it isn't one.
    #[error("{what} {path} holds a certificate that can't be used as a CA: {reason}")]
    BadCa {
        /// Which of the files.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// Certificate and key are of no use together.
    #[error("client_cert {cert} and client_key {key} don't fit together: {reason}")]
    Mismatch {
        /// The certificate's path.
        cert: PathBuf,
        /// The key's path.
        key: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// The TLS library refuses its own defaults.
    #[error("TLS can't be set up: {0}")]
    Setup(String),
}

/// Reads a PEM file's certificates.
///
/// # Errors
///
/// [`TlsFileError`], of which `what` is to be the key in the settings.
pub fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let pem = read(what, path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    if certificates.is_empty() {
        return Err(TlsFileError::NotPem {
            what,
            path: path.into(),
            expected: "certificate",
        });
    }
    Ok(certificates)
}

/// Makes the configuration of a connection.
///
/// # Errors
///
/// [`TlsFileError`] names the file and says what to do.
pub fn client_config(files: &TlsFiles) -> Result<Arc<ClientConfig>, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca", &files.ca)? {
        roots
            .add(certificate)
            .map_err(|error| TlsFileError::BadCa {
                what: "ca",
                path: files.ca.clone(),
                reason: error.to_string(),
            })?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsFileError::Setup(error.to_string()))?
        .with_root_certificates(roots);
    let config = match &files.client {
        None => builder.with_no_client_auth(),
        Some(ClientFiles { cert, key }) => {
            let chain = certificates("client_cert", cert)?;
            let pem = read("client_key", key)?;
            let private =
                PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsFileError::NotPem {
                    what: "client_key",
                    path: key.clone(),
                    expected: "private key",
                })?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| TlsFileError::Mismatch {
                    cert: cert.clone(),
                    key: key.clone(),
                    reason: error.to_string(),
                })?
        }
    };
    Ok(Arc::new(config))
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsFileError> {
    let unreadable = |source| TlsFileError::Unreadable {
        what,
        path: path.to_path_buf(),
        source,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(PEM_FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > PEM_FILE_BYTES_MAX {
        return Err(TlsFileError::TooLarge {
            what,
            path: path.into(),
        });
    }
    Ok(bytes)
}
