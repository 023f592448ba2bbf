//! Help for one task and method: `retune finetune --task NAME --help` lists what that task reads, and no other task's flags.

use clap::{Arg, Command};
use retune_engine::recipe;
use std::collections::BTreeSet;

/// Commands whose flags are settings.
const WITH_SETTINGS: [&str; 3] = ["finetune", "evaluate", "predict"];

/// Hides the flags that the task and the method among the words do not read. Words that name neither, or one that is not known,
/// hide nothing; hidden flags are read all the same, so that giving one is answered as before.
pub(crate) fn narrowed(command: Command, words: &[String]) -> Command {
    let given = |flag: &str| {
        let joined = |word: &String| word.strip_prefix(flag)?.strip_prefix('=').map(str::to_owned);
        let apart = words.iter().position(|word| word == flag).and_then(|place| words.get(place + 1).cloned());
        words.iter().find_map(joined).or(apart).unwrap_or_default()
    };
    let read = recipe::keys(&given("--task"), &given("--method"));
    let all: BTreeSet<_> = recipe::keys("", "").difference(&read).copied().collect();
    WITH_SETTINGS.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |command| {
            command.mut_args(|arg: Arg| {
                let unread = all.contains(arg.get_id().as_str());
                if unread { arg.hide(true) } else { arg }
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Cli;
    use clap::CommandFactory;

    fn help(words: &str) -> String {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let mut command = narrowed(Cli::command(), &words);
        command.build();
        command.find_subcommand_mut(&words[1]).unwrap().render_long_help().to_string()
    }

    #[test]
    fn a_task_lists_its_own_flags() {
        let image = help("retune finetune --task image-classification --help");
        let translation = help("retune finetune --task=translation --method lora --help");
        let all = help("retune finetune --help");
        for (flag, seen) in [
            ("--beams", [false, true, true]),
            ("--image-size", [true, false, true]),
            ("--lora-rank", [true, true, true]),
            ("--epochs", [true, true, true]),
            ("--resume", [true, true, true]),
            ("--nms", [false, false, true]),
        ] {
            let lists = |text: &String| text.split_whitespace().any(|word| word == flag);
            let found = [&image, &translation, &all].map(lists);
            assert_eq!(found, seen, "{flag}");
        }
        assert!(!help("retune finetune --task image-classification --method full").contains("--lora-rank"));
        assert!(help("retune finetune --task telepathy --help").contains("--nms "));
        assert!(!help("retune predict --task image-classification --help").contains("--beams "));
    }
}
