//! Plan files, as a user writes them.

use serde_json::{Map, Value, json};

/// A Plan file under construction.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanFile(Map<String, Value>);

impl PlanFile {
    /// A Plan whose Workers run `script` with `sh` on this machine's own file system.
    #[must_use]
    pub fn shell(script: &str) -> Self {
        let plan =
            json!({"image": "host:latest", "entrypoint": ["sh", "-c"], "args": [script], "inputs": [], "outputs": []});
        Self(plan.as_object().expect("it is an object").clone())
    }

    /// A Plan whose Workers run `script` with `bash`, which can speak to the network.
    #[must_use]
    pub fn bash(script: &str) -> Self {
        Self::shell(script).with("entrypoint", json!(["bash", "-c"]))
    }

    /// The same with an input.
    #[must_use]
    pub fn input(self, path: &str, tags: &[&str]) -> Self {
        self.mountpoint("inputs", path, tags)
    }

    /// The same with an output.
    #[must_use]
    pub fn output(self, path: &str, tags: &[&str]) -> Self {
        self.mountpoint("outputs", path, tags)
    }

    fn mountpoint(mut self, list: &str, path: &str, tags: &[&str]) -> Self {
        let mountpoints = self.0.get_mut(list).and_then(Value::as_array_mut).expect("it is a list");
        mountpoints.push(json!({"path": path, "tags": tags}));
        self
    }

    /// The same, keeping a log.
    #[must_use]
    pub fn log(self, tags: &[&str]) -> Self {
        self.with("log", json!({"tags": tags}))
    }

    /// The same with any field.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.0.insert(field.to_owned(), value);
        self
    }

    /// As it is sent.
    #[must_use]
    pub fn json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}
