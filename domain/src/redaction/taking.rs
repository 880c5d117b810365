//! Where events say what may be forgotten, and the same events without it.

use std::collections::BTreeSet;

use super::Content;
use crate::event::Event;
use crate::event::catalog::CatalogEvent;
use crate::event::data::DataEvent;
use crate::event::journal::JournalEvent;
use crate::event::plan::{PlanDefinition, PlanEvent};
use crate::event::run::{OutputData, RunEvent};
use crate::plan;
use crate::tag::{Tag, TagSet};

impl Content {
    /// Everything that can be taken from an event.
    #[must_use]
    pub fn all_in(event: &Event) -> BTreeSet<Self> {
        let mut listing = Walk::Listing(BTreeSet::new());
        listing.event(&mut event.clone());
        match listing {
            Walk::Listing(all) => all,
            Walk::Taking { .. } => BTreeSet::new(),
        }
    }

    /// The event with `word` in place of this; none if it does not say it.
    #[must_use]
    pub fn taken_from(&self, event: &Event, word: &str) -> Option<Event> {
        let (mut event, mut taking) = (event.clone(), Walk::Taking { content: self, word, is_found: false });
        taking.event(&mut event);
        taking.is_found().then_some(event)
    }
}

/// A walk through an event.
enum Walk<'c> {
    /// Takes something out of it.
    Taking { content: &'c Content, word: &'c str, is_found: bool },
    /// Lists what could be taken out of it.
    Listing(BTreeSet<Content>),
}

impl Walk<'_> {
    fn is_found(&self) -> bool {
        match self {
            Self::Taking { is_found, .. } => *is_found,
            Self::Listing(_) => false,
        }
    }

    /// Comes by something that an event says; answers what it is to say instead, if that is to be forgotten.
    fn comes_by(&mut self, said: Content) -> Option<String> {
        match self {
            Self::Taking { content, word, is_found } => (**content == said).then(|| {
                *is_found = true;
                (*word).to_owned()
            }),
            Self::Listing(all) => {
                all.insert(said);
                None
            }
        }
    }

    fn event(&mut self, event: &mut Event) {
        match event {
            Event::Catalog(CatalogEvent::PlanAdmitted { plan_id: _, definition }) => self.definition(definition),
            Event::Plan(event) => self.plan(event),
            Event::Run(event) => self.run(event),
            Event::Data(event) => self.data(event),
            Event::Agent(_) => {}
            Event::Journal(event) => self.journal(event),
        }
    }

    fn plan(&mut self, event: &mut PlanEvent) {
        match event {
            PlanEvent::PlanRegistered { definition, hash, annotations, .. } => {
                self.definition(definition);
                if self.is_found() {
                    // Whoever guesses the content could tell by the old one that it was right.
                    *hash = plan::hash(definition);
                }
                self.annotations(annotations);
            }
            PlanEvent::PlanAnnotationsChanged { added, removed } => {
                self.annotations(added);
                self.annotations(removed);
            }
            PlanEvent::BuiltinPlanDefined { .. }
            | PlanEvent::PlanActivated {}
            | PlanEvent::PlanDeactivated {}
            | PlanEvent::PlanResourcesChanged { .. }
            | PlanEvent::PlanServiceAccountSet { .. }
            | PlanEvent::PlanServiceAccountCleared {} => {}
        }
    }

    fn run(&mut self, event: &mut RunEvent) {
        match event {
            RunEvent::RunProjected { outputs, .. } | RunEvent::RunRetried { outputs, .. } => {
                outputs.iter_mut().for_each(|output| self.output(output));
            }
            RunEvent::UploadStarted { output, .. } | RunEvent::ImportStarted { output, .. } => self.output(output),
            RunEvent::WorkerRequested { worker, .. } => {
                self.words(&mut worker.entrypoint);
                self.words(&mut worker.args);
            }
            RunEvent::RunVolumesPrepared { .. }
            | RunEvent::WorkerSpawned { .. }
            | RunEvent::RunStarted { .. }
            | RunEvent::RunSuccessDecided { .. }
            | RunEvent::RunFailureDecided { .. }
            | RunEvent::RunSucceeded { .. }
            | RunEvent::RunFailed { .. }
            | RunEvent::RunInvalidated { .. }
            | RunEvent::RunErased { .. } => {}
        }
    }

    fn data(&mut self, event: &mut DataEvent) {
        match event {
            DataEvent::DataReserved { tags, .. } => self.tags(tags),
            DataEvent::DataTagsChanged { added, removed } => {
                for tags in [added, removed] {
                    *tags = std::mem::take(tags).into_iter().map(|tag| self.tag(tag)).collect();
                }
            }
            DataEvent::DataDiscarded { .. } | DataEvent::VolumeReclaimed { .. } | DataEvent::LogRedacted { .. } => {}
        }
    }

    /// What remains of an event may say something else that is to be forgotten now. It says it to nobody: what remains
    /// of it from now on is said anew.
    fn journal(&mut self, event: &mut JournalEvent) {
        let Self::Taking { content, word, is_found } = self else { return };
        match event {
            JournalEvent::EventRedacted { remains, .. } => {
                let said = remains.as_ref().and_then(|of| Event::decode_payload(of.version, &of.payload).ok());
                if said.is_some_and(|said| content.taken_from(&said, word).is_some()) {
                    (*remains, *is_found) = (None, true);
                }
            }
            JournalEvent::EventSkipped { .. } => {}
        }
    }

    fn definition(&mut self, definition: &mut PlanDefinition) {
        let log = definition.log.iter_mut().map(|log| &mut log.tags);
        let mounted = definition.inputs.iter_mut().chain(&mut definition.outputs).map(|at| &mut at.tags);
        log.chain(mounted).for_each(|tags| self.tags(tags));
        self.words(&mut definition.entrypoint);
        self.words(&mut definition.args);
    }

    fn output(&mut self, output: &mut OutputData) {
        self.tags(&mut output.tags);
    }

    fn tags(&mut self, tags: &mut TagSet) {
        let is_in = |content: &Content| matches!(content, Content::Tag(tag) if tags.contains(tag));
        if let Self::Taking { content, .. } = &*self
            && !is_in(content)
        {
            return;
        }
        *tags = tags.iter().cloned().map(|tag| self.tag(tag)).collect();
    }

    fn tag(&mut self, tag: Tag) -> Tag {
        if tag.is_system() {
            return tag;
        }
        match self.comes_by(Content::Tag(tag.clone())) {
            Some(word) => Tag::new(tag.key, word),
            None => tag,
        }
    }

    fn annotations(&mut self, pairs: &mut BTreeSet<(String, String)>) {
        let said = std::mem::take(pairs).into_iter().map(|(key, value)| {
            let instead = self.comes_by(Content::Annotation { key: key.clone(), value: value.clone() });
            (key, instead.unwrap_or(value))
        });
        *pairs = said.collect();
    }

    fn words(&mut self, words: &mut [String]) {
        for word in words {
            if let Some(instead) = self.comes_by(Content::Argument(word.clone())) {
                *word = instead;
            }
        }
    }
}
