//! Small plugins for the tests, known to the engine in the test process and to the worker program alike.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ratchet_artifacts::Bucket;
use ratchet_core::plugin::{
    Blob, ColumnType, Isolation, Model, Output, Outputs, Place, Plugin, Port, PortKind, PromotionRequest, Registry,
    Report, RowCounts, Table, TableColumn, TaskContext, TaskError,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

pub fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.declare_pools([("gpu".to_owned(), 2), ("crash".to_owned(), 3)].into());
    registry
        .add::<Echo>()
        .add::<Quiet>()
        .add::<Fail>()
        .add::<Sleep>()
        .add::<Die>()
        .add::<Print>();
    registry
        .add::<MakeTable>()
        .add::<MakeModel>()
        .add::<Promote>()
        .add::<Panic>()
        .add::<Hog>()
        .add::<Talk>()
        .add::<Leak>()
        .add::<Counted>()
        .add::<ratchet_core::plugin::SubDag>();
    registry
}

fn port(name: &'static str, kind: PortKind) -> Vec<Port> {
    vec![Port {
        name,
        kind,
        description: "for tests",
    }]
}

async fn put(context: &TaskContext, content: String) -> Result<Blob, TaskError> {
    let failed = |error: ratchet_artifacts::BucketError| TaskError::transient(error.to_string());
    let bucket = Bucket::open(&context.bucket_url).await.map_err(failed)?;
    let blob = bucket.put_blob(Bytes::from(content)).await.map_err(failed)?;
    Ok(Blob {
        sha256: blob.sha256,
        bytes: blob.bytes,
    })
}

/// Returns its configuration and what it was given.
struct Echo;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EchoConfig {
    /// Any value.
    value: Value,
}

#[async_trait]
impl Plugin for Echo {
    type Config = EchoConfig;
    const NAME: &'static str = "test.echo";
    const SUMMARY: &'static str = "returns its value";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        [port("value", PortKind::Value), port("seed", PortKind::Value)].concat()
    }

    async fn run(config: EchoConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        context.info("echoing");
        context.progress(0.5, "half");
        Ok(Outputs::default()
            .with("value", Output::Value(config.value))
            .with("seed", Output::Value(json!(context.seed))))
    }
}

/// Returns its value and says nothing.
struct Quiet;

#[async_trait]
impl Plugin for Quiet {
    type Config = EchoConfig;
    const NAME: &'static str = "test.quiet";
    const SUMMARY: &'static str = "returns its value";
    const ISOLATION: Isolation = Isolation::Inline;
    const PURE: bool = true;

    fn outputs() -> Vec<Port> {
        port("value", PortKind::Value)
    }

    async fn run(config: EchoConfig, _context: &TaskContext) -> Result<Outputs, TaskError> {
        Ok(Outputs::default().with("value", Output::Value(config.value)))
    }
}

/// Fails in its first attempts and leaves a report.
struct Fail;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FailConfig {
    /// Attempts that fail.
    attempts: u32,
    /// May a retry help?
    retryable: bool,
}

#[async_trait]
impl Plugin for Fail {
    type Config = FailConfig;
    const NAME: &'static str = "test.fail";
    const SUMMARY: &'static str = "fails";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        port("report", PortKind::Report)
    }

    async fn run(config: FailConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let content = format!("report of attempt {}", context.attempt);
        let blob = put(context, content).await?;
        let report = Report {
            summary: "a report".to_owned(),
            file_name: "gate.json".to_owned(),
            blob,
        };
        let outputs = Outputs::default().with("report", Output::Report(report));
        if context.attempt > config.attempts {
            return Ok(outputs);
        }
        let mut error = TaskError::permanent(format!("attempt {} fails", context.attempt)).with_help("ask less of it");
        error.retryable = config.retryable;
        Err(error.with_outputs(outputs))
    }
}

