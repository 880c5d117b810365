//! The line as PowerShell has it, and words as it reads them.
//!
//! The script hands both over in variables: arguments are quoted by rules that changed from version to version, and up to
//! 7.2 an empty one is left out. PowerShell replaces the whole word at the cursor with its quotes, but behind the colon of
//! a short option, as in `-tkey:value`, and behind a comma only what follows.

use std::ffi::OsString;

use super::shell::Typed;

/// Characters that mean nothing to PowerShell behind the first one of a word.
const PLAIN: &str = "_-./:=+\\%^~#";
/// Those that mean nothing at its beginning either.
const PLAIN_FIRST: &str = "_-./";
/// All of them quote, and each closes what another one opened.
const SINGLE_QUOTES: [char; 5] = ['\'', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}'];
const DOUBLE_QUOTES: [char; 4] = ['"', '\u{201c}', '\u{201d}', '\u{201e}'];

/// Where the script stands, but for its line with the program.
const SCRIPT: &str = include_str!("completion.ps1");

/// What the script hands over.
#[derive(Debug, Clone, Default)]
pub(crate) struct AtCursor {
    /// The command up to the cursor.
    pub(crate) line: String,
    /// What PowerShell replaces, its last characters perhaps behind the cursor; with or without quotes.
    pub(crate) word: String,
}

/// The script that PowerShell loads, which runs `program`.
pub(super) fn script(program: &str) -> String {
    SCRIPT.replace("PROGRAM", &spelt(program))
}

/// A text of the script. It has only characters that every code page has: 5.1 reads what programs print as the console's.
fn spelt(text: &str) -> String {
    let spell = |part: &str| {
        if part.is_ascii() {
            return quoted(part);
        }
        part.encode_utf16().map(|unit| format!("[char]0x{unit:04x}")).collect::<Vec<_>>().join(" + ")
    };
    let chars: Vec<char> = text.chars().collect();
    let parts = chars.chunk_by(|a, b| a.is_ascii() == b.is_ascii());
    parts.map(|part| spell(&part.iter().collect::<String>())).collect::<Vec<_>>().join(" + ")
}

/// Reads the line up to the cursor. `None` if nothing is on it.
pub(super) fn read(AtCursor { line, word }: &AtCursor) -> Option<Typed> {
    let words = split(line);
    let current = words.last().filter(|_| !line.is_empty())?;
    let replaced_bytes = forms(word).map(|replaced| overlap(current, &replaced)).into_iter().max().unwrap_or(0);
    let (index, kept_bytes) = (words.len() - 1, current.len() - replaced_bytes);
    Some(Typed { words: words.into_iter().map(OsString::from).collect(), index, kept_bytes, quote: None })
}

/// One that is offered: what is inserted, what is shown in a list, and the help beside it. `None` if all of it is there.
pub(super) fn line(value: &str, help: &str, typed: &Typed) -> Option<String> {
    let inserted = value.get(typed.kept_bytes..).unwrap_or(value);
    let help = if help.is_empty() { value } else { &help.replace('\t', " ") };
    (!inserted.is_empty()).then(|| format!("{}\t{value}\t{help}", written(inserted)))
}

/// `word` so that PowerShell reads it as one word that says the same.
fn written(word: &str) -> String {
    let is_plain =
        |(at, c): (usize, char)| c.is_ascii_alphanumeric() || (!c.is_ascii() && c.is_alphanumeric()) || is_among(at, c);
    if word.char_indices().all(is_plain) { word.to_owned() } else { quoted(word) }
}

fn is_among(at: usize, c: char) -> bool {
    if at == 0 { PLAIN_FIRST.contains(c) } else { PLAIN.contains(c) }
}

