//! Causes and consequences on a terminal.
//!
//! What led to an event is a list. What it led to is a tree, in which a row of events, each the only one that followed
//! from the one before, stands in one column: the life of a Run is such a row, and a step to the right for each event
//! would soon leave the terminal. Where several followed from one, they hang below it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use knit_schemas::api::{EventMark, Why};

use crate::telling::time;
use crate::tree::{ALIKE_MAX, Paint, Soil, Style, Trees, folded};

/// Characters of the widest name of an event that is common.
const NAME_COLUMNS: usize = 20;

/// Writes what led to the event, the event, and what it led to.
pub(super) fn draw(why: &Why, style: Style, out: &mut impl Write) -> io::Result<()> {
    let (family, paint) = (Family::of(why), Paint { is_coloured: style.is_coloured });
    if why.causes_cut {
        writeln!(out, "… what led to position {} is not told", why.causes.first().unwrap_or(&why.event).position)?;
    }
    for cause in &why.causes {
        write!(out, "{}", folded("   ", "     ", &words(cause), style.width))?;
    }
    let asked: Vec<String> = words(&why.event).iter().map(|word| paint.bold(word)).collect();
    write!(out, "{}", folded("=> ", "     ", &asked, style.width))?;
    let family = &family;
    let mut trees = Trees::new(&family, style);
    trees.draw(family.below(why.event.position), out)?;
    let (drawn, all) = (trees.drawn().len(), why.consequences.len());
    if drawn < all {
        writeln!(out, "… not drawn: {} of {all} events that followed (--unfold draws all)", all - drawn)?;
    }
    if why.consequences_cut {
        let correlation = &why.correlation;
        writeln!(out, "… more followed than {all} (`knit audit log --correlation {correlation}` tells all)")?;
    }
    Ok(())
}

/// What followed from what.
struct Family<'a> {
    /// By the position of what they followed from, in order.
    followers: BTreeMap<u64, Vec<&'a EventMark>>,
    /// Positions as the ids that a tree knows its things by.
    ids: BTreeMap<u64, String>,
}

/// An event of the tree.
#[derive(Clone, Copy)]
struct Link<'a> {
    event: &'a EventMark,
    place: Place,
}

/// Where an event stands among those beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// All beside it followed from the same one.
    Beside,
    /// The next one followed from it, so nothing hangs below it.
    InRow,
    /// The last of a row.
    EndOfRow,
}

impl<'a> Family<'a> {
    fn of(why: &'a Why) -> Self {
        let mut followers: BTreeMap<u64, Vec<&EventMark>> = BTreeMap::new();
        for event in &why.consequences {
            followers.entry(event.cause.unwrap_or(why.event.position)).or_default().push(event);
        }
        let ids = why.consequences.iter().map(|event| (event.position, event.position.to_string())).collect();
        Self { followers, ids }
    }

    fn followers(&self, position: u64) -> &[&'a EventMark] {
        self.followers.get(&position).map_or(&[], Vec::as_slice)
    }

    /// What stands below an event: those that followed from it, or the row that begins with the only one.
    fn below(&self, position: u64) -> Vec<Link<'a>> {
        let followers = self.followers(position);
        let &[only] = followers else {
            return followers.iter().map(|&event| Link { event, place: Place::Beside }).collect();
        };
        let mut row = vec![Link { event: only, place: Place::EndOfRow }];
        let mut end = only;
        while let &[next] = self.followers(end.position) {
            row.push(Link { event: next, place: Place::EndOfRow });
            end = next;
        }
        let last = row.len() - 1;
        row[..last].iter_mut().for_each(|link| link.place = Place::InRow);
        row
    }
}

/// Its place and name, what it is about, when it was recorded, and who caused it.
fn words(event: &EventMark) -> Vec<String> {
    let EventMark { position, recorded_at, stream, event_type, actor, cause: _ } = event;
    let name = format!("{position}  {event_type:<NAME_COLUMNS$}");
    vec![name, format!("{} {}", stream.kind, stream.id), time(*recorded_at), format!("by {actor}")]
}

