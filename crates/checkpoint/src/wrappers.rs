//! Prefixes that training tools put in front of every tensor's name.

/// Data parallelism, compilation, trainers.
const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// The wrappers in front of every one of these names, one after another; mostly none.
pub(crate) fn common<'a>(names: impl Iterator<Item = &'a str> + Clone) -> String {
    let mut prefix = String::new();
    while let Some(wrapper) = WRAPPERS.iter().find(|wrapper| {
        let mut stripped = names.clone().map(|name| name[prefix.len()..].strip_prefix(**wrapper));
        stripped.clone().next().is_some() && stripped.all(|name| name.is_some())
    }) {
        prefix.push_str(wrapper);
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::common;

    #[test]
    fn wrappers_are_stripped_only_where_every_name_has_them() {
        let of = |names: &[&str]| common(names.iter().copied());
        assert_eq!(
            of(&["module._orig_mod.head.a", "module._orig_mod.body.b"]),
            "module._orig_mod."
        );
        assert_eq!(of(&["module.a", "b"]), "");
        assert_eq!(of(&["model.a", "model.module.b"]), "model.");
        assert_eq!(of(&[]), "");
    }
}
