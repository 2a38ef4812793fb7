//! What a person meets on the command line, as far as no server and no repository is needed.

use std::path::Path;
use std::process::{Command, Output};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lifeboat"))
}

fn lifeboat(arguments: &[&str]) -> Output {
    let mut command = program();
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LIFEBOAT_")) {
        command.env_remove(name);
    }
    command.args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Exit code and stderr; nothing on stdout.
#[track_caller]
fn refused(arguments: &[&str]) -> (i32, String) {
    let output = lifeboat(arguments);
    assert_eq!(stdout(&output), "", "an error is not data");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_definitions_are_consistent() {
    lifeboat::cli::command().debug_assert();
}

/// `UPDATE=1 cargo test --test it cli::` rewrites it.
#[test]
fn the_committed_reference_is_that_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let text = lifeboat::cli::reference();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "docs/cli.md is old: UPDATE=1 cargo test --test it cli::");
}

#[test]
fn each_verb_says_an_example_and_its_exit_codes() {
    let mut verbs: Vec<String> = Vec::new();
    for verb in lifeboat::cli::command().get_subcommands() {
        let below: Vec<&str> = verb.get_subcommands().map(clap::Command::get_name).collect();
        if !verb.is_subcommand_required_set() {
            verbs.push(verb.get_name().to_owned());
        }
        verbs.extend(below.iter().map(|name| format!("{} {name}", verb.get_name())));
    }
    let expected = "init,check,plan backup,plan restore,plan prune,backup,list,show,verify,cat,diff,restore,copy,renew,\
                    prune,prune apply,undelete,quiesce status,quiesce release,quiesce watch,hold add,hold remove,hold list,proof list,proof show,proof verify,keys list,keys add,keys remove,\
                    keys rotate,schema,completion";
    assert_eq!(verbs.join(","), expected);
    for verb in verbs {
        let mut arguments: Vec<&str> = verb.split(' ').collect();
        arguments.push("--help");
        let output = lifeboat(&arguments);
        let help = stdout(&output);
        assert!(output.status.success(), "{verb}");
        assert!(help.contains("Example:\n"), "{verb}: {help}");
        assert!(help.contains("  130  interrupted"), "{verb}: {help}");
    }
}

#[test]
fn a_misspelt_verb_or_option_is_a_usage_error_with_the_nearest_one() {
    let (code, text) = refused(&["bakcup"]);
    assert_eq!(code, 2);
    assert!(text.contains("'backup'"), "{text}");
    let (code, text) = refused(&["list", "--repositry", "x"]);
    assert_eq!(code, 2);
    assert!(text.contains("--repository"), "{text}");
    assert_eq!(refused(&[]).0, 2);
}

#[test]
fn values_are_checked_before_anything_starts() {
    let backup = ["verify", "latest", "--repository", "/nowhere"];
    for (more, wanted) in [
        (&["--level", "perfect"][..], "restored"),
        (&["--sample", "0%"], "more than 0%"),
        (&["--level", "opened", "--sample", "10%"], "--level hashed"),
        (&["--weak-sandbox"], "--level restored"),
        (&["-q", "-v"], "cannot be used with"),
    ] {
        let (code, text) = refused(&[&backup[..], more].concat());
        assert_eq!(code, 2, "{more:?}: {text}");
        assert!(text.contains(wanted), "{more:?}: {text}");
    }
    let (code, text) = refused(&["show", "lastest", "--repository", "/nowhere"]);
    assert_eq!(code, 2);
    assert!(text.contains("latest-verified"), "{text}");
}

