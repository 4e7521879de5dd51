//! Makes the types of `manifest.yaml`.
fn main() -> std::process::ExitCode {
    retrotap_abi::codegen::build()
}
