//! One function per command: from arguments to the engine, and its answer to where it belongs.

use crate::arguments::{
    EmbedArguments, EvaluateArguments, FinetuneArguments, ForwardArguments, GenerateArguments, MergeArguments,
    PredictArguments,
};
use crate::failure::Failure;
use crate::interrupt::StopSignal;
use crate::output::{Draft, Pipe, print};
use crate::terminal::{Style, Terminal};
use crate::{conclusion, quickstart, resolve};
use anyhow::{Context, Result};
use indicatif::MultiProgress;
use retune_engine::directory::RunDirectory;
use retune_engine::embed::{self, EmbedOptions, Format};
use retune_engine::generate::Writer;
use retune_engine::metric::Evaluation;
use retune_engine::predict::{self, PredictOptions};
use retune_engine::{EngineError, Observer, doctor, forward, inspect, merge, number, open};
use std::io::{self, BufRead, IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Where the program talks to a person.
pub(crate) struct Screen {
    pub(crate) style: Style,
    pub(crate) bars: MultiProgress,
}

impl Screen {
    /// Progress of a command whose answer is its output: a bar on a terminal, where nothing else is `shown` there.
    fn progress(&self, shown: bool) -> Terminal<io::Stderr> {
        let style = if shown && self.style == Style::Bars { Style::Bars } else { Style::Silent };
        Terminal::new(style, self.bars.clone(), io::stderr())
    }
}

/// Says what is worth a line where no bar does.
struct Remarks {
    said: bool,
}

impl Observer for Remarks {
    fn on_message(&mut self, message: &str) {
        if self.said {
            let _ = writeln!(io::stderr(), "· {}", message.trim_end().replace('\n', "\n  "));
        }
    }
}

/// `retune finetune`.
pub(crate) fn finetune(arguments: &FinetuneArguments, screen: &Screen) -> Result<(), Failure> {
    let resolved = resolve::resolve(arguments, Path::new("runs")).map_err(|error| Failure::input(&error))?;
    let recipe = &resolved.recipe;
    let mut terminal = Terminal::new(screen.style, screen.bars.clone(), io::stderr());
    if resolved.quickstart {
        // Whatever can go wrong without the data, before the first file of it is written.
        let checked = recipe.validate().and_then(|()| RunDirectory::check(&recipe.run.output, resolved.start));
        checked
            .and_then(|()| open::fetch(&recipe.data.model, recipe.data.revision.as_deref(), &mut [&mut terminal]))
            .and_then(|_| quickstart::write_data(&recipe.run.output))
            .map_err(|error| Failure::input(&error))?;
    }
    resolved.notes.iter().for_each(|note| terminal.on_message(note));
    // A panic must not hide that a checkpoint can be continued.
    let result = catch_unwind(AssertUnwindSafe(|| {
        retune_engine::finetune(recipe, resolved.start, &mut [&mut StopSignal, &mut terminal])
    }));
    terminal.clear();
    let finished = match result {
        Ok(result) => result.map_err(Failure::from),
        Err(payload) => Err(Failure::panicked(payload.as_ref())),
    };
    let finished = finished.map_err(|failure| failure.with_resume_hint(&recipe.run.output))?;
    let text = conclusion::describe(&finished);
    let written = if io::stdout().is_terminal() {
        print(&format!("\n{text}"))
    } else {
        terminal.line(text.trim_end());
        serde_json::to_string(&finished.summary)
            .context("the summary is plain data")
            .and_then(|json| print(&(json + "\n")))
    };
    written.map_err(|error| Failure::failed(&error))
}

/// `retune evaluate`.
pub(crate) fn evaluate(arguments: EvaluateArguments, screen: &Screen) -> Result<(), Failure> {
    let EvaluateArguments { model, data, output } = arguments;
    let draft = output.as_deref().map(Draft::new).transpose().map_err(|error| Failure::input(&error))?;
    let mut terminal = screen.progress(true);
    let result = predict::evaluate_file(&PredictOptions::from(model), &data, &mut [&mut terminal]);
    terminal.clear();
    let evaluation = result?;
    if screen.style != Style::Silent {
        let none = Default::default();
        let table = conclusion::metrics_table("metric", &evaluation.metrics, &evaluation.intervals, &none);
        let notes = evaluation.notes.iter().map(|note| format!("· {note}\n")).collect::<String>();
        let decided: String = evaluation.decided().map(|words| format!("{}\n", number::plain(&words))).collect();
        let _ = write!(io::stderr(), "{} examples of {}\n{table}{decided}{notes}", evaluation.examples, data.display());
    }
    let write = || -> Result<()> {
        match draft {
            Some(mut draft) => {
                draft.write_all(json(&evaluation, true)?.as_bytes())?;
                draft.publish()
            }
            None => print(&json(&evaluation, io::stdout().is_terminal())?),
        }
    };
    write().map_err(|error| Failure::failed(&error))
}

/// The evaluation, which says only what it has.
fn json(evaluation: &Evaluation, pretty: bool) -> Result<String> {
    let text = if pretty { serde_json::to_string_pretty(evaluation) } else { serde_json::to_string(evaluation) };
    Ok(text.context("an evaluation is plain data")? + "\n")
}

/// `retune predict`.
pub(crate) fn predict(arguments: PredictArguments, screen: &Screen) -> Result<(), Failure> {
    let PredictArguments { model, input, output } = arguments;
    let mut options = PredictOptions::from(model);
    let stdin = io::stdin();
    let lines: Box<dyn BufRead> = if input.is_some() {
        Box::new(io::empty())
    } else {
        if stdin.is_terminal() {
            // Whoever types a line waits for its answer.
            options.batch_size = 1;
            if screen.style != Style::Silent {
                let _ = writeln!(io::stderr(), "one text a line; Ctrl-D ends the input");
            }
        }
        Box::new(stdin.lock())
    };
    options.files = output.as_deref().map(predict::files_beside);
    answer(output.as_deref(), "predictions", screen, |to, observers| {
        predict::predict(&options, input.as_deref(), lines, to, observers)
    })
}

/// `retune embed`.
pub(crate) fn embed(mut arguments: EmbedArguments, screen: &Screen) -> Result<(), Failure> {
    let (input, output) = (arguments.input.take(), arguments.output.take());
    let options = EmbedOptions::from(arguments);
    let lines: Box<dyn BufRead> = if input.is_some() { Box::new(io::empty()) } else { Box::new(io::stdin().lock()) };
    let format = output.as_deref().map_or(Format::Lines, Format::of);
    answer(output.as_deref(), "embeddings", screen, |to, observers| {
        embed::embed(&options, input.as_deref(), lines, (to, format), observers)
    })
}

/// Lets `write` answer into a file, which is there when all answers are, or to whoever reads the standard output.
fn answer(
    output: Option<&Path>,
    what: &str,
    screen: &Screen,
    write: impl FnOnce(&mut dyn Write, &mut [&mut dyn Observer]) -> Result<usize, EngineError>,
) -> Result<(), Failure> {
    let shown = output.is_some() || !io::stdout().is_terminal();
    let mut terminal = screen.progress(shown);
    let mut remarks = Remarks { said: screen.style == Style::Lines || (screen.style == Style::Bars && !shown) };
    let Some(output) = output else {
        let mut pipe = Pipe::stdout();
        let result = write(&mut pipe, &mut [&mut terminal, &mut remarks]);
        terminal.clear();
        return Ok(pipe.finish(result).map(drop)?);
    };
    let mut draft = Draft::new(output).map_err(|error| Failure::input(&error))?;
    let result = write(&mut draft, &mut [&mut terminal, &mut remarks]);
    terminal.clear();
    let count = result?;
    draft.publish().map_err(|error| Failure::failed(&error))?;
    if screen.style != Style::Silent {
        let _ = writeln!(io::stderr(), "{count} {what} in {}", output.display());
    }
    Ok(())
}

/// `retune generate`.
pub(crate) fn generate(it: GenerateArguments) -> Result<(), Failure> {
    let GenerateArguments { model, prompt, chat, system, seed } = it;
    let options = PredictOptions::from(model);
    let writer = Writer::open(&options, seed, &mut [])?;
    if chat && !writer.chats() {
        let error = anyhow::anyhow!(
            "{}: this model has no chat template, and does not chat; use --prompt",
            options.model.display()
        );
        return Err(Failure::input(&error));
    }
    let mut turns = Vec::new();
    let mut one = |text: String| -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        // Whoever stops listening ends the program with the next line.
        let mut heard = |new: &str| drop(out.write_all(new.as_bytes()).and_then(|()| out.flush()));
        if chat {
            turns.push(text);
            let answer = writer.answer(system.as_deref(), &turns, &mut heard)?;
            turns.push(answer);
        } else {
            writer.write(&text, &mut heard)?;
        }
        writeln!(out).context("cannot write").map_err(|error| Failure::failed(&error))
    };
    if let Some(prompt) = prompt {
        return one(prompt);
    }
    for line in io::stdin().lock().lines() {
        one(line.context("cannot read the standard input").map_err(|error| Failure::input(&error))?)?;
    }
    Ok(())
}

