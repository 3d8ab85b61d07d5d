//! Where two JSON values part, for errors that say what changed.

use serde_json::Value;

/// How much of a differing value an error repeats, in characters.
const MAX_ECHO: usize = 80;

/// The path and both texts of the first value that differs.
pub(crate) fn first_difference(before: &Value, now: &Value) -> Option<(String, String, String)> {
    difference("", before, now)
}

fn difference(path: &str, before: &Value, now: &Value) -> Option<(String, String, String)> {
    if let (Value::Object(before), Value::Object(now)) = (before, now) {
        let below =
            |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let none = Value::Null;
        let keys = before.keys().chain(now.keys().filter(|key| !before.contains_key(*key)));
        return keys
            .filter_map(|key| {
                let old = before.get(key).unwrap_or(&none);
                difference(&below(key), old, now.get(key).unwrap_or(&none))
            })
            .next();
    }
    let text = |value: &Value| {
        let text = value.to_string();
        let short: String = text.chars().take(MAX_ECHO).collect();
        let short: String = short.chars().flat_map(char::escape_debug).collect();
        let short = short.replace("\\\"", "\"");
        if text.chars().count() > MAX_ECHO { short + "..." } else { short }
    };
    (before != now).then(|| (path.to_owned(), text(before), text(now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named_with_its_path() {
        let before = json!({"a": 1, "config": {"k": [1, 2], "score_thresh": 0.05}});
        let now = json!({"a": 1, "config": {"k": [1, 2], "score_thresh": 0.5}});
        let (path, old, new) = first_difference(&before, &now).unwrap();
        assert_eq!(
            (path.as_str(), old.as_str(), new.as_str()),
            ("config.score_thresh", "0.05", "0.5")
        );
        assert_eq!(first_difference(&now, &now), None);
        assert!(first_difference(&json!({"a": 1}), &json!({"a": 1, "b": 2})).is_some());
    }
}
