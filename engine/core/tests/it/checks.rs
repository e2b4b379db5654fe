//! Each check, with the place that it points to.

use crate::plugins::registry;

/// `code "underlined text": message (help)` of each problem of a file.
fn problems(text: &str) -> Vec<String> {
    let (_, diagnostics) = ratchet_core::check("f.yaml", text, &registry());
    let shown = diagnostics.problems.iter().map(|problem| {
        let underlined = &text[problem.offset..problem.offset + problem.length];
        let help = problem
            .help
            .as_ref()
            .map(|help| format!(" ({help})"))
            .unwrap_or_default();
        format!(
            "{} {}:{} [{underlined}] {}{help}",
            problem.code, problem.line, problem.column, problem.message
        )
    });
    shown.collect()
}

/// A file whose one task has these lines.
fn task(lines: &str) -> String {
    let indented: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("name: a\ntasks:\n  one:\n{indented}")
}

fn one(text: &str) -> String {
    let mut problems = problems(text);
    assert_eq!(problems.len(), 1, "{text}\n{problems:#?}");
    problems.remove(0)
}

macro_rules! expect {
    ($text:expr, $expected:expr) => {
        assert_eq!(one(&$text), $expected)
    };
}

/// Y-001
#[test]
fn syntax() {
    assert!(
        one("name: a\n\ttasks: b\n").starts_with("R0001 2:"),
        "{}",
        one("name: a\n\ttasks: b\n")
    );
    assert!(one("name: [a\n").starts_with("R0001"), "{}", one("name: [a\n"));
    assert!(
        one("a: 1\n---\nb: 2\n").contains("one file holds one DAG"),
        "{}",
        one("a: 1\n---\nb: 2\n")
    );
    assert!(one("").contains("a DAG file is a mapping"), "{}", one(""));
    expect!(
        "- a\n",
        "R0005 1:3 [a] a DAG file is a mapping with `name` and `tasks`, found a list"
    );
}

/// Y-003
#[test]
fn duplicate_keys() {
    expect!(
        task("uses: core.noop\nuses: core.noop"),
        "R0002 5:5 [uses] the key `uses` stands twice in one mapping (keep one of them; neither would be read silently)"
    );
}

/// Y-040
#[test]
fn unquoted_expressions_in_braces() {
    let expected = "R0023 5:19 [${{ params.x }}] `${{ }}` without quotes inside `{ }` or `[ ]` (quote it: YAML reads its braces as a mapping, so write \"${{ ... }}\")";
    expect!(
        task("uses: extract.file\nwith: { from: ${{ params.x }}, limit: 5 }"),
        expected
    );
}

/// Y-002, Y-004
#[test]
fn keys() {
    expect!(
        task("uses: core.noop\nwiht: {}"),
        "R0003 5:5 [wiht] unknown key `wiht` (did you mean `with`?)"
    );
    expect!(
        task("uses: extract.file\nlimit: 5\nwith: { from: x }"),
        "R0003 5:5 [limit] unknown key `limit` (`limit` is configuration of `extract.file`: it goes under `with` of `one`)"
    );
    expect!(
        task("with: {}"),
        "R0004 3:3 [one] `one` lacks the key `uses` (`uses`: Name of the plugin.)"
    );
    expect!(
        task("uses: extract.file"),
        "R0004 3:3 [one] `with` of `one` lacks the key `from` (`from`: Where the records are.)"
    );
    expect!("name: a\ntasks: {}\n", "R0007 2:1 [tasks] `tasks` is empty");
    expect!(
        task("uses: quality.gate\nwith: { table: '${{ tasks.x.table }}', expect: [{ row_cuont: { min: 1 } }] }\nneeds: []")
            .replace("tasks:\n", "tasks:\n  x: { uses: extract.file, with: { from: y } }\n"),
        "R0003 6:55 [row_cuont] unknown key `row_cuont` (did you mean `row_count`?)"
    );
}

/// Y-012
#[test]
fn types() {
    expect!(
        task("uses: extract.file\nwith: { from: [x] }"),
        "R0005 5:20 [x] `from` takes text, found a list"
    );
    expect!(
        task("uses: extract.file\nwith: { from: true }"),
        "R0005 5:19 [true] `from` takes text, found `true` (in quotes it is text: \"true\")"
    );
    expect!(
        task("uses: extract.file\nwith: { from: x, limit: '5' }"),
        "R0005 5:29 ['5'] `limit` takes a whole number or nothing, found the text `5` (leave the quotes away)"
    );
    expect!(
        task("uses: extract.file\nwith: { from: x, limit: 5.0 }"),
        "R0005 5:29 [5.0] `limit` takes a whole number or nothing, found the number 5.0 (write it without fraction and exponent)"
    );
    expect!(
        task("uses: extract.file\nwith: { from: x, null_values: NA }"),
        "R0005 5:35 [NA] `null_values` takes a list, found the text `NA` (put it in brackets: [ ... ])"
    );
    expect!(
        task("uses: core.noop\nneeds: one"),
        "R0005 5:12 [one] `needs` takes a list, found the text `one` (put it in brackets: [ ... ])"
    );
    expect!(
        task("uses: core.noop\nwith:"),
        "R0005 5:9 [] `with` takes a mapping, found nothing"
    );
    expect!(
        task("uses: extract.file\nwith: { from: x, limit: 5x${{ run.id }} }")
            .replace("5x${{ run.id }}", "'5${{ run.id }}'"),
        "R0005 5:29 ['5${{ run.id }}'] `limit` takes a whole number or nothing, found text with an expression inside (make one expression the whole value: it keeps its type then)"
    );
}

