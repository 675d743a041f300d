//! Did you mean …?

/// The candidate nearest to a misspelt word, if one is near enough: at most a third of its letters
/// wrong, case and the kind of dash not counted.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = plain(word);
    let rated = candidates.into_iter().map(|candidate| {
        let distance = strsim::damerau_levenshtein(&word, &plain(candidate));
        (distance, candidate)
    });
    let (distance, nearest) = rated.min()?;
    // Words that only swap, drop or add whole parts are far by letters and near by sight.
    let alike = strsim::jaro_winkler(&word, &plain(nearest)) >= 0.92;
    let allowed = (nearest.chars().count() / 3).max(1);
    (distance <= allowed || alike).then_some(nearest)
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace(['-', ' '], "_")
}

/// `a`, `b`, `c`
pub(super) fn listing<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let keys = ["max_suppressions", "max_list_removals", "sentinels", "name"];
        for (typed, meant) in [
            ("max_supressions", Some("max_suppressions")),
            ("maxSuppressions", Some("max_suppressions")),
            ("max-list-removals", Some("max_list_removals")),
            ("nmae", Some("name")),
            ("nam", Some("name")),
            ("sentinel", Some("sentinels")),
            ("colour", None),
        ] {
            assert_eq!(nearest(typed, keys), meant, "{typed}");
        }
    }
}
