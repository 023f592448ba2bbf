//! The settings of tasks that give an input labels or numbers.

use crate::metric::operating_point::Rule;
use crate::recipe::settings::{DATA, Held, Kind, RUN, ZERO_OR_ONE, parsed, settings};
use retune_data::column_list;

settings! {
    /// Labels, what they mean and how they are learnt.
    pub struct ClassificationSettings, under DATA, else "{task} has no labels" {
        /// Column with the label; several, separated by commas (names with commas in double quotes, or a list in a recipe), for several
        /// labels per example
        label_column: String = "label".to_owned(), value("COLUMN"), names(), reads(some_column), at_use();
        /// Character between labels within one cell
        label_separator: Option<char>, value("CHARACTER"), at_use();
        /// Labels that are numbers count the model's named labels from 0 or from 1; without it they are understood only where
        /// the order of the names was not chosen by a run
        label_numbers: Option<u64>, value("0|1"), range(ZERO_OR_ONE), at_use();
        /// auto, single-label, multi-label or regression
        problem: String = "auto".to_owned(), one_of(&["auto", "single-label", "multi-label", "regression"]);
        /// Class that the operating point, sensitivity and specificity are about
        positive_class: Option<String>, value("NAME"), under(RUN), usual("the second of two classes");
        /// How the validation split chooses a decision threshold, such as specificity:0.95, sensitivity:0.9 or
        /// threshold:0.3; it is applied to the test split, and kept for `evaluate` and `predict`
        operating_point: Option<Rule>, value("RULE:X"), under(RUN), reads(parsed::<Rule>), neutral();
    }
}

impl Held for Rule {
    const KIND: Kind = Kind::Text;
}

impl ClassificationSettings {
    /// Columns with labels, as readers take them: only they know whether commas separate columns or belong to a name.
    pub fn label_columns(&self) -> Vec<String> {
        vec![self.label_column.clone()]
    }
}

fn some_column(names: &str) -> Result<(), String> {
    if !column_list(names).is_empty() { Ok(()) } else { Err("name at least one column".to_owned()) }
}
