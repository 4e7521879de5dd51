//! Compiled modules kept between two starts.
//!
//! A file is the SHA-256 of what follows and then the compiled code. Its name is made of the module's
//! hash and of everything that the code depends on (engine version, settings, processor), so a file never
//! has to be looked at twice. What is cut, flipped or from elsewhere is compiled again; a folder that
//! can't be written to costs time at the next start and nothing else.

use std::fs;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, Module as Compiled};

const DIGEST_BYTES: usize = 32;

pub(super) struct Cache {
    folder: PathBuf,
    engine: [u8; DIGEST_BYTES],
}

impl Cache {
    pub(super) fn new(folder: PathBuf, engine: &Engine) -> Self {
        let mut digest = DigestHasher(Sha256::new());
        env!("CARGO_PKG_VERSION").hash(&mut digest);
        engine.precompile_compatibility_hash().hash(&mut digest);
        Self {
            folder,
            engine: digest.0.finalize().into(),
        }
    }

    fn path(&self, sha256: &[u8; DIGEST_BYTES]) -> PathBuf {
        let key: [u8; DIGEST_BYTES] = Sha256::new()
            .chain_update(sha256)
            .chain_update(self.engine)
            .finalize()
            .into();
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name + ".cwasm")
    }

    /// A compiled module, if it is there and whole.
    pub(super) fn load(&self, engine: &Engine, sha256: &[u8; DIGEST_BYTES]) -> Option<Compiled> {
        let file = fs::read(self.path(sha256)).ok()?;
        let (digest, code) = file.split_first_chunk::<DIGEST_BYTES>()?;
        if <[u8; DIGEST_BYTES]>::from(Sha256::digest(code)) != *digest {
            return None;
        }
        // SAFETY: the code is what `store` wrote for the very same engine: the name holds module, engine
        // version and settings, and the digest holds every byte. Only somebody who can write to the
        // folder can put other code there, and `WasmtimeOptions::cache_dir` says that they must be
        // trusted as the program itself is.
        #[allow(unsafe_code)]
        unsafe { Compiled::deserialize(engine, code) }.ok()
    }

    /// Keeps a compiled module. Half a file is never seen under its name.
    pub(super) fn store(&self, sha256: &[u8; DIGEST_BYTES], code: &[u8]) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let path = self.path(sha256);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let unfinished = path.with_extension(format!("{}-{number}", std::process::id()));
        let mut file = Sha256::digest(code).to_vec();
        file.extend_from_slice(code);
        let written = fs::create_dir_all(&self.folder)
            .and_then(|()| fs::write(&unfinished, file))
            .and_then(|()| fs::rename(&unfinished, path));
        if written.is_err() {
            // It can be compiled again; what must not stay is half a file.
            let _ = fs::remove_file(unfinished);
        }
    }
}

/// SHA-256 as a hasher, since the compatibility hash can only be fed to one.
struct DigestHasher(Sha256);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of no use here: the whole digest is taken instead.
    fn finish(&self) -> u64 {
        0
    }
}
