//! Random histories: acts with numbers that choose among whatever there is at that moment.

use knit_domain::event::run::Assignment;
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::run::removal::KeptLog;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::World;
use crate::world::acts::Sketch;

/// All tags of random worlds; a set of them is a mask of bits.
const TAGS: [&str; 4] = ["a:1", "a:2", "b:1", "c:1"];

/// Something that may happen. Numbers choose among what there is; what is refused does not happen.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Upload { tags: u8 },
    StartUpload,
    StartImport,
    Register { inputs: Vec<u8>, outputs: Vec<u8>, log: bool, pin: Option<u8> },
    SetActive { plan: u8, active: bool },
    Tag { data: u8, add: u8, remove: u8 },
    Project { plan: u8, choice: [u8; 3] },
    Step { run: u8 },
    Finish { run: u8 },
    Fail { run: u8 },
    Abort { run: u8 },
    TearOff { run: u8 },
    Retry { run: u8, keeps_log: bool },
    RedactLog { run: u8 },
    Delete { run: u8 },
    OpenReader { data: u8 },
    CloseAgent { agent: u8 },
    Reclaim { data: u8 },
}

/// Up to `acts_max` acts, common ones more often than rare ones.
pub(crate) fn acts(acts_max: usize) -> impl Strategy<Value = Vec<Act>> {
    vec(act(), 1..acts_max)
}

fn act() -> impl Strategy<Value = Act> {
    let (number, mask) = (any::<u8>, || 0..16_u8);
    prop_oneof![
        8 => mask().prop_map(|tags| Act::Upload { tags }),
        1 => Just(Act::StartUpload),
        1 => Just(Act::StartImport),
        5 => plan(),
        2 => (number(), any::<bool>()).prop_map(|(plan, active)| Act::SetActive { plan, active }),
        6 => (number(), mask(), mask()).prop_map(|(data, add, remove)| Act::Tag { data, add, remove }),
        8 => (number(), any::<[u8; 3]>()).prop_map(|(plan, choice)| Act::Project { plan, choice }),
        8 => number().prop_map(|run| Act::Step { run }),
        6 => number().prop_map(|run| Act::Finish { run }),
        2 => number().prop_map(|run| Act::Fail { run }),
        2 => number().prop_map(|run| Act::Abort { run }),
        1 => number().prop_map(|run| Act::TearOff { run }),
        4 => (number(), any::<bool>()).prop_map(|(run, keeps_log)| Act::Retry { run, keeps_log }),
        1 => number().prop_map(|run| Act::RedactLog { run }),
        4 => number().prop_map(|run| Act::Delete { run }),
        1 => number().prop_map(|data| Act::OpenReader { data }),
        1 => number().prop_map(|agent| Act::CloseAgent { agent }),
        2 => number().prop_map(|data| Act::Reclaim { data }),
    ]
}

fn plan() -> impl Strategy<Value = Act> {
    let pin = prop_oneof![4 => Just(None), 1 => any::<u8>().prop_map(Some)];
    (vec(1..16_u8, 1..4), vec(0..16_u8, 0..3), any::<bool>(), pin)
        .prop_map(|(inputs, outputs, log, pin)| Act::Register { inputs, outputs, log, pin })
}

/// A world in which all of `acts` happened.
pub(crate) fn world_after(acts: &[Act]) -> World {
    let mut world = World::new();
    acts.iter().for_each(|act| world.act(act));
    world
}

