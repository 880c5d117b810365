//! What a Plan runs, in a line short enough for a box or a branch.

use crate::api::PlanSummary;

/// Characters of a command that are shown: enough to tell Plans of one image apart.
const COMMAND_CHARS_MAX: usize = 32;

impl PlanSummary {
    /// The command in one short line; nothing where the image has its own.
    #[must_use]
    pub fn command_line(&self) -> Option<String> {
        let mut line = String::new();
        // A script may be long, and nothing of it is looked at behind what is shown.
        let mut left = COMMAND_CHARS_MAX;
        for word in self.entrypoint.iter().chain(&self.args).flat_map(|word| word.split_whitespace()) {
            let gap = if line.is_empty() { "" } else { " " };
            // Where the line is shown, nothing in it is to be obeyed.
            for c in gap.chars().chain(word.chars()).flat_map(shown) {
                if left == 0 {
                    line.truncate(line.trim_end().len());
                    line.push('…');
                    return Some(line);
                }
                line.push(c);
                left -= 1;
            }
        }
        (!line.is_empty()).then_some(line)
    }
}

/// A character as it can be seen.
fn shown(c: char) -> impl Iterator<Item = char> {
    let (as_it_is, escaped) = if c.is_control() { (None, Some(c.escape_default())) } else { (Some(c), None) };
    as_it_is.into_iter().chain(escaped.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &[&str]) -> Option<String> {
        let args: Vec<String> = args.iter().map(|word| (*word).to_owned()).collect();
        PlanSummary { args, ..serde_json::from_str(r#"{"planId": "p"}"#).unwrap() }.command_line()
    }

    #[test]
    fn a_command_is_one_short_line() {
        assert_eq!(line(&[]), None);
        assert_eq!(line(&["", " \n"]), None);
        assert_eq!(line(&["sh", "/code/train.sh"]).unwrap(), "sh /code/train.sh");
        let script = "for i in 1 2 3; do\n    echo $i\ndone";
        assert_eq!(line(&["sh", "-c", script]).unwrap(), "sh -c for i in 1 2 3; do echo $i…");
        assert_eq!(line(&["echo", "\u{1b}[31mRED\u{7}"]).unwrap(), r"echo \u{1b}[31mRED\u{7}");
        assert_eq!(line(&["é".repeat(COMMAND_CHARS_MAX).as_str()]).unwrap(), "é".repeat(COMMAND_CHARS_MAX));
    }
}
