//! Ids by how they begin.

use serde_json::{Value, json};

use crate::kit::{World, spec};

#[tokio::test]
async fn ids_are_found_by_their_first_digits_the_newest_first() {
    let world = World::new().await;
    let (older, newer) = (world.push(&["type:corpus"]).await, world.push(&["type:other"]).await);
    let plan = world.plan(&spec("type:corpus")).await;
    let run = world.run_of(&plan).await;
    let all = world.get("/api/ids?of=data").await.expect(200).json();
    let pushed: Vec<&Value> = all.as_array().unwrap().iter().filter(|id| **id == older || **id == newer).collect();
    assert_eq!(pushed, [&json!(newer), &json!(older)]);
    for (kind, id) in [("data", older.to_string()), ("plan", plan.to_string()), ("run", run.to_string())] {
        for prefix in [&id[..13], &id.replace('-', "").to_uppercase(), &id] {
            let found = world.get(&format!("/api/ids?of={kind}&prefix={prefix}")).await.expect(200).json();
            assert_eq!(found, json!([id]), "{kind} {prefix}");
        }
        let others = if kind == "plan" { "run" } else { "plan" };
        assert_eq!(world.get(&format!("/api/ids?of={others}&prefix={id}")).await.expect(200).json(), json!([]));
    }
}

#[tokio::test]
async fn so_many_are_told_as_are_asked_for() {
    let world = World::new().await;
    let (older, newer) = (world.push(&["type:corpus"]).await, world.push(&["type:other"]).await);
    let told = async |limit: &str| world.get(&format!("/api/ids?of=data&limit={limit}")).await;
    assert_eq!(told("1").await.expect(200).json(), json!([newer]));
    assert_eq!(told("100000").await.expect(200).json(), json!([newer, older]));
    for bad in ["0", "100001", "x"] {
        told(bad).await.expect(400);
    }
}

#[tokio::test]
async fn what_is_no_kind_and_what_is_no_beginning_is_refused() {
    let world = World::new().await;
    for bad in ["", "?of=tag", "?prefix=a", "?of=data&prefix=xyz", "?of=run&prefix=0123456789abcdef0123456789abcdef0"] {
        world.get(&format!("/api/ids{bad}")).await.expect(400);
    }
}
