//! Signatures of modules: whose key stands behind a file.
//!
//! They are Ed25519 signatures over a whole module in the form of WebAssembly's module signatures, made
//! and verified by `wasmsign2`. [`Trust`] says whose word counts.
//!
//! Keeps true: only the one form that [`sign`] writes is ever given to that crate. It knows a second one,
//! over parts of a module, under which a forged second manifest was seen to pass, and it reserves memory
//! by lengths that it finds in the file. So the section's bytes are compared with the form first, and
//! what differs is no signature of ours.
//!
//! What it doesn't do: look at what is signed. A section that merely says "signed" says nothing about the
//! code being good.

use std::fmt::{self, Display, Formatter};
use std::io::Cursor;

use super::assemble::hex;

/// A public key: what a signature is checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(wasmsign2::PublicKey);

/// A secret key: what signs. It is never shown, so it has no `Debug`.
pub struct SecretKey(wasmsign2::SecretKey);

/// Twelve bytes that follow from a public key and stand in each of its signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; KEY_ID_BYTES]);

/// Why a key or a module can't be used for signing.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no key of that sort.
    #[error("not a {what} of Ed25519 in PEM, as `retrotap keygen` writes it")]
    Pem {
        /// `public key` or `secret key`.
        what: &'static str,
    },
    /// The bytes are no module.
    #[error("can't be signed: {0}")]
    NoModule(String),
}

const KEY_ID_BYTES: usize = 12;
const HASH_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// A module's first eight bytes.
const HEADER: [u8; 8] = *b"\0asm\x01\0\0\0";

/// The section up to the hash: custom, 129 bytes, its name; version, whole module, SHA-256; one set of
/// 114 bytes with one hash.
const BEFORE_HASH: [u8; 18] = *b"\0\x81\x01\x09signature\x01\x01\x01\x01\x72";
/// One hash.
const HASH_COUNT: [u8; 1] = [1];
/// One signature of 79 bytes with a key's id of 12.
const BEFORE_ID: [u8; 3] = [1, 79, KEY_ID_BYTES as u8];
/// Ed25519, 64 bytes.
const BEFORE_SIGNATURE: [u8; 2] = [1, SIGNATURE_BYTES as u8];

impl PublicKey {
    /// Reads a key as `retrotap keygen` or OpenSSL writes it.
    ///
    /// # Errors
    ///
    /// It isn't one.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let what = "public key";
        let key = wasmsign2::PublicKey::from_pem(pem).map_err(|_| KeyError::Pem { what })?;
        Ok(Self(key.attach_default_key_id()))
    }

    /// The key as text.
    pub fn to_pem(&self) -> String {
        self.0.to_pem()
    }

    /// What it is called in signatures.
    pub fn id(&self) -> KeyId {
        let id = self.0.key_id().and_then(|id| id.first_chunk());
        KeyId(id.copied().unwrap_or_default())
    }
}

impl SecretKey {
    /// Two keys that belong together.
    pub fn generate() -> (Self, PublicKey) {
        let pair = wasmsign2::KeyPair::generate();
        (Self(pair.sk), PublicKey(pair.pk.attach_default_key_id()))
    }

    /// Reads a key as `retrotap keygen` writes it.
    ///
    /// # Errors
    ///
    /// It isn't one.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let what = "secret key";
        let key = wasmsign2::SecretKey::from_pem(pem).map_err(|_| KeyError::Pem { what })?;
        Ok(Self(key))
    }

    /// The key as text.
    pub fn to_pem(&self) -> String {
        self.0.to_pem()
    }

    fn public(&self) -> PublicKey {
        let key = wasmsign2::PublicKey {
            pk: self.0.sk.public_key(),
            key_id: None,
        };
        PublicKey(key.attach_default_key_id())
    }
}

/// Signs a module; a signature that it had is gone. Nothing is looked at but that it is a module.
///
/// # Errors
///
/// It isn't.
pub fn sign(module: &[u8], key: &SecretKey) -> Result<Vec<u8>, KeyError> {
    let no_module = |error: wasmsign2::WSError| KeyError::NoModule(error.to_string());
    // The validator has seen all lengths before the crate reserves memory by them.
    retrotap_host::check_sections(module).map_err(|error| KeyError::NoModule(error.to_string()))?;
    let sections = wasmsign2::Module::deserialize(&mut Cursor::new(module)).map_err(no_module)?;
    let id = key.public().id().0.to_vec();
    let signed = key.0.sign(sections, Some(&id)).map_err(no_module)?;
    let mut bytes = Vec::with_capacity(module.len() + 256);
    signed.serialize(&mut bytes).map_err(no_module)?;
    Ok(bytes)
}

/// Whose word counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Keys that are trusted.
    pub keys: Vec<TrustedKey>,
    /// Whether modules run that nobody known signed.
    pub allow_unsigned: bool,
}

/// A key with the name that people know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// What people call it.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// From when on it isn't trusted any more, Unix time in nanoseconds; `None`: it is until it is taken
    /// out.
    pub expires_unix_ns: Option<i64>,
}

