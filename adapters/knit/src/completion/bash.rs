//! The line as bash has it, and words as it reads them.
//!
//! Bash splits words at colons and equals signs too, and replaces only what stands behind the last of them. So the
//! line is read here, and of every candidate that part is left out which stays on the line.

use std::ffi::OsString;

use super::shell::Typed;

/// Characters that mean nothing to a shell, wherever they stand.
const PLAIN: &str = "/_-.,+=:@%^~#";

/// Reads the line up to the cursor; `replaced` is what bash replaces of it. `None` if nothing is on it.
pub(super) fn read(line: &str, replaced: &str) -> Option<Typed> {
    let Words { words, quote } = split(line);
    let current = words.last()?;
    let kept = current.strip_suffix(replaced).or_else(|| current.strip_suffix(&*unquoted(replaced)));
    // Behind an open quote the whole word is replaced.
    let kept_bytes = kept.filter(|_| quote.is_none()).map_or(0, str::len);
    let index = words.len() - 1;
    Some(Typed { words: words.into_iter().map(OsString::from).collect(), index, kept_bytes, quote })
}

/// A candidate as it is to be inserted.
pub(super) fn written(value: &str, typed: &Typed) -> String {
    let inserted = value.get(typed.kept_bytes..).unwrap_or(value);
    match typed.quote {
        Some('\'') => inserted.replace('\'', r"'\''"),
        Some(_) => escaped(inserted, |c| matches!(c, '"' | '$' | '`' | '\\')),
        None => escaped(inserted, |c| !c.is_alphanumeric() && !PLAIN.contains(c)),
    }
}

/// One word without its quotes, of which the last one may be open.
pub(super) fn unquoted(word: &str) -> String {
    split(word).words.pop().unwrap_or_default()
}

/// `word` as one word of a script.
pub(crate) fn quoted(word: &str) -> String {
    if word.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c)) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn escaped(text: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if is_special(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

struct Words {
    /// Without quotes; the last one may be empty.
    words: Vec<String>,
    /// The quote that the last word has not closed.
    quote: Option<char>,
}

/// Splits as a shell does, without replacing anything.
fn split(line: &str) -> Words {
    let (mut words, mut word, mut quote, mut is_begun) = (Vec::new(), String::new(), None, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => {
                if is_begun {
                    words.push(std::mem::take(&mut word));
                }
                is_begun = false;
                continue;
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => word.extend(chars.next()),
            (_, c) => word.push(c),
        }
        is_begun = true;
    }
    words.push(word);
    Words { words, quote }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_at_blanks_and_at_nothing_else() {
        for (line, words) in [
            ("knit data find -t project:he", &["knit", "data", "find", "-t", "project:he"][..]),
            ("knit  data ", &["knit", "data", ""]),
            (r#"knit -t "a b:c" 'd "e' f\ g"#, &["knit", "-t", "a b:c", "d \"e", "f g"]),
            ("knit ''", &["knit", ""]),
            ("knit -t 'open wo", &["knit", "-t", "open wo"]),
        ] {
            assert_eq!(split(line).words, words, "{line}");
        }
    }

    #[test]
    fn what_stays_on_the_line_is_left_out() {
        for (line, replaced, value, inserted) in [
            ("knit data find -t pro", "pro", "project:", "project:"),
            ("knit data find -t project:he", "he", "project:hello", "hello"),
            ("knit data find -t project:", "", "project:hello", "hello"),
            ("knit data find -t at:10:1", "1", "at:10:15", "15"),
            ("knit --profile=na", "na", "--profile=name", "name"),
            ("knit data find -t 'project:he", "project:he", "project:he's", r"project:he'\''s"),
            ("knit data find -t \"note:a", "note:a", "note:a $b", r"note:a \$b"),
            ("knit data find -t \"note:two w", "note:two w", "note:two words", "note:two words"),
            (r"knit data find -t note:two\ w", "two w", "note:two words", r"two\ words"),
            ("knit data find -t note:a", "a", "note:a b (c)", r"a\ b\ \(c\)"),
            (r"knit data find -t note:a\ b", r"a\ b", "note:a b c", r"a\ b\ c"),
        ] {
            assert_eq!(written(value, &read(line, replaced).unwrap()), inserted, "{line}");
        }
    }
}
