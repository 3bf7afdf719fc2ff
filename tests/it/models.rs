//! Which model a variant really has, on the real models that `scripts/setup.sh` makes: locked, made by a recipe,
//! held in the base, or held by Git LFS; and what of a change is unchanged.

use crate::support::{Project, Run, model, root};
use perfgate::record::{Direction, VerdictKind};
use std::path::Path;

const RULES: &str = "[rules]\nlatency = { limit = \"900%\" }\nmodel_size = \"5%\"\n";

/// A folder of hard links to a model's files.
fn link(name: &str, to: &Path) {
    let from = model(name);
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        if !entry.file_name().to_string_lossy().starts_with("openvino_detok") {
            std::fs::hard_link(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn variant(name: &str, keys: &str) -> String {
    format!(
        "[variants.{name}]\nengine = \"openvino\"\nmodel = \"models/{name}\"\nthreads = 1\n\
         properties = {{ INFERENCE_PRECISION_HINT = \"f32\", KV_CACHE_PRECISION = \"f16\" }}\n\
         runtime_version = \"2026.4.1\"\n{keys}\n"
    )
}

fn config(int8: &str) -> String {
    format!(
        "[workload]\ntasks = \"tasks.jsonl\"\nprompt_tokens = 8\ngen_tokens = 4\n\
         [session]\nrounds = 1\nstop = \"never\"\n{}{}",
        variant("fp16", ""),
        variant("int8", int8)
    )
}

/// A repository with FP16 and INT8, locked if wanted; the models lie in an ignored folder.
fn repository(keys: &str, lock: bool) -> Project {
    let project = Project::new(&config(keys), RULES);
    project.write("tasks.jsonl", "{\"id\": \"a\", \"prompt\": \"Name a colour.\"}\n");
    project.git(&["init", "-q", "-b", "main"]);
    project.write(".gitignore", ".perfgate/\nmodels/\n");
    std::fs::create_dir_all(project.path().join(".perfgate")).unwrap();
    let runtimes = root().join("runtimes");
    std::os::unix::fs::symlink(runtimes, project.path().join(".perfgate/runtimes")).unwrap();
    link("ov-fp16", &project.path().join("models/fp16"));
    link("ov-int8", &project.path().join("models/int8"));
    if lock {
        let run = project.run(&["doctor", "--lock"]);
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    }
    project.commit("first");
    project.git(&["checkout", "-qb", "change"]);
    project
}

fn plan(project: &Project) -> Run {
    project.run(&["check", "--against", "main", "--dry-run"])
}

fn edit(project: &Project, from: &str, to: &str) {
    let text = std::fs::read_to_string(project.path().join("perfgate.toml")).unwrap();
    assert!(text.contains(from), "{text}");
    project.write("perfgate.toml", &text.replacen(from, to, 1));
}

#[test]
fn a_model_that_is_locked_is_known_by_its_content() {
    let project = repository("", true);
    let run = plan(&project);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("latency/base, model_size/base: unchanged: the same in the base"),
        "{}",
        run.stdout
    );
    // The same files elsewhere are the same model.
    link("ov-int8", &project.path().join("models/copy"));
    edit(&project, "models/int8", "models/copy");
    assert!(
        plan(&project).stdout.contains("model_size/base: unchanged"),
        "{}",
        plan(&project).stdout
    );
    // Threads, properties and prompts make another variant.
    let whole = std::fs::read_to_string(project.path().join("perfgate.toml")).unwrap();
    for (from, to) in [
        ("models/copy\"\nthreads = 1", "models/copy\"\nthreads = 2"),
        (
            "models/copy\"\nthreads = 1\nproperties = { INFERENCE_PRECISION_HINT = \"f32\", ",
            "models/copy\"\nthreads = 1\nproperties = { ",
        ),
        ("models/copy\"\n", "models/copy\"\nchat_template = \"none\"\n"),
    ] {
        edit(&project, from, to);
        let run = plan(&project);
        assert!(run.stdout.contains("int8@base: openvino"), "{to}: {}{}", run.stdout, run.stderr);
        project.write("perfgate.toml", &whole);
    }
    // Another model under the same name is not the one that is locked.
    link("ov-fp16", &project.path().join("models/copy"));
    let run = plan(&project);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("and model_sha256 is"), "{}", run.stderr);
    assert!(run.stderr.contains("perfgate doctor --lock"), "{}", run.stderr);
    assert_eq!(project.run(&["doctor"]).code, 2, "the doctor says it too");
}

#[test]
fn a_candidate_that_points_to_another_model_is_a_changed_one() {
    let project = repository("", true);
    edit(&project, "models/int8", "models/fp16");
    let run = project.run(&["doctor", "--lock"]);
    assert!(run.stdout.contains("locked  int8"), "{}", run.stdout);
    let run = project.run(&["check", "--against", "main"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let verdicts = project.results().verdicts;
    let of = |id: &str| verdicts.iter().find(|verdict| verdict.rule.id == id).unwrap();
    assert_eq!(of("model_size/base").verdict, VerdictKind::Regressed, "twice the size");
    assert_eq!(of("model_size").verdict, VerdictKind::Pass, "the size of the reference");
    // Nor is a reference taken whose files are others than the base's.
    link("ov-int8", &project.path().join("models/fp16"));
    project.run(&["doctor", "--lock"]);
    let run = plan(&project);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("variant 'fp16': the model is of sha256"), "{}", run.stderr);
    // A reference that is swapped stays what it was.
    let project = repository("", true);
    edit(&project, "models/fp16", "models/int8");
    project.run(&["doctor", "--lock"]);
    let run = project.run(&["check", "--against", "main"]);
    let header = project.results().header;
    assert_ne!(
        header.variants["fp16"].model_sha256, header.variants["int8"].model_sha256,
        "{}",
        run.stdout
    );
    let changes = project.combined().judgement.unwrap().authority.changes;
    let change = changes.iter().find(|change| change.subject == "reference 'fp16'").unwrap();
    assert!(change.change.contains("model_sha256 from "), "{change:?}");
    assert_eq!(change.direction, Direction::Other);
}

#[test]
fn a_model_that_nothing_identifies_is_invalid_and_never_unchanged() {
    let project = repository("", false);
    let run = project.run(&["check", "--against", "main"]);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("every rule on 'int8@base' will be invalid"), "{}", run.stderr);
    let verdicts = project.results().verdicts;
    let base = verdicts.iter().find(|verdict| verdict.rule.id == "latency/base").unwrap();
    assert_eq!(base.verdict, VerdictKind::Invalid);
    assert!(base.reason.contains("names no model_sha256 and no recipe"), "{}", base.reason);
    let flat = run.stdout.replace("\n  ", " ");
    assert!(flat.contains("that its model is the base's is not checked"), "{}", run.stdout);
    // A locked one whose files were replaced.
    let project = repository("", true);
    link("ov-fp16", &project.path().join("models/int8"));
    project.run(&["doctor", "--lock"]);
    let run = plan(&project);
    let flat = run.stdout.replace("\n    ", " ");
    assert!(
        flat.contains("is not here: in its folder the model is of sha256"),
        "{}{}",
        run.stdout,
        run.stderr
    );
}

#[test]
fn a_recipe_makes_the_model_of_each_side() {
    // The recipe copies what another file names: made in a checkout of the base it makes the base's model.
    let source = root().join("models/smollm2-135m");
    let recipe = format!(
        "prepare = 'mkdir -p \"$PERFGATE_MODEL\" && cp -lf {}/$(cat which.txt)/openvino_model.* \
         {}/ov-fp16/*.json \"$PERFGATE_MODEL\" && echo made >> made.log'",
        source.display(),
        source.display()
    );
    let project = repository(&recipe, false);
    project.git(&["checkout", "-q", "main"]);
    project.write("which.txt", "ov-int8");
    project.commit("a recipe");
    project.git(&["checkout", "-q", "-B", "change"]);
    std::fs::remove_dir_all(project.path().join("models/int8")).unwrap();
    let run = plan(&project);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stderr.contains("preparing int8: ") && run.stderr.contains("preparing int8@base: "),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("model_size/base: unchanged"), "{}", run.stdout);
    let run = plan(&project);
    assert!(!run.stderr.contains("preparing"), "once is enough: {}", run.stderr);
    // Another recipe: its model is made anew, the base's stays.
    project.write("which.txt", "ov-fp16");
    edit(&project, "echo made", "echo again");
    let run = plan(&project);
    assert!(run.stderr.contains("preparing int8: "), "{}", run.stderr);
    assert!(run.stdout.contains("int8@base: openvino"), "{}", run.stdout);
    let log = std::fs::read_to_string(project.path().join("made.log")).unwrap();
    assert_eq!(log, "made\nagain\n", "each side runs in a folder of its own");
    // One that fails says its last words.
    edit(&project, "echo again", "echo no such thing >&2; exit 3; echo");
    let run = plan(&project);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("no such thing") && run.stderr.contains("exit status: 3"),
        "{}",
        run.stderr
    );
}

