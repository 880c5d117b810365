//! What stands in a command that is to be pasted: whatever a user may have chosen goes through here, since a shell
//! would run what it finds in a word that is not quoted.

use std::fmt::{Display, Write as _};

use crate::completion::bash;

/// `text` as one word. What would move the cursor, or end the line, is written as an escape.
pub(crate) fn word(text: &str) -> String {
    if !text.contains(char::is_control) {
        return bash::quoted(text);
    }
    let mut word = "$'".to_owned();
    for c in text.chars() {
        // Writing to a text cannot fail.
        let _ = match c {
            '\n' => word.write_str(r"\n"),
            '\t' => word.write_str(r"\t"),
            '\r' => word.write_str(r"\r"),
            '\\' | '\'' => write!(word, "\\{c}"),
            c if c.is_ascii_control() => write!(word, "\\x{:02x}", u32::from(c)),
            c if c.is_control() => write!(word, "\\u{:04x}", u32::from(c)),
            c => word.write_char(c),
        };
    }
    word.push('\'');
    word
}

/// An option with each of `values`, a blank before each: ` --add 'type:text' --add 'project:hello'`.
pub(crate) fn options<T: Display>(option: &str, values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| format!(" {option} {}", word(&value.to_string()))).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_each_word_as_it_was() {
        for text in [
            "n:'; echo PWNED; '",
            "$(echo PWNED)",
            "`echo PWNED`",
            "two words",
            r"back\slash",
            "\u{1b}[31m'red'\u{7}",
            "two\nlines\t$HOME \\ '",
            "",
            "~",
            "!!",
            "é:ü",
        ] {
            let command = format!("printf %s {}", word(text));
            let told = Command::new("bash").args(["-c", &command]).env("LC_ALL", "C.UTF-8").output().unwrap();
            assert_eq!(String::from_utf8_lossy(&told.stdout), text, "{command}");
            assert!(!command.contains(char::is_control), "{command:?}");
        }
    }

    #[test]
    fn plain_ids_and_paths_stay_as_they_are() {
        assert_eq!(word("1495ab12-0000"), "1495ab12-0000");
        assert_eq!(options("--add", ["type:text", "n:it's"]), r" --add 'type:text' --add 'n:it'\''s'");
    }
}
