//! The steps, their order, and what is printed around each.
//!
//! What a step does stands in the module that it is about.

use std::{fmt::Write, time::Instant};

use crate::{audit, failure::Failure, npm, rust, servers, wasm, web, workspace::Workspace};

/// One thing that `cargo xtask` can do.
struct Step {
    name: &'static str,
    about: &'static str,
    action: Action,
}

enum Action {
    /// Does it, with the arguments that came after `--`.
    Do(fn(&Workspace, &[String]) -> Result<(), Failure>),
    /// Other steps, in this order.
    All(&'static [&'static str]),
}

/// Runs the steps that a command line names; what follows `--` goes to each of them.
///
/// # Errors
/// [`Failure::Usage`] for a step that does not exist, before any is run, and [`Failure::Step`] for
/// the first that fails.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let split = arguments.iter().position(|argument| argument == "--");
    let (names, extra) = match split {
        Some(index) => (&arguments[..index], &arguments[index + 1..]),
        None => (arguments, &[][..]),
    };
    if names.is_empty() || names.iter().any(|name| matches!(&**name, "help" | "-h" | "--help")) {
        print!("{}", help());
        return Ok(());
    }
    let mut steps = Vec::new();
    for name in names {
        steps.extend(expand(name)?);
    }
    let workspace = Workspace::find()?;
    let start = Instant::now();
    for &(name, action) in &steps {
        let start = Instant::now();
        println!("\n== {name}");
        action(&workspace, extra)
            .map_err(|reason| Failure::Step { step: name, reason: Box::new(reason) })?;
        println!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
    }
    if steps.len() > 1 {
        println!("\n{} steps passed in {:.1} s", steps.len(), start.elapsed().as_secs_f64());
    }
    Ok(())
}

