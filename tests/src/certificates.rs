//! A certificate authority for one test: certificates of brokers and clients, valid or not.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It is.
    Valid,
    /// It was, until 2020-01-01.
    Expired,
}

/// Certificate and key as PEM files.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// An authority whose files stand in a folder of the test's.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its own certificate.
    pub cert: PathBuf,
}

impl Authority {
    /// A new authority; `name` is its common name and the stem of its file.
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
            .expect("a certificate");
        let cert = folder.join(format!("{name}.pem"));
        std::fs::write(&cert, issuer.pem()).expect("the folder is there");
        Self {
            folder: folder.into(),
            issuer,
            cert,
        }
    }

    /// A broker's certificate, made out for these names.
    pub fn broker(&self, stem: &str, names: &[&str], validity: Validity) -> Pair {
        self.issue(stem, names, validity, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's certificate.
    pub fn client(&self, stem: &str, validity: Validity) -> Pair {
        self.issue(stem, &[], validity, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(
        &self,
        stem: &str,
        names: &[&str],
        validity: Validity,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Pair {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, stem);
        params.extended_key_usages = vec![purpose];
        params.not_before = date_time_ymd(2019, 1, 1);
        if validity == Validity::Expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let pair = Pair {
            cert: self.folder.join(format!("{stem}.pem")),
            key: self.folder.join(format!("{stem}.key")),
        };
        std::fs::write(&pair.cert, cert.pem()).expect("the folder is there");
        std::fs::write(&pair.key, key.serialize_pem()).expect("the folder is there");
        pair
    }
}
