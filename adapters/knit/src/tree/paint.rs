//! Colours of a terminal, and lines that keep to its width.

/// Colours, where they are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    pub(crate) is_coloured: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(crate) fn status(self, status: &str) -> String {
        match status {
            "done" | "completing" => self.green(status),
            "failed" | "aborting" | "invalidated" => self.with("31", status),
            "running" | "starting" | "processing" => self.with("36", status),
            _ => self.faint(status),
        }
    }
}

/// `words` behind `first`, on as many lines as it takes to keep to `width`; all but the first line
/// begin with `next`.
pub(crate) fn folded(first: &str, next: &str, words: &[String], width: Option<usize>) -> String {
    let mut text = first.to_owned();
    let mut columns = visible_chars(first);
    for (i, word) in words.iter().enumerate() {
        let word_columns = visible_chars(word);
        let fits = width.is_none_or(|width| columns + 2 + word_columns <= width);
        if i > 0 && fits {
            text.push_str("  ");
            columns += 2;
        } else if i > 0 {
            text.push('\n');
            text.push_str(next);
            columns = visible_chars(next);
        }
        text.push_str(word);
        columns += word_columns;
    }
    text + "\n"
}

/// Characters that take a column: those between an escape and its `m` only change colours.
fn visible_chars(text: &str) -> usize {
    let mut is_escape = false;
    let visible = text.chars().filter(|&c| {
        let was_escape = is_escape;
        is_escape = if is_escape { c != 'm' } else { c == '\u{1b}' };
        !is_escape && !was_escape
    });
    visible.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wider_than_the_terminal_goes_on_below_and_colours_take_no_columns() {
        let plain = ["Data a", "colour:green", "size:small"].map(str::to_owned);
        let text = "└─ Data a\n   │  colour:green\n   │  size:small\n";
        assert_eq!(folded("└─ ", "   │  ", &plain, Some(20)), text);
        let paint = Paint { is_coloured: true };
        let coloured = plain.map(|word| paint.green(&word));
        assert_eq!(folded("└─ ", "   │  ", &coloured, Some(20)).lines().count(), 3);
    }

    #[test]
    fn colours_are_there_only_where_they_are_wanted() {
        assert_eq!(Paint { is_coloured: true }.status("done"), "\u{1b}[32mdone\u{1b}[0m");
        assert_eq!(Paint { is_coloured: false }.status("done"), "done");
    }
}