/// Starts other processes, tells their ids and sleeps.
struct Sleep;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SleepConfig {
    /// How long.
    seconds: f64,
    /// Where the ids of this process, its child, and its child in another session go, a line each.
    #[serde(default)]
    pids: Option<PathBuf>,
    /// Also leaves a process that forked twice.
    #[serde(default)]
    daemon: bool,
    /// Looks at `cancelled` while it sleeps.
    #[serde(default)]
    polite: bool,
}

#[async_trait]
impl Plugin for Sleep {
    type Config = SleepConfig;
    const NAME: &'static str = "test.sleep";
    const SUMMARY: &'static str = "sleeps";

    fn outputs() -> Vec<Port> {
        port("value", PortKind::Value)
    }

    async fn run(config: SleepConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        if let Some(path) = &config.pids {
            let failed = |error: std::io::Error| TaskError::permanent(error.to_string());
            let child = Command::new("sleep").arg("1000").spawn().map_err(failed)?;
            let session = Command::new("setsid").args(["sleep", "1000"]).spawn().map_err(failed)?;
            // One that nobody in this process knows: forked twice, its parent gone, in a session of its own.
            if config.daemon {
                let _ = Command::new("sh")
                    .args(["-c", "(setsid sleep 1000 &)"])
                    .status()
                    .map_err(failed)?;
            }
            // `setsid` has left the group before the ids are told.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let text = format!("{}\n{}\n{}\n", std::process::id(), child.id(), session.id());
            let unfinished = path.with_extension("unfinished");
            std::fs::write(&unfinished, text).map_err(failed)?;
            std::fs::rename(&unfinished, path).map_err(failed)?;
        }
        let mut left = config.seconds;
        while left > 0.0 {
            if config.polite && context.is_cancelled() {
                context.info("ending politely");
                return Err(TaskError::transient("it was cancelled"));
            }
            tokio::time::sleep(Duration::from_secs_f64(left.min(0.02))).await;
            left -= 0.02;
        }
        Ok(Outputs::default().with("value", Output::Value(json!("slept"))))
    }
}

/// Its first attempts end as by `kill -9`.
struct Die;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DieConfig {
    /// Attempts that die.
    attempts: u32,
}

#[async_trait]
impl Plugin for Die {
    type Config = DieConfig;
    const NAME: &'static str = "test.die";
    const SUMMARY: &'static str = "dies";

    fn outputs() -> Vec<Port> {
        port("value", PortKind::Value)
    }

    async fn run(config: DieConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        if context.attempt <= config.attempts {
            let _ = nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGKILL);
        }
        Ok(Outputs::default().with("value", Output::Value(json!(context.attempt))))
    }
}

/// Prints where it should not, and returns its environment.
struct Print;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PrintConfig {}

#[async_trait]
impl Plugin for Print {
    type Config = PrintConfig;
    const NAME: &'static str = "test.print";
    const SUMMARY: &'static str = "prints";

    fn outputs() -> Vec<Port> {
        port("value", PortKind::Value)
    }

    async fn run(_config: PrintConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        println!("{{\"type\":\"succeeded\",\"value\":{{\"ports\":{{}}}}}}");
        print!("no end of line");
        let _ = std::io::stdout().flush();
        println!();
        // A child reads no orders and writes no answers.
        let child = Command::new("sh")
            .args(["-c", "read line; echo child read [$line]"])
            .stderr(Stdio::null())
            .status()
            .map_err(|error| TaskError::permanent(error.to_string()))?;
        let threads = std::env::var("RAYON_NUM_THREADS").unwrap_or_default();
        let value = json!({ "threads": context.threads, "variable": threads, "child": child.success() });
        Ok(Outputs::default().with("value", Output::Value(value)))
    }
}

/// Panics.
struct Panic;

#[async_trait]
impl Plugin for Panic {
    type Config = PrintConfig;
    const NAME: &'static str = "test.panic";
    const SUMMARY: &'static str = "panics";

    fn outputs() -> Vec<Port> {
        Vec::new()
    }

    #[expect(clippy::panic, reason = "what a test asks of it")]
    async fn run(_config: PrintConfig, _context: &TaskContext) -> Result<Outputs, TaskError> {
        panic!("a number was {}", 7)
    }
}

