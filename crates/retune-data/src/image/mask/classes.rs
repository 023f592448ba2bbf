//! What each value that masks store means: a class of a model, no class, or nothing that is known.

use super::{ClassList, NO_CLASS};
use crate::error::{quoted, shortened};

/// Names of classes that say that a pixel has none.
const VOID: [&str; 7] = ["void", "ignore", "ignored", "unlabeled", "unlabelled", "unlabeled pixels", "don't care"];
/// Names of the value 0 that a list has only where its values are those of the masks themselves, not those behind a reduction.
const BACKGROUND: [&str; 4] = ["background", "_background_", "bg", "none"];
/// What the two values of masks without a list are called.
const BINARY: [&str; 2] = ["background", "foreground"];

/// Classes whose pixels count as if they had none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum IgnoredClasses {
    /// Those whose name says so, such as `void`.
    #[default]
    Void,
    /// These.
    Named(Vec<String>),
}

impl IgnoredClasses {
    fn has(&self, name: &str) -> bool {
        let same = |other: &str| other.trim().eq_ignore_ascii_case(name.trim());
        match self {
            Self::Void => VOID.iter().any(|void| same(void)),
            Self::Named(names) => names.iter().any(|other| same(other)),
        }
    }
}

impl IgnoredClasses {
    /// Whether a list has each class that is named.
    fn check(&self, list: &ClassList) -> Result<(), String> {
        let Self::Named(names) = self else { return Ok(()) };
        let one = |name: &String| Self::Named(vec![name.clone()]);
        let unknown = names.iter().find(|name| !list.classes.iter().any(|class| one(name).has(&class.name)));
        unknown.map_or(Ok(()), |name| {
            let known: Vec<String> = list.classes.iter().map(|class| class.name.clone()).collect();
            Err(format!("`{}` is to be ignored and is no class; known: {}", shortened(name), quoted(&known, 20)))
        })
    }
}

/// How stored values are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskReading {
    /// Whether 0 is no class and the others count from 1: Hugging Face's `do_reduce_labels`.
    pub reduce: bool,
    /// The stored value that is no class.
    pub ignored_value: u8,
    /// Classes of a list that count as none.
    pub ignored: IgnoredClasses,
    /// Whether masks are black and white with shades between, so that the brighter half of the values is white.
    pub soft: bool,
}

impl Default for MaskReading {
    fn default() -> Self {
        Self { reduce: false, ignored_value: NO_CLASS, ignored: IgnoredClasses::Void, soft: false }
    }
}

/// What a stored value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Class(u8),
    Nothing,
    Unknown,
}

/// Whether labels are reduced, and the list names the 0 that is no class then, and all other values that are `present`: its values are
/// those of the masks.
fn names_zero(list: &ClassList, present: &[bool; 256], reading: &MaskReading) -> bool {
    let is = |name: &str, other: &&str| name.trim().eq_ignore_ascii_case(other);
    let says_nothing = |name: &str| BACKGROUND.iter().chain(&VOID).any(|other| is(name, other));
    let named = |value: usize| list.classes.iter().any(|class| usize::from(class.value) == value);
    let all_named = (0..usize::from(NO_CLASS)).all(|value| !present[value] || named(value));
    reading.reduce && all_named && list.classes.iter().any(|class| class.value == 0 && says_nothing(&class.name))
}

/// The classes of a model, and which of them each stored value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskClasses {
    names: Vec<String>,
    meanings: Vec<Meaning>,
    notes: Vec<String>,
}

impl MaskClasses {
    /// Chooses classes for data to learn from, where the values of `present` occur: those of a list, else 0 to the greatest.
    ///
    /// # Errors
    /// Fewer than two classes, or values that do not look like numbers of classes.
    pub fn choose(present: &[bool; 256], list: Option<&ClassList>, reading: &MaskReading) -> Result<Self, String> {
        let names = match list {
            Some(list) => {
                reading.ignored.check(list)?;
                let zero = names_zero(list, present, reading);
                let classes = list.classes.iter().filter(|class| !(zero && class.value == 0));
                classes.map(|class| class.name.clone()).filter(|name| !reading.ignored.has(name)).collect()
            }
            None if matches!(&reading.ignored, IgnoredClasses::Named(names) if !names.is_empty()) => {
                return Err(
                    "classes to be ignored are named, but nothing names the classes of the masks (classes.json)"
                        .to_owned(),
                );
            }
            None if is_binary(present, reading) => BINARY.map(str::to_owned).to_vec(),
            None => numbered(present, reading)?,
        };
        let it = Self::of(names, present, list, reading)?;
        if it.names.len() < 2 {
            return Err(format!(
                "there is one class, {}; a model needs two to tell apart, so name the background too (classes.json)",
                quoted(&it.names, 1)
            ));
        }
        Ok(it)
    }

