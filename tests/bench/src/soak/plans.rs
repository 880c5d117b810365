//! The Plans of a soak: a chain, a product, one that fails, one that never ends, and one after the other that
//! comes and rests.

use anyhow::Context as _;
use knit_tests::plans::PlanFile;

use super::asking::Asking;

/// Plans by their ids.
pub(super) struct Plans {
    /// Takes every raw Data; another Plan takes what it makes.
    pub(super) copy: String,
    /// Takes each left Data with each right one.
    pub(super) pair: String,
    /// The newest of those that come and rest.
    passing: Option<String>,
}

impl Plans {
    pub(super) fn register(asking: &Asking) -> anyhow::Result<Self> {
        let copy = PlanFile::shell("cp /in/* /out/ && echo copied")
            .input("/in", &["stage:raw"])
            .output("/out", &["stage:copied"])
            .log(&["kind:log"]);
        let count = PlanFile::shell("cat /in/* | wc -c > /out/bytes")
            .input("/in", &["stage:copied"])
            .output("/out", &["stage:counted"]);
        let pair = PlanFile::shell("cat /left/* /right/* > /out/both")
            .input("/left", &["side:left"])
            .input("/right", &["side:right"])
            .output("/out", &["stage:paired"]);
        let failing =
            PlanFile::shell("echo failing; date +%s.%N; exit 3").input("/in", &["mood:bad"]).log(&["kind:log"]);
        let slow =
            PlanFile::shell("while true; do date; sleep 1; done").input("/in", &["mood:slow"]).log(&["kind:log"]);
        let picked = PlanFile::shell("true").input("/in", &["picked:yes"]).output("/out", &["stage:picked"]);
        let ids: anyhow::Result<Vec<String>> =
            [copy, count, pair, failing, slow, picked].iter().map(|plan| register(asking, plan)).collect();
        let ids = ids?;
        Ok(Self { copy: ids[0].clone(), pair: ids[2].clone(), passing: None })
    }

    /// Registers the next Plan that comes and rests; it takes what is tagged with `topic`.
    pub(super) fn register_passing(&mut self, asking: &Asking, topic: &str) {
        let plan = PlanFile::shell(&format!("echo {topic} > /out/topic")).input("/in", &[topic]).output("/out", &[]);
        self.passing = register(asking, &plan).ok();
    }

    pub(super) fn set_passing_active(&self, asking: &Asking, active: bool) {
        if let Some(plan) = &self.passing {
            let _ = asking.order(if active { "PUT" } else { "DELETE" }, &format!("/api/plans/{plan}/active"));
        }
    }
}

fn register(asking: &Asking, plan: &PlanFile) -> anyhow::Result<String> {
    let registered = asking.post("/api/plans", &plan.json()).context("a Plan was not registered")?;
    Ok(registered["planId"].as_str().context("a Plan has an id")?.to_owned())
}
