//! How the run was set up and how it went: identity, load report, recipe, speed, environment.

use super::data::ReportData;
use super::html::{Cell, details, escape, facts, note, table};
use crate::number;
use crate::summary::TrainSummary;

const MAX_TENSORS: usize = 200;

/// The line under the title.
pub(super) fn identity(data: &ReportData) -> String {
    facts(
        "identity",
        &[
            ("task", escape(&data.task)),
            ("model", escape(&data.model)),
            ("method", escape(&data.method)),
            ("date", escape(&data.date)),
        ],
    )
}

/// What came from the checkpoint and what did not.
pub(super) fn load(data: &ReportData) -> String {
    let Some(load) = &data.load else {
        return String::new();
    };
    let mut out = facts(
        "plain",
        &[
            ("source", escape(&data.model)),
            ("tensors loaded", number::count(load.loaded as u64)),
            ("newly initialised", number::count(load.new.len() as u64)),
            ("not used", number::count(load.unexpected.len() as u64)),
        ],
    );
    out.extend(load.notes.iter().map(|it| note(it)));
    if !load.new.is_empty() {
        let rows: Vec<Vec<Cell>> = load
            .new
            .iter()
            .take(MAX_TENSORS)
            .map(|t| vec![Cell::Head(format!("<code>{}</code>", escape(&t.name))), Cell::Text(escape(&t.reason))])
            .collect();
        let list = table(&["newly initialised", "why"], 2, &rows);
        out += &if load.new.len() > 12 {
            let shown = rows.len();
            details(&format!("Newly initialised tensors ({shown} of {})", load.new.len()), &list)
        } else {
            list
        };
    }
    if !load.unexpected.is_empty() {
        let names: String = load
            .unexpected
            .iter()
            .take(MAX_TENSORS)
            .map(|name| format!("<li><code>{}</code></li>\n", escape(name)))
            .collect();
        let shown = load.unexpected.len().min(MAX_TENSORS);
        let summary = format!("In the checkpoint but not used ({shown} of {})", load.unexpected.len());
        out += &details(&summary, &format!("<ul class=\"names\">\n{names}</ul>\n"));
    }
    out
}

/// The resolved recipe; running it again repeats the run.
pub(super) fn recipe(data: &ReportData) -> String {
    if data.recipe.trim().is_empty() {
        return String::new();
    }
    format!(
        "<p>Save this as <code>recipe.toml</code> and run <code>retune finetune recipe.toml</code> to repeat the run.</p>\n\
         <pre tabindex=\"0\" aria-label=\"Recipe\"><code>{}</code></pre>\n",
        escape(data.recipe.trim_end())
    )
}

/// Tiles of throughput and size.
pub(super) fn speed(data: &ReportData) -> String {
    let Some(speed) = &data.speed else {
        return String::new();
    };
    let rate = |x: f64| if x.is_finite() { number::prefixed(x) } else { String::new() };
    // A head on kept features has no blocks to compute.
    let flops = |x: f64| if x > 0.0 { format!("{}FLOP/s", rate(x)) } else { String::new() };
    let peak = speed.peak_flops_per_second;
    let share = speed.model_flops_per_second / peak;
    facts(
        "tiles",
        &[
            ("training time", number::duration(speed.seconds)),
            ("examples / s", rate(speed.samples_per_second)),
            ("tokens / s", rate(speed.tokens_per_second)),
            ("padding", number::percent(speed.padding_fraction)),
            ("model arithmetic", flops(speed.model_flops_per_second)),
            ("fastest matrix product here", flops(peak)),
            ("share of that ceiling", if share > 0.0 && peak > 0.0 { number::percent(share) } else { String::new() }),
            ("peak memory", number::bytes(speed.peak_memory_bytes)),
            ("peak on the GPU", speed.peak_device_memory_bytes.map_or_else(String::new, number::bytes)),
            ("parameters", rate(speed.total_parameters as f64)),
            ("trained", trained(speed)),
        ],
    )
}

/// Parameters that learn, and their share.
fn trained(speed: &TrainSummary) -> String {
    let (trainable, total) = (speed.trainable_parameters as u64, speed.total_parameters as u64);
    let share = if total > 0 { number::percent_of(trainable, total) } else { String::new() };
    format!("{} <small>{share}</small>", number::prefixed(trainable as f64))
}

/// Versions and hardware.
pub(super) fn environment(data: &ReportData) -> String {
    let Some(environment) = &data.environment else {
        return String::new();
    };
    facts(
        "plain",
        &[
            ("retune", escape(&environment.retune)),
            ("libtorch", escape(&environment.libtorch)),
            ("device", escape(&environment.device)),
            ("processor", escape(&environment.cpu)),
            ("threads", number::count(environment.threads)),
        ],
    )
}