#[test]
fn pointers_of_git_lfs_are_not_taken_for_models() {
    let project = repository("", false);
    project.git(&["checkout", "-q", "main"]);
    project.write(".gitignore", ".perfgate/\nmodels/fp16\n");
    // The weights are held by Git LFS, as a pointer in the commit and an object in the clone.
    let weights = project.path().join("models/int8/openvino_model.bin");
    let bytes = std::fs::read(&weights).unwrap();
    let sum = perfgate::hash::of_bytes(&bytes);
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{sum}\nsize {}\n",
        bytes.len()
    );
    std::fs::remove_file(&weights).unwrap();
    std::fs::write(&weights, pointer).unwrap();
    project.commit("models in git");
    project.git(&["checkout", "-q", "-B", "change"]);
    let run = plan(&project);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("this is a Git LFS pointer"), "{}", run.stderr);
    assert!(run.stderr.contains("git lfs pull"), "{}", run.stderr);
    // The work tree has what was fetched, as `git lfs pull` leaves it; the base's is filled in from the clone.
    std::fs::write(&weights, &bytes).unwrap();
    let base = project.git(&["rev-parse", "main"]);
    let run = plan(&project);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains(&format!("base/{}", &base[..16])), "{}", run.stderr);
    let object = project.path().join(".git/lfs/objects").join(&sum[..2]).join(&sum[2..4]);
    std::fs::create_dir_all(&object).unwrap();
    std::fs::write(object.join(&sum), &bytes).unwrap();
    let run = plan(&project);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("model_size/base: unchanged"), "{}", run.stdout);
}