    /// The classes that a model has, for data where the values of `present` occur.
    ///
    /// # Errors
    /// More classes than masks can hold; a list none of whose names the model has.
    pub fn of(
        names: Vec<String>,
        present: &[bool; 256],
        list: Option<&ClassList>,
        reading: &MaskReading,
    ) -> Result<Self, String> {
        if names.len() >= usize::from(NO_CLASS) {
            return Err(format!("there are {} classes; masks hold at most 254 of them, and 255 is none", names.len()));
        }
        let mut it = Self { meanings: vec![Meaning::Unknown; 256], notes: Vec::new(), names };
        let listed = list.map_or(2, |list| list.classes.len());
        if it.names.len() == 2 && listed == 2 && is_binary(present, reading) {
            it.meanings[0] = Meaning::Class(0);
            it.meanings[255] = Meaning::Class(1);
            let name = shortened(&it.names[1]);
            it.notes.push(if is_soft(reading) {
                it.meanings = (0..256).map(|value| Meaning::Class(u8::from(value >= 128))).collect();
                format!("masks are black and white with soft edges: what is brighter than 127 is `{name}`")
            } else {
                format!("masks hold 0 and 255 only: 255 is `{name}`")
            });
            return Ok(it);
        }
        let raw = |id: usize| id + usize::from(reading.reduce);
        match list {
            Some(list) => it.meanings_of(list, present, reading, raw)?,
            None => (0..it.names.len()).for_each(|id| it.meanings[raw(id)] = Meaning::Class(id as u8)),
        }
        if reading.reduce {
            it.meanings[0] = Meaning::Nothing;
            if let (Meaning::Class(first), Some(_)) = (it.meanings[1], list) {
                let name = shortened(&it.names[usize::from(first)]);
                it.notes.push(format!("labels are reduced: 0 of a mask is no class, 1 is `{name}`"));
            }
        }
        it.meanings[usize::from(reading.ignored_value)] = Meaning::Nothing;
        if it.meanings[255] == Meaning::Unknown {
            it.meanings[255] = Meaning::Nothing;
        }
        Ok(it)
    }

    fn meanings_of(
        &mut self,
        list: &ClassList,
        present: &[bool; 256],
        reading: &MaskReading,
        raw: impl Fn(usize) -> usize,
    ) -> Result<(), String> {
        let mut ignored = Vec::new();
        let mut known = 0;
        let zero = names_zero(list, present, reading);
        for class in &list.classes {
            let value = if zero { class.value.into() } else { raw(class.value.into()) };
            let Some(meaning) = self.meanings.get_mut(value) else {
                return Err(format!("`{}` would have the value {value}", shortened(&class.name)));
            };
            let same = |name: &String| name.trim().eq_ignore_ascii_case(class.name.trim());
            if let Some(id) = self.names.iter().position(same) {
                *meaning = Meaning::Class(id as u8);
                known += 1;
            } else if reading.ignored.has(&class.name) {
                *meaning = Meaning::Nothing;
                ignored.push(class.name.clone());
            }
        }
        if known == 0 {
            let theirs: Vec<String> = list.classes.iter().map(|class| class.name.clone()).collect();
            return Err(format!(
                "{}: none of its classes ({}) is one of the model's ({})",
                list.file.display(),
                quoted(&theirs, 8),
                quoted(&self.names, 8)
            ));
        }
        if !ignored.is_empty() {
            self.notes.push(format!("pixels of {} count as having no class", quoted(&ignored, 8)));
        }
        Ok(())
    }

    /// Names in the order of a model's outputs.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What a person should know about how values are understood.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The class of a stored value; [`NO_CLASS`] where it has none or is not known.
    pub(super) fn class(&self, value: u8) -> u8 {
        match self.meanings[usize::from(value)] {
            Meaning::Class(class) => class,
            Meaning::Nothing | Meaning::Unknown => NO_CLASS,
        }
    }

    /// Whether a stored value means something.
    pub(super) fn knows(&self, value: u8) -> bool {
        self.meanings[usize::from(value)] != Meaning::Unknown
    }

