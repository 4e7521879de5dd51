//! The stage axis-limits.
