//! Words that are nearly another word: one that was misspelt, where the right one is known.

/// Whether `written` is most likely meant as `known`, but is not: it differs in case, dashes or a plural,
/// or by one slip of the fingers (a letter left out, put in, replaced, or swapped with its neighbour).
#[must_use]
pub fn is_slip_of(written: &str, known: &str) -> bool {
    if written == known {
        return false;
    }
    let (written, known) = (plain(written), plain(known));
    let endings = written.len().abs_diff(known.len()) <= ENDING_CHARS_MAX
        && (written.starts_with(&known[..]) || known.starts_with(&written[..]));
    endings && !written.is_empty() && !known.is_empty() || is_one_slip(&written, &known)
}

/// Letters that may be too many or too few at the end, such as a plural.
const ENDING_CHARS_MAX: usize = 2;

/// Case, dashes and underscores are what people remember least.
fn plain(word: &str) -> Vec<char> {
    word.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

fn is_one_slip(a: &[char], b: &[char]) -> bool {
    let (shorter, longer) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let same = shorter.iter().zip(longer).take_while(|(a, b)| a == b).count();
    let (shorter, longer) = (&shorter[same..], &longer[same..]);
    match (shorter, longer) {
        ([], []) => true,
        _ if longer.len() == shorter.len() + 1 => shorter == &longer[1..],
        ([a, rest_of_a @ ..], [b, rest_of_b @ ..]) if shorter.len() == longer.len() => {
            let swapped = shorter.len() > 1 && shorter[..2] == [longer[1], longer[0]] && shorter[2..] == longer[2..];
            a != b && rest_of_a == rest_of_b || swapped
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_dashes_endings_and_one_slip_are_seen() {
        for (written, known) in [
            ("entrypoints", "entrypoint"),
            ("entry_point", "entrypoint"),
            ("serviceAccount", "service_account"),
            ("on-node", "on_node"),
            ("tag", "tags"),
            ("paht", "path"),
            ("imputs", "inputs"),
            ("ouputs", "outputs"),
            ("Image", "image"),
            ("project:helo", "project:hello"),
        ] {
            assert!(is_slip_of(written, known), "{written}");
        }
    }

    #[test]
    fn other_words_and_the_word_itself_are_none() {
        for (written, known) in [
            ("tags", "tags"),
            ("tags", "args"),
            ("keep", "tags"),
            ("", "log"),
            ("name", "image"),
            ("version", "active"),
        ] {
            assert!(!is_slip_of(written, known), "{written}");
        }
    }
}