/// Y-012
#[test]
fn choices_and_bounds() {
    expect!(
        task("uses: core.noop\ntrigger: all_sucess"),
        "R0006 5:14 [all_sucess] `trigger` cannot be `all_sucess` (did you mean `all_success`?)"
    );
    expect!(
        task("uses: core.noop\nretry: { attempts: 0 }"),
        "R0007 5:24 [0] `attempts` is 0; it is at least 1"
    );
    expect!(
        task("uses: extract.file\nwith: { from: x, limit: 5000000000 }"),
        "R0007 5:29 [5000000000] `limit` is 5000000000; it is at most 4294967295"
    );
    expect!(
        task("uses: extract.file\nwith: { from: x, limit: -1 }"),
        "R0007 5:29 [-1] `limit` is -1; it is at least 0"
    );
    expect!(
        task("uses: core.noop\nretry: { initial: 5m, max: 5s }"),
        "R0007 5:32 [5s] the first pause (300s) is longer than the longest (5s) (raise `max` or lower `initial`)"
    );
}

/// Y-010
#[test]
fn numbers_that_json_cannot_keep() {
    for number in [
        "123456789012345678901234567890",
        "1e999",
        ".inf",
        "-.inf",
        ".nan",
        "-9223372036854775809",
    ] {
        let text = task(&format!(
            "uses: train.model\nwith: {{ table: '${{{{ tasks.x.table }}}}', target: y, notes: [{number}] }}"
        ))
        .replace("tasks:\n", "tasks:\n  x: { uses: extract.file, with: { from: y } }\n");
        assert!(one(&text).starts_with("R0008 "), "{}", one(&text));
        assert!(
            one(&text).contains(&format!("[{number}] {number} cannot be kept")),
            "{}",
            one(&text)
        );
    }
}

/// Y-005
#[test]
fn names() {
    expect!(
        "name: My DAG\ntasks:\n  one: { uses: core.noop }\n",
        "R0009 1:7 [My DAG] the name `My DAG` is not a name (a lower-case letter, then lower-case letters, digits and `-`, at most 100; such as `my-dag`)"
    );
    assert!(one("name: a\ntasks:\n  One: { uses: core.noop }\n").starts_with("R0009 3:3 [One] the task id `One`"));
    let declared = problems("name: a\nparams: { a-b: { type: string } }\ntasks:\n  one: { uses: core.noop }\n");
    assert!(
        declared[0].starts_with("R0009 2:11 [a-b] the parameter `a-b` is not a name"),
        "{declared:?}"
    );
}

/// Y-024, Y-038, Y-050, Y-052
#[test]
fn plugins_tasks_ports_and_parameters() {
    expect!(
        task("uses: extract.fil"),
        "R0010 4:11 [extract.fil] unknown plugin `extract.fil` (did you mean `extract.file`?)"
    );
    expect!(
        task("uses: core.noop\nneeds: [on]"),
        "R0011 5:13 [on] unknown task `on` (did you mean `one`?)"
    );
    let two = |with: &str| {
        format!("name: a\ntasks:\n  x: {{ uses: extract.file, with: {{ from: y }} }}\n  one:\n    uses: {with}\n")
    };
    expect!(
        two("quality.gate\n    with: { table: '${{ tasks.y.table }}' }"),
        "R0011 6:25 [tasks.y.table] unknown task `y` (one of `one`, `x`)"
    );
    expect!(
        two("quality.gate\n    with: { table: '${{ tasks.x.tabel }}' }"),
        "R0012 6:25 [tasks.x.tabel] `extract.file` of task `x` has no port `tabel` (did you mean `table`?)"
    );
    expect!(
        two("quality.gate\n    with: { table: '${{ tasks.x.rows }}' }"),
        "R0013 6:25 [tasks.x.rows] `tasks.x.rows` is a value, `table` takes a table (write `${{ tasks.<id>.<port> }}`, one of `tasks.one.table`, `tasks.x.table`)"
    );
    expect!(
        two("quality.gate\n    with: { table: x.csv }"),
        "R0013 6:20 [x.csv] `table` takes a table that a task made, found the text `x.csv` (write `${{ tasks.<id>.<port> }}`, one of `tasks.one.table`, `tasks.x.table`)"
    );
    expect!(
        two("extract.file\n    with: { from: '${{ tasks.x.table }}' }"),
        "R0013 6:19 ['${{ tasks.x.table }}'] `tasks.x.table` is a table, `from` takes text"
    );
    expect!(
        two("core.noop\n    when: ${{ tasks.x.table }}"),
        "R0013 6:11 [${{ tasks.x.table }}] `tasks.x.table` is a table, `when` takes boolean or integer or number or text"
            .replace("boolean", "`true` or `false`").replace("`true` or `false` or integer or number or text", "`true` or `false` or a whole number or a number or text")
    );
    expect!(
        two("extract.file\n    with: { from: '${{ params.form }}' }"),
        "R0014 6:24 [params.form] unknown parameter `form` (declare it: params: { form: { type: ... } })"
    );
    let text = "name: a\nparams: { from: { type: integer, default: 5 } }\ntasks:\n  one: { uses: extract.file, with: { from: '${{ params.from }}' } }\n";
    expect!(
        text,
        "R0005 4:44 ['${{ params.from }}'] `params.from` is a whole number, `from` takes text (change the parameter's `type`, or convert: `| string`, `| int`, `| float`)"
    );
}

