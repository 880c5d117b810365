//! Which way and how far to trace.

use clap::Args;

use crate::client::Query;

/// The directions, and the depth in each.
#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// Trace towards origins
    #[arg(long, short)]
    upstream: bool,
    /// Trace towards consumers
    #[arg(long, short)]
    downstream: bool,
    /// How many steps to go in each direction; `all` for no limit
    #[arg(long, short, value_name = "NUMBER|all", value_parser = depth, default_value = "3")]
    numbers: Depth,
}

/// How far to go, and in which directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Towards origins.
    pub(crate) upstream: bool,
    /// Towards consumers.
    pub(crate) downstream: bool,
    /// Layers of Runs in each direction, or of Plans; `None` is all.
    pub(crate) depth: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Steps(u32),
    All,
}

fn depth(text: &str) -> Result<Depth, String> {
    match text {
        "all" => Ok(Depth::All),
        "0" => Err("that goes nowhere: write 1 or more, or `all`".to_owned()),
        _ => text.parse().map(Depth::Steps).map_err(|_| "write a positive number or `all`".to_owned()),
    }
}

impl Reach {
    /// What that comes to: neither direction means both.
    pub(crate) fn extent(&self) -> Extent {
        let depth = match self.numbers {
            Depth::Steps(steps) => Some(steps),
            Depth::All => None,
        };
        let both = self.upstream == self.downstream;
        Extent { upstream: both || self.upstream, downstream: both || self.downstream, depth }
    }
}

impl Extent {
    /// The parameters of a request that say this.
    pub(crate) fn query(self) -> Query {
        let direction = match (self.upstream, self.downstream) {
            (true, false) => "up",
            (false, true) => "down",
            _ => "both",
        };
        let depth = self.depth.map_or_else(|| "all".to_owned(), |depth| depth.to_string());
        vec![("direction", direction.to_owned()), ("depth", depth)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_a_number_or_all() {
        assert_eq!(depth("all"), Ok(Depth::All));
        assert_eq!(depth("3"), Ok(Depth::Steps(3)));
        for bad in ["0", "-1", "", "some", "4294967296"] {
            assert!(depth(bad).is_err(), "{bad}");
        }
    }
}
