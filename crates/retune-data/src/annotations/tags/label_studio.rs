//! Label Studio's JSON export: a list of tasks with `data.text` and `annotations[].result[].value {start, end, labels}`.

use serde_json::{Map, Value};

use super::Tagged;
use super::marked::{Item, gathered};
use super::parts::{RawGold, RawTagged, TagOptions};
use crate::RowProblem;
use crate::annotations::repair::Mends;
use crate::error::{quoted, shortened};

/// Reads one task.
///
/// # Errors
/// What is wrong with it.
pub(super) fn row(
    line: u64,
    mut row: Map<String, Value>,
    options: &TagOptions,
    mends: &mut Mends,
) -> Result<RawTagged, Vec<RowProblem>> {
    let refuse = |column: &str, message: String| vec![RowProblem::new(line, Some(column), message)];
    let data = row.remove("data").unwrap_or(Value::Null);
    let text = match data.get(&options.text) {
        Some(Value::String(text)) => text.clone(),
        _ => {
            let keys: Vec<String> = data.as_object().map(|data| data.keys().cloned().collect()).unwrap_or_default();
            let message =
                format!("has no text `{}`, but {}; name it with --text-column", options.text, quoted(&keys, 8));
            return Err(refuse("data", message));
        }
    };
    let id = row.remove("id").filter(|id| !id.is_null());
    let tagged = Tagged { id, ..Tagged::of_text(line, text) };
    let annotations = row.remove("annotations").or_else(|| row.remove("completions")).unwrap_or(Value::Null);
    let annotations = annotations.as_array().map_or(&[][..], Vec::as_slice);
    let kept: Vec<&Value> =
        annotations.iter().filter(|it| it.get("was_cancelled") != Some(&Value::Bool(true))).collect();
    let truth: Vec<&Value> =
        kept.iter().copied().filter(|it| it.get("ground_truth") == Some(&Value::Bool(true))).collect();
    let annotation = match (truth.as_slice(), kept.as_slice()) {
        ([one], _) | ([], [one]) => one,
        ([], []) if options.required => {
            let message = "has none that was submitted; annotate the task or leave it out of the export";
            return Err(refuse("annotations", message.to_owned()));
        }
        ([], []) => return Ok(RawTagged { tagged, gold: RawGold::None, comments: None }),
        _ => {
            let message = format!("has {} of this text; mark one as ground truth or remove the others", kept.len());
            return Err(refuse("annotations", message));
        }
    };
    let results = annotation.get("result").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let items = results.iter().filter_map(item_of);
    let gold = gathered(&tagged, items, options.repair, mends);
    let gold = gold.map_err(|messages| {
        messages.into_iter().map(|message| RowProblem::new(line, Some("annotations"), message)).collect::<Vec<_>>()
    })?;
    Ok(RawTagged { tagged, gold, comments: None })
}

/// The entity of a result; `None` for what marks no part of the text (relations, choices for the whole text).
fn item_of(result: &Value) -> Option<Result<Item, String>> {
    let value = result.get("value")?;
    let labels = value.get("labels").or_else(|| value.get("hypertextlabels"))?;
    let shown = || shortened(&value.to_string());
    let number = |name: &str| value.get(name).and_then(Value::as_i64);
    let (Some(start), Some(end)) = (number("start"), number("end")) else {
        return Some(Err(format!("result `{}` needs whole numbers as start and end", shown())));
    };
    let label = match labels.as_array().map(Vec::as_slice) {
        Some([Value::String(label)]) if !label.trim().is_empty() => label.trim().to_owned(),
        Some([_, _, ..]) => return Some(Err(format!("result `{}` has several labels; a word has one tag", shown()))),
        _ => return Some(Err(format!("result `{}` has no label", shown()))),
    };
    let text = value.get("text").and_then(Value::as_str).map(str::to_owned);
    Some(Ok(Item { start, end, label, text }))
}
