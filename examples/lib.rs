//! Files shared by the examples: the bundled photo and checkpoint.
