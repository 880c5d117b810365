//! In what two results differ: asked and told for `knit data diff` and `knit run diff` alike.

use knit_schemas::api::{Aspect, AspectName, Difference, DifferingData, DifferingPair, PairKind};

use crate::as_of::AsOf;
use crate::client::Client;
use crate::error::{Ask, Error, Subject};
use crate::form::{Form, Told};
use crate::ids::{self, Kind};

/// Differing ancestors that are told to people: the nearest are what they look for, and what is behind them differs
/// mostly because of them, or in the same again.
const TOLD_MAX: usize = 3;

impl Told for Difference {
    const FIELDS: &'static [&'static str] = &["left", "right", "asOf", "differing", "cut"];

    fn ids(&self) -> Vec<String> {
        vec![self.left.clone(), self.right.clone()]
    }
}

/// Asks in what two things of one kind differ, of whose ids the first digits may do, and tells it.
pub(crate) async fn ask_and_tell(
    client: &Client,
    kind: Kind,
    (left, right): (String, String),
    as_of: &AsOf,
    form: &Form,
) -> Result<(), Error> {
    form.check(Difference::FIELDS)?;
    let left = ids::whole_as_of(client, kind, left, as_of).await?;
    let right = ids::whole_as_of(client, kind, right, as_of).await?;
    let ask = Ask::question("compare", Subject::Pair(kind, left.clone(), right.clone()));
    let query = [("with", right)].into_iter().chain(as_of.query()).collect();
    let difference: Result<Difference, Error> = client.get(&ask, &[kind.route(), &left, "diff"], query).await;
    let difference = difference.map_err(Error::if_unable)?;
    as_of.say(client, Some(difference.as_of)).await;
    form.tell(&difference, lines)
}

fn lines(difference: &Difference) -> Vec<String> {
    let (left, right) = (&difference.left, &difference.right);
    if difference.differing.is_empty() {
        return vec![if left == right {
            "they are one and the same".to_owned()
        } else {
            "they differ in nothing but their ids".to_owned()
        }];
    }
    let mut lines = vec![format!("< {left}"), format!("> {right}")];
    let ancestors = ancestors(&difference.differing);
    lines.extend(ancestors.iter().take(TOLD_MAX).flat_map(|one| ancestor(*one, left)));
    let rest = ancestors.len().saturating_sub(TOLD_MAX);
    if rest > 0 {
        lines.push(format!("and {rest} more behind these; `-o json` prints all"));
    } else if difference.cut {
        lines.push(
            "and perhaps more behind these: the histories are too unlike to be compared to their ends".to_owned(),
        );
    }
    lines
}

/// What differs at one place of both histories: two Data, the Runs that made them, or both.
type Ancestor<'a> = (Option<&'a DifferingPair>, Option<&'a DifferingPair>);

/// The pairs, those of two Data and of the Runs that made them together, each where the first of them stands.
fn ancestors(differing: &[DifferingPair]) -> Vec<Ancestor<'_>> {
    let made = |runs: &DifferingPair| {
        Some((runs.left_data.as_ref()?.knit_id.clone(), runs.right_data.as_ref()?.knit_id.clone()))
    };
    let mut ancestors: Vec<Ancestor<'_>> = Vec::new();
    for pair in differing {
        let of_data = made(pair).and_then(|(left, right)| {
            let is_by = |data: &DifferingPair| data.left == left && data.right == right;
            ancestors.iter().position(|(data, _)| data.is_some_and(is_by))
        });
        match (pair.kind, of_data) {
            (PairKind::Data, _) => ancestors.push((Some(pair), None)),
            (PairKind::Run, Some(at)) => ancestors[at].1 = Some(pair),
            (PairKind::Run, None) => ancestors.push((None, Some(pair))),
        }
    }
    ancestors
}

/// The two themselves are told before the Runs that made them; of others in one, as they are one place to look at.
fn ancestor((data, runs): Ancestor<'_>, result: &str) -> Vec<String> {
    match (data, runs) {
        (Some(data), Some(runs)) if data.distance > 0 => pair(runs, &data.aspects, result),
        (data, runs) => data.into_iter().chain(runs).flat_map(|one| pair(one, &[], result)).collect(),
    }
}

/// A pair, and in what it differs; of Runs also in what the Data do by which the way came to them.
fn pair(pair: &DifferingPair, of_data: &[Aspect], result: &str) -> Vec<String> {
    let far = match pair.distance {
        1 => format!("1 Run upstream by {}", route(&pair.route)),
        distance => format!("{distance} Runs upstream by {}", route(&pair.route)),
    };
    let is_upload = pair.aspects.iter().any(|aspect| aspect.name == AspectName::Upload);
    let place = match (pair.distance, pair.kind, pair.route.last()) {
        (0, ..) if pair.left == result => "the two themselves".to_owned(),
        (0, ..) => "the Runs that made them".to_owned(),
        (_, PairKind::Run, Some(path)) if is_upload => format!("{path} is another Data, {far}"),
        (_, PairKind::Data, _) => format!("Data, {far}"),
        (_, PairKind::Run, _) => format!("Runs, {far}"),
    };
    let mut lines = vec![place];
    lines.push(format!("  < {}", side(pair.kind, is_upload, &pair.left, pair.left_data.as_ref())));
    lines.push(format!("  > {}", side(pair.kind, is_upload, &pair.right, pair.right_data.as_ref())));
    lines.extend(of_data.iter().chain(&pair.aspects).flat_map(aspect));
    lines
}

