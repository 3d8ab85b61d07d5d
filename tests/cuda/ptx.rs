//! What the compiler makes of the kernels, where NVRTC is installed: only operations that the contract
//! names. `RETINANET_REQUIRE_NVRTC` turns a skip into a failure.

use std::collections::BTreeMap;

use retinanet_kernels::Error;
use retinanet_kernels::cuda::{CudaError, compile, prepare, source};

use crate::emulator::kernel_names;

/// PTX for GPUs of this capability; `None`, with a word about it, without NVRTC.
fn ptx(capability: (i32, i32)) -> Option<String> {
    match compile(capability) {
        Ok(ptx) => Some(ptx),
        Err(Error::Cuda(CudaError::NoLibrary { .. }))
            if std::env::var_os("RETINANET_REQUIRE_NVRTC").is_none() =>
        {
            eprintln!("skipped: NVRTC is not installed");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// How often each instruction occurs.
fn instructions(ptx: &str) -> BTreeMap<&str, usize> {
    let mut count = BTreeMap::new();
    for line in ptx.lines().map(str::trim) {
        let line = match line.strip_prefix('@') {
            Some(predicated) => predicated.split_once(' ').map_or("", |(_, rest)| rest.trim()),
            None => line,
        };
        let Some(word) = line.split([' ', '\t', ';']).next() else { continue };
        if word.starts_with(|c: char| c.is_ascii_lowercase()) && word.contains('.') {
            *count.entry(word).or_default() += 1;
        }
    }
    count
}

#[test]
fn floats_are_only_computed_with_operations_that_round_to_nearest() {
    // Everything that may touch an f32. Comparison, selection, negation and moves are exact;
    // conversions are of integers, rounded to nearest one way and towards zero the other.
    let allowed = [
        "add.rn.f32",
        "sub.rn.f32",
        "mul.rn.f32",
        "div.rn.f32",
        "fma.rn.f32",
        "sqrt.rn.f32",
        "neg.f32",
        "selp.f32",
        "mov.f32",
        "mov.b32",
        "cvt.rn.f32.s32",
        "cvt.rn.f32.s64",
        "cvt.rn.f32.u32",
        "cvt.rzi.s32.f32",
    ];
    for capability in [(7, 5), (9, 0)] {
        let Some(ptx) = ptx(capability) else { return };
        let found = instructions(&ptx);
        assert!(found.contains_key("fma.rn.f32"), "{found:?}");
        for name in found
            .keys()
            .filter(|name| name.contains("f32") || name.contains("f64") || name.contains("f16"))
        {
            let exact = ["ld.", "st.", "setp."].iter().any(|start| name.starts_with(start));
            assert!(exact || allowed.contains(name), "{name} in the PTX");
        }
        for forbidden in ["atom", "red.", "ftz", "approx", "wmma", "mma.", "tf32", "shfl"] {
            let is = |name: &&str| {
                name.starts_with(forbidden) || name.contains(&format!(".{forbidden}"))
            };
            assert!(!found.keys().any(is), "{forbidden} in {found:?}");
        }
    }
}

#[test]
fn machine_code_is_prepared_for_machines_without_the_compiler() {
    if ptx((8, 0)).is_none() {
        return;
    }
    let prepared = |capability| -> Vec<u8> {
        let shelf = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            prepare(capability, shelf.path()).unwrap();
        }
        let mut files = std::fs::read_dir(shelf.path()).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none(), "one file");
        let kept = std::fs::read(file).unwrap();
        let first = kept.iter().position(|byte| *byte == b'\n').unwrap();
        kept[first + 1..].to_vec()
    };
    let source = source();
    for capability in [(7, 5), (9, 0), (10, 0)] {
        let code = prepared(capability);
        assert!(code.starts_with(b"\x7fELF"), "{capability:?}");
        for name in kernel_names(&source) {
            let section = format!(".text.{name}\0");
            let found = code.windows(section.len()).any(|bytes| bytes == section.as_bytes());
            assert!(found, "{name} for {capability:?}");
        }
    }
    // A chip that the compiler does not know yet gets what the driver can translate.
    assert_eq!(prepared((99, 0)), ptx((8, 0)).unwrap().into_bytes());

    let file = tempfile::NamedTempFile::new().unwrap();
    let error = prepare((9, 0), file.path()).unwrap_err().to_string();
    assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
}

#[test]
fn every_kernel_is_compiled() {
    let Some(ptx) = ptx((8, 0)) else { return };
    let source = source();
    for name in kernel_names(&source) {
        assert!(ptx.contains(&format!(".entry {name}(")), "{name}");
    }
}

#[test]
fn nothing_is_fused_but_what_the_source_fuses() {
    // Each kernel that names no fused step must have none.
    let Some(ptx) = ptx((8, 0)) else { return };
    for name in [
        "max_pool",
        "upsample_add",
        "resize_normalised",
        "select_count",
        "select_write",
        "norm_mean",
    ] {
        let start = ptx.find(&format!(".entry {name}(")).unwrap();
        let body = &ptx[start..];
        let end = body[1..].find(".entry ").map_or(body.len(), |end| end + 1);
        assert!(!body[..end].contains("fma."), "{name} holds a fused step");
    }
}

#[cfg(feature = "cudnn")]
#[test]
fn the_fast_layers_are_compiled_and_only_convert_beside() {
    use retinanet_kernels::cudnn;
    for capability in [(7, 5), (9, 0)] {
        if ptx(capability).is_none() {
            return;
        }
        let (ptx, source) = (cudnn::compile(capability).unwrap(), cudnn::source());
        for name in kernel_names(&source) {
            assert!(ptx.contains(&format!(".entry {name}(")), "{name}");
        }
        assert_eq!(kernel_names(&source).len(), source.matches("__global__").count());
        let found = instructions(&ptx);
        assert!(found.contains_key("cvt.f32.f16") && found.contains_key("cvt.rn.f16.f32"));
        for forbidden in ["atom", "red.", "ftz", "approx", "shfl", "local"] {
            let is = |name: &&str| {
                name.starts_with(forbidden) || name.contains(&format!(".{forbidden}"))
            };
            assert!(!found.keys().any(is), "{forbidden} in {found:?}");
        }
        // Sixteen bytes at a time.
        assert!(found.keys().any(|name| name.starts_with("ld.global") && name.contains("v4")));
    }
}

#[cfg(feature = "cudnn")]
#[test]
fn cudnn_is_whole_or_the_error_says_what_to_install() {
    match retinanet_kernels::cudnn::Cudnn::installed() {
        Ok(name) => assert!(name.starts_with("cuDNN 9."), "{name}"),
        Err(Error::Cuda(CudaError::NoLibrary { remedy, .. })) => {
            assert!(remedy.contains("install cuDNN 9"), "{remedy}");
            eprintln!("skipped: cuDNN is not installed");
        }
        Err(error) => panic!("{error}"),
    }
}