    /// Which values mean a class, for messages: `0 to 10`.
    pub(super) fn known_values(&self) -> String {
        let classes = (0..=255usize).filter(|&value| matches!(self.meanings[value], Meaning::Class(_)));
        let values: Vec<usize> = classes.collect();
        match (values.first(), values.last()) {
            (Some(first), Some(last)) if last - first + 1 == values.len() => format!("{first} to {last}"),
            _ => values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        }
    }
}

/// Whether there are two values that only black and white could be.
fn is_binary(present: &[bool; 256], reading: &MaskReading) -> bool {
    let others = present[1..255].iter().any(|&there| there);
    let plain = !reading.reduce && reading.ignored_value == NO_CLASS;
    is_soft(reading) || (present[0] && present[255] && !others && plain)
}

fn is_soft(reading: &MaskReading) -> bool {
    reading.soft && !reading.reduce && reading.ignored_value == NO_CLASS
}

/// Classes by their numbers.
fn numbered(present: &[bool; 256], reading: &MaskReading) -> Result<Vec<String>, String> {
    let first = usize::from(reading.reduce);
    let counts = |value: usize| present[value] && value != usize::from(reading.ignored_value);
    let values: Vec<usize> = (first..255).filter(|&value| counts(value)).collect();
    let Some(last) = values.last() else { return Err("no pixel of any mask has a class".to_owned()) };
    let all = last - first + 1;
    if all >= usize::from(NO_CLASS) {
        return Err(format!(
            "masks hold {} different values, which are shades rather than numbers of classes; write masks of numbers, or, where \
             they are black and white, of 0 and 255 (cut at 128)",
            values.len()
        ));
    }
    if values.len() * 2 < all {
        let shown: Vec<String> = values.iter().take(8).map(ToString::to_string).collect();
        return Err(format!(
            "masks hold the values {}{}, which look like no numbers of classes; list the classes in a classes.json beside the \
             images, such as {{\"0\": \"background\", \"{last}\": \"cell\"}}",
            shown.join(", "),
            if values.len() > shown.len() { ", …" } else { "" }
        ));
    }
    Ok((0..all).map(|id| format!("class {id}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::mask::class_list::Class;

    fn list(classes: &[(&str, u8)]) -> ClassList {
        let class = |&(name, value): &(&str, u8)| Class { name: name.to_owned(), value, colour: None };
        ClassList { file: "classes.json".into(), classes: classes.iter().map(class).collect() }
    }

    fn present(values: &[u8]) -> [bool; 256] {
        let mut present = [false; 256];
        values.iter().for_each(|&value| present[usize::from(value)] = true);
        present
    }

    fn classes(it: &MaskClasses, values: &[u8]) -> Vec<u8> {
        values.iter().map(|&value| it.class(value)).collect()
    }

    #[test]
    fn a_list_names_classes_and_void_is_none() {
        let list = list(&[("void", 0), ("sky", 3), ("road", 7)]);
        let reading = MaskReading::default();
        let it = MaskClasses::choose(&present(&[0, 3, 7]), Some(&list), &reading).unwrap();
        assert_eq!(it.names(), ["sky", "road"]);
        assert_eq!(classes(&it, &[0, 3, 7, 255]), [255, 0, 1, 255]);
        assert!(it.knows(0) && it.knows(255) && !it.knows(1));
        assert!(it.notes()[0].contains("`void`") && it.known_values() == "3, 7");
        let all = MaskReading { ignored: IgnoredClasses::Named(vec!["Road".into()]), ..reading };
        let it = MaskClasses::choose(&present(&[0, 3, 7]), Some(&list), &all).unwrap();
        assert_eq!((it.names().len(), it.class(0), it.class(7)), (2, 0, 255));
        let wrong = MaskReading { ignored: IgnoredClasses::Named(vec!["rode".into()]), ..all };
        let error = MaskClasses::choose(&present(&[0, 3, 7]), Some(&list), &wrong).unwrap_err();
        assert!(error.contains("`rode`") && error.contains("sky"), "{error}");
        let error = MaskClasses::choose(&present(&[0, 255]), None, &wrong).unwrap_err();
        assert!(error.contains("nothing names the classes"), "{error}");
    }

    #[test]
    fn black_and_white_are_two_classes() {
        let it = MaskClasses::choose(&present(&[0, 255]), None, &MaskReading::default()).unwrap();
        assert_eq!((it.names(), it.class(255)), (&BINARY.map(str::to_owned)[..], 1));
        let named = list(&[("background", 0), ("nucleus", 1)]);
        let it = MaskClasses::choose(&present(&[0, 255]), Some(&named), &MaskReading::default()).unwrap();
        assert_eq!((it.names()[1].as_str(), it.class(255), it.notes().len()), ("nucleus", 1, 1));
        // With a 1 beside it, 255 is no class.
        let it = MaskClasses::choose(&present(&[0, 1, 255]), Some(&named), &MaskReading::default()).unwrap();
        assert_eq!(classes(&it, &[0, 1, 255]), [0, 1, 255]);
    }

    #[test]
    fn shades_are_black_or_white() {
        let all = [true; 256];
        let soft = MaskReading { soft: true, ..MaskReading::default() };
        let it = MaskClasses::choose(&all, None, &soft).unwrap();
        assert_eq!((it.names().len(), classes(&it, &[0, 127, 128, 255])), (2, vec![0, 0, 1, 1]));
        assert!(it.notes()[0].contains("soft edges"), "{:?}", it.notes());
        let said = MaskClasses::choose(&all, None, &MaskReading::default()).unwrap_err();
        assert!(said.contains("255 different values, which are shades") && said.contains("0 and 255"), "{said}");
        // Of three classes, shades are no two of them.
        let three = list(&[("a", 0), ("b", 1), ("c", 2)]);
        assert!(!MaskClasses::choose(&all, Some(&three), &soft).unwrap().knows(127));
    }

    #[test]
    fn numbers_count_from_where_they_begin() {
        let it = MaskClasses::choose(&present(&[0, 1, 3]), None, &MaskReading::default()).unwrap();
        assert_eq!((it.names().len(), it.known_values().as_str()), (4, "0 to 3"));
        let reduced = MaskReading { reduce: true, ..MaskReading::default() };
        let it = MaskClasses::choose(&present(&[0, 1, 2]), None, &reduced).unwrap();
        assert_eq!(classes(&it, &[0, 1, 2, 255]), [255, 0, 1, 255]);
        // A list that names the 0 is of the values in masks; one that does not is of those behind the reduction.
        for (classes_of_list, present_values) in [
            (&[("background", 0), ("cat", 1), ("dog", 2)][..], &[0, 1, 2][..]),
            (&[("cat", 0), ("dog", 1)], &[0, 1, 2]),
        ] {
            let it = MaskClasses::choose(&present(present_values), Some(&list(classes_of_list)), &reduced).unwrap();
            assert_eq!(
                (it.names(), classes(&it, &[0, 1, 2])),
                (&["cat".to_owned(), "dog".to_owned()][..], vec![255, 0, 1])
            );
            assert!(it.notes()[0].contains("1 is `cat`"), "{:?}", it.notes());
        }
        let behind = list(&[("background", 0), ("cat", 1)]);
        let it = MaskClasses::choose(&present(&[0, 1, 2]), Some(&behind), &reduced).unwrap();
        assert_eq!((it.names()[0].as_str(), classes(&it, &[0, 1, 2])), ("background", vec![255, 0, 1]));
        let zero = MaskReading { ignored_value: 0, ..MaskReading::default() };
        let it = MaskClasses::choose(&present(&[0, 1, 2]), None, &zero).unwrap();
        assert_eq!(classes(&it, &[0, 1, 2]), [255, 1, 2]);
        let refuse = |values: &[u8]| MaskClasses::choose(&present(values), None, &MaskReading::default()).unwrap_err();
        assert!(refuse(&[0, 50, 100]).contains("0, 50, 100, which look like no numbers"));
        assert!(refuse(&[0]).contains("there is one class"));
        assert!(refuse(&[255]).contains("no pixel"));
    }

    #[test]
    fn a_models_classes_are_found_by_name() {
        let names = vec!["road".to_owned(), "Sky".to_owned()];
        let list = list(&[("sky", 0), ("road", 1), ("tree", 2), ("void", 3)]);
        let it = MaskClasses::of(names.clone(), &present(&[0, 1]), Some(&list), &MaskReading::default()).unwrap();
        assert_eq!(classes(&it, &[0, 1, 3]), [1, 0, 255]);
        assert!(!it.knows(2));
        let other = self::list(&[("cat", 0), ("dog", 1)]);
        let said = MaskClasses::of(names, &present(&[0, 1]), Some(&other), &MaskReading::default()).unwrap_err();
        assert!(said.contains("none of its classes") && said.contains("`road`"), "{said}");
    }
}
