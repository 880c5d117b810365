//! Upcasters: what an older program stored becomes what today's would have stored.
//!
//! A log is never rewritten, so every version that ever was is read for ever. Each step leads from one version of one
//! event to the next, as a pure function of its JSON; several are taken one after another. A step is a fact about the
//! past and never changes: whatever it says in words stands in it, and is not looked up where words of today are kept.
//!
//! | Event | From | Why there is another version |
//! |---|---|---|
//! | `RunFailureDecided` | 1 | The reason was the message of an exit, so what has no exit code, a failed upload, had no reason. |
//! | `EventRedacted` | 1 | It had no hash of what stays of the event, so that could be changed afterwards. |

use serde_json::{Map, Value};

/// Changes the fields of an event of one version into those of the next; none when they are not what that version has.
type Step = fn(&mut Map<String, Value>) -> Option<()>;

/// Every step there is: name of the event, the version that it starts from, and what it does.
const STEPS: &[(&str, u32, Step)] =
    &[("RunFailureDecided", 1, reason_beside_the_code), ("EventRedacted", 1, no_hash_of_the_envelope)];

/// The payload of `event_type`, stored as `version`, as it would be stored as `current`. None when there is no such way,
/// or the payload is not what its version has.
pub(super) fn upcast(event_type: &str, version: u32, current: u32, mut payload: Value) -> Option<Value> {
    let fields = payload.get_mut(event_type)?.as_object_mut()?;
    for version in version..current {
        step(event_type, version)?(fields)?;
    }
    Some(payload)
}

fn step(event_type: &str, from: u32) -> Option<Step> {
    STEPS.iter().find(|(name, version, _)| *name == event_type && *version == from).map(|(_, _, step)| *step)
}

/// `exit {code, message}` becomes `code` and `reason`; without an exit there is no code, and no reason was recorded.
fn reason_beside_the_code(fields: &mut Map<String, Value>) -> Option<()> {
    let reason = match fields.remove("exit") {
        Some(Value::Object(mut exit)) => {
            fields.insert("code".to_owned(), exit.remove("code")?);
            exit.remove("message")?
        }
        Some(_) => return None,
        None => Value::String(String::new()),
    };
    fields.insert("reason".to_owned(), reason);
    Some(())
}

/// Nothing is put in: which envelope the event had when it was redacted, nobody can prove any more.
fn no_hash_of_the_envelope(fields: &mut Map<String, Value>) -> Option<()> {
    (!fields.contains_key("envelope_sha256")).then_some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::{Event, StreamType};

    #[test]
    fn every_version_that_ever_was_has_a_way_to_the_present_one() {
        for (name, current) in StreamType::ALL.into_iter().flat_map(Event::stored) {
            let is_read = (1..*current).all(|version| step(name, version).is_some());
            assert!(is_read, "{name} lacks a step to version {current}");
        }
        for (name, from, _) in STEPS {
            let mut known = StreamType::ALL.into_iter().flat_map(Event::stored);
            assert!(known.any(|(known, current)| known == name && from < current), "{name} {from} leads nowhere");
        }
    }

    #[test]
    fn a_message_of_an_exit_becomes_a_reason_and_where_there_was_none_there_is_none() {
        let upcast = |fields: Value| upcast("RunFailureDecided", 1, 2, json!({"RunFailureDecided": fields}));
        let failed = json!({"attempt": 1, "exit": {"code": 137, "message": "OOMKilled"}, "cause": "worker-failed"});
        let expected = json!({"attempt": 1, "code": 137, "reason": "OOMKilled", "cause": "worker-failed"});
        assert_eq!(upcast(failed).unwrap()["RunFailureDecided"], expected);
        let upload = json!({"attempt": 1, "cause": "upload-failed"});
        let expected = json!({"attempt": 1, "reason": "", "cause": "upload-failed"});
        assert_eq!(upcast(upload).unwrap()["RunFailureDecided"], expected);
    }

    #[test]
    fn what_is_not_of_its_version_is_not_made_up() {
        for damaged in [json!({"RunFailureDecided": {"exit": 3}}), json!({"RunFailureDecided": {"exit": {}}}), json!(7)]
        {
            assert_eq!(upcast("RunFailureDecided", 1, 2, damaged.clone()), None, "{damaged}");
        }
        let with_envelope = json!({"EventRedacted": {"envelope_sha256": "00"}});
        assert_eq!(upcast("EventRedacted", 1, 2, with_envelope), None, "the first version had none");
        assert_eq!(upcast("RunStarted", 1, 2, json!({"RunStarted": {"attempt": 1}})), None, "there is no such step");
    }
}
