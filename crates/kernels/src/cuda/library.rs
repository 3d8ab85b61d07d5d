//! NVIDIA's libraries, which are loaded when they are first used.

/// Whether one of the libraries can be loaded: cudarc panics where it cannot.
pub(super) fn present(names: &[&str]) -> bool {
    names.iter().any(|name| {
        // SAFETY: NVIDIA's libraries may be loaded at any time; they stay loaded by cudarc.
        unsafe { libloading::Library::new(*name) }.is_ok()
    })
}
