//! The numerics contract: what makes a bit a promise, and why each rule is needed.
//!
//! This module holds no code. The promise: **the same input gives the same output bits** on every CPU
//! level, CPU architecture, thread count, tile size, batch, image neighbour and build profile, and, with
//! the feature `cuda`, on NVIDIA's GPUs. Every kernel keeps the rules below, and tests hold it to a naive
//! loop (`reference.rs` beside each) by bits, and a GPU's twin (`.cu` beside each) to the CPU's.
//!
//! # Only correctly rounded operations
//!
//! `+`, `-`, `*`, `/`, `sqrt` and fused multiply-add in IEEE single precision have one right answer each,
//! and all hardware gives it. Nothing else is taken from the hardware or the platform:
//!
//! - `exp`, `ln`, `sin`, `powf` and the like come from the C library, whose last bits differ between
//!   versions and systems. [`exp`](crate::exp), [`sigmoid`](crate::sigmoid), [`ln`](crate::ln) and
//!   [`log1p`](crate::log1p) are our own, made of the operations above. clippy's `disallowed-methods` bans the others in this workspace.
//! - `f32::mul_add` calls the C library where the target has no such instruction. [`fma`](crate::fma) does
//!   not: there it is our own software, tested against hard cases.
//! - Approximate instructions (reciprocal, reciprocal square root) differ between makers and are not used.
//!
//! # One output, one chain
//!
//! A convolution's output is one chain `acc = fma(a[k], b[k], acc)` over `k` in increasing order, from
//! `acc = +0`. Floating-point addition is not associative, so an order must be chosen; this one lets a
//! kernel be fast because different *outputs* are independent: vectors, tiles and threads split the
//! outputs, never a sum, and so their number cannot change a bit.
//!
//! - `k` is logical, never the storage order: (input channel, kernel row, kernel column), the last fastest.
//!   Another layout must not be another result.
//! - A block of `k` *resumes* the stored accumulator. Summing a block from zero and adding it would be
//!   another order: bits would depend on the block size.
//! - Every step is fused, on every level. A compiler or CPU that fuses only some would change bits.
//! - Padding takes part as `+0`: a skipped `fma(0, b, acc)` would leave a `-0` that it turns into `+0`, and
//!   would hide a NaN or infinity in `b`.
//! - Then bias, then residual, then activation, each a rounded operation of its own.
//!
//! Outside such documented chains nothing is fused. Rust never fuses on its own; a GPU's code names the
//! rounding of each operation and is compiled with that turned off, and a test reads it in the PTX.
//!
//! # Which algorithm is part of the answer
//!
//! A 3x3 convolution of stride 1 from at least 16 channels to at least 16 is computed as Winograd F(4x4, 3x3) with
//! the points 0, 1, -1, 2, -1/2 and infinity, with one chain over the input channels per position; all
//! others directly. That choice depends on the weights' shape and the stride only: never on the machine,
//! the image's size, the batch or the threads. Tiles start at each image's own (0, 0), so that a
//! neighbour in the batch cannot shift them.
//!
//! # True reductions have a fixed shape
//!
//! The mean and variance of [group normalisation](crate::norm) sum thousands of values: one chain would be
//! slow and inexact. They use a fixed number of partial sums and a fixed tree over the logical
//! (channel, row, column) order, written down in that module.
//!
//! Losses, norms and the gradients of biases are sums of the form that [`sum`](mod@crate::sum) defines: chunks of 4096
//! positions, sixteen partial sums in each, then a pairwise tree over the chunks. A value that takes no part (an
//! ignored anchor's) stands there as +0, so that the shape of a sum depends on the number of positions only.
//!
//! # Gradients
//!
//! A gradient kernel stands beside its forward twin and keeps the same rules. Where an input was read by several
//! outputs (upsampling, max-pooling), its gradient is one chain of additions from +0 over these outputs, row by row and
//! left to right. ReLU lets a gradient through where its output is above 0. A tie has one owner: the gradient of a
//! maximum goes to the value that the forward kernel kept.
//!
//! The gradient of a convolution's input is the forward kernel itself, with turned weights: one chain per value, in
//! Winograd's form where the turned weights' shape says so ([`conv2d::data_gradient`](crate::conv2d::data_gradient)). That of its weights sums over
//! all pixels: one chain per chunk, about 1,024 pixels or 256 tiles of Winograd's, and the chunks pairwise; chunks depend
//! on shapes only ([`conv2d::weight_gradient`](mod@crate::conv2d::weight_gradient)). Threads and registers split the weights, never such a sum, and
//! pieces of a chunk resume its chain. Where a convolution is used at several levels of a pyramid, the chunks of all
//! levels, in the levels' order, are the leaves of one tree. [`norm`](crate::norm) says how its own gradient adds.
//!
//! # Transformed once, in f64, on the CPU
//!
//! Folding batch norm into weights and transforming weights for Winograd happen once, in f64, and are
//! rounded to f32 once. Every device gets the same bytes: the step cannot differ between them.
//!
//! # Compare and select
//!
//! Minimum, maximum, clamp and ReLU are written as a comparison and a selection. `f32::max`, `maxps` and
//! `fmaxf` disagree on NaN and on the sign of zero, and the first hides a NaN that the user should see.
//!
//! - `relu(x) = if x < 0 { +0 } else { x }`: -0 and NaN stay.
//! - Max-pooling keeps the first of equal maxima and lets NaN through.
//! - Which NaN comes out of an operation (its payload and sign) differs between CPUs: that a value is NaN
//!   is promised, its bits are not.
//!
//! # The floating-point environment
//!
//! A host program may have set flush-to-zero or another rounding mode; many audio and game libraries
//! do. Every task therefore runs inside [`with_ieee`](crate::with_ieee), which sets rounding to nearest
//! even with subnormal numbers and restores what it found. Results that are subnormal are computed as
//! IEEE says, never flushed.
//!
//! # How exact it is
//!
//! Equal bits say nothing about right ones, so here is the error against float64: rms and largest, over the
//! standard deviation of the exact output (for exp and sigmoid over each value), beside PyTorch 2.15 in f32
//! on NCHW and channels_last tensors, and the ratio of our rms to the latter's. Convolutions: inputs of 50 x
//! 68 as after a ReLU, Kaiming weights; the network: `retinanet_resnet50_fpn_v2` on a photo of 800 x 800.
//! Measured on 2026-11-23 on a CPU with AVX-512; PyTorch's figures differ between CPUs, ours do not.
//!
//! | | ours | PyTorch | channels_last | ratio |
//! |---|---|---|---|---|
//! | direct 3->64 7x7 s2 | 1.5e-7 (1.3e-6) | 1.5e-7 (1.3e-6) | 1.5e-7 (1.3e-6) | 1.0 |
//! | direct 128->128 3x3 s2 | 4.3e-7 (4.4e-6) | 1.6e-7 (1.2e-6) | 4.2e-7 (4.5e-6) | 1.0 |
//! | direct 256->256 3x3 s2 | 6.0e-7 (5.9e-6) | 1.7e-7 (9.5e-7) | 5.7e-7 (5.5e-6) | 1.0 |
//! | direct 512->512 3x3 s2 | 8.4e-7 (9.2e-6) | 1.8e-7 (1.2e-6) | 5.6e-7 (5.2e-6) | 1.5 |
//! | pointwise 64->256 1x1 | 1.0e-7 (1.3e-6) | 1.0e-7 (1.3e-6) | 1.0e-7 (1.3e-6) | 1.0 |
//! | pointwise 256->64 1x1 | 2.0e-7 (2.1e-6) | 2.0e-7 (2.1e-6) | 2.0e-7 (2.1e-6) | 1.0 |
//! | pointwise 512->128 1x1 | 2.9e-7 (3.1e-6) | 2.9e-7 (3.1e-6) | 2.9e-7 (3.1e-6) | 1.0 |
//! | pointwise 2048->512 1x1 | 5.7e-7 (9.9e-6) | 2.9e-7 (2.3e-6) | 4.2e-7 (6.2e-6) | 1.4 |
//! | winograd 64->64 3x3 | 8.3e-7 (1.0e-5) | 1.6e-7 (1.1e-6) | 3.0e-7 (3.1e-6) | 2.8 |
//! | winograd 128->128 3x3 | 1.1e-6 (1.1e-5) | 1.6e-7 (1.2e-6) | 4.3e-7 (4.5e-6) | 2.6 |
//! | winograd 256->256 3x3 | 1.6e-6 (1.7e-5) | 1.7e-7 (1.1e-6) | 6.1e-7 (6.8e-6) | 2.6 |
//! | winograd 512->512 3x3 | 2.2e-6 (3.1e-5) | 1.8e-7 (1.5e-6) | 7.5e-7 (1.1e-5) | 3.0 |
//! | group_norm | 8.0e-8 (4.6e-7) | 2.3e-7 (1.1e-6) | 1.4e-6 (6.5e-6) | 0.1 |
//! | resize | 3.7e-6 (3.3e-5) | 3.7e-6 (3.3e-5) | 3.7e-6 (3.3e-5) | 1.0 |
//! | exp | 2.5e-8 (5.8e-8) | 2.5e-8 (6.1e-8) | 2.5e-8 (6.1e-8) | 1.0 |
//! | sigmoid | 3.7e-8 (1.0e-7) | 3.8e-8 (1.0e-7) | 3.8e-8 (1.0e-7) | 1.0 |
//! | weight gradient 16->16 3x3, winograd | 2.0e-6 (2.3e-6) | 1.4e-6 (2.3e-6) | 4.3e-7 (9.4e-7) | 4.7 |
//! | weight gradient 16->16 3x3 s2, direct | 5.5e-7 (6.0e-7) | 1.5e-6 (2.7e-6) | 2.1e-6 (3.9e-6) | 0.3 |
//! | network, logits | 2.4e-6 (2.4e-5) | 1.5e-6 (1.2e-5) | 3.2e-6 (2.4e-5) | 0.8 |
//! | network, regression | 2.3e-6 (1.8e-5) | 1.4e-6 (9.4e-6) | 3.0e-6 (2.1e-5) | 0.8 |
//!
//! The weights' gradients are of maps of 100 x 136 outputs with values from -4 to 4, evenly; their rms error is over
//! the gradient's rms, the largest over its largest (2026-11-25).
//!
//! Winograd's form costs up to three times the error of PyTorch's channels_last kernels, and the network as
//! a whole is a little nearer to float64 than they are. Resizing computes its coordinates in f32 as PyTorch
//! does, and errs as much.
//!
//! # What is not promised
//!
//! Equal bits with PyTorch or any other program: those are compared by tolerance, and ours with ours by
//! bits. Equal bits between versions of this crate whose changelog says that results changed.