#[test]
fn small_files_are_locked_too_and_an_older_lock_vouches_for_none() {
    let project = repository("", true);
    let template = project.path().join("models/int8/chat_template.jinja");
    std::fs::write(&template, "{% for m in messages %}{{ m['content'] }}{% endfor %}!").unwrap();
    let run = plan(&project);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("chat_template.jinja is of sha256"), "{}", run.stderr);
    assert!(run.stderr.contains("and files_sha256 has none"), "{}", run.stderr);
    assert_eq!(project.run(&["doctor"]).code, 2, "the doctor says it too");
    // Locked by the change: the base's own is not here any more.
    project.run(&["doctor", "--lock"]);
    let run = plan(&project);
    let flat = run.stdout.replace("\n    ", " ");
    assert!(flat.contains("that commit's model of 'int8' is not here"), "{flat}{}", run.stderr);
    assert!(!flat.contains("latency/base, model_size/base: unchanged"), "{flat}");
    // A generation_config.json that ends answers elsewhere, and a tokenizer.
    std::fs::remove_file(&template).unwrap();
    let config = project.path().join("models/int8/generation_config.json");
    let whole = std::fs::read_to_string(&config).unwrap();
    std::fs::remove_file(&config).unwrap();
    std::fs::write(&config, whole.replace('{', "{ \"top_k\": 1,")).unwrap();
    project.git(&["checkout", "-q", "perfgate.toml"]);
    let run = plan(&project);
    assert!(run.stderr.contains("generation_config.json is of sha256"), "{}", run.stderr);

    // A base that locks the weights alone, as older versions did: its small files are not known.
    let project = repository("", true);
    let file = project.path().join("perfgate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let old: String = text
        .split_inclusive('\n')
        .filter(|line| !line.contains("files_sha256") && !line.contains(".json\" = "))
        .collect();
    project.write("perfgate.toml", &old);
    project.git(&["checkout", "-q", "main"]);
    project.commit("an older lock");
    project.git(&["checkout", "-q", "-B", "change"]);
    let run = plan(&project);
    let flat = run.stdout.replace("\n    ", " ");
    assert!(flat.contains("nothing tells whether its tokenizer"), "{flat}{}", run.stderr);
    assert!(!flat.contains("latency/base, model_size/base: unchanged"), "{flat}");
}