/// A table of one file.
struct MakeTable;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MakeTableConfig {
    /// Content of its file.
    content: String,
    /// Tables that go in.
    #[serde(default)]
    tables: Vec<Table>,
}

#[async_trait]
impl Plugin for MakeTable {
    type Config = MakeTableConfig;
    const NAME: &'static str = "test.table";
    const SUMMARY: &'static str = "makes a table";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        [port("table", PortKind::Table), port("rejected", PortKind::Table)].concat()
    }

    async fn run(config: MakeTableConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        context.info(format!("{} tables go in", config.tables.len()));
        let rows = config.content.len() as u64;
        let files = vec![put(context, config.content).await?];
        let column = TableColumn {
            name: "a".to_owned(),
            kind: ColumnType::Text,
            known: None,
            nulls: 0,
        };
        let table = Table {
            dataset: String::new(),
            version: None,
            files,
            rows,
            columns: vec![column],
            source: "simulated://test".to_owned(),
            simulated: true,
            raw: Vec::new(),
            collected: None,
        };
        let rejected = Output::Table(Table {
            rows: 0,
            ..table.clone()
        });
        Ok(Outputs::default()
            .with("table", Output::Table(table))
            .with("rejected", rejected))
    }
}

/// A model whose bundle is a text.
struct MakeModel;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MakeModelConfig {
    /// Its name.
    #[serde(default = "test_model")]
    name: String,
    /// Content of its bundle.
    content: String,
    /// What it is trained with.
    table: Table,
}

fn test_model() -> String {
    "test-model".to_owned()
}

#[async_trait]
impl Plugin for MakeModel {
    type Config = MakeModelConfig;
    const NAME: &'static str = "test.model";
    const SUMMARY: &'static str = "makes a model";

    fn outputs() -> Vec<Port> {
        port("model", PortKind::Model)
    }

    async fn run(config: MakeModelConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let model = Model {
            name: config.name,
            version: None,
            bundle: put(context, config.content).await?,
            metrics: [("mae".to_owned(), 1.5)].into(),
            rows: RowCounts {
                train: 3,
                validation: 2,
                holdout: 1,
            },
            parameters: json!({}),
            report: json!({}),
            inputs: Vec::new(),
            source: String::new(),
            simulated: config.table.simulated,
        };
        Ok(Outputs::default().with("model", Output::Model(Box::new(model))))
    }
}

/// Asks for a promotion.
struct Promote;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PromoteConfig {
    /// The model.
    model: Model,
    /// Digest of the champion that the comparison met.
    #[serde(default)]
    expected: Option<String>,
}

#[async_trait]
impl Plugin for Promote {
    type Config = PromoteConfig;
    const NAME: &'static str = "test.promote";
    const SUMMARY: &'static str = "promotes";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        Vec::new()
    }

    async fn run(config: PromoteConfig, _context: &TaskContext) -> Result<Outputs, TaskError> {
        let request = PromotionRequest {
            version: config.model.version.unwrap_or_default(),
            digest: config.model.bundle.sha256,
            model: config.model.name,
            alias: "champion".to_owned(),
            expected_champion: config.expected,
            reason: "it is better".to_owned(),
            comparison: json!({ "verdict": "better" }),
            breaking: false,
        };
        Ok(Outputs {
            promotions: vec![request],
            ..Outputs::default()
        })
    }
}

/// Takes memory and holds it.
struct Hog;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HogConfig {
    /// How much.
    mebibytes: usize,
}

#[async_trait]
impl Plugin for Hog {
    type Config = HogConfig;
    const NAME: &'static str = "test.hog";
    const SUMMARY: &'static str = "takes memory";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        port("value", PortKind::Value)
    }

    async fn run(config: HogConfig, _context: &TaskContext) -> Result<Outputs, TaskError> {
        let mut taken: Vec<u8> = Vec::new();
        for _ in 0..config.mebibytes {
            // Not zeros: pages that were never written are no memory.
            taken.extend((0..1 << 20).map(|place: usize| place as u8 | 1));
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let sum: u64 = taken.iter().map(|byte| u64::from(*byte)).sum();
        Ok(Outputs::default().with("value", Output::Value(json!(sum))))
    }
}