/// Y-035, Y-039
#[test]
fn expressions() {
    let from = |expression: &str| task(&format!("uses: extract.file\nwith:\n  from: {expression}"));
    expect!(
        from("${{ tasks['a'] }}"),
        "R0015 6:17 [tasks['a']] `tasks` is only read as `tasks.<id>.<port>` (write task and port behind dots: that is what draws the edge)"
    );
    expect!(
        from("${{ 1 + }}"),
        "R0015 6:17 [1 +] not an expression: unexpected end of input, expected expression"
    );
    expect!(
        from("${{ 'a"),
        "R0015 6:13 [${{ 'a] `${{` without its `}}` (close it, and quote the whole value where it holds ` #` or `: `)"
    );
    expect!(
        from("${{ run.date }}"),
        "R0015 6:17 [run.date] `run` has no field `date` (one of `id`, `logical_date`, `interval_start`, `interval_end`)"
    );
    expect!(
        task("uses: core.noop\nwhen: params.x"),
        "R0015 5:11 [params.x] `when` takes one expression (write `${{ params.x }}`)"
    );
    expect!(
        task("uses: core.noop\ntimeout: ${{ params.x }}"),
        "R0015 5:14 [${{ params.x }}] `timeout` is not rendered: no expression works here (`${{ }}` is rendered in `with`, `when`, `foreach`, `environment` and `notify`; write the value itself)"
    );
    assert_eq!(problems(&task("uses: core.noop\nwhen: false")), Vec::<String>::new());
    assert_eq!(
        problems(&from("\"x ${{ run.id }} # ${{ '}}' }}\"")),
        Vec::<String>::new()
    );
}

/// Y-053
#[test]
fn cycles() {
    let text = "name: a\ntasks:\n  one: { uses: core.noop, needs: [three] }\n  two: { uses: core.noop, needs: [one] }\n  three: { uses: core.noop, needs: [two] }\n";
    expect!(
        text,
        "R0016 3:35 [three] these tasks wait for each other: `one` after `three` after `two` after `one` (remove one of these references or entries of `needs`)"
    );
    let text = "name: a\ntasks:\n  one: { uses: quality.gate, with: { table: '${{ tasks.one.table }}' } }\n";
    expect!(
        text,
        "R0016 3:50 [tasks.one.table] task `one` waits for itself (remove the reference or the entry of `needs`)"
    );
}

/// Y-065, Y-066, Y-080, Y-082, Y-086
#[test]
fn notations() {
    let schedule =
        |schedule: &str| format!("name: a\nschedule: {{ {schedule} }}\ntasks:\n  one: {{ uses: core.noop }}\n");
    expect!(
        schedule("cron: '0 2 15 jam *'"),
        "R0017 2:27 [jam] `jam` is not a month (1 to 12, or `jan` to `dec`)"
    );
    expect!(
        schedule("cron: 0 2 15 *"),
        "R0017 2:19 [0 2 15 *] `0 2 15 *` has 4 fields, a cron line has five (write five: minute, hour, day of month, month, day of week, such as `0 2 15 * *`)"
    );
    expect!(
        schedule("cron: '0 2 * * *', timezone: Europe/Londno"),
        "R0018 2:42 [Europe/Londno] unknown time zone `Europe/Londno` (did you mean `Europe/London`?)"
    );
    expect!(
        task("uses: core.noop\ntimeout: 30"),
        "R0019 5:14 [30] the duration `30` lacks a unit (write number and unit: `500ms`, `5s`, `30m`, `1h30m`, `21d`)"
    );
    expect!(
        task("uses: core.noop\nresources: { memory: 4G }"),
        "R0020 5:26 [4G] `G` is not a unit of memory (write number and unit: `512MiB`, `4GiB`, `1.5GB`)"
    );
}

/// Y-020, Y-021
#[test]
fn parameters() {
    let params = |declaration: &str| {
        format!(
            "name: a\nparams:\n  x: {{ {declaration} }}\ntasks:\n  one: {{ uses: extract.file, with: {{ from: 'a ${{{{ params.x }}}}' }} }}\n"
        )
    };
    expect!(
        params("type: integer, default: few"),
        "R0021 3:32 [few] the default of `x` takes a whole number, not `few`"
    );
    expect!(
        params("type: integer, default: 5, minimum: 6"),
        "R0021 3:32 [5] the default of `x` is 5; it is at least 6"
    );
    expect!(
        params("type: integer, minimum: 6, maximum: 5"),
        "R0021 3:35 [maximum] the maximum 5 is below the minimum 6"
    );
    expect!(
        params("type: string, minimum: 6"),
        "R0021 3:22 [minimum] `x` is text: `minimum` bounds numbers (remove it, or make the parameter a number)"
    );
    expect!(
        params("type: string, choices: [a, b], default: c"),
        "R0021 3:48 [c] the default of `x` cannot be `c`: one of `a`, `b`"
    );
    expect!(
        params("default: 5"),
        "R0004 3:3 [x] `x` lacks the key `type` (`type`: Type of the value.)"
    );
    expect!(
        params("type: text"),
        "R0006 3:14 [text] `type` cannot be `text` (one of `string`, `integer`, `number`, `boolean`)"
    );
}