/// What stands on one side. Nobody knows a Run by its id that did nothing but take in a Data.
fn side(kind: PairKind, is_upload: bool, id: &str, data: Option<&DifferingData>) -> String {
    let Some(data) = data else { return id.to_owned() };
    let tags: String = data.tags.iter().map(|tag| format!(" `{tag}`")).collect();
    match (kind, is_upload) {
        (PairKind::Data, _) => id.to_owned(),
        (PairKind::Run, true) => format!("Data {}{tags}", data.knit_id),
        (PairKind::Run, false) => format!("{id}, which made Data {}{tags}", data.knit_id),
    }
}

/// The inputs on the way; those of the same path in a row are told once.
fn route(paths: &[String]) -> String {
    let rows = paths.chunk_by(|one, next| one == next).map(|row| match row {
        [path] => path.clone(),
        row => format!("{} ({} times)", row[0], row.len()),
    });
    rows.collect::<Vec<_>>().join(" then ")
}

fn aspect(aspect: &Aspect) -> Vec<String> {
    let name = name(aspect.name);
    let side = |mark: &str, words: &[String]| match words {
        [] => format!("    {name} {mark} nothing"),
        words => format!("    {name} {mark} {}", words.join(" ")),
    };
    match aspect.name {
        // Their ids stand above already.
        AspectName::Upload => vec![format!("    {name}")],
        AspectName::Output
        | AspectName::Tags
        | AspectName::Plan
        | AspectName::Image
        | AspectName::ImageDigest
        | AspectName::Entrypoint
        | AspectName::Args
        | AspectName::Inputs
        | AspectName::Outputs
        | AspectName::OnNode
        | AspectName::Resources
        | AspectName::ServiceAccount
        | AspectName::Status
        | AspectName::Exit => vec![side("<", &aspect.left), side(">", &aspect.right)],
    }
}

const fn name(name: AspectName) -> &'static str {
    match name {
        AspectName::Upload => "each was uploaded or imported by itself",
        AspectName::Output => "output",
        AspectName::Tags => "tags",
        AspectName::Plan => "Plan",
        AspectName::Image => "image",
        AspectName::ImageDigest => "digest of the image",
        AspectName::Entrypoint => "entrypoint",
        AspectName::Args => "args",
        AspectName::Inputs => "inputs",
        AspectName::Outputs => "outputs",
        AspectName::OnNode => "on_node",
        AspectName::Resources => "resources",
        AspectName::ServiceAccount => "service account",
        AspectName::Status => "status",
        AspectName::Exit => "exit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four uploads, each with other tags than its counterpart, behind one input each.
    fn configurations() -> Vec<DifferingPair> {
        let data = |n: u32, side: &str| DifferingData { knit_id: format!("{side}{n}"), tags: Vec::new() };
        let aspect = |name| Aspect { name, left: vec!["a:b".to_owned()], right: Vec::new() };
        let pair = |kind, n: u32| {
            let (id, name) = match kind {
                PairKind::Data => ("", AspectName::Tags),
                PairKind::Run => ("run of ", AspectName::Upload),
            };
            DifferingPair {
                kind,
                distance: 1,
                route: vec![format!("/config/{n}")],
                left: format!("{id}l{n}"),
                right: format!("{id}r{n}"),
                left_data: Some(data(n, "l")),
                right_data: Some(data(n, "r")),
                aspects: vec![aspect(name)],
            }
        };
        [PairKind::Data, PairKind::Run].into_iter().flat_map(|kind| (1..=4).map(move |n| pair(kind, n))).collect()
    }

    #[test]
    fn two_data_and_the_runs_that_made_them_are_one_ancestor_and_the_first_three_are_three() {
        let differing = configurations();
        let difference = Difference { left: "a".to_owned(), right: "b".to_owned(), as_of: 9, differing, cut: false };
        let told = lines(&difference).join("\n");
        let one = |n: u32| {
            format!(
                "/config/{n} is another Data, 1 Run upstream by /config/{n}\n  < Data l{n}\n  > Data r{n}\n    tags < a:b\n    tags > nothing\n    each was uploaded or imported by itself"
            )
        };
        let expected =
            format!("< a\n> b\n{}\n{}\n{}\nand 1 more behind these; `-o json` prints all", one(1), one(2), one(3));
        assert_eq!(told, expected);
    }

    #[test]
    fn the_same_input_many_times_in_a_row_is_told_once() {
        let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        assert_eq!(route(&paths(&["/in/a"])), "/in/a");
        assert_eq!(
            route(&paths(&["/in/a", "/in/b", "/in/b", "/in/b", "/in/a"])),
            "/in/a then /in/b (3 times) then /in/a"
        );
    }
}
