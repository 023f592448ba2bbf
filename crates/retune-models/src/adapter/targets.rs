//! Which layers an adapter is for, by PEFT's rules (`check_target_module_exists`).

use super::DenseLayer;
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// PEFT's word for all linear layers below the head.
const ALL_LINEAR: &str = "all-linear";

/// Names, or one regular expression that has to match a whole path.
#[derive(Debug, Clone)]
enum Rule {
    All,
    Names(Vec<String>),
    Pattern(Regex),
}

impl Rule {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Names(names) => names.iter().any(|name| is_named(path, name)),
            Self::Pattern(pattern) => pattern.is_match(path),
        }
    }
}

/// Which layers get an adapter.
#[derive(Debug, Clone)]
pub(super) struct Targets {
    rule: Rule,
    exclude: Option<Rule>,
    /// Modules that are saved whole; nothing below them gets an adapter.
    whole: Vec<String>,
    /// Numbers of blocks; none means all of them.
    blocks: Vec<i64>,
    /// How the number of a block is found in a path, the first that matches.
    block_patterns: Vec<Regex>,
}

impl Targets {
    /// Last parts of paths, whole paths, one regular expression, or `all-linear`.
    pub(super) fn new(names: Vec<String>) -> Result<Self, String> {
        if names.is_empty() {
            return Err("no target layers given".to_owned());
        }
        let rule = match &names[..] {
            [one] if one.eq_ignore_ascii_case(ALL_LINEAR) => Rule::All,
            [one] if is_expression(one) => Rule::Pattern(whole(one)?),
            _ => Rule::Names(names),
        };
        if let Rule::Names(names) = &rule
            && let Some(odd) = names.iter().find(|name| is_expression(name) || name.eq_ignore_ascii_case(ALL_LINEAR))
        {
            return Err(format!(
                "`{odd}` stands among other target layers; a regular expression or `all-linear` stands alone"
            ));
        }
        Ok(Self { rule, exclude: None, whole: Vec::new(), blocks: Vec::new(), block_patterns: Vec::new() })
    }