/// Y-051
#[test]
fn plugins_judge_what_they_will_see() {
    expect!(
        task("uses: extract.file\nwith: { from: '' }"),
        "R0022 5:19 [''] `extract.file`: the address is empty (name a file)"
    );
    let text = |default: &str, with: &str| {
        format!(
            "name: a\nparams: {{ s: {{ type: integer{default} }} }}\ntasks:\n  x: {{ uses: extract.file, with: {{ from: y }} }}\n  one: {{ uses: train.model, with: {{ table: '${{{{ tasks.x.table }}}}', target: y, {with} }} }}\n"
        )
    };
    let seed = "seed: '${{ params.s }}'";
    expect!(
        text(", default: 13", seed),
        "R0022 5:85 ['${{ params.s }}'] `train.model`: 13 brings no luck"
    );
    expect!(
        text(", default: -1", seed),
        "R0007 5:85 ['${{ params.s }}'] `seed` is -1; it is at least 0 (rendered with the parameters' defaults)"
    );
    assert_eq!(
        problems(&text("", seed)),
        Vec::<String>::new(),
        "without a default nothing is known yet"
    );
    assert_eq!(
        problems(&text(", default: 13", "seed: '${{ params.s + tasks.x.rows }}'")),
        Vec::<String>::new()
    );
}

#[test]
fn what_the_defaults_skip_need_not_be_configured() {
    let text = |when: &str| {
        format!(
            "name: a\nparams: {{ from: {{ type: string, default: '' }} }}\ntasks:\n  one: {{ uses: extract.file, when: \"{when}\", with: {{ from: '${{{{ params.from }}}}' }} }}\n"
        )
    };
    assert_eq!(problems(&text("${{ params.from != '' }}")), Vec::<String>::new());
    assert!(one(&text("${{ params.from == '' }}")).contains("the address is empty"));
    assert!(one(&text("${{ run.id != '' }}")).contains("the address is empty"));
}

#[test]
fn enums_point_to_the_branch_that_is_meant() {
    let text = |candidate: &str| {
        format!(
            "name: a\ntasks:\n  x: {{ uses: extract.file, with: {{ from: y }} }}\n  one: {{ uses: train.model, with: {{ table: '${{{{ tasks.x.table }}}}', target: y, candidates: [{candidate}] }} }}\n"
        )
    };
    assert_eq!(
        problems(&text(
            "{ kind: boosting, trees: 3 }, { kind: linear, ridge: 0.5 }, { kind: linear }"
        )),
        Vec::<String>::new()
    );
    assert!(
        one(&text("{ kind: boosting }")).contains("lacks the key `trees`"),
        "{}",
        one(&text("{ kind: boosting }"))
    );
    assert!(
        one(&text("{ kind: boostin, trees: 3 }")).contains("`kind` cannot be `boostin` (did you mean `boosting`?)")
    );
    assert!(one(&text("{ trees: 3 }")).contains("lacks the key `kind` (one of `linear`, `boosting`)"));
    assert!(one(&text("{ kind: linear, tress: 3 }")).contains("unknown key `tress`"));
    let gate = |expect: &str| {
        format!(
            "name: a\ntasks:\n  x: {{ uses: extract.file, with: {{ from: y }} }}\n  one: {{ uses: quality.gate, with: {{ table: '${{{{ tasks.x.table }}}}', expect: [{expect}] }} }}\n"
        )
    };
    assert!(one(&gate("{ null_share: { columns: [a], max: 2 } }")).contains("`max` is 2; it is at most 1"));
    assert!(
        one(&gate("{ row_count: { min: 1 }, null_share: { columns: [a], max: 1 } }"))
            .contains("has 2 keys; it has one")
    );
    assert!(
        one(&gate("row_count")).contains("takes a mapping, found the text `row_count`"),
        "{}",
        one(&gate("row_count"))
    );
    assert!(
        one(&gate("{ row_count: { min: 1 } }], severity: [")).contains("found a list"),
        "{}",
        one(&gate("{ row_count: { min: 1 } }], severity: ["))
    );
    assert!(
        one(&gate("], severity: fial, expect2: [").replace(", expect2: []", ""))
            .contains("`severity` cannot be `fial` (did you mean `fail`?)")
    );
}

