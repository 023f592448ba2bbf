//! The items that can be recommended, and their texts.

use std::path::Path;

use super::Names;
use crate::problems::Problems;
use crate::table::{self, Cell, Wanted};
use crate::{DataError, OnBadExample, RowProblem};

/// Items, numbered from 1; 0 is none.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    names: Names,
    /// Of each item of a table, the cells of its text columns; nothing of others.
    texts: Vec<String>,
    /// What a person should know about how the table was read.
    remarks: Vec<String>,
}

impl Catalogue {
    /// Items without texts, in this order.
    pub fn of(ids: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut catalogue = Self::default();
        for id in ids {
            catalogue.add(id.as_ref());
        }
        catalogue
    }

    /// Reads a table: a column with the item, and columns with texts, whose cells are joined by line ends.
    ///
    /// # Errors
    /// An unreadable file, missing columns, rows without an item, up to ten together.
    pub fn read(
        path: &Path,
        item_column: &str,
        text_columns: &[String],
        on_bad_example: OnBadExample,
    ) -> Result<Self, DataError> {
        let wanted = |name: &str, flag| Wanted { name: name.to_owned(), flag, required: true, bytes: false };
        let mut all = vec![wanted(item_column, "--item-column")];
        all.extend(text_columns.iter().map(|name| wanted(name, "--item-text-columns")));
        let mut reader = table::open(path, &all)?;
        let mut catalogue = Self::default();
        let mut problems = Problems::that(on_bad_example, path);
        let (mut twice, mut empty) = (0, 0);
        while let Some(record) = reader.next_record() {
            let good = catalogue.texts.len();
            let record = match record? {
                Ok(record) => record,
                Err(problem) => {
                    problems.push_row(good, problem)?;
                    continue;
                }
            };
            let Some(item) = record.cells[0].name().filter(|name| !name.is_empty()) else {
                let problem =
                    RowProblem::new(record.line, Some(item_column), "names no item; fill it in or remove the row");
                problems.push_row(good, problem)?;
                continue;
            };
            if catalogue.names.find(&item).is_some() {
                twice += 1;
                continue;
            }
            let text: Vec<String> = record.cells[1..].iter().filter_map(spelled).collect();
            empty += usize::from(text.is_empty() && !text_columns.is_empty());
            catalogue.names.number(&item);
            catalogue.texts.push(text.join("\n"));
        }
        let left_out = problems.leave_out(!catalogue.texts.is_empty())?;
        let file = path.display();
        let mut say = |count: usize, what: &str| {
            catalogue.remarks.extend((count > 0).then(|| format!("{file}: {count} {what}")));
        };
        say(twice, "rows repeat an item; its first row counts");
        say(empty, "items have no text");
        say(left_out.len(), "rows cannot be used and are left out");
        Ok(catalogue)
    }

    /// The same items with these first, in this order; others keep theirs.
    #[must_use]
    pub fn ordered(self, first: &[String]) -> Self {
        let mut ordered = Self { remarks: self.remarks.clone(), ..Self::default() };
        for id in first.iter().chain(self.ids()) {
            ordered.add(id);
        }
        ordered.texts =
            ordered.ids().iter().map(|id| self.find(id).map_or("", |item| self.text(item)).to_owned()).collect();
        ordered
    }

    /// The number of an item, a new one where it is new.
    pub fn add(&mut self, id: &str) -> u32 {
        self.names.number(id) + 1
    }

    /// The number of an item that is there.
    pub fn find(&self, id: &str) -> Option<u32> {
        self.names.find(id).map(|number| number + 1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.all().len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its name. Panics for 0 and beyond the end.
    pub fn id(&self, item: u32) -> &str {
        &self.names.all()[item as usize - 1]
    }

    /// All names: item i is at i - 1.
    pub fn ids(&self) -> &[String] {
        self.names.all()
    }

    /// Its text; empty where it has none.
    pub fn text(&self, item: u32) -> &str {
        self.texts.get((item as usize).wrapping_sub(1)).map_or("", String::as_str)
    }

    /// What a person should know about how the table was read, each a sentence that begins with its name.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }
}

/// A cell as text; a list is spelled with commas.
fn spelled(cell: &Cell) -> Option<String> {
    let text = match cell {
        Cell::List(cells) => cells.iter().filter_map(Cell::name).collect::<Vec<_>>().join(", "),
        other => other.name()?,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_have_numbers_and_texts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.csv");
        std::fs::write(&path, "item_id,title,genres\n7,Heat,Crime\n9,,\n7,Again,x\n,No,y\n").unwrap();
        let columns = ["title".to_owned(), "genres".to_owned()];
        let read = |bad| Catalogue::read(&path, "item_id", &columns, bad);
        let all = read(OnBadExample::Skip).unwrap();
        assert_eq!(
            (all.len(), all.find("9"), all.id(1), all.text(1), all.text(2)),
            (2, Some(2), "7", "Heat\nCrime", "")
        );
        assert_eq!(all.remarks().len(), 3, "{:?}", all.remarks());
        assert_eq!(all.text(0), "");
        assert!(
            read(OnBadExample::Fail).unwrap_err().to_string().contains("items.csv:5: column `item_id`: names no item")
        );
        let missing =
            Catalogue::read(&path, "item_id", &["plot".to_owned()], OnBadExample::Fail).unwrap_err().to_string();
        assert!(missing.contains("`plot`") && missing.contains("--item-text-columns"), "{missing}");
    }
}