    /// As adapter_config.json has them.
    pub(super) fn read(config: &Map<String, Value>) -> Result<Self, String> {
        let rule = match config.get("target_modules") {
            Some(Value::String(one)) if one.eq_ignore_ascii_case(ALL_LINEAR) => Rule::All,
            Some(Value::String(one)) => Rule::Pattern(whole(one)?),
            Some(list @ Value::Array(_)) => Rule::Names(strings("target_modules", list)?),
            _ => return Err("has no `target_modules`".to_owned()),
        };
        let exclude = match config.get("exclude_modules") {
            None | Some(Value::Null) => None,
            Some(Value::String(one)) if one.is_empty() => None,
            Some(Value::String(one)) => Some(Rule::Pattern(whole(one)?)),
            Some(list) => Some(Rule::Names(strings("exclude_modules", list)?)),
        };
        let mut whole = match config.get("modules_to_save") {
            None | Some(Value::Null) => Vec::new(),
            Some(list) => strings("modules_to_save", list)?,
        };
        // What PEFT adds itself before it looks for targets.
        if config.get("task_type").and_then(Value::as_str) == Some("SEQ_CLS") {
            whole.extend(["classifier".to_owned(), "score".to_owned()]);
        }
        let blocks = match config.get("layers_to_transform") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list.iter().map(number).collect::<Option<_>>().ok_or_else(no_numbers)?,
            Some(one) => vec![number(one).ok_or_else(no_numbers)?],
        };
        let patterns = match config.get("layers_pattern") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(one)) if one.is_empty() => Vec::new(),
            Some(Value::String(one)) => vec![one.clone()],
            Some(list) => strings("layers_pattern", list)?,
        };
        let named = |pattern: &String| compiled(&format!(r"\A(?:|.*?\.){pattern}\.(?P<idx>\d+)\."), pattern);
        let mut block_patterns = patterns.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        if block_patterns.is_empty() {
            block_patterns.push(compiled(r"\A.*?\.[^.]*\.(?P<idx>\d+)\.", "")?);
        }
        Ok(Self { rule, exclude, whole, blocks, block_patterns })
    }

    /// With modules that learn and are saved whole.
    pub(super) fn beside_whole(self, modules: Vec<String>) -> Self {
        Self { whole: modules, ..self }
    }

    /// Whether the module that has this parameter learns and is saved whole.
    pub(super) fn saves_whole(&self, parameter: &str) -> bool {
        self.whole.iter().any(|module| is_below(parameter, module))
    }

    /// Whether they are all linear layers, among which nobody counts the scores over a vocabulary.
    pub(super) fn are_all(&self) -> bool {
        matches!(self.rule, Rule::All)
    }

    /// Checks the modules that are to learn whole against the parameters of a model.
    pub(super) fn check_whole(&self, layers: &[DenseLayer], parameters: &[&str]) -> Result<(), String> {
        for module in &self.whole {
            let tied = |layer: &DenseLayer| {
                let table = layer.scores.as_ref().and_then(|scores| scores.tied.as_deref());
                table.is_some_and(|table| is_below(&layer.path, module) || is_below(table, module))
            };
            if layers.iter().any(tied) {
                return Err(format!(
                    "modules-to-save: `{module}` is one table of this model, read and scored by; PEFT would train a copy for one of \
                     both, which is then another model (untie it first, or name other modules)"
                ));
            }
            if !parameters.iter().any(|name| is_below(name, module)) {
                return Err(format!("modules-to-save: this model has no module called `{module}`"));
            }
        }
        Ok(())
    }

    /// The same of an adapter from a file, whose copy of a table may not be put in the place of both.
    pub(super) fn check_saved(&self, layers: &[DenseLayer]) -> Result<(), String> {
        let tied = |layer: &DenseLayer| layer.scores.as_ref().and_then(|scores| scores.tied.clone());
        let copied = |table: &String| self.whole.iter().any(|module| is_below(table, module));
        match layers.iter().filter_map(tied).find(copied) {
            Some(table) => Err(format!(
                "`modules_to_save` of adapter_config.json holds a copy of `{table}`, by which this model scores, too: PEFT reads the copy and \
                 scores by the old table, for which there is no place here; merge the adapter into its base with PEFT, untied"
            )),
            None => Ok(()),
        }
    }

    /// In words, for people.
    pub(super) fn shown(&self) -> String {
        match &self.rule {
            Rule::All => ALL_LINEAR.to_owned(),
            Rule::Names(names) => names.join(", "),
            Rule::Pattern(pattern) => expression(pattern).to_owned(),
        }
    }

    /// Whether a layer gets an adapter, as far as its path says.
    pub(super) fn matches(&self, path: &str) -> bool {
        if self.exclude.as_ref().is_some_and(|rule| rule.matches(path)) || self.whole.iter().any(|m| is_below(path, m))
        {
            return false;
        }
        let by_name = match &self.rule {
            Rule::Names(names) => !names.iter().any(|name| name == path),
            Rule::All | Rule::Pattern(_) => false,
        };
        self.rule.matches(path) && (!by_name || self.blocks.is_empty() || self.is_in_blocks(path))
    }

    fn is_in_blocks(&self, path: &str) -> bool {
        let found = self.block_patterns.iter().find_map(|pattern| pattern.captures(path));
        let block = found.and_then(|found| found["idx"].parse::<i64>().ok());
        block.is_some_and(|block| self.blocks.contains(&block))
    }

    /// Checks a new adapter against the dense layers of a model and the paths of all its modules. Returns what to tell.
    pub(super) fn check(&self, layers: &[DenseLayer], modules: &BTreeSet<String>) -> Result<Vec<String>, String> {
        let mut left_out = BTreeSet::new();
        let mut look = |what: &str, rule: &dyn Fn(&str) -> bool| {
            let found = layers.iter().filter(|layer| layer.paths().any(rule));
            let (whole, beside): (Vec<_>, Vec<_>) = found.partition(|layer| layer.obstacle().is_some());
            match (!beside.is_empty(), whole.first()) {
                (true, _) => left_out.extend(whole.into_iter().map(|layer| layer.path.clone())),
                (false, Some(layer)) => {
                    return Err(format!(
                        "target `{what}`: `{}` {}; name other layers: {}",
                        layer.path,
                        layer.obstacle().unwrap_or_default(),
                        known(layers)
                    ));
                }
                (false, None) if modules.iter().any(|path| rule(path)) => {
                    return Err(format!(
                        "`{what}` is no dense layer, and only those get adapters; this model has: {}",
                        known(layers)
                    ));
                }
                (false, None) => {
                    return Err(format!("no dense layer is called `{what}`; this model has: {}", known(layers)));
                }
            }
            Ok(())
        };
        match &self.rule {
            Rule::All => look(ALL_LINEAR, &|_| true)?,
            Rule::Pattern(pattern) => look(expression(pattern), &|path| pattern.is_match(path))?,
            Rule::Names(names) => names.iter().try_for_each(|name| look(name, &|path| is_named(path, name)))?,
        }
        if left_out.is_empty() {
            return Ok(Vec::new());
        }
        let left_out: Vec<String> = left_out.into_iter().collect();
        Ok(vec![format!(
            "no adapter beside layers that learn as a whole or are several in transformers: {}",
            left_out.join(", ")
        )])
    }

    /// How these targets are written for a model whose adapters are at the paths `adapted`: as they were given, where that
    /// means the same to everyone who reads it, and otherwise path by path.
    pub(super) fn written(&self, adapted: &BTreeSet<String>, modules: &BTreeSet<String>) -> Value {
        match &self.rule {
            Rule::Names(names) if modules.iter().all(|path| self.rule.matches(path) == adapted.contains(path)) => {
                Value::from(names.clone())
            }
            _ => adapted.iter().cloned().map(Value::from).collect(),
        }
    }
}