/// Who stands behind a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// A trusted key of that name.
    Trusted(String),
    /// A key that isn't among the trusted ones: it says no more than no signature.
    Unknown(KeyId),
    /// Nobody signed it.
    Nobody,
}

/// Why a module isn't trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It has no signature.
    #[error("it is not signed, and `allow_unsigned` is not set")]
    Unsigned,
    /// It has one of another form, or a damaged one.
    #[error("its signature has a form that isn't accepted: sign it with `retrotap module sign`")]
    Form,
    /// No trusted key made it.
    #[error("it is signed by key {0}, which is not among the trusted ones")]
    UnknownKey(KeyId),
    /// It says that a trusted key made it, and that isn't true.
    #[error(
        "it says that it is signed by `{0}`, but was changed afterwards, or `{0}` never signed it"
    )]
    Forged(String),
    /// The key has expired.
    #[error("it is signed by `{0}`, whose key has expired")]
    Expired(String),
}

impl Trust {
    /// Looks who signed a file, and whether that counts now.
    ///
    /// # Errors
    ///
    /// It doesn't.
    pub fn check(&self, module: &[u8], now_unix_ns: i64) -> Result<Signer, Untrusted> {
        let Some(id) = signed_by(module)? else {
            return match self.allow_unsigned {
                true => Ok(Signer::Nobody),
                false => Err(Untrusted::Unsigned),
            };
        };
        let Some(known) = self.keys.iter().find(|known| known.key.id() == id) else {
            return match self.allow_unsigned {
                true => Ok(Signer::Unknown(id)),
                false => Err(Untrusted::UnknownKey(id)),
            };
        };
        let verified = known.key.0.verify(&mut Cursor::new(module), None);
        if verified.is_err() {
            return Err(Untrusted::Forged(known.name.clone()));
        }
        match known.expires_unix_ns {
            Some(expires_unix_ns) if now_unix_ns >= expires_unix_ns => {
                Err(Untrusted::Expired(known.name.clone()))
            }
            _ => Ok(Signer::Trusted(known.name.clone())),
        }
    }
}

/// Which key a module says it is signed by: nothing is verified by that.
///
/// # Errors
///
/// It has a signature of another form than [`sign`]'s.
pub fn signed_by(module: &[u8]) -> Result<Option<KeyId>, Untrusted> {
    let mut rest = Rest(module);
    let name = BEFORE_HASH.get(3..13).unwrap_or_default();
    if rest.expect(&HEADER).is_none() {
        return Ok(None);
    }
    // Whatever its length says, a first section of that name is meant to be a signature.
    let is_meant = rest.0.first() == Some(&0)
        && (2..=6).any(|at| rest.0.get(at..).is_some_and(|rest| rest.starts_with(name)));
    if !is_meant {
        return Ok(None);
    }
    let form = |rest: &mut Rest<'_>| {
        rest.expect(&BEFORE_HASH)?;
        rest.expect(&HASH_COUNT)?;
        rest.take::<HASH_BYTES>()?;
        rest.expect(&BEFORE_ID)?;
        let id = *rest.take::<KEY_ID_BYTES>()?;
        rest.expect(&BEFORE_SIGNATURE)?;
        rest.take::<SIGNATURE_BYTES>()?;
        Some(KeyId(id))
    };
    form(&mut rest).map(Some).ok_or(Untrusted::Form)
}

/// What of a file hasn't been looked at.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const BYTES: usize>(&mut self) -> Option<&'a [u8; BYTES]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(first)
    }

    fn expect<const BYTES: usize>(&mut self, expected: &[u8; BYTES]) -> Option<()> {
        (self.take()? == expected).then_some(())
    }
}

impl Display for KeyId {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

impl Display for Signer {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trusted(name) => formatter.write_str(name),
            Self::Unknown(id) => write!(formatter, "key {id}, which is not among the trusted ones"),
            Self::Nobody => formatter.write_str("nobody"),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_NS: i64 = 1_790_000_000_000_000_000;

    fn module() -> Vec<u8> {
        crate::modules::catalog::Catalog::default()
            .module("smooth")
            .unwrap()
            .wasm()
            .to_vec()
    }

    fn trusting(key: &PublicKey, expires_unix_ns: Option<i64>) -> Trust {
        let known = TrustedKey {
            name: "plant".to_owned(),
            key: key.clone(),
            expires_unix_ns,
        };
        Trust {
            keys: vec![known],
            allow_unsigned: false,
        }
    }

    #[test]
    fn a_signed_module_is_the_same_module_and_names_its_signer() {
        let (secret, public) = SecretKey::generate();
        let signed = sign(&module(), &secret).unwrap();
        assert_eq!(signed_by(&signed), Ok(Some(public.id())));
        let parsed = retrotap_host::Module::parse(&signed).unwrap();
        assert_eq!(parsed.manifest().stage, "smooth");
        assert_eq!(
            trusting(&public, None).check(&signed, NOW_NS),
            Ok(Signer::Trusted("plant".to_owned()))
        );
        // Signing again replaces the signature.
        let (other, other_public) = SecretKey::generate();
        let again = sign(&signed, &other).unwrap();
        assert_eq!(again.len(), signed.len());
        assert_eq!(signed_by(&again), Ok(Some(other_public.id())));
    }

