//! The stage krc2-decode.
