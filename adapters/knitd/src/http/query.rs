//! Query strings as the wire has them (web-api 1.8).
//!
//! What becomes of unknown parameters is decided in [`super::parameters`]. Of a list or scalar that is repeated only the first occurrence counts;
//! an empty scalar is an absent one, because the web console sends `duration=`.

use knit_domain::tag::Tag;
use knit_domain::time::{Timestamp, parse_exact};
use knit_schemas::duration::GoDuration;

use super::problem::Problem;

/// The decoded pairs of a query string, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes form encoding: `+` and `%20` are spaces, what is not UTF-8 is replaced.
    pub(super) fn parse(text: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(text.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The name of every parameter, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Every value of the parameter `name`, in order.
    pub(super) fn each(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The one value of the parameter `name`; `None` when it is absent or empty.
    pub(super) fn scalar(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|value| !value.is_empty())
    }

    /// The comma-joined values of the parameter `name`; `None` when it is absent. An empty element is
    /// kept, for it matches nothing.
    pub(super) fn list(&self, name: &str) -> Option<Vec<&str>> {
        self.first(name).map(|joined| joined.split(',').collect())
    }

    /// Whether the parameter `name` is there at all, with whatever value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// The tags given by the parameter `name`.
    ///
    /// # Errors
    /// 400 for one that is not KEY:VALUE.
    pub(super) fn tags(&self, name: &str) -> Result<Vec<Tag>, Problem> {
        let parse = |text| {
            Tag::parse(text).map_err(|error| {
                Problem::bad_request("each tag should be formatted as KEY:VALUE").because(error.to_string())
            })
        };
        self.each(name).map(parse).collect()
    }

    /// The half-open range that `since` and `duration` select.
    ///
    /// # Errors
    /// 400 for a malformed one, and for `duration` without `since`.
    pub(super) fn range(&self) -> Result<TimeRange, Problem> {
        let Some(since) = self.scalar("since") else {
            return match self.scalar("duration") {
                None => Ok(TimeRange::default()),
                Some(_) => Err(Problem::bad_request("`duration` needs `since`: give both, or `since` alone")),
            };
        };
        let start = parse_exact(since).map_err(|error| Problem::bad_request(format!("`since`: {error}")))?;
        let start_ns = i128::from(start.timestamp()) * NS_PER_S + i128::from(start.timestamp_subsec_nanos());
        let duration = self.scalar("duration").map(GoDuration::parse).transpose();
        let duration = duration.map_err(|error| Problem::bad_request(format!("`duration`: {error}")))?;
        let until = duration.map(|duration| first_at_or_after(start_ns + i128::from(duration.ns)));
        Ok(TimeRange { since: Some(first_at_or_after(start_ns)), until })
    }
}

/// What is at or after `since` and before `until`; what is absent does not bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TimeRange {
    /// The first instant in it.
    pub(super) since: Option<Timestamp>,
    /// The first instant after it.
    pub(super) until: Option<Timestamp>,
}

const NS_PER_S: i128 = 1_000_000_000;
const NS_PER_MS: i128 = 1_000_000;

/// The first whole millisecond that is not before an instant: whatever is kept is kept in milliseconds, so
/// comparing with this one is comparing with the instant.
fn first_at_or_after(ns: i128) -> Timestamp {
    let ms = ns.div_euclid(NS_PER_MS) + i128::from(ns.rem_euclid(NS_PER_MS) != 0);
    Timestamp(i64::try_from(ms).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Query {
        Query::parse(Some(text))
    }

    #[test]
    fn a_repeated_list_or_scalar_counts_once_and_tags_count_each() {
        let query = parse("plan=a,b&plan=c&since=x&since=y&tag=k1%3Av1&tag=k2%3av2");
        assert_eq!(query.list("plan"), Some(vec!["a", "b"]));
        assert_eq!(query.scalar("since"), Some("x"));
        assert_eq!(query.each("tag").collect::<Vec<_>>(), ["k1:v1", "k2:v2"]);
    }

    #[test]
    fn an_empty_scalar_is_absent_and_an_empty_element_is_kept() {
        let query = parse("duration=&since=&since=x&status=&plan=a,,b");
        assert_eq!((query.scalar("duration"), query.scalar("since")), (None, None));
        assert_eq!(query.list("status"), Some(vec![""]));
        assert_eq!(query.list("plan"), Some(vec!["a", "", "b"]));
        assert_eq!(query.list("knitIdInput"), None);
    }

    #[test]
    fn presence_alone_counts_for_follow() {
        assert!(parse("follow").has("follow") && parse("follow=false").has("follow") && parse("follow=").has("follow"));
        assert!(!parse("").has("follow") && !Query::parse(None).has("follow"));
    }

    #[test]
    fn values_are_decoded_as_forms_are() {
        let query = parse("tag=knit%23id%3Aa+b%2Fc");
        assert_eq!(query.each("tag").next(), Some("knit#id:a b/c"));
    }

    fn check_range(text: &str, since: Option<&str>, until: Option<&str>) {
        let ms = |text: Option<&str>| text.map(|text| Timestamp::parse(text).unwrap());
        assert_eq!(parse(text).range(), Ok(TimeRange { since: ms(since), until: ms(until) }), "{text}");
    }

    #[test]
    fn a_range_is_half_open_and_since_alone_has_no_end() {
        let since = "2024-03-06T09:25:16Z";
        check_range(&format!("since={since}&duration=1m30s"), Some(since), Some("2024-03-06T09:26:46Z"));
        check_range("since=0001-01-01T00:00:00Z&duration=", Some("0001-01-01T00:00:00Z"), None);
        check_range("duration=", None, None);
    }

    #[test]
    fn what_is_finer_than_a_millisecond_excludes_the_millisecond_it_is_in() {
        let (since, until) = ("2024-03-06T09:25:16.001Z", "2024-03-06T09:25:16.002Z");
        check_range("since=2024-03-06T09:25:16.0001Z&duration=1ms", Some(since), Some(until));
    }

    #[test]
    fn a_negative_duration_ends_before_it_begins() {
        check_range(
            "since=2024-03-06T09:25:16Z&duration=-1h",
            Some("2024-03-06T09:25:16Z"),
            Some("2024-03-06T08:25:16Z"),
        );
    }

    #[test]
    fn fnd_07_malformed_parameters_are_bad_requests() {
        let day = "2024-03-06";
        for bad in ["since=soon", &format!("since={day}"), &format!("since={day}T00:00:00Z&duration=1x"), "duration=1h"]
        {
            let problem = parse(bad).range().unwrap_err();
            assert_eq!(problem.status(), ::http::StatusCode::BAD_REQUEST, "{bad}");
            assert!(problem.message().starts_with("bad request\n"), "{bad}");
        }
        let problem = parse("tag=foo").tags("tag").unwrap_err();
        assert_eq!(
            problem.message(),
            "bad request\neach tag should be formatted as KEY:VALUE\n caused by:`foo` is not a tag: write KEY:VALUE"
        );
    }
}
