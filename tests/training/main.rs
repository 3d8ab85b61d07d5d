//! The training of whole networks: against PyTorch by tolerance, with ourselves by bits.

mod golden;
mod gradients;
mod steps;