/// `retune merge`.
pub(crate) fn merge(it: &MergeArguments, screen: &Screen) -> Result<(), Failure> {
    let merged = merge::merge(&it.adapter, it.task.as_deref(), &it.output)?;
    if screen.style != Style::Silent {
        let (layers, apart) = (merged.layers, merged.largest_difference);
        let _ = writeln!(
            io::stderr(),
            "{layers} layers merged into {}; outputs differ by at most {apart:.1e}",
            it.output.display()
        );
    }
    Ok(())
}

/// `retune forward`.
pub(crate) fn forward(it: &ForwardArguments) -> Result<(), Failure> {
    let files = (it.inputs.as_path(), it.outputs.as_path());
    let unread = forward::forward(&it.model, it.task.as_deref(), files, &it.precision, &it.device)?;
    if !unread.is_empty() {
        eprintln!("note: {}: this model reads no such input", unread.join(", "));
    }
    Ok(())
}

/// `retune inspect`.
pub(crate) fn inspect(path: &Path, task: Option<&str>) -> Result<(), Failure> {
    show(inspect::inspect(path, task))
}

/// `retune doctor`.
pub(crate) fn doctor(device: &str) -> Result<(), Failure> {
    show(doctor::doctor(device))
}

fn show(text: Result<String, EngineError>) -> Result<(), Failure> {
    let text = text?;
    print(&format!("{}\n", text.trim_end())).map_err(|error| Failure::failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_says_only_what_it_has() {
        let mut evaluation = Evaluation { examples: 3, ..Evaluation::default() };
        evaluation.metrics.insert("rmse".to_owned(), 0.5);
        let text = json(&evaluation, false).unwrap();
        assert_eq!(text, "{\"metrics\":{\"rmse\":0.5},\"intervals\":{},\"examples\":3}\n");
        assert!(json(&evaluation, true).unwrap().lines().count() > 3);
    }
}
