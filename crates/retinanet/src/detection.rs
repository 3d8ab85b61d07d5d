//! What the detector answers.