type Leaf = (&'static str, fn(&Workspace, &[String]) -> Result<(), Failure>);

fn expand(name: &str) -> Result<Vec<Leaf>, Failure> {
    let Some(step) = STEPS.iter().find(|step| step.name == name) else {
        return Err(Failure::Usage(format!("there is no step `{name}`\n\n{}", help())));
    };
    match step.action {
        Action::Do(action) => Ok(vec![(step.name, action)]),
        Action::All(names) => {
            names.iter().map(|name| expand(name)).collect::<Result<Vec<_>, _>>().map(|s| s.concat())
        }
    }
}

fn help() -> String {
    let mut text = String::from(
        "cargo xtask <step>... [-- arguments for the step]\n\nThe first failure ends the run.\n\n",
    );
    for step in STEPS {
        let _ = write!(text, "  {:11} {}", step.name, step.about);
        if let Action::All(names) = step.action {
            let _ = write!(text, ": {}", names.join(", "));
        }
        text.push('\n');
    }
    text
}

/// In the order of `help`.
const STEPS: &[Step] = &[
    Step {
        name: "ci",
        about: "what CI runs after `cargo test`",
        action: Action::All(&[
            "test-tools",
            "check",
            "wasm",
            "check-web",
            "npm",
            "browser",
            "interop",
        ]),
    },
    Step {
        name: "check",
        about: "what must hold before a commit",
        action: Action::All(&["fmt", "clippy", "doc", "powerset"]),
    },
    Step {
        name: "audit",
        about: "slow checks outside CI",
        action: Action::All(&["deny", "typos", "minimal", "semver"]),
    },
    Step {
        name: "test",
        about: "the tests of the crates: the same as `cargo test`",
        action: Action::Do(rust::test),
    },
    Step {
        name: "test-tools",
        about: "the tests of xtask and of the interop rig, without servers",
        action: Action::Do(rust::test_tools),
    },
    Step { name: "fmt", about: "the code is formatted", action: Action::Do(rust::fmt) },
    Step { name: "clippy", about: "no lint is broken", action: Action::Do(rust::clippy) },
    Step { name: "doc", about: "the documentation builds", action: Action::Do(rust::doc) },
    Step {
        name: "powerset",
        about: "every set of features compiles without warnings",
        action: Action::Do(rust::powerset),
    },
    Step {
        name: "wasm",
        about: "the crates without I/O for the browser, and npm/dist; installs a toolchain with apt",
        action: Action::Do(wasm::build),
    },
    Step {
        name: "check-web",
        about: "lints and documentation once more, with the page that `wasm` makes in the command",
        action: Action::Do(rust::check_web),
    },
    Step {
        name: "npm",
        about: "the tests of the npm package, which `wasm` builds",
        action: Action::Do(npm::test),
    },
    Step {
        name: "web",
        about: "`wasm`, and target/release/epode with the page of `epode serve --web` in it",
        action: Action::Do(web::build),
    },
    Step {
        name: "browser",
        about: "the page and the package in Chromium, also with real servers; gets them with apt",
        action: Action::Do(web::browser),
    },
    Step {
        name: "interop",
        about: "logs in to two Prosodies and two ejabberds; gets them with apt",
        action: Action::Do(servers::interop),
    },
    Step {
        name: "soak",
        about: "sends thousands of messages to them through cuts and kills; slow, not in CI",
        action: Action::Do(servers::soak),
    },
    Step {
        name: "echo",
        about: "messages per second and CPU of each, with Prosody and with our own server",
        action: Action::Do(servers::echo),
    },
    Step { name: "bench", about: "measures; prints figures", action: Action::Do(rust::bench) },
    Step {
        name: "deny",
        about: "licences, duplicates and sources of the dependencies",
        action: Action::Do(audit::deny),
    },
    Step { name: "typos", about: "spelling", action: Action::Do(audit::typos) },
    Step {
        name: "minimal",
        about: "the oldest dependencies that Cargo.toml allows still compile (commits only)",
        action: Action::Do(audit::minimal_versions),
    },
    Step {
        name: "semver",
        about: "the API against the last release",
        action: Action::Do(audit::semver),
    },
];

#[cfg(test)]
mod tests {
    use super::{STEPS, expand, help, run};
    use crate::failure::Failure;

    #[test]
    fn every_step_leads_to_something_to_do() {
        for step in STEPS {
            assert!(!expand(step.name).unwrap().is_empty(), "{}", step.name);
            assert!(help().contains(&format!("  {:11} {}", step.name, step.about)));
        }
    }

    #[test]
    fn groups_keep_their_order() {
        let names: Vec<&str> = expand("ci").unwrap().iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "test-tools",
                "fmt",
                "clippy",
                "doc",
                "powerset",
                "wasm",
                "check-web",
                "npm",
                "browser",
                "interop"
            ]
        );
    }

    #[test]
    fn an_unknown_step_is_refused_before_any_runs() {
        let arguments = ["fmt", "teleport"].map(str::to_owned);
        match run(&arguments) {
            Err(failure @ Failure::Usage(_)) => {
                assert!(failure.to_string().starts_with("there is no step `teleport`"));
                assert_eq!(failure.exit_code(), 2);
            }
            other => panic!("{other:?}"),
        }
    }

    /// CI may do nothing that a person at home cannot do with the same words.
    #[test]
    fn ci_calls_cargo_test_and_steps_that_exist() {
        let workflow = include_str!("../../.github/workflows/ci.yml");
        let commands: Vec<&str> =
            workflow.lines().filter_map(|line| line.trim_start().strip_prefix("- run: ")).collect();
        assert_eq!(commands.first(), Some(&"cargo test"));
        for command in &commands[1..] {
            let step = command.strip_prefix("cargo xtask ").unwrap();
            assert!(expand(step).is_ok(), "{command}");
        }
        let script = include_str!("../../.ci/run");
        let commands: Vec<&str> =
            script.lines().filter(|line| line.starts_with("cargo ")).collect();
        assert_eq!(commands, ["cargo test", "cargo xtask ci"]);
    }
}
