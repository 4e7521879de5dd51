//! What is known of a model of machine: framings (bytes to frames) and the YAML of an adapter. No I/O.