/// Says something and goes on.
struct Talk;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TalkConfig {
    /// How long it goes on.
    seconds: f64,
}

#[async_trait]
impl Plugin for Talk {
    type Config = TalkConfig;
    const NAME: &'static str = "test.talk";
    const SUMMARY: &'static str = "talks";

    fn outputs() -> Vec<Port> {
        port("value", PortKind::Value)
    }

    async fn run(config: TalkConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        context.info("first words");
        context.progress(0.25, "a quarter");
        context.metric("loss", 0.5, 1);
        tokio::time::sleep(Duration::from_secs_f64(config.seconds)).await;
        Ok(Outputs::default().with("value", Output::Value(json!("talked"))))
    }
}

/// Tells what it was given, in every way that there is.
struct Leak;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LeakConfig {
    /// What it tells.
    #[serde(default)]
    secret: String,
    /// The variable whose value it tells, too.
    #[serde(default)]
    variable: String,
    /// Then it fails and says so once more.
    #[serde(default)]
    fails: bool,
}

#[async_trait]
impl Plugin for Leak {
    type Config = LeakConfig;
    const NAME: &'static str = "test.leak";
    const SUMMARY: &'static str = "tells its secret";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        port("value", PortKind::Value)
    }

    async fn run(config: LeakConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let LeakConfig {
            secret,
            variable,
            fails,
        } = config;
        let given = std::env::var(&variable).unwrap_or_default();
        let others = std::env::vars()
            .filter(|(name, _)| name.starts_with("RATCHET_SECRET"))
            .count();
        for text in [&secret, &given] {
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            context.info(format!("said <{text}> {escaped}"));
            context.progress(0.5, format!("half of {text}"));
            context.metric(format!("curve of {text}"), 1.0, 1);
            println!("printed {text}");
            // Across the place at which long lines are cut.
            println!("{}{text}", "x".repeat(16 * 1024 - 5));
            let _ = Command::new("sh")
                .args(["-c", "printf %s \"$1\" | base64", "-", text.as_str()])
                .status();
        }
        let value = json!({ "given": given, "secret": { &*secret: [secret] }, "others": others, "process": std::process::id() });
        if fails {
            return Err(TaskError::permanent(format!("it refuses {secret}{given}"))
                .with_help(format!("use another one than {secret}{given}"))
                .with_outputs(Outputs::default().with("value", Output::Value(value))));
        }
        Ok(Outputs::default().with("value", Output::Value(value)))
    }
}

/// Counts how often it was run, and depends on a file.
struct Counted;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CountedConfig {
    /// Returned.
    value: Value,
    /// Gets a letter each time.
    count: PathBuf,
    /// The file that it depends on.
    reads: PathBuf,
    /// Fails after it counted.
    #[serde(default)]
    fails: bool,
}

#[async_trait]
impl Plugin for Counted {
    type Config = CountedConfig;
    const NAME: &'static str = "test.counted";
    const SUMMARY: &'static str = "counts how often it was run";
    const ISOLATION: Isolation = Isolation::Inline;
    const CACHEABLE: bool = true;

    fn outputs() -> Vec<Port> {
        port("value", PortKind::Value)
    }

    async fn fingerprint(config: &CountedConfig, place: &Place) -> Result<Option<String>, TaskError> {
        let file = place.working_directory.join(&config.reads);
        let read = std::fs::read_to_string(&file).map_err(|error| TaskError::permanent(error.to_string()))?;
        Ok(Some(read))
    }

    async fn run(config: CountedConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let count = context.working_directory.join(&config.count);
        let counted = std::fs::read_to_string(&count).unwrap_or_default() + "I";
        std::fs::write(&count, counted).map_err(|error| TaskError::permanent(error.to_string()))?;
        if config.fails {
            return Err(TaskError::permanent("it fails"));
        }
        Ok(Outputs::default().with("value", Output::Value(config.value)))
    }
}
