//! Flags that stand for keys of a recipe, one to one: made of the engine's sections, whatever task or method has them.

use clap::builder::{BoolValueParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use retune_engine::recipe::settings::Kind;
use retune_engine::recipe::{self, Setting};
use toml::{Table, Value};

/// What was given, by key: any key of a recipe, or only those that a saved model's use may set anew.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys<const AT_USE: bool>(pub(crate) Table);

/// The flags of `retune finetune`.
pub(crate) type RecipeFlags = Keys<false>;
/// The flags of `retune predict` and `retune evaluate`.
pub(crate) type UseFlags = Keys<true>;

/// The settings with a flag, and their defaults.
fn settings(at_use: bool) -> impl Iterator<Item = (&'static Setting, Option<Value>)> {
    let defaults: Table = recipe::sections().into_iter().flat_map(|section| (section.defaults)()).collect();
    let all = recipe::sections().into_iter().flat_map(|section| section.settings);
    all.filter(move |it| it.at_use || !at_use).map(move |it| (it, defaults.get(it.key).cloned()))
}

fn value_parser(kind: Kind) -> ValueParser {
    match kind {
        // Says which values there are.
        Kind::Switch => BoolValueParser::new().map(Value::Boolean).into(),
        _ => ValueParser::new(move |text: &str| kind.parse(text)),
    }
}

impl<const AT_USE: bool> Args for Keys<AT_USE> {
    fn augment_args(command: Command) -> Command {
        settings(AT_USE).fold(command, |command, (setting, default)| {
            let flag = Arg::new(setting.key).long(setting.key).value_name(setting.value_name);
            let flag = flag.value_parser(value_parser(setting.kind));
            let flag = match AT_USE {
                true => flag.help(format!("{} [default: as in training]", setting.help.trim())),
                false => flag.help(setting.described(default.as_ref())).help_heading(setting.heading),
            };
            command.arg(match setting.kind {
                Kind::Switch => flag.num_args(0..=1).require_equals(true).default_missing_value("true"),
                Kind::List => flag.value_delimiter(',').action(ArgAction::Append),
                _ => flag,
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const AT_USE: bool> FromArgMatches for Keys<AT_USE> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = settings(AT_USE).filter_map(|(setting, _)| {
            let mut values = matches.get_many::<Value>(setting.key)?.cloned();
            let value = if setting.kind == Kind::List { Value::Array(values.collect()) } else { values.next()? };
            Some((setting.key.to_owned(), value))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.extend(Self::from_arg_matches(matches)?.0);
        Ok(())
    }
}