/// Y-024, Y-067
#[test]
fn warnings_do_not_refuse_a_file() {
    let text = "name: a\nparams: { x: { type: string } }\ntasks:\n  one: { uses: core.noop, trigger: all_done }\n  x: { uses: extract.file, when: '${{ run.id == 1 }}', with: { from: y } }\n  two: { uses: quality.gate, needs: [one], trigger: all_done, with: { table: '${{ tasks.x.table }}' } }\n";
    assert_eq!(
        problems(text),
        [
            "R0025 2:11 [x] nothing reads the parameter `x` (read it as `${{ params.x }}`, or remove it)",
            "R0027 4:27 [trigger] `one` comes after nothing: its trigger changes nothing (name the tasks before it in `needs`, or remove `trigger`)",
            "R0026 6:83 [tasks.x.table] `tasks.x.table` may be absent: the task's trigger lets it start although that one was skipped or failed (say what it is then: `tasks.x.table | default(none)`)",
        ]
    );
    assert!(ratchet_core::load("f.yaml", text, &registry()).is_ok());
}

#[test]
fn secrets_and_what_they_may_be_read_in() {
    let text = "name: a\ndefaults: { environment: { KEY: '${{ secrets.KEY }}' } }\nnotify: [{ on: [failure, promotion], webhook: '${{ secrets.HOOK }}' }]\ntasks:\n  one: { uses: extract.file, environment: { LEVEL: 1.10 }, with: { from: 'https://${{ secrets.HOST }}/x' } }\n";
    assert_eq!(problems(text), Vec::<String>::new());
    let dag = ratchet_core::load("f.yaml", text, &registry()).unwrap();
    assert_eq!(dag.secrets, ["HOOK", "HOST", "KEY"].map(str::to_owned).into());
    assert_eq!(
        dag.tasks[0].environment,
        [("KEY", "${{ secrets.KEY }}"), ("LEVEL", "1.10")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    );
    assert_eq!(
        dag.notify[0].to,
        ratchet_core::spec::NotifyTo::Webhook("${{ secrets.HOOK }}".to_owned())
    );
    assert_eq!(dag.notify[0].on.len(), 2);

    let (loaded, diagnostics) =
        ratchet_core::check_with_secrets("f.yaml", text, &registry(), &|name| name != "HOST" && name != "HOOK");
    assert!(loaded.is_some(), "a secret may be elsewhere");
    let warned: Vec<(String, &str)> = diagnostics
        .warnings()
        .map(|problem| {
            let place = problem.offset..problem.offset + problem.length;
            (problem.code.to_string(), &text[place])
        })
        .collect();
    let expected = |name| ("R0028".to_owned(), name);
    assert_eq!(warned, [expected("secrets.HOOK"), expected("secrets.HOST")]);

    expect!(
        task("uses: core.noop\nwhen: ${{ secrets.KEY == 'x' }}"),
        "R0015 5:15 [secrets.KEY] a condition reads no secret: what `KEY` made of it would be shown (read the secret in `with` or `environment` of a task, and that task's port here)"
    );
    expect!(
        "name: a\nparams: { x: { type: string, default: '${{ secrets.KEY }}' } }\ntasks:\n  one: { uses: extract.file, with: { from: '${{ params.x }}' } }\n",
        "R0015 2:39 ['${{ secrets.KEY }}'] `default` is not rendered: no expression works here (`${{ }}` is rendered in `with`, `when`, `foreach`, `environment` and `notify`; write the value itself)"
    );
    expect!(
        task("uses: extract.file\nwith: { from: x, limit: '${{ secrets.KEY }}' }"),
        "R0005 5:29 ['${{ secrets.KEY }}'] `secrets.KEY` is text, `limit` takes a whole number or nothing (convert it: `| int`, `| float`)"
    );
    assert!(one(&task("uses: extract.file\nwith: { from: \"${{ secrets['KEY'] }}\" }")).contains("only read as"));
}

#[test]
fn environments() {
    expect!(
        task("uses: core.noop\nenvironment: { A-B: x }"),
        "R0009 5:20 [A-B] `A-B` is not the name of a variable (a letter or `_`, then letters, digits and `_`)"
    );
    expect!(
        task("uses: core.noop\nenvironment: { RATCHET_SECRET_X: x }"),
        "R0009 5:20 [RATCHET_SECRET_X] the variable `RATCHET_SECRET_X` belongs to the engine (take another name)"
    );
    expect!(
        task("uses: core.noop\nenvironment: { DEBUG: true }"),
        "R0005 5:27 [true] `DEBUG` takes text, found `true` (in quotes it is text: \"true\")"
    );
    assert!(one(&task("uses: core.noop\nenvironment: { A: '${{ params.x }}' }")).contains("unknown parameter `x`"));
    expect!(
        "name: a\ndefaults: { environment: { A: '${{ tasks.one.table }}' } }\ntasks:\n  one: { uses: extract.file, with: { from: x } }\n",
        "R0015 2:36 [tasks.one.table] `environment` belongs to no task: it cannot read what `one` makes (it reads `params.<name>`, `run.<field>` and `secrets.<name>`)"
    );
    let edge = "name: a\ntasks:\n  two: { uses: core.noop, environment: { ROWS: '${{ tasks.one.rows }}' } }\n  one: { uses: extract.file, with: { from: x } }\n";
    let dag = ratchet_core::load("f.yaml", edge, &registry()).unwrap();
    assert_eq!(dag.task("two").unwrap().dependencies, ["one".to_owned()].into());
}

#[test]
fn notifications() {
    let text = |entry: &str| format!("name: a\nnotify: [{entry}]\ntasks: {{ one: {{ uses: core.noop }} }}\n");
    expect!(
        text("{ on: [failure], webhook: slack }"),
        "R0007 2:36 [slack] the webhook begins with neither https:// nor http:// (write the whole address, or keep it as a secret: `${{ secrets.NAME }}`)"
    );
    assert!(one(&text("{ on: [failur], webhook: 'http://x' }")).contains("did you mean `failure`?"));
    assert!(one(&text("{ on: [], webhook: 'http://x' }")).starts_with("R0007"));
    assert!(one(&text("{ on: [failure] }")).contains("lacks `webhook` or `mail`"));
    assert!(one(&text("{ on: [failure], webhook: 'http://x', mail: [a@b] }")).contains("stand in one entry"));
    assert_eq!(
        problems(&text("{ on: [failure], mail: [a@b, '${{ secrets.C }}'] }")),
        Vec::<String>::new()
    );
    expect!(
        text("{ on: [failure], mail: [team] }"),
        "R0007 2:34 [team] this is no mail address (write it as `team@example.com`, one an entry)"
    );
    let of_task = |on: &str| task(&format!("uses: core.noop\nnotify: [{{ on: [{on}], mail: [a@b] }}]"));
    assert_eq!(problems(&of_task("failure, success")), Vec::<String>::new());
    assert!(one(&of_task("promotion")).starts_with("R0006"));
}

#[test]
fn lists_that_make_instances() {
    let list = |lines: &str| {
        task(&format!(
            "uses: extract.file\nforeach: {lines}\nwith: {{ from: '${{{{ item }}}}' }}"
        ))
    };
    expect!(
        task("uses: extract.file\nwith: { from: '${{ item }}' }"),
        "R0015 5:24 [item] `item` is only there in a task with `foreach` (give the task `foreach: { items: [...] }`; each item makes an instance of it)"
    );
    expect!(
        list("{ items: [a, b, a], key: '${{ item }}' }"),
        "R0030 5:30 [a] its `foreach` has the key `a` for item 0 and for item 2 (let `key` tell them apart, or leave it out: instances are numbered then)"
    );
    expect!(
        list("{ items: 'a, b' }"),
        "R0015 5:23 ['a, b'] `items` takes a list, or one expression that gives one (write one `${{ ... }}` and nothing around it)"
    );
    expect!(
        list("{ items: ['${{ index }}'] }"),
        "R0015 5:29 [index] `items` makes the items: it cannot read `index` (it reads `params.<name>`, `tasks.<id>.<port>` and `run.<field>`)"
    );
    expect!(
        list("{ items: [1], max_parallel: 0 }"),
        "R0007 5:42 [0] `max_parallel` is 0; it is at least 1"
    );
    expect!(
        list("{ items: ['${{ secrets.KEY }}'] }"),
        "R0015 5:29 [secrets.KEY] `foreach` reads no secret: what `KEY` made of it would be kept and shown (read the secret in `with` or `environment` of the task)"
    );
    assert_eq!(problems(&list("{ items: [1, [2], { a: b }] }")), [""; 0]);
    let before = "tasks:\n  x: { uses: extract.file, with: { from: y } }\n";
    expect!(
        list("{ items: '${{ tasks.x.table }}' }").replace("tasks:\n", before),
        "R0013 6:23 ['${{ tasks.x.table }}'] `tasks.x.table` is a table, `items` takes a list"
    );
    let many = "tasks:\n  x: { uses: extract.file, foreach: { items: [y] }, with: { from: '${{ item }}' } }\n";
    expect!(
        task("uses: quality.gate\nwith: { table: '${{ tasks.x.table }}', expect: [{ row_count: { min: 1 } }] }")
            .replace("tasks:\n", many),
        "R0013 6:25 [tasks.x.table] `tasks.x.table` is a list, `table` takes one table (its task has `foreach`: pick one entry, such as `| first`, or hand the list to a task that takes one)"
    );
    let picked = task(
        "uses: quality.gate\nwith: { table: '${{ tasks.x.table | first }}', expect: [{ row_count: { min: 1 } }] }",
    );
    assert_eq!(problems(&picked.replace("tasks:\n", many)), [""; 0]);
}

/// Y-121
#[test]
fn pools() {
    let text = |lines: &str| task(&format!("uses: extract.file\nwith: {{ from: x }}\n{lines}"));
    let problems_with = |pools: &[(&str, u32)], text: &str| -> Vec<String> {
        let mut registry = registry();
        registry.declare_pools(pools.iter().map(|(name, slots)| ((*name).to_owned(), *slots)).collect());
        let (_, diagnostics) = ratchet_core::check("f.yaml", text, &registry);
        let shown = diagnostics.problems.iter().map(|problem| {
            format!(
                "{} {} ({})",
                problem.code,
                problem.message,
                problem.help.clone().unwrap_or_default()
            )
        });
        shown.collect()
    };
    let declared = [("gpu", 2), ("licence", 1)];
    assert_eq!(
        problems_with(&declared, &text("pool: gpus")),
        ["R0031 unknown pool `gpus` (did you mean `gpu`?)"]
    );
    assert_eq!(
        problems_with(&[], &text("pool: gpu")),
        ["R0031 unknown pool `gpu` (ratchet.toml declares no pools: write `gpu = 1` under `[pools]` there)"]
    );
    assert_eq!(
        problems_with(&declared, &text("pool: gpu\nslots: 3")),
        [
            "R0031 an attempt takes 3 slots of `gpu`, which has 2: it would wait for ever (take fewer, or raise the pool in ratchet.toml)"
        ]
    );
    assert_eq!(
        problems_with(&declared, &text("slots: 2")),
        ["R0027 `slots` are slots of a pool, and the task names none (name it with `pool`, or remove `slots`)"]
    );
    assert!(problems_with(&declared, &text("pool: gpu\nslots: 2\npriority: -5")).is_empty());
    assert!(
        problems(&text("pool: anything")).is_empty(),
        "nobody said which there are"
    );
    expect!(
        text("priority: 2000"),
        "R0007 6:15 [2000] `priority` is 2000; it is at most 1000"
    );
}

/// Y-133
#[test]
fn approvals() {
    let ask = |lines: &str| task(&format!("approval:\n  message: Really?\n{lines}"));
    assert!(
        problems(&ask(
            "  fields: { note: { type: string } }\n  deadline: 24h\n  on_reject: skip"
        ))
        .is_empty()
    );
    expect!(
        format!("uses: extract.file\n{}", "approval: { message: x }")
            .replacen("uses", "name: a\ntasks:\n  one: { uses", 1)
            .replace("\napproval", ", approval")
            + " }\n",
        "R0032 3:10 [uses] `one` asks a person: `uses` does nothing there (put what runs into a task behind it, which reads `approved`)"
    );
    expect!(
        ask("  fields: { by: { type: string } }"),
        "R0032 6:17 [by] the form cannot have a field `by`: every approval has an output of that name (take another name)"
    );
    expect!(
        ask("  fields: { note: { type: string } }\n  deadline: 1h\n  on_deadline: approve"),
        "R0032 6:17 [note] the field `note` has no default, and the deadline approves without asking for it (give it a default, or let the deadline reject)"
    );
    expect!(
        ask("  on_deadline: reject"),
        "R0027 6:7 [on_deadline] without a `deadline` nothing happens then (say how long the question stands, such as `deadline: 24h`)"
    );
    expect!(
        ask("  deadline: soon"),
        "R0019 6:17 [soon] `soon` is not a duration (write number and unit: `500ms`, `5s`, `30m`, `1h30m`, `21d`)"
    );
    expect!(
        ask("").replace("Really?", "'${{ secrets.KEY }}?'"),
        "R0015 5:21 [secrets.KEY] a question reads no secret: what `KEY` made of it would be shown (ask without it)"
    );
    expect!(
        task("needs: []"),
        "R0004 3:3 [one] `one` lacks the key `uses` (`uses`: Name of the plugin.)"
    );
    let after = "  two:\n    uses: extract.file\n    with: { from: '${{ tasks.one.PORT }}' }\n";
    let form = ask("  fields: { note: { type: string } }");
    assert!(problems(&(form.clone() + &after.replace("PORT", "note"))).is_empty());
    expect!(
        form + &after.replace("PORT", "notes"),
        "R0012 9:24 [tasks.one.notes] the approval of task `one` has no port `notes` (did you mean `note`?)"
    );
}

/// A DAG with these triggers, a task `clean` and a parameter.
fn triggered(triggers: &str) -> String {
    format!(
        "name: rides\ntriggers:\n  - {triggers}\nparams: {{ src: {{ type: string, default: a.csv }} }}\n\
         tasks:\n  clean: {{ uses: extract.file, with: {{ from: '${{{{ params.src }}}}' }} }}\n"
    )
}

#[test]
fn triggers_that_are_whole() {
    let text = "name: rides\ntriggers:\n  - on_data_change: { from: '${{ params.src }}', every: 90s }\n  - on_data_change: { from: s3://b/k.csv }\n  - on_drift: { model: eta }\n  - on_degradation: { model: eta, metric: mae, worse_by: 10% }\n  - on_degradation: { model: eta, metric: r2, below: 0.5, min_labels: 100 }\n  - on_dataset: { dataset: trips }\n  - on_webhook: { token: '${{ secrets.HOOK }}', params: { src: /data/src } }\ncooldown: 6h\ndeadline: 4h\nparams: { src: { type: string, default: a.csv } }\ntasks:\n  clean: { uses: core.noop }\n";
    assert_eq!(problems(text), Vec::<String>::new());
    let dag = ratchet_core::load("f.yaml", text, &registry()).unwrap();
    let shown: Vec<String> = dag.triggers.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "on_data_change ${{ params.src }}",
            "on_data_change s3://b/k.csv",
            "on_drift eta",
            "on_degradation eta mae worse_by 10%",
            "on_degradation eta r2 below 0.5",
            "on_dataset trips",
            "on_webhook"
        ]
    );
    assert_eq!(dag.cooldown.as_secs(), 6 * 3600);
    assert_eq!(dag.deadline.map(|deadline| deadline.as_secs()), Some(4 * 3600));
    let ratchet_core::spec::Trigger::DataChange { every, .. } = &dag.triggers[1] else {
        panic!("{:?}", dag.triggers)
    };
    assert_eq!(every.as_secs(), 3600, "the default");
    assert!(dag.secrets.contains("HOOK"));
}

