//! Whether the outputs of a checkpoint's head mean what a task's labels mean: a head of the right size whose outputs
//! mean something else is worse than a new one.

use crate::{ModelConfig, ProblemType};

/// How many names a message shows.
const SHOWN: usize = 5;

/// The labels of a checkpoint beside those of a task.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The same, or of another number, which the shapes will show.
    Same,
    /// The checkpoint gives no names; what to tell about it.
    Unnamed(String),
    /// Other names, or another order; why the head starts anew.
    Other(String),
}

/// Compares the labels of a configuration with those of a task.
pub(crate) fn meaning(config: &ModelConfig, names: &[String], problem: ProblemType) -> Meaning {
    if let Some(problem) = config.label_problem() {
        return Meaning::Other(format!("{problem}, and so nobody can say what its outputs mean"));
    }
    let count = config.label_count() as usize;
    let theirs = config.labels().unwrap_or_else(|| (0..count).map(|id| format!("LABEL_{id}")).collect());
    let numbers = problem == ProblemType::Regression && config.problem_type() == problem;
    if theirs.len() != names.len() || numbers || theirs.iter().zip(names).all(|(a, b)| folded(a) == folded(b)) {
        return Meaning::Same;
    }
    if theirs.iter().enumerate().all(|(id, name)| *name == format!("LABEL_{id}")) {
        let ours = listed(names);
        return Meaning::Unnamed(format!("config.json names no labels: its head is kept, its outputs count as {ours}"));
    }
    Meaning::Other(format!("its labels are {}, those of this task {}", listed(&theirs), listed(names)))
}

impl ModelConfig {
    /// The names in the order of this checkpoint's labels, where both are the same labels but for case.
    pub fn in_label_order(&self, names: &[String]) -> Option<Vec<String>> {
        let theirs = self.labels().filter(|theirs| theirs.len() == names.len())?;
        let find = |label: &String| {
            let mut same = names.iter().filter(|name| folded(name) == folded(label));
            same.next().filter(|_| same.next().is_none()).cloned()
        };
        let ordered: Vec<String> = theirs.iter().map(find).collect::<Option<_>>()?;
        // Two labels of the checkpoint that differ in case only would both find one name.
        names.iter().all(|name| ordered.contains(name)).then_some(ordered)
    }
}

fn folded(name: &str) -> String {
    name.to_lowercase()
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown}, …") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn config(names: &[&str]) -> ModelConfig {
        let mut config = ModelConfig::new(json!({"model_type": "bert"})).unwrap();
        config.set_labels(&strings(names), ProblemType::SingleLabelClassification);
        config
    }

    #[test]
    fn names_follow_the_checkpoint_where_they_are_the_same() {
        let checkpoint = config(&["POS", "NEG"]);
        assert_eq!(checkpoint.in_label_order(&strings(&["neg", "pos"])), Some(strings(&["pos", "neg"])));
        assert_eq!(checkpoint.in_label_order(&strings(&["neg", "neutral"])), None);
        assert_eq!(checkpoint.in_label_order(&strings(&["neg", "pos", "neutral"])), None);
        assert_eq!(checkpoint.in_label_order(&strings(&["pos", "Pos"])), None);
        assert_eq!(config(&["pos", "POS"]).in_label_order(&strings(&["pos", "neg"])), None);
    }

    #[test]
    fn only_names_tell_what_outputs_mean() {
        let single = ProblemType::SingleLabelClassification;
        let compare = |theirs: &[&str], ours: &[&str]| meaning(&config(theirs), &strings(ours), single);
        assert_eq!(compare(&["NEG", "POS"], &["neg", "pos"]), Meaning::Same);
        assert_eq!(compare(&["a", "b", "c"], &["neg", "pos"]), Meaning::Same);
        assert!(matches!(compare(&["LABEL_0", "LABEL_1"], &["neg", "pos"]), Meaning::Unnamed(_)));
        assert!(matches!(compare(&["POS", "NEG"], &["neg", "pos"]), Meaning::Other(_)));
        let Meaning::Other(reason) = compare(&["ham", "spam"], &["neg", "pos"]) else { panic!("kept") };
        assert!(reason.contains("ham, spam") && reason.contains("neg, pos"), "{reason}");
        let mut numbers = config(&["score"]);
        numbers.set_labels(&strings(&["score"]), ProblemType::Regression);
        assert_eq!(meaning(&numbers, &strings(&["LABEL_0"]), ProblemType::Regression), Meaning::Same);
        let torn =
            json!({"model_type": "bert", "id2label": {"0": "neg", "1": "pos"}, "label2id": {"neg": 1, "pos": 0}});
        let torn = ModelConfig::new(torn).unwrap();
        assert!(matches!(meaning(&torn, &strings(&["neg", "pos"]), single), Meaning::Other(_)));
        assert_eq!(
            (torn.labels(), torn.in_label_order(&strings(&["neg", "pos"])), torn.label_count()),
            (None, None, 2)
        );
    }
}
