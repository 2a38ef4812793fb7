//! `docs/cli.md`, made from the same definitions as `--help`.

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::cli::args::Cli;
use crate::job::Exit;

/// The command line as clap knows it.
pub fn command() -> Command {
    Cli::command()
}

/// The whole reference as Markdown.
pub fn reference() -> String {
    let mut root = command();
    root.build();
    let mut text = String::from(
        "# The command line\n\n\
         Generated from the program (`UPDATE=1 cargo test --test it cli::` rewrites it); `lifeboat VERB --help` says the same.\n\n\
         ",
    );
    if let Some(after) = root.get_after_help() {
        text.push_str(&format!("{after}\n\n"));
    }
    text.push_str(
        "stdout is data, stderr is talk. With `--json` the report is one JSON object on stdout, and events and errors are\n\
         JSON lines on stderr: [json.md](json.md). Sizes are in bytes, times in UTC, ages in seconds.\n\n\
         ## Exit codes\n\n| code | meaning |\n|---:|---|\n",
    );
    for exit in Exit::ALL {
        text.push_str(&format!("| {} | {} |\n", exit.code(), exit.meaning()));
    }
    text.push_str("\n## Global options\n\n");
    for argument in root.get_arguments().filter(|a| !matches!(a.get_id().as_str(), "help" | "version")) {
        text.push_str(&option(argument));
    }
    for verb in verbs(&root) {
        section(&mut text, &format!("lifeboat {}", verb.get_name()), verb);
    }
    text
}

/// All but `help`, which says what this page says.
fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set())
}

fn section(text: &mut String, name: &str, command: &Command) {
    if command.has_subcommands() {
        for verb in verbs(command) {
            section(text, &format!("{name} {}", verb.get_name()), verb);
        }
        if command.is_subcommand_required_set() {
            return;
        }
    }
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|a| !a.is_global_set() && !matches!(a.get_id().as_str(), "help" | "version"))
        .collect();
    text.push_str(&format!("\n## {name}\n\n{}.\n\n", command.get_about().map(ToString::to_string).unwrap_or_default()));
    if let Some(long) = command.get_long_about() {
        let rest = long.to_string();
        if let Some((_, rest)) = rest.split_once("\n\n") {
            text.push_str(&format!("{rest}\n\n"));
        }
    }
    for argument in own {
        text.push_str(&option(argument));
    }
    if let Some(after) = command.get_after_help() {
        text.push_str(&format!("\n```text\n{}\n```\n", after.to_string().trim_end()));
    }
}

fn option(argument: &Arg) -> String {
    let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let mut spelling = Vec::new();
    if let Some(short) = argument.get_short() {
        spelling.push(format!("-{short}"));
    }
    if let Some(long) = argument.get_long() {
        spelling.push(format!("--{long}"));
    }
    let mut name = spelling.join(", ");
    if argument.is_positional() {
        name = value;
    } else if takes_value {
        name = format!("{name} {value}");
    }
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let mut line = format!("- `{name}`: {help}");
    if argument.is_required_set() {
        line.push_str(". Required");
    }
    let choices: Vec<String> =
        argument.get_possible_values().iter().map(|choice| format!("`{}`", choice.get_name())).collect();
    if takes_value && !choices.is_empty() {
        line.push_str(&format!(". One of {}", choices.join(", ")));
    }
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if takes_value && !defaults.is_empty() {
        line.push_str(&format!(". Default {}", defaults.join(", ")));
    }
    if let Some(variable) = argument.get_env() {
        line.push_str(&format!(". Environment: `{}`", variable.to_string_lossy()));
    }
    line + ".\n"
}
