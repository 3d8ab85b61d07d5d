//! Names that look like another.

/// Among how many names a similar one is looked for.
pub(crate) const AMONG: usize = 1024;

/// The longest name that is compared, in bytes; comparing takes time with its square.
const LONGEST: usize = 128;

/// Names at least this similar are worth naming.
const SIMILAR: f64 = 0.8;

/// The most similar name, the first of equals, if it is similar at all.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let short = |name: &str| name.len() <= LONGEST;
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates.take(AMONG).filter(|other| short(name) && short(other)) {
        let similarity = strsim::normalized_damerau_levenshtein(name, candidate);
        if similarity >= SIMILAR && best.is_none_or(|(highest, _)| similarity > highest) {
            best = Some((similarity, candidate));
        }
    }
    best.map(|(_, candidate)| candidate.to_string())
}
