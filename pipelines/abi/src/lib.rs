//! ABI 1: the manifest, and the layout of records, parameters and tables that guest and host share.
