//! What is done to the chain, and when.