/// Last parts of the paths of layers that may get an adapter.
fn known(layers: &[DenseLayer]) -> String {
    let last = |layer: &DenseLayer| layer.path.rsplit('.').find(|part| part.parse::<u32>().is_err()).map(str::to_owned);
    let known: BTreeSet<String> = layers.iter().filter(|layer| layer.obstacle().is_none()).filter_map(last).collect();
    known.into_iter().collect::<Vec<_>>().join(", ")
}

/// A pattern of `rank_pattern` or `alpha_pattern`: the end of a path.
pub(super) fn ending(pattern: &str) -> Result<Regex, String> {
    compiled(&format!(r"\A(?:.*\.)?(?:{pattern})\z"), pattern)
}

fn whole(pattern: &str) -> Result<Regex, String> {
    compiled(&format!(r"\A(?:{pattern})\z"), pattern)
}

/// What [`whole`] was made of.
fn expression(pattern: &Regex) -> &str {
    let text = pattern.as_str();
    text.strip_prefix(r"\A(?:").and_then(|text| text.strip_suffix(r")\z")).unwrap_or(text)
}

fn compiled(text: &str, pattern: &str) -> Result<Regex, String> {
    Regex::new(text)
        .map_err(|_| format!("`{pattern}` is no regular expression that this program understands; name the layers"))
}

fn is_expression(name: &str) -> bool {
    name.contains(['*', '+', '?', '(', '[', '|', '\\', '^', '$', '{'])
}