impl<'a> Soil<'a> for &'a Family<'a> {
    type Node = Link<'a>;
    /// Events of one name.
    type Likeness = &'a str;

    fn beyond(&self, Link { event, place }: Link<'a>) -> Vec<Link<'a>> {
        match place {
            Place::InRow => Vec::new(),
            Place::Beside | Place::EndOfRow => self.below(event.position),
        }
    }

    fn identity(&self, _: Link<'a>) -> Option<&'a str> {
        // Every event followed from one: none comes up again.
        None
    }

    fn id(&self, link: Link<'a>) -> Option<&'a str> {
        self.ids.get(&link.event.position).map(String::as_str)
    }

    fn likeness(&self, link: Link<'a>) -> &'a str {
        &link.event.event_type
    }

    fn alike_max(&self, link: Link<'a>) -> usize {
        match link.place {
            Place::Beside => ALIKE_MAX,
            // A row with a gap would tell that what is behind it followed from what is before it.
            Place::InRow | Place::EndOfRow => usize::MAX - 1,
        }
    }

    fn words(&self, link: Link<'a>) -> (String, Vec<String>) {
        (String::new(), words(link.event))
    }

    fn more(&self, number: usize, link: Link<'a>) -> Vec<String> {
        vec![format!("and {number} more {}, with what followed", link.event.event_type)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_schemas::api::EventStream;
    use knit_schemas::instant::Instant;

    fn event(position: u64, event_type: &str, cause: Option<u64>) -> EventMark {
        EventMark {
            position,
            recorded_at: Instant::from_unix_ms(1_741_000_000_000).unwrap(),
            stream: EventStream { kind: "run".to_owned(), id: "r1".to_owned() },
            event_type: event_type.to_owned(),
            actor: "reactor:projection".to_owned(),
            cause,
        }
    }

    fn drawn(why: &Why) -> Vec<String> {
        let (mut text, style) = (Vec::new(), Style { is_coloured: false, width: None, is_folded: true });
        draw(why, style, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        text.lines().map(|line| line.split("  run r1").next().unwrap().trim_end().to_owned()).collect()
    }

    #[test]
    fn a_row_stands_in_one_column_and_what_branches_hangs_below() {
        let why = Why {
            event: event(7, "DataTagsChanged", Some(3)),
            correlation: "c".to_owned(),
            causes: vec![event(3, "UploadStarted", None)],
            causes_cut: false,
            consequences: vec![
                event(8, "RunProjected", Some(7)),
                event(9, "RunVolumesPrepared", Some(8)),
                event(10, "RunProjected", Some(9)),
                event(11, "DataReserved", Some(9)),
                event(12, "RunVolumesPrepared", Some(10)),
            ],
            consequences_cut: false,
        };
        let expected = [
            "   3  UploadStarted",
            "=> 7  DataTagsChanged",
            "├─ 8  RunProjected",
            "└─ 9  RunVolumesPrepared",
            "   ├─ 10  RunProjected",
            "   │  ↳ 12  RunVolumesPrepared",
            "   └─ 11  DataReserved",
        ];
        assert_eq!(drawn(&why), expected);
    }

    #[test]
    fn many_that_are_alike_are_counted_and_a_row_is_never_broken() {
        let many = (1..=9).map(|n| event(n + 1, "RunProjected", Some(1))).collect();
        let row = (1..=9).map(|n| event(n + 1, "RunRetried", Some(n))).collect();
        let why = |consequences| Why {
            event: event(1, "PlanRegistered", None),
            correlation: "c".to_owned(),
            causes: Vec::new(),
            causes_cut: false,
            consequences,
            consequences_cut: false,
        };
        let many = drawn(&why(many));
        assert!(many[3].ends_with("and 7 more RunProjected, with what followed"), "{many:#?}");
        assert_eq!(many[4..], ["… not drawn: 7 of 9 events that followed (--unfold draws all)"]);
        assert_eq!(drawn(&why(row)).len(), 10);
    }
}
