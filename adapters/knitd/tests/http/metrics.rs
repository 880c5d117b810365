//! Figures of what cannot be brought about from outside: a follower that follows no more.

use knitd::command::Cause;

use crate::kit::World;

async fn figures(world: &World) -> String {
    let answer = world.get("/metrics").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    String::from_utf8(answer.body.clone()).unwrap()
}

fn figure(text: &str, name: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{name} is in {text}")).parse().unwrap()
}

#[tokio::test]
async fn what_is_not_folded_yet_is_told_in_events_and_in_seconds() {
    let world = World::new().await;
    world.push(&["a:b"]).await;
    let before = figures(&world).await;
    world.stop_following();
    world.app.begin_upload(&Cause::request("somebody")).await.unwrap();
    let after = figures(&world).await;
    assert!(figure(&after, "knitd_log_position") > figure(&before, "knitd_log_position"));
    for projection in ["store", "matcher", "worklists"] {
        let of =
            |text: &str, name: &str| figure(text, &format!("knitd_projection_{name}{{projection=\"{projection}\"}}"));
        assert_eq!((of(&before, "lag_events"), of(&before, "lag_seconds")), (0.0, 0.0));
        assert_eq!(of(&before, "position"), of(&after, "position"));
        let behind = figure(&after, "knitd_log_position") - of(&after, "position");
        assert!(behind > 0.0 && of(&after, "lag_events") == behind, "{after}");
        assert!(of(&after, "lag_seconds") > 0.0, "{after}");
        assert_eq!(of(&after, "stopped"), 0.0);
    }
}

#[tokio::test]
async fn figures_are_told_while_everything_else_waits_for_the_log() {
    let world = World::new().await;
    world.get("/api/data").await.expect(200);
    world.stop_following();
    world.app.views().doubt();
    world.get("/api/data").await.expect(503);
    let text = figures(&world).await;
    assert_eq!(figure(&text, "knitd_caught_up"), 0.0);
    assert_eq!(figure(&text, "knitd_errors_total{place=\"api\",family=\"fault\"}"), 1.0);
}