    #[test]
    fn keys_survive_their_text_and_the_secret_one_signs_as_before() {
        let (secret, public) = SecretKey::generate();
        let secret = SecretKey::from_pem(&secret.to_pem()).unwrap();
        let public = PublicKey::from_pem(&public.to_pem()).unwrap();
        let signed = sign(&module(), &secret).unwrap();
        assert!(trusting(&public, None).check(&signed, NOW_NS).is_ok());
        assert!(PublicKey::from_pem(&secret.to_pem()).is_err());
        assert!(SecretKey::from_pem(&public.to_pem()).is_err());
        assert!(PublicKey::from_pem("plant").is_err());
    }

    #[test]
    fn no_byte_of_a_signed_module_can_be_changed() {
        let (secret, public) = SecretKey::generate();
        let signed = sign(&module(), &secret).unwrap();
        let trust = trusting(&public, None);
        let step = signed.len() / 400;
        // All of the signature, and the rest in steps.
        for at in (0..160).chain((160..signed.len()).step_by(step)) {
            let mut changed = signed.clone();
            changed[at] ^= 0x01;
            assert!(trust.check(&changed, NOW_NS).is_err(), "byte {at}");
        }
        for length in (0..signed.len()).step_by(step) {
            assert!(trust.check(&signed[..length], NOW_NS).is_err(), "{length}");
        }
        let mut longer = signed.clone();
        longer.extend_from_slice(b"\0\x0a\x08retrotap{");
        assert_eq!(
            trust.check(&longer, NOW_NS),
            Err(Untrusted::Forged("plant".to_owned()))
        );
    }

    #[test]
    fn each_way_of_not_being_trusted_has_its_name() {
        let (secret, public) = SecretKey::generate();
        let (_, other) = SecretKey::generate();
        let signed = sign(&module(), &secret).unwrap();
        let mut forged = signed.clone();
        *forged.last_mut().unwrap() ^= 1;
        let plant = || "plant".to_owned();
        for (trust, bytes, expect) in [
            (trusting(&public, None), &module(), Untrusted::Unsigned),
            (
                trusting(&other, None),
                &signed,
                Untrusted::UnknownKey(public.id()),
            ),
            (trusting(&public, None), &forged, Untrusted::Forged(plant())),
            (
                trusting(&public, Some(NOW_NS)),
                &signed,
                Untrusted::Expired(plant()),
            ),
        ] {
            assert_eq!(trust.check(bytes, NOW_NS), Err(expect));
        }
        assert!(
            trusting(&public, Some(NOW_NS + 1))
                .check(&signed, NOW_NS)
                .is_ok()
        );
    }

    #[test]
    fn where_unsigned_ones_run_a_broken_signature_still_does_not() {
        let (secret, public) = SecretKey::generate();
        let signed = sign(&module(), &secret).unwrap();
        let anybody = Trust {
            allow_unsigned: true,
            ..trusting(&public, None)
        };
        assert_eq!(anybody.check(&module(), NOW_NS), Ok(Signer::Nobody));
        let (stranger, id) = SecretKey::generate();
        assert_eq!(
            anybody.check(&sign(&module(), &stranger).unwrap(), NOW_NS),
            Ok(Signer::Unknown(id.id()))
        );
        let mut forged = signed;
        *forged.last_mut().unwrap() ^= 1;
        assert!(anybody.check(&forged, NOW_NS).is_err());
    }

    /// Lengths in the file that a careless reader would reserve 4 GiB for, and the crate's second form.
    #[test]
    fn other_forms_of_signature_are_refused_before_anybody_reads_them() {
        let (secret, public) = SecretKey::generate();
        let trust = trusting(&public, None);
        let payloads: [&[u8]; 4] = [
            b"\x01\x01\x01\xff\xff\xff\xff\x0f",
            b"\x01\x01\x01\x01\xff\xff\xff\xff\x0f",
            b"\x01\x01\x01\x01\x72\x02",
            b"",
        ];
        for payload in payloads {
            let mut bytes = HEADER.to_vec();
            bytes.extend([0, 10 + payload.len() as u8, 9]);
            bytes.extend_from_slice(b"signature");
            bytes.extend_from_slice(payload);
            bytes.extend_from_slice(&module()[8..]);
            assert_eq!(trust.check(&bytes, NOW_NS), Err(Untrusted::Form));
            // It can be signed anew all the same.
            let signed = sign(&bytes, &secret).unwrap();
            assert!(trust.check(&signed, NOW_NS).is_ok());
        }
        for no_module in [
            &b""[..],
            b"\0asm",
            b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f",
        ] {
            assert!(sign(no_module, &secret).is_err());
        }
    }
}