/// A runtime that was upgraded in place has the path of the one before.
#[test]
fn a_base_that_names_no_version_of_its_runtime_is_not_comparable() {
    let project = repository("", true);
    let without = |project: &Project| {
        let file = project.path().join("perfgate.toml");
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.split_inclusive('\n').filter(|line| !line.contains("runtime_version"));
        project.write("perfgate.toml", &lines.collect::<String>());
    };
    without(&project);
    project.git(&["checkout", "-q", "main"]);
    project.commit("no version");
    project.git(&["checkout", "-q", "-B", "change"]);
    let run = project.run(&["check", "--against", "main"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let verdicts = project.results().verdicts;
    let base = verdicts.iter().find(|verdict| verdict.rule.id == "latency/base").unwrap();
    assert_eq!(base.verdict, VerdictKind::Incomparable);
    assert!(base.reason.contains("which version of the runtime it had"), "{}", base.reason);
    assert!(base.reason.contains("doctor --lock"), "{}", base.reason);
    // One that names another version than the library has cannot be measured as the base's.
    edit(
        &project,
        "models/int8\"\nthreads = 1\n",
        "models/int8\"\nthreads = 1\nruntime_version = \"2025.4.1\"\n",
    );
    let run = plan(&project);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stderr.contains("is 2025.4.1 (runtime_version), and the library is of"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_recipe_is_run_again_when_a_script_that_it_calls_has_changed() {
    let source = root().join("models/smollm2-135m/ov-int8");
    let project = repository("prepare = 'sh scripts/export.sh'", false);
    let script = |comment: &str| {
        let text = format!(
            "mkdir -p \"$PERFGATE_MODEL\" && cp -lf {}/*.json {}/openvino_model.* \"$PERFGATE_MODEL\"\n\
             sh scripts/more.sh # {comment}\n",
            source.display(),
            source.display()
        );
        std::fs::create_dir_all(project.path().join("scripts")).unwrap();
        project.write("scripts/export.sh", &text);
    };
    project.git(&["checkout", "-q", "main"]);
    script("first");
    project.write("scripts/more.sh", "true\n");
    project.commit("a recipe");
    project.git(&["checkout", "-q", "-B", "change"]);
    std::fs::remove_dir_all(project.path().join("models/int8")).unwrap();
    assert!(plan(&project).stderr.contains("preparing int8: "));
    assert!(!plan(&project).stderr.contains("preparing"));
    script("second");
    let run = plan(&project);
    assert!(run.stderr.contains("its recipe has changed (scripts/export.sh"), "{}", run.stderr);
    // The same bytes came out: unchanged, and the report says of what else that is not so.
    let flat = run.stdout.replace("\n    ", " ");
    assert!(flat.contains("model_size/base: unchanged"), "{flat}");
    assert!(flat.contains("another recipe (scripts/export.sh"), "{flat}");
    // A script that the script calls.
    project.write("scripts/more.sh", "true # too\n");
    let run = plan(&project);
    assert!(run.stderr.contains("its recipe has changed (scripts/more.sh"), "{}", run.stderr);
}