fn quoted(word: &str) -> String {
    let mut quoted = String::from("'");
    for c in word.chars() {
        if SINGLE_QUOTES.contains(&c) {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

/// What a word that is replaced may be: some versions hand it over as it is typed, some put plain quotes around what it says.
fn forms(word: &str) -> [String; 3] {
    let within = |quote: char| word.strip_prefix(quote)?.strip_suffix(quote);
    let said = within('\'').or_else(|| within('"')).unwrap_or(word);
    [word.to_owned(), said.to_owned(), split(word).pop().unwrap_or_default()]
}

/// Bytes of the longest end of `typed` with which `replaced` begins.
fn overlap(typed: &str, replaced: &str) -> usize {
    let ends = typed.char_indices().map(|(at, _)| &typed[at..]);
    ends.filter(|end| replaced.starts_with(end)).map(str::len).max().unwrap_or(0)
}

/// Splits as PowerShell does, without replacing anything but escaped characters. The last word may be empty, or its quote
/// open.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quotes, mut is_begun) = (Vec::new(), String::new(), &[][..], false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if quotes.is_empty() && c.is_whitespace() {
            if is_begun {
                words.push(std::mem::take(&mut word));
            }
            is_begun = false;
            continue;
        }
        is_begun = true;
        if quotes.contains(&c) {
            match chars.next_if(|next| quotes.contains(next)) {
                Some(doubled) => word.push(doubled),
                None => quotes = &[],
            }
        } else if quotes.is_empty() && (SINGLE_QUOTES.contains(&c) || DOUBLE_QUOTES.contains(&c)) {
            quotes = if SINGLE_QUOTES.contains(&c) { &SINGLE_QUOTES } else { &DOUBLE_QUOTES };
        } else if c == '`' && !quotes.contains(&'\'') {
            word.extend(chars.next());
        } else {
            word.push(c);
        }
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_at_blanks_and_at_nothing_else() {
        for (line, words) in [
            ("knit data find -t project:he", &["knit", "data", "find", "-t", "project:he"][..]),
            ("knit  data ", &["knit", "data", ""]),
            ("knit --tag=type:x", &["knit", "--tag=type:x"]),
            (
                r#"knit "a b:c" 'it''s $x `n' "say ""so"" `$x" f` g a'b c'd"#,
                &["knit", "a b:c", "it's $x `n", "say \"so\" $x", "f g", "ab cd"],
            ),
            ("knit ‘a b’ “c d” 'e ’f", &["knit", "a b", "c d", "e ", "f"][..3]),
            ("knit ''", &["knit", ""]),
            ("knit 'open wo", &["knit", "open wo"]),
            ("'C:\\Program Files\\knit.exe' data ", &["C:\\Program Files\\knit.exe", "data", ""]),
        ] {
            assert_eq!(split(line)[..words.len()], *words, "{line}");
        }
    }

    #[test]
    fn what_is_inserted_is_one_word_of_powershell_and_says_what_is_meant() {
        for (value, word) in [
            ("project:", "project:"),
            ("knit#id:f8ed", "knit#id:f8ed"),
            ("--tag=type:x", "--tag=type:x"),
            ("6cd03965-619d", "6cd03965-619d"),
            ("name:the reference set", "'name:the reference set'"),
            ("note:it's", "'note:it''s'"),
            ("note:it’s", "'note:it’’s'"),
            ("note:; $x, @you & {me}", "'note:; $x, @you & {me}'"),
            ("size:größe", "size:größe"),
            ("日本語:x", "日本語:x"),
            ("a,b", "'a,b'"),
            ("~/plan", "'~/plan'"),
            ("#note", "'#note'"),
            ("@all", "'@all'"),
            ("–x", "'–x'"),
            ("C:\\data\\x", "C:\\data\\x"),
        ] {
            assert_eq!(written(value), word);
            assert_eq!(split(word), [value]);
        }
    }

    #[test]
    fn the_path_of_the_program_is_a_text_that_every_version_reads_alike() {
        for (path, text) in [
            ("/tmp/a$b`c/knit", "'/tmp/a$b`c/knit'"),
            ("/tmp/it's/knit", "'/tmp/it''s/knit'"),
            ("C:\\Jörg\\knit.exe", "'C:\\J' + [char]0x00f6 + 'rg\\knit.exe'"),
            ("/\u{1f600}/knit", "'/' + [char]0xd83d + [char]0xde00 + '/knit'"),
        ] {
            assert_eq!(spelt(path), text);
        }
        assert!(script("/tmp/k").contains("FileName = '/tmp/k'\n"));
    }

    #[test]
    fn what_stays_on_the_line_is_left_out() {
        for (line, word, value, inserted) in [
            ("knit data find -t project:", "project:", "project:hello", "project:hello"),
            ("knit data find -t ", "", "project:", "project:"),
            ("knit data find --tag=project:he", "--tag=project:he", "--tag=project:hello", "--tag=project:hello"),
            ("knit data find -tproject:", "", "-tproject:hello", "hello"),
            ("knit data find -tproject:he", "he", "-tproject:hello", "hello"),
            ("knit data find --json tags,kn", "kn", "tags,knitId", "knitId"),
            ("knit data find --json tags,", "", "tags,knitId", "knitId"),
            ("knit data find -t 'name:the", "'name:the'", "name:the set", "'name:the set'"),
            ("knit data find -t 'name:the", "name:the", "name:the set", "'name:the set'"),
            ("knit data find -t 'note:it''s", "'note:it's'", "note:it's so", "'note:it''s so'"),
            ("knit data find -t \"note:a", "\"note:a", "note:a $b", "'note:a $b'"),
            ("knit data find -t'note:a", "note:a", "-tnote:a b", "'note:a b'"),
            // The cursor is in the midst of what is replaced.
            ("knit data sh", "shfoo", "show", "show"),
            ("knit data find -tproject:he", "heaven", "-tproject:hello", "hello"),
        ] {
            let typed = read(&AtCursor { line: line.to_owned(), word: word.to_owned() }).unwrap();
            assert_eq!(super::line(value, "", &typed), Some(format!("{inserted}\t{value}\t{value}")), "{line}");
        }
    }
}
