//! Outputs become versions and promotions, once.

use ratchet_artifacts::{PromotionLog, datasets, models};
use ratchet_core::plugin::Output;
use ratchet_runtime::{RunStatus, TaskState};

use crate::fixture::Fixture;

const PIPELINE: &str = "\
name: pipeline
tasks:
  raw:
    uses: test.table
    with: { content: CONTENT }
  clean_rows:
    uses: test.table
    with: { content: rows, tables: [\"${{ tasks.raw.table }}\"] }
  train:
    uses: test.model
    with: { content: CONTENT, table: \"${{ tasks.clean_rows.table }}\" }
  promote:
    uses: test.promote
    with: { model: \"${{ tasks.train.model }}\" }
";

fn pipeline(content: &str) -> String {
    PIPELINE.replace("CONTENT", content)
}

#[tokio::test]
async fn tables_and_models_get_versions_with_their_lineage() {
    let fixture = Fixture::new().await;
    let ended = fixture.run(&pipeline("one")).await;
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.tasks);
    let bucket = fixture.engine.bucket();
    let names = datasets::names(bucket).await.unwrap();
    assert_eq!(
        names,
        [
            "pipeline-clean-rows",
            "pipeline-clean-rows-rejected",
            "pipeline-raw",
            "pipeline-raw-rejected"
        ]
    );
    let clean = datasets::get(bucket, "pipeline-clean-rows", 1).await.unwrap().unwrap();
    assert_eq!(clean.lineage.inputs, ["pipeline-raw@1"]);
    assert_eq!(
        (clean.lineage.run.as_str(), clean.lineage.task.as_str()),
        (ended.run.id.as_str(), "clean_rows")
    );
    assert!(clean.lineage.simulated);
    assert_eq!(clean.lineage.source, "simulated://test");
    let model = models::get(bucket, "test-model", 1).await.unwrap().unwrap();
    assert_eq!(model.lineage.inputs, ["pipeline-clean-rows@1"]);
    assert_eq!(model.rows["holdout"], 1);

    let [promotion] = ended.task("promote").promotions.as_slice() else {
        panic!("one promotion")
    };
    assert!(promotion.promoted);
    let head = PromotionLog::new(bucket.clone()).head().await.unwrap().unwrap();
    assert_eq!(Some(head.number), promotion.entry);
    assert_eq!(head.actor, format!("run {}", ended.run.id));
    assert_eq!(head.digest, model.bundle.sha256);
}

#[tokio::test]
async fn the_same_rows_keep_their_version_and_a_model_gets_a_new_one() {
    let fixture = Fixture::new().await;
    fixture.run(&pipeline("one")).await;
    let ended = fixture.run(&pipeline("one")).await;
    let Output::Table(table) = &ended.task("raw").outputs["table"] else {
        panic!("no table")
    };
    assert_eq!((table.dataset.as_str(), table.version), ("pipeline-raw", Some(1)));
    let Output::Model(model) = &ended.task("train").outputs["model"] else {
        panic!("no model")
    };
    assert_eq!(model.version, Some(2));
    // Version 1 holds the alias, and the request expected nobody.
    let promote = ended.task("promote");
    assert_eq!(
        (ended.run.status, promote.state),
        (RunStatus::Failed, TaskState::Failed)
    );
    assert!(!promote.promotions[0].promoted);
    assert_eq!(promote.attempts, 1, "another attempt would meet the same champion");
    assert!(
        promote.error.as_ref().unwrap().message.contains("has changed hands"),
        "{:?}",
        promote.error
    );
    assert_eq!(
        PromotionLog::new(fixture.engine.bucket().clone())
            .entries()
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_holder_is_not_promoted_again_and_that_is_no_failure() {
    let fixture = Fixture::new().await;
    let text = format!(
        "{}  again:\n    uses: test.promote\n    needs: [promote]\n    with: {{ model: \"${{{{ tasks.train.model }}}}\", \
         expected: \"${{{{ tasks.train.model.bundle.sha256 }}}}\" }}\n",
        pipeline("one")
    );
    let ended = fixture.run(&text).await;
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.tasks);
    let again = &ended.task("again").promotions[0];
    assert_eq!((again.promoted, again.entry), (false, None));
    assert!(
        again.reason.contains("holds alias 'champion' already"),
        "{}",
        again.reason
    );
    assert_eq!(
        PromotionLog::new(fixture.engine.bucket().clone())
            .entries()
            .await
            .unwrap()
            .len(),
        1
    );
}
