//! JSON bodies: of requests, which the server reads, and of answers, which the command line reads.

use std::fmt::Debug;

use knit_schemas::api;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The first byte chooses what is expected, the others are the body.
pub(crate) fn bodies(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    let readers: &[fn(&[u8])] = &[
        read::<api::PlanSpec>,
        read::<api::TagChange>,
        read::<api::ResourceChange>,
        read::<api::AnnotationChange>,
        read::<api::ServiceAccount>,
        read::<Vec<api::DataDetail>>,
        read::<Vec<api::PlanDetail>>,
        read::<Vec<api::RunDetail>>,
        read::<api::LineageGraph>,
        read::<api::PlanMatches>,
        read::<Vec<api::Attempt>>,
        read::<api::ErrorMessage>,
    ];
    readers[usize::from(*kind) % readers.len()](body);
}

/// What is understood and written is understood as the same, and written as the same.
fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(body: &[u8]) {
    let Ok(understood) = api::decode::<T>(body) else { return };
    let written = serde_json::to_vec(&understood).unwrap();
    let again: T =
        api::decode(&written).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&written)));
    assert_eq!(serde_json::to_vec(&again).unwrap(), written);
}
