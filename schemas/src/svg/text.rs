//! Texts of a picture, and how much room they take.
//!
//! Nobody knows the font with which a picture is shown, so widths are guessed, rather too large than too small.

use std::fmt;

/// Pixels of the size of the font.
pub(crate) const FONT_PX: usize = 11;

/// Pixels that a text takes from left to right.
pub(crate) fn width_px(text: &str, is_bold: bool) -> usize {
    text.chars().map(|c| hundredths(c, is_bold)).sum::<usize>() * FONT_PX / 100 + 1
}

/// Of the size of the font, as in a wide sans-serif one.
fn hundredths(c: char, is_bold: bool) -> usize {
    let plain = match c {
        'i' | 'j' | 'l' | ' ' | '.' | ',' | ':' | ';' | '|' | '!' | '\'' | '/' | '-' | '(' | ')' | '[' | ']' => 38,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 100,
        'A'..='Z' => 78,
        // From here on are the scripts whose characters are as wide as high.
        '\u{1100}'.. => 100,
        _ => 64,
    };
    if is_bold { plain * 11 / 10 } else { plain }
}

/// The beginning of a text that fits into so many pixels.
pub(crate) fn beginning(text: &str, room_px: usize, is_bold: bool) -> String {
    if width_px(text, is_bold) <= room_px {
        return text.to_owned();
    }
    let mut cut = String::new();
    for c in text.chars() {
        cut.push(c);
        if width_px(&cut, is_bold) + width_px("…", is_bold) > room_px {
            cut.pop();
            break;
        }
    }
    cut + "…"
}

/// The end of a path that fits into so many pixels; it tells more than the beginning.
pub(crate) fn ending(path: &str, room_px: usize) -> String {
    if width_px(path, false) <= room_px {
        return path.to_owned();
    }
    let mut first = path.len();
    for (at, _) in path.char_indices().rev() {
        if width_px(&path[at..], false) + width_px("…", false) > room_px {
            break;
        }
        first = at;
    }
    format!("…{}", &path[first..])
}

/// Text of the document. Control characters have no place in XML.
pub(crate) struct Xml<'a>(pub(crate) &'a str);

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                _ if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => f.write_str(" ")?,
                _ => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_at_characters() {
        assert_eq!(beginning("note:short", 100, false), "note:short");
        assert_eq!(beginning(&"é".repeat(50), 50, false), "ééééé…");
        assert_eq!(beginning(&"語".repeat(50), 50, false), "語語語…");
        assert_eq!(ending("/out/a/very/long/path/to/the/model", 90), "…o/the/model");
        assert_eq!(ending("/out/model", 90), "/out/model");
    }

    #[test]
    fn an_id_fits_into_a_box() {
        let id = "Data 6cd03965-619d-4429-afcd-de2db9e7a326";
        assert!(width_px(id, true) <= super::super::WIDTH_PX - 2 * super::super::INSET_PX);
    }
}