impl World {
    /// Lets `act` happen, if the domain does not refuse it.
    pub(crate) fn act(&mut self, act: &Act) {
        match act {
            Act::Upload { tags } => {
                self.upload(&chosen(*tags));
            }
            Act::StartUpload => {
                self.start_upload();
            }
            Act::StartImport => {
                self.start_import();
            }
            Act::Register { inputs, outputs, log, pin } => self.register_random(inputs, outputs, *log, *pin),
            Act::SetActive { plan, active } => self.with_plan(*plan, |world, plan| world.set_active(plan, *active)),
            Act::Tag { data, add, remove } => {
                self.with_data(*data, |world, data| world.tag(data, &chosen(*add), &chosen(*remove)));
            }
            Act::Project { plan, choice } => self.with_plan(*plan, |world, plan| world.project_random(plan, *choice)),
            Act::Step { run } => self.with_run(*run, World::step),
            Act::Finish { run } => self.with_run(*run, |world, run| (0..6).for_each(|_| world.step(run))),
            Act::Fail { run } => self.with_run(*run, World::fail),
            Act::Abort { run } => self.with_run(*run, World::abort),
            Act::TearOff { run } => self.with_run(*run, World::tear_off),
            Act::Retry { run, keeps_log } => {
                let log = keeps_log.then(|| KeptLog::new(b"the end".to_vec(), 7));
                self.with_run(*run, |world, run| world.retry_keeping(run, log));
            }
            Act::RedactLog { run } => self.with_run(*run, World::redact_log),
            Act::Delete { run } => self.with_run(*run, World::delete),
            Act::OpenReader { data } => self.with_data(*data, World::open_reader),
            Act::CloseAgent { agent } => {
                if let Some(name) = pick(self.agents.keys().cloned(), *agent) {
                    self.close_agent(&name);
                }
            }
            Act::Reclaim { data } => self.with_data(*data, World::reclaim),
        }
    }

    fn register_random(&mut self, inputs: &[u8], outputs: &[u8], log: bool, pin: Option<u8>) {
        let (image, pinned) = (format!("image-{}", self.plans.len()), pin.and_then(|pin| self.random_pin(pin)));
        let texts: Vec<Vec<&str>> = inputs.iter().map(|mask| chosen(*mask)).collect();
        let mut inputs: Vec<(&str, &[&str])> =
            ["/in/a", "/in/b", "/in/c"].into_iter().zip(texts.iter().map(|texts| &texts[..])).collect();
        let pins: Vec<&str> = pinned.iter().map(String::as_str).chain(texts[0].iter().copied().take(1)).collect();
        if pinned.is_some() {
            inputs[0].1 = &pins;
        }
        let texts: Vec<Vec<&str>> = outputs.iter().map(|mask| chosen(*mask)).collect();
        let outputs: Vec<(&str, &[&str])> =
            ["/out/a", "/out/b"].into_iter().zip(texts.iter().map(|texts| &texts[..])).collect();
        let log_tags: &[&str] = &["c:1"];
        self.try_register(&Sketch { image: &image, inputs: &inputs, outputs: &outputs, log: log.then_some(log_tags) });
    }

    /// A pin to a Data, or to the instant at which one was done.
    fn random_pin(&self, pin: u8) -> Option<String> {
        let data = pick(self.data.keys().copied(), pin)?;
        if pin.is_multiple_of(2) {
            return Some(format!("knit#id:{data}"));
        }
        self.done_at(data).map(|instant| format!("knit#timestamp:{instant}"))
    }

    fn project_random(&mut self, plan: PlanId, choice: [u8; 3]) {
        let definition = self.plans[&plan].state.definition().unwrap();
        let paths: Vec<String> = definition.inputs.iter().map(|input| input.path.clone()).collect();
        let chosen = paths.into_iter().zip(choice).map(|(path, choice)| {
            let knit_id = pick(self.fitting(plan, &path), choice)?;
            Some(Assignment { path, knit_id })
        });
        if let Some(assignments) = chosen.collect::<Option<Vec<_>>>() {
            self.project(plan, &assignments, &assignments[0]);
        }
    }

    fn with_plan(&mut self, number: u8, act: impl FnOnce(&mut Self, PlanId)) {
        let plans = self.plans.iter().filter(|(_, plan)| plan.state.definition().is_some());
        if let Some(plan) = pick(plans.map(|(id, _)| *id), number) {
            act(self, plan);
        }
    }

    fn with_run(&mut self, number: u8, act: impl FnOnce(&mut Self, RunId)) {
        if let Some(run) = pick(self.runs.keys().copied(), number) {
            act(self, run);
        }
    }

    fn with_data(&mut self, number: u8, act: impl FnOnce(&mut Self, KnitId)) {
        if let Some(data) = pick(self.data.keys().copied(), number) {
            act(self, data);
        }
    }
}

fn chosen(mask: u8) -> Vec<&'static str> {
    TAGS.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, tag)| *tag).collect()
}

fn pick<T>(among: impl IntoIterator<Item = T>, number: u8) -> Option<T> {
    let mut among: Vec<T> = among.into_iter().collect();
    let chosen = usize::from(number).checked_rem(among.len())?;
    Some(among.swap_remove(chosen))
}