#[test]
fn a_verb_without_its_policy_or_repository_says_what_to_give() {
    insta::assert_snapshot!(refused(&["backup"]).1, @r"
    error: this verb needs a policy
    hint: give -f POLICY (or set LIFEBOAT_POLICY)
    ");
    insta::assert_snapshot!(refused(&["list"]).1, @r"
    error: which repository?
    hint: give -f POLICY or --repository URL (or set LIFEBOAT_POLICY, LIFEBOAT_REPOSITORY)
    ");
    insta::assert_snapshot!(refused(&["list", "--repository", "s3:bucket"]).1, @r"
    error: `s3:bucket` is neither an address nor a path
    hint: a directory is written file:///dir, or ./s3:bucket if its name really begins like that
    ");
    insta::assert_snapshot!(refused(&["init", "repo"]).1, @r"
    error: which keys? give --generate-keys DIR or -f POLICY
    hint: lifeboat init REPOSITORY --generate-keys DIR
    ");
}

#[test]
fn a_mistake_in_a_policy_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let minimal = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/minimal.yaml");
    let text = std::fs::read_to_string(minimal).unwrap();
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, text.replace("host:", "hots:").replace("user:", "user: ")).unwrap();
    let (code, said) = refused(&["check", "-f", path.to_str().unwrap()]);
    assert_eq!(code, 2);
    let expected = format!(
        "error: {}:14:16: spec.sources[0].postgres: unknown field `hots`\nhint: did you mean `host`?\n",
        path.display()
    );
    assert_eq!(said, expected);
    // The same for programs, as one line.
    let (code, said) = refused(&["check", "--json", "-f", path.to_str().unwrap()]);
    let line: serde_json::Value = serde_json::from_str(said.trim_end()).unwrap();
    assert_eq!((code, &line["code"], &line["exit"]), (2, &2.into(), &"usage".into()));
    assert_eq!(line["hint"], "did you mean `host`?");
}

#[test]
fn a_secret_in_a_policy_is_refused_and_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let minimal = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/minimal.yaml");
    let text = std::fs::read_to_string(minimal).unwrap().replace("{env: PGPASSWORD}", "correct-horse");
    std::fs::write(folder.path().join("policy.yaml"), text).unwrap();
    let (code, said) = refused(&["backup", "-f", folder.path().to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(said.contains("password: {env: NAME}") && !said.contains("correct-horse"), "{said}");
}

#[test]
fn a_source_that_the_policy_does_not_have_is_a_usage_error() {
    let minimal = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/minimal.yaml");
    let (code, said) = refused(&["backup", "-f", minimal.to_str().unwrap(), "--source", "mongo"]);
    insta::assert_snapshot!(format!("{code}\n{said}"), @r"
    2
    error: the policy has no source `mongo`
    hint: its sources: postgres
    ");
}

#[test]
fn a_trust_file_that_contradicts_the_policy_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let trust = folder.path().join("trust.yaml");
    let text = "\
apiVersion: lifeboat.dev/v1
kind: Trust
spec:
  repositories: [01KAQ7Z5T5W8W0C0MZJ0ZQ1R2V]
  operator: ed25519:VyBXJDtiy7LZ/BSZ9nUft0Q7Oyhv0k7NQc2NTvgxf+I=
  writer: [\"ed25519:6fIcRCmkeM8q7HahgqQApzh2VpXhBmko0bYLFk5QbWk=\"]
  recipients: [age1vegljuxs4us4tl2jp6vryh5jgph2pntkevuysjgl4cmpzx8chdaq6uxt40, age10hqy8n97mmscyze2f9u4xm39y8zqyxq958kvkcn5ztgdqjlpxp4s0xsx0y]
";
    std::fs::write(&trust, text).unwrap();
    let minimal = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/minimal.yaml");
    let (code, said) = refused(&["list", "-f", minimal.to_str().unwrap(), "--trust", trust.to_str().unwrap()]);
    assert_eq!(code, 12, "{said}");
    assert!(
        said.contains("writer ed25519:6fIcRCmkeM8q7HahgqQApzh2VpXhBmko0bYLFk5QbWk= is only in the trust file"),
        "{said}"
    );
    assert!(
        said.contains("writer ed25519:MtIMPscNSZ8mECzdcbQXW39q/n0QMyLNQTT9wls/Aos= is only in the policy"),
        "{said}"
    );
}

#[test]
fn schema_and_completion_are_data() {
    let schema: serde_json::Value = serde_json::from_slice(&lifeboat(&["schema", "policy"]).stdout).unwrap();
    assert_eq!(schema["title"], "lifeboat Policy");
    assert_eq!(schema["additionalProperties"], false);
    let bash = stdout(&lifeboat(&["completion", "bash"]));
    assert!(bash.contains("complete -F _lifeboat"), "{bash}");
    for shell in ["zsh", "fish"] {
        assert!(stdout(&lifeboat(&["completion", shell])).contains("lifeboat"));
    }
}

#[test]
fn bash_completes_verbs_options_and_values() {
    let script = "source <(\"$0\" completion bash)
        try() { COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) COMPREPLY=(); _lifeboat lifeboat \"${@: -1}\" \"${@: -2:1}\"; echo \"${COMPREPLY[*]}\"; }
        try lifeboat ver; try lifeboat plan re; try lifeboat verify latest --level o; try lifeboat list --reposi";
    let output = Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_lifeboat")]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(stdout(&output), "verify\nrestore\nopened\n--repository\n");
}

/// `lifeboat help VERB`, as git and kubectl users type it.
#[test]
fn help_is_a_verb_too() {
    let short = stdout(&lifeboat(&["help"]));
    assert!(short.contains("backup") && short.contains("A BACKUP is a run id"), "{short}");
    assert_eq!(stdout(&lifeboat(&["help", "plan", "restore"])), stdout(&lifeboat(&["plan", "restore", "--help"])));
}

/// A reader that goes away (`| head -1`) is not a crash.
#[test]
fn a_broken_pipe_is_quiet() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = program().args(["schema", "policy"]).stdout(writer).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
