//! What is asked, and how answers are read and ranked.

use crate::Recipe;
use crate::recipe::settings::{AT_LEAST_ONE, DATA, settings};
use crate::task::texts::AnnotationSettings;
use anyhow::{Result, ensure};
use retune_data::annotations::answers::{AnswerOptions, QuestionOptions};

settings! {
    /// Questions, contexts and answers.
    pub(super) struct AnswerSettings, under DATA, else "{task} has no questions" {
        /// Column with the question
        question_column: String = "question".to_owned(), value("COLUMN"), at_use();
        /// Column with the context
        context_column: String = "context".to_owned(), value("COLUMN"), at_use();
        /// Column with the answers: text and answer_start
        answers_column: String = "answers".to_owned(), value("COLUMN"), at_use();
        /// Tokens that two windows of a context have in common, where it is longer than the model
        doc_stride: usize = 128, value("TOKENS"), at_use();
        /// Longest answer in tokens
        max_answer_length: usize = 30, value("TOKENS"), range(AT_LEAST_ONE), at_use();
        /// Answers that are ranked
        n_best: usize = 20, value("N"), range(AT_LEAST_ONE), at_use();
        /// Whether questions may have no answer: auto (as the training data says), yes or no
        no_answer: String = "auto".to_owned(), one_of(&["auto", "yes", "no"]), at_use();
    }
}

impl AnswerSettings {
    /// How files are read; `required`: each question must say its answers.
    pub(super) fn reading(&self, recipe: &Recipe, required: bool) -> Result<QuestionOptions> {
        Ok(QuestionOptions {
            question: self.question_column.clone(),
            context: self.context_column.clone(),
            answers: self.answers_column.clone(),
            unanswerable: self.unanswerable(),
            repair: recipe.read::<AnnotationSettings>()?.repair(),
            on_bad_example: recipe.data.on_bad_example.parse()?,
            required,
        })
    }

    /// Windows must go on.
    pub(super) fn check_stride(&self, max_length: usize) -> Result<()> {
        ensure!(
            self.doc_stride < max_length,
            "doc-stride: {} tokens in common leave nothing of windows of {max_length}; take at most a third",
            self.doc_stride
        );
        Ok(())
    }

    /// Whether questions may have no answer, where that is said.
    pub(super) fn unanswerable(&self) -> Option<bool> {
        match self.no_answer.as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        }
    }

    /// How answers are ranked, apart from "no answer".
    pub(super) fn ranked(&self) -> AnswerOptions {
        AnswerOptions { n_best: self.n_best, longest: self.max_answer_length, unanswerable: false }
    }
}
