//! The page's certificate: the user's, or one that the gateway makes for itself.
//!
//! Its own is signed by nobody: a browser asks once, and the fingerprint in the log says whether it
//! is the right one. It is made again when it is about to end.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::access::accounts::make_private;
use super::access::secrets::hex;
use crate::config::limits::{
    OWN_CERTIFICATE_DAYS, OWN_CERTIFICATE_DAYS_LEFT_MIN, PEM_FILE_BYTES_MAX,
};
use crate::time::rfc3339;

/// The certificate that the gateway makes for itself, in its folder.
const OWN_CERT: &str = "own-cert.pem";
/// Its key.
const OWN_KEY: &str = "own-key.pem";

const S_PER_DAY: i64 = 86_400;

/// A certificate and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertFiles {
    /// Our certificate first, then those between it and the authority.
    pub cert: PathBuf,
    /// The private key of the first one.
    pub key: PathBuf,
}

/// What is wrong with certificate or key.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file can't be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Its path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file isn't what it should be.
    #[error("{path} holds no {expected} in PEM form (-----BEGIN …-----)")]
    NotPem {
        /// Its path.
        path: PathBuf,
        /// What is looked for.
        expected: &'static str,
    },
    /// They are of no use together.
    #[error("{cert} and {key} can't be used: {reason}")]
    Unusable {
        /// The certificate's path.
        cert: PathBuf,
        /// The key's path.
        key: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// None can be made.
    #[error("no certificate can be made: {0}")]
    Made(String),
}

/// What the page is served with.
#[derive(Debug, Clone)]
pub struct Served {
    /// For rustls.
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the certificate, as browsers show it.
    pub fingerprint: String,
    /// The DNS names in it.
    pub names: Vec<String>,
}

/// With the user's files.
///
/// # Errors
///
/// [`CertError`] names the file.
pub fn of_files(files: &CertFiles) -> Result<Served, CertError> {
    let unusable = |reason: String| CertError::Unusable {
        cert: files.cert.clone(),
        key: files.key.clone(),
        reason,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(&files.cert)?)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    let Some(first) = chain.first() else {
        return Err(CertError::NotPem {
            path: files.cert.clone(),
            expected: "certificate",
        });
    };
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| CertError::NotPem {
        path: files.key.clone(),
        expected: "private key",
    })?;
    let digest = Sha256::digest(first.as_ref());
    let fingerprint: Vec<String> = digest.iter().map(|byte| hex(&[*byte])).collect();
    let names = dns_names(first).map_err(unusable)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| unusable(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Served {
        config: Arc::new(config),
        fingerprint: fingerprint.join(":").to_uppercase(),
        names,
    })
}

/// With the gateway's own, which is made in that folder where it isn't there or is about to end.
///
/// # Errors
///
/// [`CertError`] names the file.
pub fn own(folder: &Path) -> Result<Served, CertError> {
    let files = CertFiles {
        cert: folder.join(OWN_CERT),
        key: folder.join(OWN_KEY),
    };
    if !files.cert.exists() || days_left(&files.cert)? < OWN_CERTIFICATE_DAYS_LEFT_MIN {
        make(folder, &files)?;
    }
    of_files(&files)
}

fn make(folder: &Path, files: &CertFiles) -> Result<(), CertError> {
    let made = |error: rcgen::Error| CertError::Made(error.to_string());
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    // By what it goes in the plant: in vain where that is no name of DNS.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    if is_dns_name(host) && host != "localhost" {
        names.push(host.to_owned());
        if !host.contains('.') {
            names.push(format!("{host}.local"));
        }
    }
    let mut params = rcgen::CertificateParams::new(names).map_err(made)?;
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Retrotap gateway");
    let now_s = unix_s();
    // A day before: a clock that is a little late must not refuse it.
    let (year, month, day) = date(now_s - S_PER_DAY);
    params.not_before = rcgen::date_time_ymd(year, month, day);
    let (year, month, day) = date(now_s + OWN_CERTIFICATE_DAYS * S_PER_DAY);
    params.not_after = rcgen::date_time_ymd(year, month, day);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = rcgen::KeyPair::generate().map_err(made)?;
    let cert = params.self_signed(&key).map_err(made)?;
    let write = |path: &Path, text: &str| {
        let fails = |source| CertError::Io {
            path: path.to_owned(),
            source,
        };
        make_private(folder).map_err(fails)?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fails)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(fails)?;
        file.persist(path).map_err(|error| fails(error.error))?;
        Ok(())
    };
    // The key first: a certificate that is there has its key.
    write(&files.key, &key.serialize_pem())?;
    write(&files.cert, &cert.pem())
}

/// Year, month and day of a time.
fn date(unix_s: i64) -> (i32, u8, u8) {
    let text = rfc3339(unix_s.saturating_mul(1_000_000_000));
    let mut parts = text
        .split(['-', 'T'])
        .map_while(|part| part.parse::<i32>().ok());
    let mut part = || parts.next().unwrap_or(1);
    let (year, month, day) = (part(), part(), part());
    let small = |number: i32| u8::try_from(number).unwrap_or(1);
    (year, small(month), small(day))
}

fn unix_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// A file that isn't a certificate has none left.
fn days_left(cert: &Path) -> Result<i64, CertError> {
    let pem = read(cert)?;
    let until_s = CertificateDer::from_pem_slice(&pem).ok().and_then(|der| {
        let (_, parsed) = X509Certificate::from_der(&der).ok()?;
        Some(parsed.validity().not_after.timestamp())
    });
    Ok((until_s.unwrap_or(0) - unix_s()) / S_PER_DAY)
}

fn dns_names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let names = parsed
        .subject_alternative_name()
        .map_err(|error| error.to_string())?;
    let names = names
        .into_iter()
        .flat_map(|names| &names.value.general_names);
    Ok(names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect())
}

fn is_dns_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !name.is_empty() && name.len() < 250 && name.bytes().all(is_allowed)
}

fn read(path: &Path) -> Result<Vec<u8>, CertError> {
    let fails = |source| CertError::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(PEM_FILE_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(fails)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_gateway_makes_its_certificate_once_and_its_key_is_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let first = own(&state).unwrap();
        assert_eq!(first.fingerprint, own(&state).unwrap().fingerprint);
        assert_eq!(first.fingerprint.len(), 32 * 3 - 1);
        assert!(first.names.contains(&"localhost".to_owned()));
        let mode = std::fs::metadata(state.join(OWN_KEY))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let days = days_left(&state.join(OWN_CERT)).unwrap();
        assert!(
            (OWN_CERTIFICATE_DAYS - 2..=OWN_CERTIFICATE_DAYS).contains(&days),
            "{days}"
        );
    }

    #[test]
    fn a_certificate_that_is_no_good_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        own(&one).unwrap();
        own(&other).unwrap();
        let said = |cert: PathBuf, key: PathBuf| {
            of_files(&CertFiles { cert, key }).unwrap_err().to_string()
        };
        assert!(said(one.join("none.pem"), one.join(OWN_KEY)).contains("none.pem"));
        assert!(said(one.join(OWN_KEY), one.join(OWN_KEY)).contains("no certificate"));
        assert!(said(one.join(OWN_CERT), one.join(OWN_CERT)).contains("no private key"));
        assert!(said(one.join(OWN_CERT), other.join(OWN_KEY)).contains("can't be used"));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(951_782_400), (2000, 2, 29));
        assert_eq!(date(1_795_651_199), (2026, 11, 25));
    }
}
