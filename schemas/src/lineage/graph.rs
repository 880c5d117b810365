//! A lineage graph whose texts stay where they arrived.
//!
//! A closure has a hundred thousand nodes and more than a million texts. A text of its own for each of them
//! takes longer to make than everything else that is done with it, and most are only looked at or printed; so
//! they are borrowed from the server's answer, and only those with escapes are copies. The JSON is that of
//! [`LineageGraph`], which is what a graph that was fetched node by node is made of.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::api::{Exit, LineageData, LineageEdge, LineageGraph, LineageRun, PlanSummary};
use crate::instant::Instant;

/// Borrows [`LineageGraph`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Graph<'a> {
    /// Id of the Data, or the Run, that was asked about.
    #[serde(borrow)]
    pub start: Text<'a>,
    /// Every Data.
    pub data: Vec<Data<'a>>,
    /// Every Run.
    pub runs: Vec<Run<'a>>,
    /// Every Plan that a Run refers to, once.
    pub plans: Vec<PlanSummary>,
    /// Ids of Data at which the walk ended although it could have gone on.
    pub cut: Vec<Text<'a>>,
    /// Where to go on when not all is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Text<'a>>,
    /// The position that the answer is about; a server that keeps none does not say.
    #[serde(rename = "asOf", default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<u64>,
}

/// Borrows [`LineageData`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Data<'a> {
    /// Its id.
    #[serde(borrow)]
    pub knit_id: Text<'a>,
    /// System and user tags, sorted.
    pub tags: Vec<Tag<'a>>,
}

/// Borrows [`LineageRun`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run<'a> {
    /// Its id.
    #[serde(borrow)]
    pub run_id: Text<'a>,
    /// One of the ten words.
    pub status: Text<'a>,
    /// When the status last changed.
    pub updated_at: Instant,
    /// When it was seen to run, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Instant>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// What it carries out; described in [`Graph::plans`].
    pub plan_id: Text<'a>,
    /// What it takes.
    pub inputs: Vec<Edge<'a>>,
    /// What it makes, without the log.
    pub outputs: Vec<Edge<'a>>,
    /// Id of its log's Data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Text<'a>>,
}

/// Borrows [`LineageEdge`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Edge<'a> {
    /// Where it is mounted.
    #[serde(borrow)]
    pub path: Text<'a>,
    /// The Data.
    pub knit_id: Text<'a>,
}

/// A text of the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Text<'a>(Cow<'a, str>);

/// A tag as the wire writes it, `KEY:VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag<'a>(#[serde(borrow)] Text<'a>);

impl Text<'_> {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

impl Data<'_> {
    /// When it was made, as the system's tag says; nothing while it is being made.
    #[must_use]
    pub fn made_at(&self) -> Option<&str> {
        self.tag("knit#timestamp")
    }

    /// Why it is not what its Run makes of it in the end.
    #[must_use]
    pub fn transient(&self) -> Option<&str> {
        self.tag("knit#transient")
    }

    fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().map(Tag::parts).find(|(of, _)| *of == key).map(|(_, value)| value)
    }
}

impl Edge<'_> {
    /// Path and Data.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        (self.path.as_str(), self.knit_id.as_str())
    }
}

impl Tag<'_> {
    /// Key and value; one without a colon is all key.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        self.0.as_str().split_once(':').unwrap_or((self.0.as_str(), ""))
    }

    /// Whether the key is reserved for the system.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0.as_str().starts_with("knit#")
    }
}

impl<'a> From<&'a LineageGraph> for Graph<'a> {
    fn from(graph: &'a LineageGraph) -> Self {
        Self {
            start: graph.start.as_str().into(),
            data: graph.data.iter().map(Data::from).collect(),
            runs: graph.runs.iter().map(Run::from).collect(),
            plans: graph.plans.clone(),
            cut: graph.cut.iter().map(|id| id.as_str().into()).collect(),
            next: graph.next.as_deref().map(Text::from),
            as_of: graph.as_of,
        }
    }
}

impl<'a> From<&'a LineageData> for Data<'a> {
    fn from(data: &'a LineageData) -> Self {
        let tags = data.tags.iter().map(|tag| Tag(Text(Cow::Owned(tag.to_string()))));
        Self { knit_id: data.knit_id.as_str().into(), tags: tags.collect() }
    }
}

impl<'a> From<&'a LineageRun> for Run<'a> {
    fn from(run: &'a LineageRun) -> Self {
        Self {
            run_id: run.run_id.as_str().into(),
            status: run.status.as_str().into(),
            updated_at: run.updated_at,
            started_at: run.started_at,
            exit: run.exit.clone(),
            plan_id: run.plan_id.as_str().into(),
            inputs: run.inputs.iter().map(Edge::from).collect(),
            outputs: run.outputs.iter().map(Edge::from).collect(),
            log: run.log.as_deref().map(Text::from),
        }
    }
}

impl<'a> From<&'a LineageEdge> for Edge<'a> {
    fn from(edge: &'a LineageEdge) -> Self {
        Self { path: edge.path.as_str().into(), knit_id: edge.knit_id.as_str().into() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_graph_is_printed_as_it_came_whichever_way_it_was_fetched() {
        let answer = json!({
            "start": "d\"1",
            "data": [{"knitId": "d\"1", "tags": ["a:b:c", "quo\"te:\\x", "knit#id:d1"]}],
            "runs": [{
                "runId": "r1", "status": "done", "updatedAt": "2025-03-03T09:15:02.418+00:00",
                "startedAt": "2025-03-03T09:14:57+00:00", "exit": {"code": 1, "message": "m"}, "planId": "p1",
                "inputs": [{"path": "/in", "knitId": "d0"}], "outputs": [{"path": "/o\tut", "knitId": "d\"1"}],
                "log": "d2",
            }, {
                "runId": "r2", "status": "waiting", "updatedAt": "2025-03-03T09:15:02+00:00", "planId": "p1",
                "inputs": [], "outputs": [],
            }],
            "plans": [{"planId": "p1", "image": "i:1"}],
            "cut": ["d0"], "next": "d\"0", "asOf": 7,
        });
        let text = answer.to_string();
        let borrowed: Graph<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(&borrowed).unwrap(), answer);
        let owned: LineageGraph = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(Graph::from(&owned)).unwrap(), answer);
        assert!(matches!(borrowed.runs[0].run_id.0, Cow::Borrowed("r1")), "texts without escapes stay where they are");
        assert_eq!(borrowed.data[0].tags[0].parts(), ("a", "b:c"));
    }
}
