//! What the README promises stands in the code too.

const README: &str = include_str!("../../README.md");

#[test]
fn the_readme_shows_the_published_digest() {
    let digests = README.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64);
    let mut shown =
        digests.filter(|digest| README.contains(&format!("digest {digest}"))).peekable();
    assert!(shown.peek().is_some(), "no line `digest <64 hex digits>`");
    assert!(shown.all(|digest| digest == retinanet_examples::PUBLISHED_DIGEST));
}

#[test]
fn the_readme_names_the_two_commands() {
    assert!(README.contains("cargo run --release --example segment_person\n"));
    assert!(README.contains("cargo test --workspace\n"));
}
