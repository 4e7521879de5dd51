//! What the author of a stage imports.