fn is_named(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether `module` is a run of whole parts of `path`.
fn is_below(path: &str, module: &str) -> bool {
    format!(".{path}.").contains(&format!(".{module}."))
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64()
}

fn no_numbers() -> String {
    "`layers_to_transform` is neither a number nor a list of numbers".to_owned()
}

fn strings(field: &str, value: &Value) -> Result<Vec<String>, String> {
    let list = value.as_array().and_then(|list| list.iter().map(|v| v.as_str().map(str::to_owned)).collect());
    list.ok_or_else(|| format!("`{field}` is not a list of names"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(config: Value) -> Result<Targets, String> {
        let Value::Object(config) = config else { panic!("an object") };
        Targets::read(&config)
    }

    /// What PEFT 0.21's `check_target_module_exists` says about the same.
    #[test]
    fn the_rules_are_peft_s() {
        let query = "bert.encoder.layer.3.attention.self.query";
        let (dense, pooler) = ("bert.encoder.layer.10.output.dense", "bert.pooler.dense");
        for (config, matching, others) in [
            (json!({"target_modules": ["query"]}), vec![query], vec![dense, "subquery", "query.x"]),
            (json!({"target_modules": [query, "x"]}), vec![query], vec![dense, "encoder.layer.3.attention.self.query"]),
            (json!({"target_modules": ".*\\.(query|value)"}), vec![query], vec![dense, "query"]),
            (json!({"target_modules": "query"}), vec!["query"], vec![query]),
            (json!({"target_modules": ["dense"], "exclude_modules": ["pooler.dense"]}), vec![dense], vec![pooler]),
            (json!({"target_modules": ["dense"], "exclude_modules": ".*pooler.*"}), vec![dense], vec![pooler]),
            (json!({"target_modules": ["dense"], "modules_to_save": ["pooler"]}), vec![dense], vec![pooler]),
            (json!({"target_modules": ["dense"], "task_type": "SEQ_CLS"}), vec![pooler], vec!["classifier.dense"]),
            (json!({"target_modules": ["dense"], "task_type": "TOKEN_CLS"}), vec!["classifier.dense"], vec![query]),
            (
                json!({"target_modules": ["dense", "query"], "layers_to_transform": [3, 4]}),
                vec![query],
                vec![dense, pooler],
            ),
            (json!({"target_modules": ["dense"], "layers_to_transform": 10}), vec![dense], vec![pooler]),
            (
                json!({"target_modules": ["dense"], "layers_to_transform": 10, "layers_pattern": "layer"}),
                vec![dense, "layer.10.dense"],
                vec![pooler, "bert.blocks.10.dense"],
            ),
            // A whole path is not asked for its block.
            (json!({"target_modules": [dense], "layers_to_transform": [1]}), vec![dense], vec![]),
        ] {
            let targets = read(config.clone()).unwrap();
            assert!(matching.iter().all(|path| targets.matches(path)), "{config}");
            assert!(!others.iter().any(|path| targets.matches(path)), "{config}");
        }
        for bad in [
            json!({}),
            json!({"target_modules": 3}),
            json!({"target_modules": "(?=x)y"}),
            json!({"target_modules": [1]}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_a_target_is_explained() {
        let layer = |path: &str, whole| {
            let module = Some(path.to_owned());
            DenseLayer { path: path.to_owned(), module, whole, scores: None }
        };
        let layers = [
            layer("r.layer.0.query", false),
            layer("r.layer.0.dense", false),
            layer("classifier.dense", true),
            layer("classifier.out_proj", true),
        ];
        let modules =
            ["r.layer.0.query", "r.layer.0.dense", "classifier.dense", "classifier.out_proj", "r.word_embeddings"];
        let modules: BTreeSet<String> = modules.map(str::to_owned).into();
        let check = |names: &[&str]| {
            Targets::new(names.iter().map(|&name| name.to_owned()).collect()).and_then(|t| t.check(&layers, &modules))
        };
        assert_eq!(check(&["query"]).unwrap(), Vec::<String>::new());
        assert_eq!(check(&[".*query"]).unwrap(), Vec::<String>::new());
        for names in [&["dense"][..], &["all-linear"], &["query", "dense"]] {
            assert!(check(names).unwrap()[0].contains("classifier.dense"), "{names:?}");
        }
        for (names, problem) in [
            (&["out_proj"][..], "learns as a whole"),
            (&["word_embeddings"], "is no dense layer, and only those get adapters; this model has: dense, query"),
            (&["q_lin"], "no dense layer is called `q_lin`; this model has: dense, query"),
            (&[".*key"], "no dense layer is called `.*key`"),
            (&["query", ".*key"], "stands alone"),
            (&["(query"], "no regular expression"),
            (&[], "no target layers"),
        ] {
            let error = check(names).unwrap_err();
            assert!(error.contains(problem), "{names:?}: {error}");
        }
    }

    #[test]
    fn names_are_written_only_where_they_are_enough() {
        let modules: BTreeSet<String> = ["r.0.query", "r.0.dense", "classifier.dense"].map(str::to_owned).into();
        let written = |names: &[&str], adapted: &[&str]| {
            let targets = Targets::new(names.iter().map(|&name| name.to_owned()).collect()).unwrap();
            targets.written(&adapted.iter().map(|&path| path.to_owned()).collect(), &modules)
        };
        assert_eq!(written(&["query"], &["r.0.query"]), json!(["query"]));
        assert_eq!(written(&["dense"], &["r.0.dense"]), json!(["r.0.dense"]));
        assert_eq!(written(&["all-linear"], &["r.0.dense", "r.0.query"]), json!(["r.0.dense", "r.0.query"]));
    }
}
