//! A lineage as JSON.

use knit_domain::event::Position;
use uuid::Uuid;

use super::super::super::column::PlanRow;
use super::super::super::lineage::Walked;
use super::super::super::{Limit, Store};
use super::{Reused, Writer};

/// A lineage that was walked, of which the JSON is being written: a [`knit_schemas::api::LineageGraph`].
#[derive(Debug)]
pub struct LineageJson {
    start: Uuid,
    walked: Walked,
    plans: Vec<PlanRow>,
    place: Place,
    /// What is written behind the last list.
    end: String,
    limit: Limit,
    reused: Reused,
}

/// How far it is written.
#[derive(Debug)]
struct Place {
    part: Part,
    /// Elements of the present list that are behind.
    next: usize,
    /// Whether the present list has an element, so that the next needs a comma.
    begun: bool,
}

/// The parts of [`knit_schemas::api::LineageGraph`], in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Start,
    Data,
    Runs,
    Plans,
    Cut,
    Done,
}

impl LineageJson {
    pub(in crate::store) fn new(start: Uuid, walked: Walked, plans: Vec<PlanRow>, limit: Limit) -> Self {
        let place = Place { part: Part::Start, next: 0, begun: false };
        Self { start, walked, plans, place, end: "]}".to_owned(), limit, reused: Reused::default() }
    }

    /// The same, saying how to ask for the rest and which position it is about.
    pub(in crate::store) fn ending(mut self, next: Option<String>, as_of: Option<Position>) -> Self {
        let next = next.map(|next| format!(",\"next\":\"{next}\"")).unwrap_or_default();
        let as_of = as_of.map(|as_of| format!(",\"asOf\":{as_of}")).unwrap_or_default();
        self.end = format!("]{next}{as_of}}}");
        self
    }

    /// Whether there is neither a Data nor a Run in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.walked.data.is_empty() && self.walked.runs.is_empty()
    }

    /// Writes on until `out` has `room_bytes`, or a node more, or all is written; answers whether there is more.
    ///
    /// `store` is the one that was walked, perhaps with more events by now.
    pub fn write(&mut self, store: &Store, out: &mut Vec<u8>, room_bytes: usize) -> bool {
        let Self { start, walked, plans, place, end, limit, reused } = self;
        let mut json = Writer { store, limit: *limit, out, reused };
        while json.out.len() < room_bytes && place.part != Part::Done {
            place.write_one(&mut json, *start, walked, plans, end);
        }
        place.part != Part::Done
    }
}

impl Place {
    /// Writes the next element, or goes on to the next part.
    fn write_one(&mut self, json: &mut Writer<'_>, start: Uuid, walked: &Walked, plans: &[PlanRow], end: &str) {
        let (store, at) = (json.store, self.next);
        self.next += 1;
        match self.part {
            Part::Start => {
                json.text("{\"start\":");
                json.quoted_id(start);
                self.enter(json, Part::Data, ",\"data\":[");
            }
            Part::Data => match walked.data.get(at) {
                Some(data) => self.element(json).lineage_data(*data),
                None => self.enter(json, Part::Runs, "],\"runs\":["),
            },
            Part::Runs => match walked.runs.get(at).map(|run| (*run, store.runs.standing(*run, json.limit))) {
                Some((run, Some(standing))) => self.element(json).lineage_run(run, &standing),
                Some((_, None)) => {}
                None => self.enter(json, Part::Plans, "],\"plans\":["),
            },
            Part::Plans => match plans.get(at) {
                Some(plan) => self.element(json).plan_summary(*plan),
                None => self.enter(json, Part::Cut, "],\"cut\":["),
            },
            Part::Cut => match walked.cut.get(at) {
                Some(data) => self.element(json).quoted_id(store.data.id(*data).0),
                None => self.enter(json, Part::Done, end),
            },
            Part::Done => {}
        }
    }

    fn enter(&mut self, json: &mut Writer<'_>, part: Part, text: &str) {
        json.text(text);
        *self = Self { part, next: 0, begun: false };
    }

    /// Makes room for an element of the present list.
    fn element<'w, 'a>(&mut self, json: &'w mut Writer<'a>) -> &'w mut Writer<'a> {
        if std::mem::replace(&mut self.begun, true) {
            json.text(",");
        }
        json
    }
}
