//! Tags by how they begin.

use serde_json::json;

use crate::kit::World;

#[tokio::test]
async fn tags_are_found_by_how_they_begin_in_order_and_not_too_many() {
    let world = World::new().await;
    world.push(&["type:corpus", "project:hello", "note:one & two"]).await;
    for (query, expected) in [
        ("", json!(["knit#id:", "knit#timestamp:", "note:", "project:", "type:"])),
        ("?prefix=pro", json!(["project:"])),
        ("?prefix=type%3Ac", json!(["type:corpus"])),
        ("?prefix=note%3Aone+%26", json!(["note:one & two"])),
        ("?prefix=type%3Ax&limit=1", json!([])),
        ("?limit=1", json!(["knit#id:"])),
    ] {
        let found = world.get(&format!("/api/tags{query}")).await.expect(200);
        assert!(found.header("x-knit-position").is_some());
        assert_eq!(found.json(), expected, "{query}");
    }
    for bad in ["0", "1001", "-1", "many"] {
        world.get(&format!("/api/tags?limit={bad}")).await.expect(400);
    }
}
