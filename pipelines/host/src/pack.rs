//! Putting manifest and code together.
//!
//! Compilers don't embed the manifest and leave memories of their own liking. Packing sets the memory to
//! what the manifest says, in pages of one byte, drops every custom section (names, producers, features),
//! and puts the manifest into one of its own, and test cases, if there are some, into a second.

use std::borrow::Cow;

use retrotap_abi::manifest::Manifest;
use wasm_encoder::{CustomSection, MemorySection, MemoryType, RawSection};
use wasmparser::{Parser, Payload};

use crate::module::{Module, ModuleError, Outline, page_bytes};

/// Why code and manifest can't be put together.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The code needs more memory than the manifest gives.
    #[error("the code needs {needed} bytes of memory, but the manifest's memory_bytes is {given}")]
    Memory {
        /// What it needs at least.
        needed: u64,
        /// What it gets.
        given: usize,
    },
    /// What would come out is not a module.
    #[error(transparent)]
    Module(#[from] ModuleError),
}

/// Makes a module of compiled code and a manifest.
pub fn pack(wasm: &[u8], manifest: &Manifest) -> Result<Vec<u8>, PackError> {
    pack_with_cases(wasm, manifest, None)
}

/// The same with test cases that the module is to carry, as JSON.
pub fn pack_with_cases(
    wasm: &[u8],
    manifest: &Manifest,
    cases: Option<&str>,
) -> Result<Vec<u8>, PackError> {
    let outline = Outline::read(wasm)?;
    let given = manifest.sizes.memory_bytes;
    let memory = outline.memory.ok_or(ModuleError::NoMemory)?;
    // With pages of 64 KiB the compiler's size says nothing; where the data ends does.
    let needed = if page_bytes(&memory) == 1 {
        memory.initial
    } else {
        outline.data_bytes
    };
    if needed > given as u64 {
        return Err(PackError::Memory { needed, given });
    }

    let mut packed = with_memory(
        wasm,
        MemoryType {
            minimum: given as u64,
            maximum: Some(given as u64),
            memory64: false,
            shared: false,
            page_size_log2: Some(0),
        },
    )?;
    packed.section(&CustomSection {
        name: Cow::Borrowed(retrotap_abi::SECTION),
        data: Cow::Owned(manifest.to_json().into_bytes()),
    });
    if let Some(cases) = cases {
        packed.section(&CustomSection {
            name: Cow::Borrowed(retrotap_abi::CASES_SECTION),
            data: Cow::Borrowed(cases.as_bytes()),
        });
    }
    let packed = packed.finish();
    Module::parse(&packed)?;
    Ok(packed)
}

/// The module as a browser takes it: with one page of 64 KiB, since browsers don't know smaller ones, and
/// without any custom section. Made of what was looked through; it is no module of ours any more.
///
/// # Errors
/// Its memory is larger than a page.
pub fn for_browsers(module: &Module) -> Result<Vec<u8>, PackError> {
    const PAGE_BYTES: u64 = 64 * 1024;
    let needed = module.manifest().sizes.memory_bytes as u64;
    if needed > PAGE_BYTES {
        let given = PAGE_BYTES as usize;
        return Err(PackError::Memory { needed, given });
    }
    let memory = MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: false,
        page_size_log2: None,
    };
    Ok(with_memory(module.wasm(), memory)?.finish())
}

/// The code with another memory, and without custom sections.
fn with_memory(wasm: &[u8], memory: MemoryType) -> Result<wasm_encoder::Module, ModuleError> {
    let mut packed = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|error| ModuleError::Invalid(error.to_string()))?;
        match payload {
            Payload::CustomSection(_) => {}
            Payload::MemorySection(_) => {
                let mut section = MemorySection::new();
                section.memory(memory);
                packed.section(&section);
            }
            other => {
                if let Some((id, range)) = other.as_section()
                    && let Some(data) = wasm.get(range.start as usize..range.end as usize)
                {
                    packed.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(packed)
}