/// Y-146
#[test]
fn triggers_that_could_not_work() {
    for (trigger, expected) in [
        (
            "on_data_chang: { from: x }",
            "R0003 3:5 [on_data_chang] unknown key `on_data_chang` (did you mean `on_data_change`?)",
        ),
        (
            "on_data_change: { from: 'simulated://lfb' }",
            "R0040 3:30 [simulated] `simulated://` cannot be watched (simulated records never change: use a schedule)",
        ),
        (
            "on_data_change: { from: 'htps://x/a.csv' }",
            "R0040 3:30 [htps] `htps://` cannot be watched (did you mean `https://`?)",
        ),
        (
            "on_data_change: { from: '${{ run.id }}' }",
            "R0040 3:34 [run.id] `from` is looked at without a run: it cannot read `run.id` (it reads `params.<name>`, by their defaults)",
        ),
        (
            "on_data_change: { from: '${{ secrets.A }}' }",
            "R0040 3:34 [secrets.A] `from` is looked at without a run: it cannot read `secrets.A` (it reads `params.<name>`, by their defaults)",
        ),
        (
            "on_data_change: { from: '${{ params.scr }}' }",
            "R0014 3:34 [params.scr] unknown parameter `scr` (did you mean `src`?)",
        ),
        (
            "on_data_change: { from: x, every: 10ms }",
            "R0007 3:39 [10ms] `10ms` is shorter than a second (write `1m` or `1h`)",
        ),
        (
            "on_drift: { model: Eta }",
            "R0009 3:24 [Eta] the name `Eta` is not a name (a lower-case letter, then lower-case letters, digits and `-`, at most 100; such as `eta`)",
        ),
        (
            "on_degradation: { model: eta, metric: mae }",
            "R0004 3:5 [on_degradation] `on_degradation` does not say how much is too much (write one of `worse_by: 10%`, `drop: 0.1`, `below: 0.5`)",
        ),
        (
            "on_degradation: { model: eta, metric: mae, below: 50 }",
            "R0040 3:48 [below] less of `mae` is better: `below` would fire where the model is good (write `worse_by: 10%` or `drop: ...`, by how much it may rise)",
        ),
        (
            "on_degradation: { model: eta, metric: maee, drop: 5 }",
            "R0040 3:43 [maee] nobody knows whether more of `maee` is better (did you mean `mae`?)",
        ),
        (
            "on_degradation: { model: eta, metric: r2, drop: 0.1, below: 0.5 }",
            "R0040 3:47 [drop] `on_degradation` has one of `worse_by`, `below` and `drop` (make each its own trigger)",
        ),
        (
            "on_degradation: { model: eta, metric: mae, worse_by: 10 }",
            "R0007 3:58 [10] `10` is not a percentage (write a share of the holdout's value: `10%`)",
        ),
        (
            "on_dataset: { dataset: rides-clean }",
            "R0040 3:28 [rides-clean] `rides-clean` is what task `clean` makes: the DAG would start itself (name a dataset of another DAG; `ratchet datasets list` shows them)",
        ),
        (
            "on_webhook: { token: abc }",
            "R0040 3:26 [abc] the token of a webhook is no secret (whoever reads the file could start runs: write `${{ secrets.NAME }}`)",
        ),
        (
            "on_webhook: { token: '${{ secrets.A }}', params: { srk: /x } }",
            "R0014 3:56 [srk] unknown parameter `srk` (did you mean `src`?)",
        ),
        (
            "on_webhook: { token: '${{ secrets.A }}', params: { src: x } }",
            "R0040 3:61 [x] `x` is no place in the body (write a JSON pointer: `/until`, `/commit/id`)",
        ),
    ] {
        assert_eq!(one(&triggered(trigger)), expected, "{trigger}");
    }
    let twice = triggered("on_drift: { model: eta }\n  - on_drift: { model: eta }");
    assert!(
        one(&twice).starts_with("R0040 4:5 [on_drift] `on_drift eta` stands twice"),
        "{}",
        one(&twice)
    );
    let without = triggered("on_drift: { model: eta }").replace(", default: a.csv", "");
    assert_eq!(
        one(&without),
        "R0040 4:11 [src] the parameter `src` has no default, and `on_drift` gives it no value (give it a `default`)"
    );
    expect!(
        "name: a\ncooldown: 6h\ntasks: { one: { uses: core.noop } }\n",
        "R0027 2:1 [cooldown] there are no triggers: `cooldown` changes nothing (it is the least time between runs that `triggers` start; a schedule has its own pace)"
    );
    expect!(
        "name: a\ndeadline: 4\ntasks: { one: { uses: core.noop } }\n",
        "R0019 2:11 [4] the duration `4` lacks a unit (write number and unit: `500ms`, `5s`, `30m`, `1h30m`, `21d`)"
    );
}
