//! A tag for each word: targets of token classification.

use std::collections::BTreeMap;

use super::{IGNORED, Targets};
use crate::annotations::Repair;
use crate::annotations::tags::{Entity, Gold, OnMisfit, align, entities_strict, inside_classes, tag_words};
use crate::problems::Problems;
use crate::{Along, Array, Batch, DataError, Fact, FactValue, RowProblem, Worded, Words};

/// The tags of all examples; `labels` `[B, T]` i64, of each word on its first token, [`IGNORED`] elsewhere.
pub struct Tags {
    names: Vec<String>,
    /// The class of later tokens of a word by the class of the word, where all tokens are labelled.
    inside: Option<Vec<u32>>,
    /// Classes of words, one example after the other, with the end of each.
    classes: Vec<u32>,
    ends: Vec<usize>,
    misfits: usize,
}

/// What is right of an example.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldTags {
    /// The class of each word.
    pub classes: Vec<u32>,
    /// The entities, in words.
    pub entities: Vec<Entity>,
}

impl Tags {
    /// Places what is marked on the words of all examples; `None` where not every example is marked. `names` are the
    /// model's outputs. With `all_tokens` later tokens of a word are labelled too, `B-` as `I-`.
    ///
    /// # Errors
    /// Labels that are not among the names; entities that do not fall on words, unless they may be mended: up to ten
    /// examples together.
    pub fn place(words: &Words, names: &[String], all_tokens: bool, repair: Repair) -> Result<Option<Self>, DataError> {
        let tagged = words.tagged();
        if tagged.examples.iter().any(|example| example.gold.is_none()) {
            return Ok(None);
        }
        let ids: BTreeMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
        let inside = all_tokens.then(|| inside_classes(names));
        let mut it = Self { names: names.to_vec(), inside, classes: Vec::new(), ends: Vec::new(), misfits: 0 };
        let mut problems = Problems::new(&tagged.file);
        for (number, example) in tagged.examples.iter().enumerate() {
            let tags = match &example.gold {
                Some(Gold::Tags(tags)) => tags.clone(),
                Some(Gold::Entities(entities)) => {
                    let words = words.words_of(number);
                    let (_, misfits) = tag_words(words, entities, OnMisfit::Widen);
                    it.misfits += misfits.len();
                    if repair == Repair::Fail && !misfits.is_empty() {
                        for misfit in &misfits {
                            problems.push(misfit.problem(example.line, &example.text, entities))?;
                        }
                        continue;
                    }
                    tag_words(words, entities, OnMisfit::Widen).0
                }
                None => Vec::new(),
            };
            for tag in tags {
                let name = tag.to_string();
                match ids.get(name.as_str()) {
                    Some(&class) => it.classes.push(class),
                    None => {
                        let message = format!("has the tag `{name}`, which this model does not know");
                        problems.push(RowProblem::new(example.line, None, message))?;
                    }
                }
            }
            it.ends.push(it.classes.len());
        }
        problems.finish()?;
        Ok(Some(it))
    }

    /// Names of the classes in the order of the model's outputs.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The classes of an example's words. Panics beyond the end.
    pub fn classes(&self, example: usize) -> &[u32] {
        let start = example.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.classes[start..self.ends[example]]
    }

    /// Entities that were widened to whole words.
    pub fn misfits(&self) -> usize {
        self.misfits
    }
}

/// The entities, in words, that classes of these names spell, read strictly.
pub fn entities_of_classes(names: &[String], classes: &[u32]) -> Vec<Entity> {
    use crate::annotations::tags::Tag;
    let tags: Vec<Tag> =
        classes.iter().map(|&class| Tag::parse(&names[class as usize]).unwrap_or_else(Tag::outside)).collect();
    entities_strict(&tags)
}

impl Targets<Worded> for Tags {
    type Gold = GoldTags;

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn gold(&self, example: usize) -> Result<GoldTags, DataError> {
        let classes = self.classes(example).to_vec();
        let entities = entities_of_classes(&self.names, &classes);
        Ok(GoldTags { classes, entities })
    }

    fn fill(&self, examples: &[usize], seen: &[crate::WordedSeen], into: &mut Batch) -> Result<(), DataError> {
        const MASK: &str = "attention_mask";
        let shape = into.inputs.get(MASK).map(|mask| mask.shape.clone()).expect("texts have a mask");
        let mut values = vec![IGNORED; shape.iter().product()];
        for (row, (&example, seen)) in examples.iter().zip(seen).enumerate() {
            let labels = align(&seen.words, seen.before, self.classes(example), self.inside.as_deref());
            let from = row * shape[1] + seen.first;
            values[from..from + labels.len()].copy_from_slice(&labels);
        }
        let array = Array::integers(&shape, values).along(Along { mask: MASK, fill: IGNORED });
        into.targets.insert("labels".to_owned(), array);
        Ok(())
    }

    fn fingerprint(&self, example: usize) -> Result<String, DataError> {
        Ok(format!("{:?}", self.classes(example)))
    }

    fn counts(&self, examples: &[usize]) -> Vec<(String, usize)> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for &example in examples {
            for entity in entities_of_classes(&self.names, self.classes(example)) {
                *counts.entry(entity.label.to_string()).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }

    fn facts(&self, examples: &[usize]) -> Vec<Fact> {
        let words: usize = examples.iter().map(|&example| self.classes(example).len()).sum();
        vec![Fact::new("words", FactValue::Count(words as u64))]
    }
}
