//! What must not be guessed: passwords, cookies, tokens and codes.
//!
//! Passwords are slow to try (argon2id). The others are random and long enough that nobody tries
//! them, so a plain hash of each is kept, and comparing hashes tells nothing of what was hashed.

use std::io;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use sha2::{Digest as _, Sha256};

use crate::config::limits::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};

/// A hash of something random.
pub type Hash = [u8; 32];

/// Letters and digits that nobody takes for each other (Crockford's base 32).
const CODE_LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Random bytes of the system.
///
/// # Errors
///
/// The system has none.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// Random bytes as text: 256 bits, which nobody tries.
///
/// # Errors
///
/// The system has none.
pub fn secret() -> io::Result<String> {
    Ok(hex(&random::<32>()?))
}

/// A code that a person types: `K7QX-3MFD-9RTC`, 60 bits.
///
/// # Errors
///
/// The system has no random bytes.
pub fn code() -> io::Result<String> {
    let letters = random::<12>()?.map(|byte| CODE_LETTERS[usize::from(byte % 32)]);
    let parts: Vec<String> = letters
        .chunks(4)
        .map(|part| part.iter().map(|letter| char::from(*letter)).collect())
        .collect();
    Ok(parts.join("-"))
}

/// The code as it was meant: small letters and missing dashes are no mistake.
pub fn meant(code: &str) -> String {
    code.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_uppercase())
        .collect()
}

/// The hash of something random.
pub fn hash(secret: &str) -> Hash {
    Sha256::digest(secret).into()
}

/// Bytes as small hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether a password may be used.
///
/// # Errors
///
/// What is wrong with it, in a sentence.
pub fn check_password(user: &str, password: &str) -> Result<(), String> {
    let chars = password.chars().count();
    if chars < PASSWORD_CHARS_MIN || password.len() > PASSWORD_BYTES_MAX {
        return Err(format!(
            "A password has {PASSWORD_CHARS_MIN} characters at least and {PASSWORD_BYTES_MAX} bytes at most."
        ));
    }
    let first = password.chars().next();
    if password.chars().all(|letter| Some(letter) == first)
        || password.to_lowercase().contains(&user.to_lowercase())
    {
        return Err(
            "A password is not one letter over and over, and doesn't hold the user's name."
                .to_owned(),
        );
    }
    Ok(())
}

/// What is kept of a password: argon2id with 19 MiB and two passes, the crate's defaults, which are
/// those of OWASP's cheat sheet. Takes some 20 ms on a desk, 100 ms on a Pi.
///
/// # Errors
///
/// The system has no random bytes.
pub fn hash_password(password: &str) -> io::Result<String> {
    let failed = |error: argon2::password_hash::Error| io::Error::other(error.to_string());
    let salt = SaltString::encode_b64(&random::<16>()?).map_err(failed)?;
    let hash = Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map_err(failed)?;
    Ok(hash.to_string())
}

/// Whether it is the password of which that was kept. What is no hash fits none.
pub fn is_password(password: &str, kept: &str) -> bool {
    PasswordHash::new(kept).is_ok_and(|kept| {
        Argon2::default()
            .verify_password(password.as_bytes(), &kept)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_what_was_kept_of_it_and_no_other_does() {
        let kept = hash_password("correct horse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(is_password("correct horse", &kept));
        assert!(!is_password("correct horsE", &kept));
        assert!(!is_password("", &kept));
        assert!(!is_password("correct horse", "correct horse"));
        assert_ne!(hash_password("correct horse").unwrap(), kept, "salted");
    }

    #[test]
    fn passwords_that_are_tried_first_are_refused() {
        for (user, password) in [
            ("eve", "short"),
            ("eve", "aaaaaaaaaaaaaa"),
            ("administrator", "Administrator"),
            ("eve", &"x".repeat(PASSWORD_BYTES_MAX + 1)),
        ] {
            assert!(check_password(user, password).is_err(), "{password}");
        }
        assert_eq!(check_password("eve", "größer als zehn"), Ok(()));
    }

    #[test]
    fn a_code_is_read_as_it_was_meant() {
        let code = code().unwrap();
        assert_eq!(code.len(), 14);
        assert_eq!(meant(&code.to_lowercase().replace('-', " ")), meant(&code));
        assert_eq!(meant(&code).len(), 12);
    }
}
